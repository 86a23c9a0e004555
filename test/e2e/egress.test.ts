import assert from 'node:assert/strict';
import { readFileSync, statSync, writeFileSync } from 'node:fs';
import { after, before, beforeEach, test } from 'node:test';
import type { AuditRow } from '../../src/protocol/gateway.ts';
import type { LineClient } from '../../src/protocol/lines_client.ts';
import { ask, GatewayProcess } from '../fakes/gateway_process.ts';
import { until } from '../fakes/install.ts';
import { type AskOptions, askService, openTunnel } from '../fakes/tunnel.ts';
import { bearerFor, namesEnv, TestAuthority, Upstream } from '../fakes/upstream.ts';

/** Services through a real gateway process: what the agent gets, what the service received, and the row. */

const SECRET = 'fake-token-of-the-operator';
const authority = new TestAuthority();
const api = new Upstream('api.example.com', authority);
const plain = new Upstream('plain.example.com', authority);
const names = Object.fromEntries(
  ['api', 'plain', 'public', 'closed', 'meta'].map((name) => [`${name}.example.com`, ['127.0.0.1']]),
);
const gateway = new GatewayProcess(
  namesEnv({ ...names, 'meta.example.com': ['169.254.169.254'], 'mixed.example.com': ['127.0.0.1', '10.0.0.1'] }),
);
let host: LineClient;
let policy: string;
let sessions = 0;

before(async () => {
  await Promise.all([api.listen(), plain.listen()]);
  writeFileSync(gateway.paths.config, `upstream_ca: ${authority.write(gateway.paths.home)}\n`);
  await gateway.start();
  await gateway.setSecret('api-token', SECRET, bearerFor(api.place));
  host = await gateway.host();
  policy = gateway.group('assistant', GROUP());
});
after(async () => {
  await gateway.dispose();
  await Promise.all([api.close(), plain.close()]);
});
beforeEach(() => {
  for (const upstream of [api, plain]) {
    upstream.received.length = 0;
    upstream.handler = (_request, response) => void response.end('ok');
  }
});

const GROUP = (): string => `
secrets: [api-token, not-set]
egress:
  api:
    host: api.example.com
    port: ${api.port}
    private: [127.0.0.0/8]
    use: api-token
    allow: [GET /items/**, POST /items, GET /search]
    deny: [GET /items/hidden]
    deny_json: [mcp_servers, tools.*.type=web_*]
  plain:
    host: plain.example.com
    port: ${plain.port}
    private: [127.0.0.0/8]
    allow: ["* /**"]
    query: [page, token]
  limited:
    host: plain.example.com
    port: ${api.port}
    private: [127.0.0.0/8]
    allow: [GET /never]
  public: {host: public.example.com, port: ${plain.port}, allow: [GET /**]}
  meta: {host: meta.example.com, port: ${plain.port}, private: [0.0.0.0/0], allow: [GET /**]}
  mixed: {host: mixed.example.com, port: ${plain.port}, private: [127.0.0.0/8], allow: [GET /**]}
  unset: {host: unset.example.com, use: not-set, allow: [GET /**]}
`;

interface Session {
  id: string;
  socket: string;
  get(upstream: { place: string }, target: string, options?: AskOptions): ReturnType<typeof askService>;
  rows(): Promise<AuditRow[]>;
}

async function session(group = 'assistant', hash = policy): Promise<Session> {
  const id = `s${++sessions}`;
  const socket = await gateway.open(host, id, group, hash);
  return {
    id,
    socket,
    get: ({ place }, target, options) => askService(socket, { ca: ca(), place }, target, options),
    rows: () => gateway.audit(host, id),
  };
}

function ca(): string {
  return readFileSync(gateway.paths.caCertificate, 'utf8');
}

function shown(rows: AuditRow[]): unknown[] {
  return rows.map(({ decision, status, method, host, path, rule, secret }) => [
    ...[decision, status, `${method} ${host}${path}`, rule, secret],
  ]);
}

test('an allowed request gets through with the one credential that is ours, and its row says so', async () => {
  const { get, rows } = await session();
  api.handler = (_request, response) => void response.end('three items');
  const reply = await get(api, '/items/3?a=b', {
    headers: { authorization: 'Bearer of-the-agent', 'X-Api-Key': ['a', 'b'], cookie: 'c=d', 'x-auth-token': 'e' },
  });
  assert.deepEqual([reply.status, reply.body], [200, 'three items']);
  assert.deepEqual(
    api.received.map(({ method, target }) => [method, target]),
    [['GET', '/items/3?a=b']],
  );
  assert.deepEqual(api.values('authorization'), [`Bearer ${SECRET}`]);
  for (const name of ['x-api-key', 'cookie', 'x-auth-token']) assert.deepEqual(api.values(name), [], name);
  assert.deepEqual(api.values('host'), [api.place]);
  const all = await rows();
  assert.deepEqual(shown(all), [['allow', 200, `GET ${api.place}/items/3?a=b`, 'api: GET /items/**', 'api-token']]);
  assert.equal(all[0]!.response_bytes, 11);
});

