import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { type TestContext, test } from 'node:test';
import type { LineClient } from '../../src/protocol/lines_client.ts';
import { GatewayProcess, type Reply } from '../fakes/gateway_process.ts';
import { type Patch, PatchedTree } from '../fakes/patched_tree.ts';
import { TokenService } from '../fakes/token_service.ts';
import { type AskOptions, askService } from '../fakes/tunnel.ts';
import { namesEnv, TestAuthority, Upstream } from '../fakes/upstream.ts';

/** Secrets of kind oauth2 through a real gateway, a service and a token service, all over TLS on loopback. */

const authority = new TestAuthority();

class World implements AsyncDisposable {
  readonly api = new Upstream('api.example.com', authority);
  readonly login = new Upstream('login.example.com', authority);
  readonly tokens = new TokenService();
  readonly gateway: GatewayProcess;
  host!: LineClient;
  socket = '';
  #sessions = 0;

  /** `root`: the checkout that runs. */
  constructor(env: NodeJS.ProcessEnv = {}, root?: string) {
    const names = { 'api.example.com': ['127.0.0.1'], 'login.example.com': ['127.0.0.1'] };
    this.gateway = new GatewayProcess({ ...namesEnv(names), ...env }, root);
    this.login.handler = this.tokens.handler;
    // The service takes the newest token and no other.
    this.api.handler = (_request, response, { rawHeaders, body }) => {
      const given = rawHeaders[rawHeaders.findIndex((name) => name.toLowerCase() === 'authorization') + 1];
      response.writeHead(given === `Bearer ${this.tokens.access}` ? 200 : 401);
      response.end(`${given} ${body}`);
    };
  }

  async start(hosts = [this.api]): Promise<this> {
    await Promise.all([this.api.listen(), this.login.listen()]);
    const { paths } = this.gateway;
    writeFileSync(paths.config, `upstream_ca: ${authority.write(paths.home)}\n`);
    await this.gateway.start();
    const form = { kind: 'oauth2', token_url: `https://${this.login.place}/oauth/token` } as const;
    const value = JSON.stringify(this.tokens.credentials);
    await this.gateway.setSecret('api-oauth', value, { form, hosts: hosts.map(({ place }) => place) });
    await this.open();
    return this;
  }

  /** A session of a group that may ask both, and use the secret at the service. */
  async open(): Promise<void> {
    this.host = await this.gateway.host();
    const at = (port: number): string => `port: ${port}, private: [127.0.0.0/8], allow: ["* /**"]`;
    const policy = this.gateway.group(
      'assistant',
      `secrets: [api-oauth]
egress:
  api: {host: api.example.com, ${at(this.api.port)}, use: api-oauth}
  json: {host: api.example.com, port: ${this.api.port}, private: [127.0.0.0/8], use: api-oauth, deny_json: [x], allow: [PUT /read]}
  login: {host: login.example.com, ${at(this.login.port)}}
`,
    );
    this.socket = await this.gateway.open(this.host, `s${++this.#sessions}`, 'assistant', policy);
  }

  get(target = '/items', options?: AskOptions, upstream = this.api): Promise<Reply> {
    const ca = readFileSync(this.gateway.paths.caCertificate, 'utf8');
    return askService(this.socket, { ca, place: upstream.place }, target, options);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.gateway.dispose();
    await Promise.all([this.api.close(), this.login.close()]);
  }
}

async function world(context: TestContext, env?: NodeJS.ProcessEnv): Promise<World> {
  const made = new World(env);
  context.after(() => made[Symbol.asyncDispose]());
  return made.start();
}

test('sixteen requests at once wait for one token, and it serves the later ones', async (context) => {
  const made = await world(context);
  const { promise, resolve } = Promise.withResolvers<void>();
  made.tokens.gate = promise;
  // Sixteen requests of one session may run at once.
  const asked = Array.from({ length: 16 }, () => made.get());
  while (made.login.received.length === 0) await new Promise(setImmediate);
  resolve();
  for (const reply of await Promise.all(asked)) assert.equal(reply.status, 200);
  assert.equal((await made.get()).status, 200);
  assert.equal(made.tokens.count, 1);
  assert.deepEqual(made.api.values('authorization'), ['Bearer fake-access-token-1']);
});

test('nothing of it comes back to the agent: access token, refresh token, client secret', async (context) => {
  const made = await world(context);
  const { client_secret, refresh_token } = made.tokens.credentials;
  made.api.handler = (_request, response) =>
    void response.end(`${made.tokens.access} ${client_secret} ${refresh_token}`);
  assert.match((await made.get()).body, /^\*+ \*+ \*+$/);
  assert.ok(!made.gateway.log().includes('fake-'));
});

test('a token that is near its end is got anew before it is used', async (context) => {
  const made = await world(context);
  made.tokens.expires_in = 0.001;
  assert.equal((await made.get()).status, 200);
  assert.equal((await made.get()).status, 200);
  assert.equal(made.tokens.count, 2);
});

test('a service that fails gives a 502 that says so, and is not asked again at once', async (context) => {
  const made = await world(context);
  made.tokens.failing = 503;
  const reply = await made.get();
  assert.deepEqual([reply.status, JSON.parse(reply.body).rule], [502, 'credential_unavailable']);
  made.tokens.failing = null;
  assert.equal((await made.get()).status, 502);
  assert.equal(made.login.received.length, 1);
  assert.equal(made.api.received.length, 0);
  const rows = await made.gateway.audit(made.host, 's1');
  assert.deepEqual(
    rows.map((row) => [row.decision, row.status, row.rule]),
    [
      ['deny', 502, 'credential_unavailable'],
      ['deny', 502, 'credential_unavailable'],
    ],
  );
});

