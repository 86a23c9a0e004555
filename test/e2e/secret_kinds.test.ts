import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { after, before, beforeEach, test } from 'node:test';
import type { LineClient } from '../../src/protocol/lines_client.ts';
import type { SecretForm, SecretTerms } from '../../src/protocol/secrets.ts';
import { ask, GatewayProcess, type Reply } from '../fakes/gateway_process.ts';
import { startModel } from '../fakes/model.ts';
import { type AskOptions, askService } from '../fakes/tunnel.ts';
import { namesEnv, TestAuthority, Upstream } from '../fakes/upstream.ts';

/** Each kind of secret through a real gateway: what the service received, what the agent sees of it, and where it may not go. */

const SECRET = 'fake-token+of/the=$&operator';
const WAIT_MS = 5000;
const authority = new TestAuthority();
const api = new Upstream('api.example.com', authority);
const other = new Upstream('other.example.com', authority);
const gateway = new GatewayProcess(
  namesEnv({
    'api.example.com': ['127.0.0.1'],
    'other.example.com': ['127.0.0.1'],
    'model.example.com': ['127.0.0.1'],
  }),
);
const model = await startModel();
let host: LineClient;
let sessions = 0;

before(async () => {
  await Promise.all([api.listen(), other.listen()]);
  writeFileSync(gateway.paths.config, `upstream_ca: ${authority.write(gateway.paths.home)}\n`);
  await gateway.start();
  host = await gateway.host();
});
after(async () => {
  await gateway.dispose();
  await Promise.all([api.close(), other.close(), model.close()]);
});
beforeEach(() => {
  for (const upstream of [api, other]) {
    upstream.received.length = 0;
    upstream.handler = (_request, response) => void response.end('ok');
  }
  model.requests.length = 0;
});

const GROUP = (): string => `
model: {upstream: "${model.origin}", secret: the-secret}
secrets: [the-secret]
egress:
  api: {host: api.example.com, port: ${api.port}, private: [127.0.0.0/8], use: the-secret, allow: ["* /items/**"]}
  other: {host: other.example.com, port: ${other.port}, private: [127.0.0.0/8], use: the-secret, allow: [GET /**]}
`;

/** What the operator asks. */
async function vault(fields: { op: string } & Record<string, unknown>): Promise<object> {
  const operator = await gateway.operator();
  return operator.request<object>(fields, WAIT_MS).finally(() => operator.close());
}

interface Session {
  socket: string;
  get(upstream: Upstream, target: string, options?: AskOptions): Promise<Reply>;
  rows: () => ReturnType<GatewayProcess['audit']>;
}

/** A session of a group whose services use a secret of that form, which may go to `api`. */
async function session(form: SecretForm, hosts = form.kind === 'channel' ? [] : [api.place]): Promise<Session> {
  await vault({ op: 'remove', name: 'the-secret' });
  await gateway.setSecret('the-secret', SECRET, { form, hosts });
  const id = `s${++sessions}`;
  const socket = await gateway.open(host, id, 'assistant', gateway.group('assistant', GROUP()));
  const ca = readFileSync(gateway.paths.caCertificate, 'utf8');
  const get: Session['get'] = ({ place }, target, options) => askService(socket, { ca, place }, target, options);
  return { socket, get, rows: () => gateway.audit(host, id) };
}

const BASIC = Buffer.from(`x-access-token:${SECRET}`).toString('base64');
const KINDS: [form: SecretForm, header: string, value: string][] = [
  [{ kind: 'bearer' }, 'authorization', `Bearer ${SECRET}`],
  [{ kind: 'header', header: 'private-token', format: '{}' }, 'private-token', SECRET],
  [{ kind: 'header', header: 'authorization', format: 'token {}' }, 'authorization', `token ${SECRET}`],
  [{ kind: 'header', header: 'x-tenant-pass', format: '$&{}' }, 'x-tenant-pass', `$&${SECRET}`],
  [{ kind: 'basic', user: 'x-access-token' }, 'authorization', `Basic ${BASIC}`],
];

