import assert from 'node:assert/strict';
import { request as httpRequest } from 'node:http';
import { test } from 'node:test';
import { MODEL_BODY_BYTES_MAX, SESSION_REQUESTS_MAX } from '../../src/base/limits/gateway.ts';
import { ask, raw } from '../fakes/gateway_process.ts';
import { MESSAGES, ModelGateway } from '../fakes/model_gateway.ts';

/** Hostile requests: the status, what the endpoint received (nothing), and the audit row. */

const world = await ModelGateway.start();
const { gateway } = world;

function session(): Promise<{ id: string; socket: string }> {
  return world.open('assistant');
}

const END = 'Host: model\r\nConnection: close\r\n\r\n';
const ATTACKS: [name: string, bytes: string, status: number][] = [
  ['CONNECT', `CONNECT api.anthropic.com:443 HTTP/1.1\r\n${END}`, 403],
  ['CONNECT to metadata', `CONNECT 169.254.169.254:80 HTTP/1.1\r\n${END}`, 403],
  ['a whole URL', `POST http://api.anthropic.com/v1/messages HTTP/1.1\r\n${END}`, 400],
  ['another path', `GET / HTTP/1.1\r\n${END}`, 403],
  ['another model', `POST /model/other/v1/messages HTTP/1.1\r\n${END}`, 403],
  ['another method', `GET ${MESSAGES} HTTP/1.1\r\n${END}`, 405],
  ['a file API', `POST /model/default/v1/files HTTP/1.1\r\n${END}`, 403],
  ['dot segments', `POST /model/default/v1/../v1/messages HTTP/1.1\r\n${END}`, 400],
  ['escaped dots', `POST /model/default/%2e%2e/v1/messages HTTP/1.1\r\n${END}`, 400],
  ['empty segments', `POST /model/default//v1/messages HTTP/1.1\r\n${END}`, 400],
  ['a backslash', `POST /model\\default\\v1\\messages HTTP/1.1\r\n${END}`, 400],
  ['a key in the query', `POST ${MESSAGES}?key=dummy HTTP/1.1\r\n${END}`, 403],
  [
    'a WebSocket',
    `GET ${MESSAGES} HTTP/1.1\r\nUpgrade: websocket\r\nHost: model\r\nConnection: upgrade, close\r\n\r\n`,
    403,
  ],
  ['no host', `POST ${MESSAGES} HTTP/1.1\r\nConnection: close\r\n\r\n`, 400],
  ['two hosts', `POST ${MESSAGES} HTTP/1.1\r\nHost: other\r\n${END}`, 400],
  ['two lengths', `POST ${MESSAGES} HTTP/1.1\r\nContent-Length: 2\r\nContent-Length: 3\r\n${END}{}`, 400],
  [
    'length and chunks',
    `POST ${MESSAGES} HTTP/1.1\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n${END}0\r\n\r\n`,
    400,
  ],
  ['strange chunks', `POST ${MESSAGES} HTTP/1.1\r\nTransfer-Encoding: xchunked\r\n${END}0\r\n\r\n`, 400],
  ['a space before the colon', `POST ${MESSAGES} HTTP/1.1\r\nX-A : b\r\n${END}`, 400],
  ['a folded header', `POST ${MESSAGES} HTTP/1.1\r\nX-A: b\r\n c\r\n${END}`, 400],
  ['a zero byte', `POST ${MESSAGES} HTTP/1.1\r\nX-A: b\0c\r\n${END}`, 400],
  ['bare line feeds', `POST ${MESSAGES} HTTP/1.1\nHost: model\n\n`, 400],
  ['HTTP/0.9', 'GET /\r\n\r\n', 505],
  ['HTTP/2', 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', 400],
  ['a line of HTTP/2.0', `POST ${MESSAGES} HTTP/2.0\r\n${END}`, 505],
  ['noise', '\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03', 400],
  ['64 KiB of headers', `POST ${MESSAGES} HTTP/1.1\r\nX-A: ${'b'.repeat(65_536)}\r\n${END}`, 431],
];

for (const [name, bytes, status] of ATTACKS) {
  test(`${name} gets ${status}, reaches nothing, and is recorded`, async () => {
    const { id, socket } = await session();
    const answer = await raw(socket, Buffer.from(bytes, 'latin1'));
    assert.match(answer, new RegExp(`^HTTP/1\\.1 ${status} `));
    const body = JSON.parse(answer.slice(answer.indexOf('\r\n\r\n') + 4));
    assert.deepEqual(Object.keys(body), ['error', 'rule', 'reason', 'try']);
    assert.equal(world.model.requests.length, 0);
    const rows = await gateway.audit(world.host, id);
    assert.deepEqual(
      rows.map((row) => [row.decision, row.status, row.secret]),
      [['deny', status, null]],
    );
  });
}

test('of two requests in one segment each is judged alone', async () => {
  const { id, socket } = await session();
  const allowed = `POST ${MESSAGES} HTTP/1.1\r\nHost: model\r\nContent-Length: 2\r\n\r\n{}`;
  const answer = await raw(socket, `${allowed}GET /other HTTP/1.1\r\n${END}`);
  assert.deepEqual(answer.match(/HTTP\/1\.1 \d+/g), ['HTTP/1.1 200', 'HTTP/1.1 403']);
  assert.equal(world.model.requests.length, 1);
  assert.deepEqual((await gateway.audit(world.host, id)).map((row) => row.decision).sort(), ['allow', 'deny']);
});

test('a body above the limit is a 413, declared or not, and the session goes on', async () => {
  const { id, socket } = await session();
  const big = Buffer.alloc(MODEL_BODY_BYTES_MAX + 1, ' ');
  assert.equal((await ask(socket, MESSAGES, { body: big })).status, 413);
  assert.equal(world.model.requests.length, 0);
  assert.equal((await ask(socket, MESSAGES, { body: big, headers: { 'transfer-encoding': 'chunked' } })).status, 413);
  assert.equal((await ask(socket, MESSAGES, {})).status, 200);
  assert.deepEqual(
    (await gateway.audit(world.host, id)).map((row) => [row.decision, row.status]),
    [
      ['deny', 413],
      ['deny', 413],
      ['allow', 200],
    ],
  );
});

test("requests above the session's limit are a 429 until others end", async () => {
  const { id, socket } = await session();
  world.model.mode = 'hang';
  const hanging = Array.from({ length: SESSION_REQUESTS_MAX }, () => {
    const request = httpRequest({ socketPath: socket, path: MESSAGES, method: 'POST', agent: false });
    request.on('error', () => {});
    request.end('{}');
    return request;
  });
  while (world.model.requests.length < SESSION_REQUESTS_MAX) await new Promise((resolve) => setTimeout(resolve, 5));
  assert.equal((await ask(socket, MESSAGES, {})).status, 429);
  const other = await session();
  world.model.mode = 'ok';
  assert.equal((await ask(other.socket, MESSAGES, {})).status, 200, 'another session is not affected');
  for (const request of hanging) request.destroy();
  await gateway.audit(world.host, id);
  assert.equal((await ask(socket, MESSAGES, {})).status, 200);
});

test('a request that waits for "100 Continue" is served, and does not block the next one', async () => {
  const { socket } = await session();
  assert.equal((await ask(socket, MESSAGES, { headers: { expect: '100-continue' } })).status, 200);
  assert.equal(world.model.requests[0]!.headers.expect, undefined);
  assert.equal((await ask(socket, MESSAGES, {})).status, 200);
});
