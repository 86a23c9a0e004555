import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { request as httpRequest, type ServerResponse } from 'node:http';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { ask } from '../fakes/gateway_process.ts';
import { echoScript } from '../fakes/model.ts';
import { HELLO, MESSAGES, ModelGateway, MODEL_SECRET as SECRET } from '../fakes/model_gateway.ts';

/** What an agent gets from its model route: a real gateway process, a scripted endpoint on loopback. */

const world = await ModelGateway.start();
const { gateway, events } = world;
const socket = await openGroup('s1', 'assistant', `model: {upstream: "${world.model.origin}"}\n`);

async function openGroup(session: string, group: string, yaml: string): Promise<string> {
  return (await world.open(group, yaml, session)).socket;
}

function answerRaw(write: (response: ServerResponse) => void): void {
  world.model.script = () => ({ raw: write });
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
  assert.equal(world.model.requests.length, 1);
  const [seen] = world.model.requests;
  assert.equal(seen!.target, '/v1/messages?beta=true');
  assert.equal(seen!.body, HELLO);
  const { connection: _, ...headers } = seen!.headers;
  assert.deepEqual(headers, {
    host: new URL(world.model.origin).host,
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
  const openai = `model: {provider: openai, upstream: "${world.model.origin}/v1", secret: other}\n`;
  const first = await ask(await openGroup('s2', 'open', openai), '/model/default/chat/completions', { body: HELLO });
  assert.equal(JSON.parse(first.body).choices[0].message.content, 'echo: hello');
  assert.equal(world.model.requests[0]!.target, '/v1/chat/completions');
  assert.equal(world.model.requests[0]!.headers.authorization, 'Bearer fake-secret-of-another');
  const ollama = `model: {provider: ollama, upstream: "${world.model.origin}"}\n`;
  await ask(await openGroup('s3', 'local', ollama), '/model/default/v1/chat/completions', {
    body: HELLO,
    headers: { authorization: 'Bearer dummy' },
  });
  assert.equal(world.model.requests[1]!.headers.authorization, undefined);
  assert.equal((await gateway.audit(world.host, 's3'))[0]!.secret, null);
});

test('a secret that is not set is a refusal that says what to do; setting it needs no restart', async () => {
  const path = await openGroup('s4', 'later', `model: {upstream: "${world.model.origin}", secret: later}\n`);
  const refused = await ask(path, MESSAGES, { body: HELLO });
  assert.equal(refused.status, 403);
  assert.deepEqual(JSON.parse(refused.body), {
    error: 'Forbidden',
    rule: 'secret',
    reason: 'secret "later" is not set',
    try: 'glass secret set later',
  });
  assert.equal(world.model.requests.length, 0);
  await gateway.setSecret('later', 'fake-secret-set-later');
  assert.equal((await ask(path, MESSAGES, { body: HELLO })).status, 200);
  await gateway.setSecret('later', 'fake-secret-replaced');
  assert.equal((await ask(path, MESSAGES, { body: HELLO })).status, 200);
  assert.deepEqual(
    world.model.requests.map((request) => request.headers['x-api-key']),
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
  const path = await openGroup('s5', 'metered', `model: {upstream: "${world.model.origin}"}\n`);
  world.model.script = () => ({ text: 'some words', usage: { input: 111, output: 22 } });
  const streamed = JSON.stringify({ ...JSON.parse(HELLO), stream: true });
  const reply = await ask(path, MESSAGES, { body: streamed });
  assert.equal((await ask(path, MESSAGES, { body: HELLO })).status, 200);
  const rows = await gateway.audit(world.host, 's5');
  assert.equal(rows.length, 2);
  const { id: _, at_ms, ended_ms, ...row } = rows[0]!;
  assert.ok(ended_ms! >= at_ms);
  assert.deepEqual(row, {
    session: 's5',
    group: 'metered',
    method: 'POST',
    host: new URL(world.model.origin).host,
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
  const { rows: usage } = await world.host.request<{ rows: { group: string }[] }>({ op: 'usage', since_ms: 0 }, 5000);
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
  assert.equal(world.model.requests.length, 1);
  assert.equal(reply.headers.location, `https://elsewhere.example/?k=${'*'.repeat(SECRET.length)}`);
  assert.equal(reply.headers['set-cookie'], undefined);
  assert.match(reply.body, /^plain \*{25} base64 \S*\*{30,}/);
  await gateway.audit(world.host, 's1');
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
  await gateway.audit(world.host, 's1');
  assert.ok(events.some((event) => (event as { kind?: string }).kind === 'secret_echo'));
});

for (const status of ['401', '402', '429', '500'] as const) {
  test(`a ${status} of the endpoint is the agent's ${status}`, async () => {
    world.model.mode = status;
    const reply = await ask(socket, MESSAGES, { body: HELLO });
    assert.equal(reply.status, Number(status));
    assert.equal(JSON.parse(reply.body).type, 'error');
    if (status === '429') assert.equal(reply.headers['retry-after'], '1');
  });
}

test('a stream that is cut is cut for the agent too, and recorded as an error', async () => {
  world.model.mode = 'cut';
  await assert.rejects(ask(socket, MESSAGES, { body: JSON.stringify({ ...JSON.parse(HELLO), stream: true }) }));
  assert.equal((await gateway.audit(world.host, 's1')).at(-1)!.decision, 'error');
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
    world.model.script = echoScript;
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
  const [row] = await gateway.audit(world.host, 's7');
  assert.deepEqual([row!.decision, row!.status, row!.host], ['error', 502, 'no-such-host.invalid']);
});

test('an agent that goes away ends its request upstream, and has cost what had passed', async () => {
  let closed: Promise<void> | undefined;
  answerRaw((response) => {
    response.writeHead(200, { 'content-type': 'text/event-stream' });
    response.write('data: {"message":{"usage":{"input_tokens":321,"output_tokens":1}}}\n\n');
    response.write('data: {"delta":{"text":"some words"}}\n\n'.repeat(50));
    closed = new Promise((done) => response.on('close', done));
  });
  const request = httpRequest({ socketPath: socket, path: MESSAGES, method: 'POST' });
  request.on('error', () => {});
  const begun = new Promise<void>((resolve) => {
    request.on('response', (reply) => {
      let heard = '';
      reply.on('error', () => {});
      reply.on('data', (part) => {
        heard += part;
        if (heard.split('some words').length > 50) resolve();
      });
    });
  });
  request.end(HELLO);
  await begun;
  request.destroy();
  await closed;
  const { input_tokens, output_tokens } = (await gateway.audit(world.host, 's1')).at(-1)!;
  assert.ok(input_tokens === 321 && output_tokens! >= 50, String(output_tokens));
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