test('a new token that is refused all the same is believed, and nobody asks for another', async (context) => {
  const made = await world(context);
  made.api.handler = (_request, response) => void response.writeHead(401).end('never');
  assert.deepEqual([(await made.get()).status, (await made.get()).body], [401, 'never']);
  assert.equal(made.tokens.count, 1);
  assert.equal(made.api.received.length, 2);
});

/** The pause after which a refused token is renewed is taken out: tests do not wait. */
const IMPATIENT: Patch = ['src/base/limits/gateway.ts', 'OAUTH_RETRY_MS = 5 * SECOND_MS', 'OAUTH_RETRY_MS = 0'];

test('a token that was taken back is got anew, and the same request is sent again', async (context) => {
  using tree = new PatchedTree([IMPATIENT]);
  const made = new World({}, tree.root);
  context.after(() => made[Symbol.asyncDispose]());
  await made.start();
  const tokens = () => made.api.received.map(({ rawHeaders }) => rawHeaders.join(' ').match(/access-token-\d/)![0]);
  assert.equal((await made.get()).status, 200);
  made.tokens.count += 1; // Another client of the same account has got one meanwhile, and ours is no longer taken.
  assert.equal((await made.get()).status, 200);
  assert.deepEqual(tokens(), ['access-token-1', 'access-token-1', 'access-token-3']);
  made.tokens.count += 1;
  const read = await made.get('/read', { method: 'PUT', body: '{"a":1}' });
  assert.deepEqual([read.status, read.body.includes('{"a":1}')], [200, true], 'a body that was kept is sent again');
  made.tokens.count += 1;
  const streamed = await made.get('/items', {
    method: 'POST',
    body: 'gone by',
    headers: { 'transfer-encoding': 'chunked' },
  });
  assert.equal(streamed.status, 401, 'a body that has streamed by is not');
  assert.equal((await made.get('/items', { method: 'POST', body: 'x' })).status, 200, 'but the next request has it');
  const rows = await made.gateway.audit(made.host, 's1');
  assert.deepEqual(
    rows.map((row) => row.status),
    [200, 200, 200, 401, 200],
  );
});

test('a request is sent again once, however often it is refused; without a token it ends as a 502', async (context) => {
  using tree = new PatchedTree([IMPATIENT]);
  const made = new World({}, tree.root);
  context.after(() => made[Symbol.asyncDispose]());
  await made.start();
  made.api.handler = (_request, response) => void response.writeHead(401).end('never');
  assert.equal((await made.get()).body, 'never');
  assert.deepEqual([made.api.received.length, made.tokens.count], [2, 2]);
  made.tokens.failing = 500;
  assert.equal((await made.get()).status, 502);
  assert.equal(made.api.received.length, 3);
});

test('a replaced refresh token is in the vault before its access token is used', async (context) => {
  const point = { point: 'model.request:before', hit: 1, kill: ['gateway'] };
  const made = await world(context, { GLASS_FAULT: JSON.stringify(point) });
  made.tokens.rotates = true;
  // Killed with the new access token in its hand: the service has never seen it.
  await assert.rejects(made.get());
  assert.equal(await made.gateway.end('SIGTERM'), 'SIGKILL', 'the point was reached and killed');
  assert.deepEqual([made.tokens.count, made.api.received.length], [1, 0]);
  delete made.gateway.env['GLASS_FAULT'];
  await made.gateway.start();
  await made.open();
  assert.equal((await made.get()).status, 200, 'the old refresh token would have been refused');
  assert.equal(made.login.received.length, 2);
  assert.ok(made.login.received[1]!.body.toString().includes('fake-refresh-token-1'));
});

test('a secret that was set anew while its token was being got is not written over', async (context) => {
  const made = await world(context);
  made.tokens.rotates = true;
  const { promise, resolve } = Promise.withResolvers<void>();
  made.tokens.gate = promise;
  const asked = made.get();
  while (made.login.received.length === 0) await new Promise(setImmediate);
  const fresh = { ...made.tokens.credentials, refresh_token: 'fake-refresh-of-the-operator' };
  await made.gateway.setSecret('api-oauth', JSON.stringify(fresh));
  resolve();
  assert.equal((await asked).status, 502);
  await made.gateway.end('SIGTERM');
  await made.gateway.start();
  await made.open();
  await made.get();
  assert.ok(made.login.received.at(-1)!.body.toString().includes('fake-refresh-of-the-operator'));
});

test('the agent never reaches the token service, even where a service of its group names it', async (context) => {
  const made = await world(context);
  for (const target of ['/oauth/token', '/other']) {
    const reply = await made.get(target, { method: 'POST', body: 'x' }, made.login);
    assert.deepEqual([reply.status, JSON.parse(reply.body).rule], [403, 'token host']);
  }
  assert.equal(made.login.received.length, 0);
});

test('where token and service share a host, that one path is closed, however it is written', async (context) => {
  const made = new World();
  context.after(() => made[Symbol.asyncDispose]());
  await made.start([made.api, made.login]);
  for (const target of ['/oauth/token', '/oauth/token?a=b', '/OAuth/Token', '/oauth/%74oken', '/oauth/token/'])
    assert.equal((await made.get(target, { method: 'POST', body: 'x' }, made.login)).status, 403, target);
  assert.equal(made.login.received.length, 0);
  made.login.handler = (_request, response) => void response.end('items');
  assert.equal((await made.get('/items', {}, made.login)).body, 'items');
});

test('values that are no credentials are refused', async (context) => {
  const made = await world(context);
  for (const value of [
    'fake-token-value',
    '{"client_id":"fake"}',
    '{"client_id":"a","client_secret":"short","refresh_token":"short"}',
  ])
    await assert.rejects(made.gateway.setSecret('api-oauth', value), { code: 'usage', message: /is JSON/ });
});
