import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { request as httpRequest, type ServerResponse } from 'node:http';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { after, before, beforeEach, test } from 'node:test';
import { gzipSync } from 'node:zlib';
import type { LineClient } from '../../src/protocol/lines_client.ts';
import { ask, GatewayProcess } from '../fakes/gateway_process.ts';
import { echoScript, type FakeModel, startModel } from '../fakes/model.ts';

/** What an agent gets from its model route: a real gateway process, a scripted endpoint on loopback. */

const SECRET = 'fake-secret-for-the-model';
const MESSAGES = '/model/default/v1/messages';
const HELLO = JSON.stringify({ model: 'fake-model', max_tokens: 9, messages: [{ role: 'user', content: 'hello' }] });

const gateway = new GatewayProcess();
const events: unknown[] = [];
let model: FakeModel;
let host: LineClient;
let socket: string;

before(async () => {
  model = await startModel();
  await gateway.start();
  await gateway.setSecret('anthropic', SECRET);
  host = await gateway.host((event) => events.push(event));
  socket = await openGroup('s1', 'assistant', `model: {upstream: "${model.origin}"}\n`);
});

after(async () => {
  await gateway.dispose();
  await model.close();
});

beforeEach(() => {
  model.requests.length = 0;
  model.mode = 'ok';
  model.script = echoScript;
});

function openGroup(session: string, group: string, yaml: string): Promise<string> {
  return gateway.open(host, session, group, gateway.group(group, yaml));
}

function answerRaw(write: (response: ServerResponse) => void): void {
  model.script = () => ({ raw: write });
}

test("the secret is injected once, the agent's own credentials are gone, the rest arrives as it was sent", async () => {
  const reply = await ask(socket, `${MESSAGES}?beta=true`, {
    body: HELLO,
    headers: {
      'content-type': 'application/json',
      'anthropic-version': '2023-06-01',
      'X-Api-Key': ['dummy-one', 'dummy-two'],
      authorization: 'Bearer dummy',
      cookie: 'a=b',
      'x-forwarded-for': '1.2.3.4',
      connection: 'x-hop',
      'x-hop': 'dummy',
      'accept-encoding': 'gzip, br',
    },
  });
  assert.equal(reply.status, 200);
  assert.equal(JSON.parse(reply.body).content[0].text, 'echo: hello');
  assert.equal(model.requests.length, 1);
  const [seen] = model.requests;
  assert.equal(seen!.target, '/v1/messages?beta=true');
  assert.equal(seen!.body, HELLO);
  const { connection: _, ...headers } = seen!.headers;
  assert.deepEqual(headers, {
    host: new URL(model.origin).host,
    'content-type': 'application/json',
    'anthropic-version': '2023-06-01',
    'accept-encoding': 'identity',
    'x-api-key': SECRET,
    'content-length': String(Buffer.byteLength(HELLO)),
  });
  assert.equal(seen!.rawHeaders.filter((name) => name.toLowerCase() === 'x-api-key').length, 1);
});

test('an OpenAI endpoint gets a bearer token on its own path, one without a secret gets nothing', async () => {
  await gateway.setSecret('other', 'fake-secret-of-another');
  const openai = `model: {provider: openai, upstream: "${model.origin}/v1", secret: other}\n`;
  const first = await ask(await openGroup('s2', 'open', openai), '/model/default/chat/completions', { body: HELLO });
  assert.equal(JSON.parse(first.body).choices[0].message.content, 'echo: hello');
  assert.equal(model.requests[0]!.target, '/v1/chat/completions');
  assert.equal(model.requests[0]!.headers.authorization, 'Bearer fake-secret-of-another');
  const ollama = `model: {provider: ollama, upstream: "${model.origin}"}\n`;
  await ask(await openGroup('s3', 'local', ollama), '/model/default/v1/chat/completions', {
    body: HELLO,
    headers: { authorization: 'Bearer dummy' },
  });
  assert.equal(model.requests[1]!.headers.authorization, undefined);
  assert.equal((await gateway.audit(host, 's3'))[0]!.secret, null);
});

test('a secret that is not set is a refusal that says what to do; setting it needs no restart', async () => {
  const path = await openGroup('s4', 'later', `model: {upstream: "${model.origin}", secret: later}\n`);
  const refused = await ask(path, MESSAGES, { body: HELLO });
  assert.equal(refused.status, 403);
  assert.deepEqual(JSON.parse(refused.body), {
    error: 'Forbidden',
    rule: 'secret',
    reason: 'secret "later" is not set',
    try: 'glass secret set later',
  });
  assert.equal(model.requests.length, 0);
  await gateway.setSecret('later', 'fake-secret-set-later');
  assert.equal((await ask(path, MESSAGES, { body: HELLO })).status, 200);
  await gateway.setSecret('later', 'fake-secret-replaced');
  assert.equal((await ask(path, MESSAGES, { body: HELLO })).status, 200);
  assert.deepEqual(
    model.requests.map((request) => request.headers['x-api-key']),
    ['fake-secret-set-later', 'fake-secret-replaced'],
  );
  const operator = await gateway.operator();
  await operator.request({ op: 'remove', name: 'later' }, 5000);
  assert.equal((await ask(path, MESSAGES, { body: HELLO })).status, 403);
});