for (const [form, header, value] of KINDS) {
  test(`kind ${form.kind} arrives once, in ${header}, whatever the agent sends under that name`, async () => {
    const { get, rows } = await session(form);
    api.handler = (_request, response, { rawHeaders }) => void response.end(rawHeaders.join('\n'));
    const reply = await get(api, '/items/1', {
      headers: { [header]: 'of-the-agent', 'x-api-key': 'of-the-agent', authorization: 'Basic of-the-agent' },
    });
    assert.equal(reply.status, 200);
    assert.deepEqual(api.values(header), [value]);
    assert.ok(!api.received[0]!.rawHeaders.join('\n').includes('of-the-agent'));
    for (const form of [SECRET, BASIC, value]) assert.ok(!reply.body.includes(form), `${form} in ${reply.body}`);
    const [row] = await rows();
    assert.deepEqual([row!.decision, row!.secret], ['allow', 'the-secret']);
  });
}

test('kind query is added behind what was matched, and no row, log or answer shows it', async () => {
  const { get, rows } = await session({ kind: 'query', parameter: 'appid' });
  api.handler = (_request, response, { target }) => {
    response.writeHead(302, { location: `https://api.example.com${target}` });
    response.end(`you asked ${target}`);
  };
  const sent = `appid=${encodeURIComponent(SECRET)}`;
  const bare = await get(api, '/items/1');
  const more = await get(api, '/items/1?q=a%20b');
  assert.deepEqual(
    api.received.map(({ target }) => target),
    [`/items/1?${sent}`, `/items/1?q=a%20b&${sent}`],
  );
  for (const reply of [bare, more]) {
    assert.equal(reply.status, 302);
    assert.match(reply.body, /appid=\*+$/);
    assert.match(reply.headers.location!, /appid=\*+$/);
  }
  assert.deepEqual(
    (await rows()).map(({ path }) => path),
    ['/items/1', '/items/1?q=a%20b'],
  );
  const disk = [gateway.paths.audit, `${gateway.paths.audit}-wal`].map((file) => readFileSync(file, 'latin1')).join('');
  for (const form of [SECRET, encodeURIComponent(SECRET)]) assert.ok(!`${gateway.log()}${disk}`.includes(form), form);
});

test('the agent’s own parameter of that name is refused, however it is written', async () => {
  const { get } = await session({ kind: 'query', parameter: 'appid' });
  for (const query of ['appid=x', 'a=b&APPID=x', 'app%69d=x', 'a;appid=x', 'appid[]=x'])
    assert.equal((await get(api, `/items/1?${query}`)).status, 400, query);
  assert.equal(api.received.length, 0);
});

test('a secret goes to its own hosts only: a service that names it for another is refused by name, and on record', async () => {
  const { get, rows } = await session({ kind: 'bearer' });
  assert.equal((await get(api, '/items/1')).status, 200);
  const reply = await get(other, '/a');
  assert.equal(reply.status, 403);
  assert.deepEqual(JSON.parse(reply.body), {
    error: 'Forbidden',
    rule: 'secret the-secret: hosts',
    reason: `secret "the-secret" may go to ${api.place}, and not to ${other.place}`,
    try: `ask your operator: glass secret set the-secret --host ${api.place} --host ${other.place}`,
  });
  assert.equal(other.received.length, 0);
  const [, row] = await rows();
  assert.deepEqual(
    [row!.decision, row!.status, row!.rule, row!.secret],
    ['deny', 403, 'secret the-secret: hosts', null],
  );
});

test('the same name at another port is another host', async () => {
  const { get } = await session({ kind: 'bearer' }, ['api.example.com']);
  assert.equal((await get(api, '/items/1')).status, 403);
  assert.equal(api.received.length, 0);
});

