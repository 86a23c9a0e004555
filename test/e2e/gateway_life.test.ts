import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, statSync, writeFileSync } from 'node:fs';
import { createConnection } from 'node:net';
import { dirname, join } from 'node:path';
import { after, test } from 'node:test';
import { GATEWAY_LINE_BYTES_MAX } from '../../src/base/limits/gateway.ts';
import { ROOT } from '../../src/base/paths.ts';
import type { LineClient } from '../../src/protocol/lines_client.ts';
import { ask, GatewayProcess, raw } from '../fakes/gateway_process.ts';
import { echoScript, startModel } from '../fakes/model.ts';

/** Start, end, and whom the gateway's sockets belong to. */

const MESSAGES = '/model/default/v1/messages';
const WAIT_MS = 5000;
const model = await startModel();
const started: GatewayProcess[] = [];
after(async () => {
  for (const gateway of started) await gateway.dispose();
  await model.close();
});

async function start(): Promise<{ gateway: GatewayProcess; policy: string }> {
  const gateway = new GatewayProcess();
  started.push(gateway);
  await gateway.start();
  await gateway.setSecret('anthropic', 'fake-secret-for-the-model');
  return { gateway, policy: gateway.group('assistant', `model: {upstream: "${model.origin}"}\n`) };
}

/** Resolves when nobody listens on `path` any more. */
async function gone(path: string): Promise<void> {
  while (existsSync(path)) await new Promise((resolve) => setTimeout(resolve, 5));
}

/** A connection of an agent, and its end. */
async function agentOn(path: string): Promise<{ closed: Promise<void> }> {
  const socket = createConnection({ path });
  socket.on('error', () => {});
  await new Promise((resolve) => socket.once('connect', resolve));
  const closed = new Promise<void>((resolve) => socket.once('close', () => resolve()));
  return { closed };
}

test("a session's socket can be opened by any uid, the gateway's own only by its owner", async () => {
  const { gateway, policy } = await start();
  const host = await gateway.host();
  const socket = await gateway.open(host, 's1', 'assistant', policy);
  assert.equal(statSync(socket).mode & 0o777, 0o666);
  assert.equal(statSync(gateway.paths.gatewaySocket).mode & 0o777, 0o600);
  assert.equal(statSync(gateway.paths.vaultSocket).mode & 0o777, 0o600);
});

test('a closed session has no socket and no connection; opening it again works', async () => {
  const { gateway, policy } = await start();
  const host = await gateway.host();
  const socket = await gateway.open(host, 's1', 'assistant', policy);
  const { closed } = await agentOn(socket);
  await host.request({ op: 'close', session: 's1' }, WAIT_MS);
  await closed;
  assert.ok(!existsSync(socket));
  await host.request({ op: 'close', session: 's1' }, WAIT_MS);
  await gateway.open(host, 's1', 'assistant', policy);
  await gateway.open(host, 's1', 'assistant', policy);
  assert.equal((await ask(socket, MESSAGES)).status, 200);
});

test('a session that is closed tells which of its calls it has cut, and the endpoint sees them end', async () => {
  const { gateway, policy } = await start();
  const host = await gateway.host();
  const socket = await gateway.open(host, 's1', 'assistant', policy);
  const arrived = Promise.withResolvers<void>();
  const ended = Promise.withResolvers<void>();
  model.script = () => ({
    raw: (response) => {
      response.on('close', ended.resolve);
      arrived.resolve();
    },
  });
  const asked = ask(socket, MESSAGES).catch(() => null);
  await arrived.promise;
  const { cut } = await host.request<{ cut: object[] }>({ op: 'close', session: 's1' }, WAIT_MS);
  model.script = echoScript;
  await ended.promise;
  assert.deepEqual(cut, [{ method: 'POST', host: `127.0.0.1:${model.port}`, path: '/v1/messages' }]);
  await asked;
  await gateway.open(host, 's1', 'assistant', policy);
  assert.equal((await ask(socket, MESSAGES)).status, 200);
  assert.deepEqual((await host.request<{ cut: object[] }>({ op: 'close', session: 's1' }, WAIT_MS)).cut, []);
});

test("when the host goes, every session's socket goes with it", async () => {
  const { gateway, policy } = await start();
  const host = await gateway.host();
  const sockets = await Promise.all(['s1', 's2'].map((id) => gateway.open(host, id, 'assistant', policy)));
  host.close();
  for (const socket of sockets) await gone(socket);
  const next = await gateway.host();
  assert.equal((await ask(await gateway.open(next, 's1', 'assistant', policy), MESSAGES)).status, 200);
});

test('a new host replaces the old one and its sessions', async () => {
  const { gateway, policy } = await start();
  let ended = (): void => {};
  const oldEnded = new Promise<void>((resolve) => {
    ended = resolve;
  });
  const old = await gateway.host(undefined, ended);
  const socket = await gateway.open(old, 's1', 'assistant', policy);
  const next = await gateway.host();
  await oldEnded;
  await gone(socket);
  await gateway.open(next, 's1', 'assistant', policy);
  assert.equal((await ask(socket, MESSAGES)).status, 200);
});