test('a stream arrives event by event, each before the next is written, byte for byte', async () => {
  const sent = ['event: a\ndata: {"n":1}\n\n', ': ping\n\n', 'data: {"text":"fake-sec"}\n\n', 'data: [DONE]\n\n'];
  let release = (): void => {};
  answerRaw(async (response) => {
    response.writeHead(200, { 'content-type': 'text/event-stream' });
    response.flushHeaders();
    for (const text of sent) {
      await new Promise<void>((resolve) => {
        release = resolve;
      });
      response.write(text);
    }
    response.end();
  });
  const got: string[] = [];
  await new Promise<void>((resolve, reject) => {
    const request = httpRequest({ socketPath: socket, path: MESSAGES, method: 'POST' }, (response) => {
      // The headers are here while the body has not begun: only now is the first event released.
      release();
      response.on('data', (part) => {
        got.push(part.toString());
        release();
      });
      response.on('end', resolve);
    });
    request.on('error', reject);
    request.end(HELLO);
  });
  assert.deepEqual(got, sent);
});

test('usage is metered per request and per group', async () => {
  const path = await openGroup('s5', 'metered', `model: {upstream: "${model.origin}"}\n`);
  model.script = () => ({ text: 'some words', usage: { input: 111, output: 22 } });
  const streamed = JSON.stringify({ ...JSON.parse(HELLO), stream: true });
  const reply = await ask(path, MESSAGES, { body: streamed });
  assert.equal((await ask(path, MESSAGES, { body: HELLO })).status, 200);
  const rows = await gateway.audit(host, 's5');
  assert.equal(rows.length, 2);
  const { id: _, at_ms, ended_ms, ...row } = rows[0]!;
  assert.ok(ended_ms! >= at_ms);
  assert.deepEqual(row, {
    session: 's5',
    group: 'metered',
    method: 'POST',
    host: new URL(model.origin).host,
    path: '/v1/messages',
    decision: 'allow',
    rule: 'model default: POST /v1/messages',
    status: 200,
    secret: 'anthropic',
    service: null,
    model: 'fake-model',
    request_bytes: streamed.length,
    response_bytes: reply.body.length,
    input_tokens: 111,
    output_tokens: 22,
    cost_micros: 3315, // a model that no table has is as dear as the dearest
  });
  const { rows: usage } = await host.request<{ rows: { group: string }[] }>({ op: 'usage', since_ms: 0 }, 5000);
  assert.deepEqual(
    usage.find((entry) => entry.group === 'metered'),
    { group: 'metered', requests: 2, input_tokens: 222, output_tokens: 44, cost_micros: 6630 },
  );
});

test('an endpoint that sends the secret back does not get it to the agent, and the host is told', async () => {
  answerRaw((response) => {
    response.writeHead(302, {
      location: `https://elsewhere.example/?k=${SECRET}`,
      'set-cookie': `k=${SECRET}`,
      'content-type': 'text/plain',
    });
    response.write(`plain ${SECRET.slice(0, 9)}`);
    setImmediate(() => {
      response.end(`${SECRET.slice(9)} base64 ${Buffer.from(`user:${SECRET}`).toString('base64')}`);
    });
  });
  const reply = await ask(socket, MESSAGES, { body: HELLO });
  assert.equal(reply.status, 302, 'a redirect is passed on, not followed');
  assert.equal(model.requests.length, 1);
  assert.equal(reply.headers.location, `https://elsewhere.example/?k=${'*'.repeat(SECRET.length)}`);
  assert.equal(reply.headers['set-cookie'], undefined);
  assert.match(reply.body, /^plain \*{25} base64 \S*\*{30,}/);
  await gateway.audit(host, 's1');
  assert.ok(events.some((event) => (event as { kind?: string }).kind === 'secret_echo'));
  assert.ok(!JSON.stringify(events).includes(SECRET));
});

