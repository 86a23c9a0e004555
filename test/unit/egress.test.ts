import assert from 'node:assert/strict';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { SPOKEN_TOLD_MS } from '../../src/base/limits/gateway.ts';
import { silentLog } from '../../src/base/log.ts';
import type { Mark } from '../../src/protocol/gateway.ts';
import { Egress, type EgressSession } from '../../src/sessions/egress.ts';
import { GatewayLines } from '../fakes/gateway_lines.ts';
import { temporaryFolder } from '../fakes/ledger_kit.ts';

interface World {
  gateway: GatewayLines;
  egress: Egress;
  heard: string[];
  /** Connections that were lost. */
  losses: number[];
  /** Groups that are stopped. */
  stopped: Set<string>;
  /** What is on record of every session. */
  marks: Mark[];
}

function world(context: TestContext): World {
  const gateway = new GatewayLines(join(temporaryFolder(context), 'gateway.sock'));
  const heard: string[] = [];
  const losses: number[] = [];
  const stopped = new Set<string>();
  const marks: Mark[] = [];
  const egress = new Egress(gateway.path, silentLog, {
    alert: (kind, subject, text) => heard.push(`alert ${kind} ${subject} ${text}`),
    connected: () => {},
    anchor: ({ seq }) => heard.push(`anchor ${seq}`),
    secrets: () => heard.push(`secrets ${[...egress.names].join(' ')}`),
    refused: (session, reason) => heard.push(`refused ${session} ${reason}`),
    held: ({ hold, method, host, path }) => heard.push(`held ${hold} ${method} ${host}${path}`),
    heldEnded: (hold, reason) => heard.push(`ended ${hold} ${reason}`),
    lost: () => losses.push(gateway.connections),
    stopped: (group) => stopped.has(group),
    mark: ({ session, cause }) => heard.push(`mark ${session} ${cause}`),
    marks: () => marks,
  });
  context.after(async () => {
    egress.stop();
    await gateway.die();
  });
  return { gateway, egress, heard, losses, stopped, marks };
}

function session(name: string): EgressSession {
  return { session: name, group: 'assistant', policy: 'f'.repeat(64), socket: `/run/${name}` };
}