test('the names of the secrets are told at once and at each change, never a value', async () => {
  const { gateway } = await start();
  const events: unknown[] = [];
  const host = await gateway.host((event) => events.push(event));
  await gateway.setSecret('second', 'fake-secret-second');
  const operator = await gateway.operator();
  await operator.request({ op: 'remove', name: 'anthropic' }, WAIT_MS);
  const { names } = await host.request<{ names: string[] }>({ op: 'names' }, WAIT_MS);
  assert.deepEqual(names, ['second']);
  assert.deepEqual(events, [
    { event: 'secrets', names: ['anthropic'] },
    { event: 'secrets', names: ['anthropic', 'second'] },
    { event: 'secrets', names: ['second'] },
  ]);
});

test('a session is not opened on another policy, another folder, or a folder that is not there', async () => {
  const { gateway, policy } = await start();
  const host = await gateway.host();
  const open = (change: object): Promise<unknown> => {
    const socket = gateway.paths.session('s1').egress;
    mkdirSync(dirname(socket), { recursive: true });
    return host.request(
      { op: 'open', session: 's1', group: 'assistant', policy, socket, marks: [], ...change },
      WAIT_MS,
    );
  };
  await assert.rejects(open({ policy: '0'.repeat(64) }), { code: 'config', message: /cannot be read/ });
  await assert.rejects(open({ group: 'nobody' }), { code: 'conflict', message: /not one of the group nobody/ });
  await assert.rejects(open({ socket: join(gateway.paths.home, 'x.sock') }), { code: 'usage' });
  await assert.rejects(open({ socket: `${gateway.paths.run}/../x.sock` }), { code: 'usage' });
  await assert.rejects(open({ socket: `${gateway.paths.run}/none/x.sock` }), { code: 'unavailable' });
  const metadata = gateway.group('bad', 'model: {upstream: "https://169.254.169.254"}\n');
  await assert.rejects(open({ group: 'bad', policy: metadata }), { code: 'config', message: /metadata/ });
  assert.ok(!existsSync(gateway.paths.session('s1').egress));
  await open({});
});

for (const [name, line, id] of [
  ['no JSON', 'hello', 0],
  ['an operation of nobody', '{"id":7,"op":"dump"}', 7],
  ['a field too many', '{"id":7,"op":"names","all":true}', 7],
  ['a line without end', 'x'.repeat(GATEWAY_LINE_BYTES_MAX + 1), 0],
] as const) {
  test(`${name} on a socket of the gateway gets one error, then the end`, async () => {
    const { gateway } = await start();
    for (const path of [gateway.paths.gatewaySocket, gateway.paths.vaultSocket]) {
      const lines = (await raw(path, `${line}\n{"id":8,"op":"list"}\n`)).trim().split('\n');
      const answers = lines.map((text) => JSON.parse(text)).filter((message) => !('event' in message));
      assert.equal(answers.length, 1);
      assert.deepEqual([answers[0].id, answers[0].ok, answers[0].error], [id, false, 'usage']);
    }
    await gateway.host();
  });
}

test('after kill -9 and a new start it serves again, and no request stays open in the record', async () => {
  const { gateway, policy } = await start();
  const host = await gateway.host();
  const socket = await gateway.open(host, 's1', 'assistant', policy);
  model.mode = 'hang';
  const arrived = model.requests.length + 1;
  ask(socket, MESSAGES).catch(() => {});
  while (model.requests.length < arrived) await new Promise((resolve) => setTimeout(resolve, 5));
  assert.equal(await gateway.end('SIGKILL'), 'SIGKILL');
  model.mode = 'ok';
  await gateway.start();
  const next = await gateway.host();
  await gateway.open(next, 's1', 'assistant', policy);
  assert.equal((await ask(socket, MESSAGES)).status, 200);
  const rows = await gateway.audit(next, 's1');
  assert.deepEqual(
    rows.map((row) => [row.decision, row.status]),
    [
      ['error', null],
      ['allow', 200],
    ],
  );
});

test('a second gateway on the same home is refused and disturbs nothing', async () => {
  const { gateway, policy } = await start();
  const host: LineClient = await gateway.host();
  const socket = await gateway.open(host, 's1', 'assistant', policy);
  const second = spawnSync(process.execPath, [join(ROOT, 'src/gateway.ts')], { env: gateway.env, encoding: 'utf8' });
  assert.equal(second.status, 5);
  assert.match(second.stderr, /already running/);
  assert.equal((await ask(socket, MESSAGES)).status, 200);
  assert.ok(!host.closed);
});

test('SIGTERM ends it cleanly and leaves no socket and no pid file', async () => {
  const { gateway, policy } = await start();
  const socket = await gateway.open(await gateway.host(), 's1', 'assistant', policy);
  assert.ok(existsSync(join(gateway.paths.run, 'gateway.pid')));
  assert.equal(await gateway.end('SIGTERM'), 0);
  for (const path of [socket, gateway.paths.gatewaySocket, gateway.paths.vaultSocket])
    assert.ok(!existsSync(path), path);
  assert.ok(!existsSync(join(gateway.paths.run, 'gateway.pid')));
});

test('with the key of another vault it refuses to start and says so', async () => {
  const { gateway } = await start();
  await gateway.end('SIGTERM');
  writeFileSync(gateway.paths.vaultKey, Buffer.alloc(32, 1));
  await assert.rejects(gateway.start(), /ended with 3.*vault\.key belongs to another vault/s);
});