test('a model’s secret goes to no service, and with a list to no other model', async () => {
  const { socket, get } = await session({ kind: 'model' }, []);
  assert.match(JSON.parse((await get(api, '/items/1')).body).reason, /is for a model only/);
  assert.equal((await ask(socket, '/model/default/v1/messages')).status, 200);
  assert.equal(model.requests.at(-1)!.headers['x-api-key'], SECRET);
  const here = await session({ kind: 'model' }, [new URL(model.origin).host]);
  assert.equal((await ask(here.socket, '/model/default/v1/messages')).status, 200);
  const elsewhere = await session({ kind: 'model' }, ['api.anthropic.com']);
  const reply = await ask(elsewhere.socket, '/model/default/v1/messages');
  assert.deepEqual([reply.status, JSON.parse(reply.body).rule], [403, 'secret the-secret: hosts']);
  assert.equal(model.requests.length, 2);
});

test('a secret of another kind never goes to a model without TLS, and a channel’s to nothing', async () => {
  const bearer = await session({ kind: 'bearer' }, [new URL(model.origin).host]);
  const reply = await ask(bearer.socket, '/model/default/v1/messages');
  assert.match(JSON.parse(reply.body).reason, /never goes without TLS/);
  const channel = await session({ kind: 'channel' });
  assert.equal((await ask(channel.socket, '/model/default/v1/messages')).status, 403);
  assert.match(JSON.parse((await channel.get(api, '/items/1')).body).reason, /is the token of a channel/);
  assert.equal(model.requests.length + api.received.length, 0);
});

test('a next value is masked as the current one is, is not sent, and is after its promotion', async () => {
  const { get } = await session({ kind: 'basic', user: 'u' });
  const next = 'fake-token-that-comes-next';
  await vault({ op: 'set', name: 'the-secret', value: next, next: true });
  const basic = (value: string): string => Buffer.from(`u:${value}`).toString('base64');
  const all = [SECRET, next, basic(SECRET), basic(next)];
  api.handler = (_request, response) => void response.end(all.join(' '));
  for (const current of [SECRET, next, SECRET]) {
    const { body } = await get(api, '/items/1');
    assert.match(body, /^[* ]+$/);
    assert.deepEqual(api.values('authorization'), [`Basic ${basic(current)}`]);
    await vault({ op: 'promote', name: 'the-secret' });
  }
  await vault({ op: 'remove', name: 'the-secret', next: true });
  await assert.rejects(vault({ op: 'promote', name: 'the-secret' }), { code: 'conflict' });
  await get(api, '/items/1');
  assert.deepEqual(api.values('authorization'), [`Basic ${basic(next)}`], 'the one that was promoted last stays');
});

test('with a next value the kind and the hosts stay, and a next value brings none of its own', async () => {
  await session({ kind: 'bearer' });
  const terms: SecretTerms = { form: { kind: 'bearer' }, hosts: ['elsewhere.example.com'] };
  const set = (more: object) => vault({ op: 'set', name: 'the-secret', value: SECRET, ...more });
  await assert.rejects(set({ next: true, terms }), { code: 'usage' });
  await set({ next: true });
  await assert.rejects(set({ terms }), { code: 'conflict', message: /has a next value/ });
});

test('terms that cannot be kept are refused', async () => {
  const wrong: object[] = [
    { form: { kind: 'bearer' }, hosts: [] },
    { form: { kind: 'channel' }, hosts: ['api.example.com'] },
    { form: { kind: 'header', header: 'host', format: '{}' }, hosts: ['api.example.com'] },
    { form: { kind: 'header', header: 'X-Key', format: '{}' }, hosts: ['api.example.com'] },
    { form: { kind: 'header', header: 'x-key', format: '{} {}' }, hosts: ['api.example.com'] },
    { form: { kind: 'header', header: 'x-key', format: '{}\r\nx: y' }, hosts: ['api.example.com'] },
    { form: { kind: 'basic', user: 'a:b' }, hosts: ['api.example.com'] },
    { form: { kind: 'query', parameter: 'a&b' }, hosts: ['api.example.com'] },
    { form: { kind: 'oauth2', token_url: 'http://token.example.com/token' }, hosts: ['api.example.com'] },
    { form: { kind: 'bearer' }, hosts: ['*.example.com'] },
    { form: { kind: 'bearer' }, hosts: ['https://api.example.com'] },
  ];
  for (const terms of wrong) {
    await assert.rejects(vault({ op: 'set', name: 'wrong', value: SECRET, terms }), { code: 'usage' });
  }
});