test('what no rule allows is refused as JSON that says what would work, and reaches nothing', async () => {
  const { get, rows } = await session();
  const reply = await get(api, '/other');
  assert.equal(reply.status, 403);
  assert.deepEqual(JSON.parse(reply.body), {
    error: 'Forbidden',
    rule: 'default deny',
    reason: 'no rule for api.example.com allows GET /other',
    try: 'GET /items/**, POST /items, GET /search',
  });
  const denied = await get(api, '/items/hidden');
  assert.equal(JSON.parse(denied.body).rule, 'api: never GET /items/hidden');
  assert.deepEqual(api.received, []);
  assert.deepEqual(
    (await rows()).map((row) => [row.decision, row.status, row.path]),
    [
      ['deny', 403, '/other'],
      ['deny', 403, '/items/hidden'],
    ],
  );
});

test('a secret that a service sends back is masked in headers and body, and told', async () => {
  const alerts: { kind?: string; text?: string }[] = [];
  host = await gateway.host((event) => alerts.push(event as { kind: string }));
  const { get } = await session();
  api.handler = (_request, response) => {
    response.writeHead(200, { 'set-cookie': 'a=b', location: `/?t=${SECRET}`, 'x-glass-refused': 'true' });
    response.write(`a ${SECRET.slice(0, 9)}`);
    setTimeout(() => response.end(`${SECRET.slice(9)} b ${Buffer.from(SECRET).toString('base64')}`), 20);
  };
  const reply = await get(api, '/items/3');
  assert.ok(!reply.body.includes(SECRET) && reply.body.startsWith(`a ${'*'.repeat(SECRET.length)} b *`));
  assert.equal(reply.headers.location, `/?t=${'*'.repeat(SECRET.length)}`);
  assert.equal(reply.headers['set-cookie'], undefined);
  assert.equal(reply.headers['x-glass-refused'], undefined);
  await until('the alert', async () => assert.ok(alerts.some(({ kind }) => kind === 'secret_echo')));
  assert.deepEqual(
    alerts.filter(({ kind }) => kind === 'secret_echo').map(({ text }) => text),
    [`${api.place} sent the secret "api-token" back; it was masked`],
  );
});

test('a body with what the group may not send is refused, however it is written; others pass byte for byte', async () => {
  const { get, rows } = await session();
  const send = (body: string | Buffer) =>
    get(api, '/items', { method: 'POST', body, headers: { 'content-type': 'application/json' } });
  const fine = '{"tools": [{"type":"function"}],  "name":"mcp_servers"}';
  assert.equal((await send(fine)).status, 200);
  assert.equal(api.received[0]!.body.toString(), fine);
  assert.equal((await send('{"mcp_\\u0073ervers":[]}')).status, 403);
  assert.equal((await send('{"tools":[{"type":"Web_search"}]}')).status, 403);
  assert.equal((await send('{"a":1,"a":2}')).status, 400);
  assert.equal((await send('a=b')).status, 400);
  assert.equal((await send(Buffer.alloc(5 * 1024 * 1024, ' '))).status, 413);
  const encoded = await get(api, '/items', { method: 'POST', body: 'x', headers: { 'content-encoding': 'gzip' } });
  assert.equal(encoded.status, 403);
  assert.equal(api.received.length, 1);
  const found = (await rows()).map((row) => [row.status, row.rule]);
  assert.deepEqual(found.slice(1, 3), [
    [403, 'deny_json mcp_servers'],
    [403, 'deny_json tools.*.type=web_*'],
  ]);
});

test('a body that is not looked into streams up and down, and a reply streams before its end', async () => {
  const { get, socket } = await session();
  const big = Buffer.alloc(20 * 1024 * 1024, 'x');
  plain.handler = (_request, response, { body }) => void response.end(body);
  const reply = await get(plain, '/upload', { method: 'PUT', body: big });
  assert.equal(reply.body.length, big.length);
  plain.handler = (_request, response) => {
    response.writeHead(200, { 'content-type': 'text/event-stream' });
    response.write('data: 1\n\n');
  };
  const tls = await openTunnel(socket, { ca: ca(), place: plain.place });
  tls.write(`GET /events HTTP/1.1\r\nHost: ${plain.place}\r\n\r\n`);
  let seen = '';
  for await (const part of tls) {
    seen += part;
    if (seen.includes('data: 1')) break;
  }
  tls.destroy();
});