async function until(done: () => boolean): Promise<void> {
  for (let i = 0; i < 1000 && !done(); i += 1) await pause(5);
  assert.ok(done(), 'not within 5 s');
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

test('a session that is opened before the gateway is there waits for it', async (context) => {
  const { gateway, egress } = world(context);
  egress.start();
  const opened = egress.open(session('s1'));
  await pause(120);
  assert.equal(egress.connected, false);
  await gateway.listen();
  await opened;
  assert.equal(egress.connected, true);
  assert.deepEqual([...new Set(gateway.opened())], ['s1']);
});

test('after a restart of the gateway the open sessions are opened again, the closed ones are not', async (context) => {
  const { gateway, egress } = world(context);
  await gateway.listen();
  egress.start();
  await Promise.all(['s1', 's2', 's3'].map((name) => egress.open(session(name))));
  egress.close('s2');
  await gateway.die();
  await until(() => !egress.connected);
  gateway.asked.length = 0;
  await gateway.listen();
  await until(() => gateway.opened().length === 2);
  assert.deepEqual(gateway.opened().sort(), ['s1', 's3']);
});

test('many restarts leave one connection, not many', async (context) => {
  const { gateway, egress } = world(context);
  egress.start();
  for (let restart = 1; restart <= 5; restart += 1) {
    await gateway.listen();
    await until(() => egress.connected);
    await pause(30);
    assert.equal(gateway.connections, restart);
    await gateway.die();
    await until(() => !egress.connected);
  }
});

test('a gateway that dies over an open is asked again by the same call', async (context) => {
  const { gateway, egress } = world(context);
  gateway.reply = () => null;
  await gateway.listen();
  egress.start();
  const opened = egress.open(session('s1'));
  await until(() => gateway.opened().length > 0);
  await gateway.die();
  gateway.reply = (asked) => ({ id: asked.id, ok: true });
  await gateway.listen();
  await opened;
});

test('a refusal is final for that session, and it is not opened again later', async (context) => {
  const { gateway, egress } = world(context);
  gateway.reply = ({ id }) => ({ id, ok: false, error: 'conflict', message: 'the policy differs' });
  await gateway.listen();
  egress.start();
  await assert.rejects(egress.open(session('s1')), { code: 'conflict', message: 'the policy differs' });
  await gateway.die();
  gateway.asked.length = 0;
  await gateway.listen();
  await until(() => egress.connected);
  await pause(50);
  assert.deepEqual(gateway.opened(), []);
});

test('a live session that is refused after a restart is told of', async (context) => {
  const { gateway, egress, heard } = world(context);
  await gateway.listen();
  egress.start();
  await egress.open(session('s1'));
  await gateway.die();
  gateway.reply = ({ id }) => ({ id, ok: false, error: 'conflict', message: 'the policy differs' });
  await gateway.listen();
  await until(() => heard.length > 0);
  assert.deepEqual(heard, ['refused s1 the policy differs']);
});

test('a gateway that still takes connections while it dies has refused nothing', async (context) => {
  const { gateway, egress, heard } = world(context);
  await gateway.listen();
  egress.start();
  await egress.open(session('s1'));
  await gateway.die();
  gateway.reply = () => 'hang up';
  await gateway.listen();
  await until(() => gateway.opened().length > 2);
  gateway.reply = ({ id }) => ({ id, ok: true });
  await until(() => egress.connected && gateway.opened().length > 3);
  await pause(50);
  assert.deepEqual(heard, []);
});

test('events reach their handlers, the same set of secrets again too, whose values may be others; garbage is nothing', async (context) => {
  const { gateway, egress, heard } = world(context);
  await gateway.listen();
  egress.start();
  await until(() => egress.connected);
  for (const line of [
    '{"event":"secrets","names":["anthropic"]}',
    '{"event":"secrets","names":["anthropic"]}',
    '{"event":"secrets","names":"all"}',
    '{"event":"decide","kind":"x"}',
    'not json',
    '[]',
    '{"event":"alert","kind":"budget","subject":"assistant","text":"spent"}',
    '{"event":"secrets","names":[]}',
  ])
    gateway.write(`${line}\n`);
  await until(() => heard.length >= 4);
  assert.deepEqual(heard, ['secrets anthropic', 'secrets anthropic', 'alert budget assistant spent', 'secrets ']);
  assert.equal(egress.connected, true);
});

test('a request that waits for a person is told of, and its end, and each loss of the connection that held it', async (context) => {
  const { gateway, egress, heard, losses } = world(context);
  await gateway.listen();
  egress.start();
  await until(() => egress.connected);
  const hash = 'a'.repeat(64);
  const held = {
    ...{ event: 'hold', hold: 'x', session: 's1', group: 'assistant', service: 'api', method: 'POST', expires_ms: 1 },
    ...{
      host: 'api.example.com',
      path: '/a',
      policy: hash,
      body_sha256: hash,
      body_bytes: 0,
      headers: [],
      preview: '',
    },
  };
  for (const event of [held, { ...held, session: '../s1' }, { event: 'hold_ended', hold: 'x', reason: 'why' }])
    gateway.write(`${JSON.stringify(event)}\n`);
  await until(() => heard.length === 2);
  assert.deepEqual(heard, ['held x POST api.example.com/a', 'ended x why']);
  assert.deepEqual(losses, []);
  await gateway.die();
  await until(() => !egress.connected);
  assert.deepEqual(losses, [1]);
});

test('evidence of a gateway that is gone, or answers wrongly, is empty', async (context) => {
  const { gateway, egress } = world(context);
  assert.deepEqual(await egress.audit('s1', 0, 1), []);
  gateway.reply = ({ id }) => ({ id, ok: true, rows: [{ id: 'x' }] });
  await gateway.listen();
  egress.start();
  await until(() => egress.connected);
  assert.deepEqual(await egress.audit('s1', 0, 1), []);
  assert.deepEqual(await egress.usage(0), []);
  gateway.reply = ({ id }) => ({
    id,
    ok: true,
    rows: [{ group: 'a', requests: 1, input_tokens: 2, output_tokens: 3, cost_micros: 4 }],
  });
  assert.equal((await egress.usage(0)).length, 1);
});

test('after stop nothing connects again', async (context) => {
  const { gateway, egress } = world(context);
  egress.start();
  egress.stop();
  await gateway.listen();
  await pause(200);
  assert.equal(gateway.connections, 0);
});

test('that somebody spoke is told at once, then once a minute with the newest time, for each group', async (context) => {
  const { gateway, egress } = world(context);
  await gateway.listen();
  egress.start();
  await until(() => egress.connected);
  context.mock.timers.enable({ apis: ['setTimeout'] });
  for (const at_ms of [1, 2, 3]) egress.spoken('a', at_ms);
  egress.spoken('b', 4);
  context.mock.timers.tick(SPOKEN_TOLD_MS - 1);
  egress.spoken('a', 5);
  context.mock.timers.tick(1);
  context.mock.timers.tick(SPOKEN_TOLD_MS);
  egress.spoken('a', 6);
  context.mock.timers.reset();
  await until(() => told(gateway).length >= 4);
  assert.deepEqual(told(gateway), ['a 1', 'b 4', 'a 5', 'a 6']);
});

test('a gateway that comes back is told who spoke before it opens a session', async (context) => {
  const { gateway, egress } = world(context);
  await gateway.listen();
  egress.start();
  await egress.open(session('s1'));
  egress.spoken('a', 1);
  await until(() => told(gateway).length === 1);
  await gateway.die();
  await until(() => !egress.connected);
  egress.spoken('a', 2);
  egress.spoken('b', 3);
  gateway.asked.length = 0;
  await gateway.listen();
  await until(() => gateway.opened().length === 1);
  assert.deepEqual(
    gateway.asked.map(({ op }) => op),
    ['spoken', 'spoken', 'open'],
  );
  assert.deepEqual(told(gateway), ['a 2', 'b 3']);
});

function told({ asked }: GatewayLines): string[] {
  return asked.filter(({ op }) => op === 'spoken').map(({ group, at_ms }) => `${group} ${at_ms}`);
}

test('nothing opens for a group that is stopped, also not when the gateway comes back', async (context) => {
  const { gateway, egress, stopped } = world(context);
  await gateway.listen();
  egress.start();
  await until(() => egress.connected);
  await egress.open(session('s1'));
  stopped.add('assistant');
  await assert.rejects(egress.open(session('s2')), /assistant is stopped/);
  await gateway.die();
  await gateway.listen();
  await until(() => gateway.connections === 2);
  await egress.usage(0).catch(() => {}); // behind whatever was asked first on that connection
  assert.deepEqual(gateway.opened(), ['s1']);
});

test('a session that is cut while it is opened is closed behind it, and does not start', async (context) => {
  const { gateway, egress, stopped } = world(context);
  egress.start();
  const opened = assert.rejects(egress.open(session('s1')), /assistant is stopped/);
  await pause(50);
  stopped.add('assistant');
  assert.equal(await egress.cut('s1'), null);
  await gateway.listen();
  await opened;
  await until(() => gateway.asked.some(({ op, session: of }) => op === 'close' && of === 's1'));
  await pause(20);
  assert.equal(gateway.asked.at(-1)!.op, 'close');
});

test('what was cut is told as the gateway tells it; no answer is no word', async (context) => {
  const { gateway, egress } = world(context);
  const cut = [{ method: 'POST', host: 'api.example.com', path: '/items' }];
  gateway.reply = ({ id, op }) => ({ id, ok: true, ...(op === 'close' && { cut }) });
  await gateway.listen();
  egress.start();
  await egress.open(session('s1'));
  assert.deepEqual(await egress.cut('s1'), cut);
  gateway.reply = ({ id }) => ({ id, ok: false, error: 'internal', message: 'no' });
  assert.equal(await egress.cut('s1'), null);
});