test('a secret that comes back in a header alone is counted and told as well', async () => {
  events.length = 0;
  answerRaw(
    (response) => void response.writeHead(200, { 'x-echo': `k=${SECRET}`, 'content-type': 'text/plain' }).end(),
  );
  const reply = await ask(socket, MESSAGES, { body: HELLO });
  assert.equal(reply.headers['x-echo'], `k=${'*'.repeat(SECRET.length)}`);
  await gateway.audit(host, 's1');
  assert.ok(events.some((event) => (event as { kind?: string }).kind === 'secret_echo'));
});

for (const status of ['401', '402', '429', '500'] as const) {
  test(`a ${status} of the endpoint is the agent's ${status}`, async () => {
    model.mode = status;
    const reply = await ask(socket, MESSAGES, { body: HELLO });
    assert.equal(reply.status, Number(status));
    assert.equal(JSON.parse(reply.body).type, 'error');
    if (status === '429') assert.equal(reply.headers['retry-after'], '1');
  });
}

test('a stream that is cut is cut for the agent too, and recorded as an error', async () => {
  model.mode = 'cut';
  await assert.rejects(ask(socket, MESSAGES, { body: JSON.stringify({ ...JSON.parse(HELLO), stream: true }) }));
  assert.equal((await gateway.audit(host, 's1')).at(-1)!.decision, 'error');
});

for (const [name, write] of [
  ['no HTTP', (response) => response.socket!.end('garbage\r\n\r\n')],
  ['a closed connection', (response) => response.socket!.destroy()],
  [
    'a compressed reply',
    (response) => {
      response.writeHead(200, { 'content-encoding': 'gzip' });
      response.end(gzipSync(SECRET));
    },
  ],
] as [string, (response: ServerResponse) => void][]) {
  test(`${name} of the endpoint is a 502, and the next request works`, async () => {
    answerRaw(write);
    const reply = await ask(socket, MESSAGES, { body: HELLO });
    assert.equal(reply.status, 502);
    assert.equal(JSON.parse(reply.body).rule, 'upstream');
    model.script = echoScript;
    assert.equal((await ask(socket, MESSAGES, { body: HELLO })).status, 200);
  });
}

test('informational replies are swallowed, and a flood of them is a 502', async () => {
  const hints = (count: number, response: ServerResponse): void => {
    for (let sent = 0; sent < count; sent += 1) response.socket!.write('HTTP/1.1 103 Early Hints\r\nx: y\r\n\r\n');
    response.end('{}');
  };
  answerRaw((response) => hints(3, response));
  assert.equal((await ask(socket, MESSAGES, { body: HELLO })).status, 200);
  answerRaw((response) => hints(20, response));
  assert.equal((await ask(socket, MESSAGES, { body: HELLO })).status, 502);
});

test('an endpoint that is down, or has no address, is a 502 that names it', async () => {
  const unused = createServer();
  await new Promise<void>((resolve) => unused.listen(0, '127.0.0.1', resolve));
  const { port } = unused.address() as { port: number };
  await new Promise((resolve) => unused.close(resolve));
  const down = await openGroup('s6', 'down', `model: {upstream: "http://127.0.0.1:${port}"}\n`);
  const reply = await ask(down, MESSAGES, { body: HELLO });
  assert.equal(reply.status, 502);
  assert.match(JSON.parse(reply.body).reason, /^127\.0\.0\.1:\d+ cannot be asked \(ECONNREFUSED\)$/);
  const unknown = await openGroup('s7', 'unknown', 'model: {upstream: "https://no-such-host.invalid"}\n');
  assert.equal((await ask(unknown, MESSAGES, { body: HELLO })).status, 502);
  const [row] = await gateway.audit(host, 's7');
  assert.deepEqual([row!.decision, row!.status, row!.host], ['error', 502, 'no-such-host.invalid']);
});

test('an agent that goes away ends its request upstream', async () => {
  let closed: Promise<void> | undefined;
  const begun = new Promise<void>((resolve) => {
    answerRaw((response) => {
      response.writeHead(200, { 'content-type': 'text/event-stream' });
      response.write('data: {}\n\n');
      closed = new Promise((done) => response.on('close', done));
      resolve();
    });
  });
  const request = httpRequest({ socketPath: socket, path: MESSAGES, method: 'POST' });
  request.on('error', () => {});
  request.end(HELLO);
  await begun;
  request.destroy();
  await closed;
  await gateway.audit(host, 's1');
});

test('no file of the install and no log line holds a secret', async () => {
  const files = readdirSync(gateway.paths.home, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name));
  assert.ok(files.some((file) => file.endsWith('vault.db')));
  for (const file of files) {
    const bytes = readFileSync(file);
    for (const form of [SECRET, Buffer.from(SECRET).toString('base64'), Buffer.from(SECRET).toString('hex')])
      assert.ok(!bytes.includes(form), file);
  }
  assert.ok(!gateway.stderr.includes(SECRET));
});