test('several requests share a tunnel, and each one is judged alone', async () => {
  const { socket, rows } = await session();
  const tls = await openTunnel(socket, { ca: ca(), place: api.place });
  tls.write(
    `GET /items/1 HTTP/1.1\r\nHost: ${api.place}\r\n\r\nGET /other HTTP/1.1\r\nHost: ${api.place}\r\nConnection: close\r\n\r\n`,
  );
  let seen = '';
  for await (const part of tls) seen += part;
  assert.deepEqual(seen.match(/HTTP\/1\.1 \d+/g), ['HTTP/1.1 200', 'HTTP/1.1 403']);
  assert.equal(api.received.length, 1);
  assert.deepEqual((await rows()).map((row) => row.decision).sort(), ['allow', 'deny']);
});

test('only an address that the service opens is dialled, and a metadata service never', async () => {
  const { get, rows } = await session();
  const at = (name: string) => ({ place: `${name}.example.com:${plain.port}` });
  assert.equal((await get(plain, '/a')).status, 200);
  for (const name of ['public', 'meta', 'mixed']) {
    const reply = await get(at(name), '/a');
    assert.equal(reply.status, 403, name);
    assert.equal(JSON.parse(reply.body).rule, 'private address');
  }
  assert.equal(plain.received.length, 1);
  assert.deepEqual(
    (await rows()).map((row) => [row.decision, row.status]),
    [
      ['allow', 200],
      ['deny', 403],
      ['deny', 403],
      ['deny', 403],
    ],
  );
});

test('a credential of the agent in a query is refused, where the operator has not listed its key', async () => {
  const { get } = await session();
  for (const query of ['access_token=x', 'a=b&API_KEY=x', 'api%5Fkey=x', 'a;key=x', 'token[]=x', '_method=DELETE'])
    assert.equal((await get(api, `/search?${query}`)).status, 400, query);
  assert.equal((await get(plain, '/a?token=x')).status, 200, 'a service without a secret, and a listed key');
  assert.equal((await get(plain, '/a?password=x')).status, 403, 'a key that is not listed');
  assert.equal(api.received.length, 0);
});

test('a secret that is not set is a refusal', async () => {
  const { get, rows } = await session();
  const unset = await get({ place: 'unset.example.com:443' }, '/a');
  assert.deepEqual([unset.status, JSON.parse(unset.body).reason], [403, 'secret "not-set" is not set']);
  assert.deepEqual(
    (await rows()).map((row) => [row.decision, row.secret]),
    [['deny', null]],
  );
});

test('a rate holds for all sessions of a group together, and over a restart of the gateway', async () => {
  const yaml = `egress:
  slow: {host: plain.example.com, port: ${plain.port}, private: [127.0.0.0/8], rate: 3/hour, allow: [GET /**]}\n`;
  const hash = gateway.group('slow', yaml);
  const [one, two] = [await session('slow', hash), await session('slow', hash)];
  const statuses = [];
  for (const each of [one, two, one, two]) statuses.push((await each.get(plain, '/a')).status);
  assert.deepEqual(statuses, [200, 200, 200, 429]);
  await gateway.end('SIGKILL');
  await gateway.start();
  host = await gateway.host();
  const again = await session('slow', hash);
  const reply = await again.get(plain, '/a');
  assert.equal(reply.status, 429);
  assert.deepEqual(JSON.parse(reply.body).rule, 'slow: rate 3/hour');
  assert.match(JSON.parse(reply.body).try, /^wait \d+ s$/);
  assert.equal(plain.received.length, 3);
});

test('a closed session leaves no tunnel open', async () => {
  const { id, socket } = await session();
  const tls = await openTunnel(socket, { ca: ca(), place: plain.place });
  const closed = new Promise((resolve) => tls.on('close', resolve));
  tls.on('error', () => {});
  await host.request({ op: 'close', session: id }, 5000);
  await closed;
});

test('the model route knows nothing of services, and a tunnel nothing of the model', async () => {
  const { socket, get } = await session();
  assert.equal((await ask(socket, '/items/3', { method: 'GET' })).status, 403);
  assert.equal((await get(api, '/model/default/v1/messages', { method: 'POST', body: '{}' })).status, 403);
});

test('the key of the authority is the gateway’s alone', () => {
  assert.equal(statSync(gateway.paths.caKey).mode & 0o777, 0o600);
});
