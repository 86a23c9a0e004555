import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ask } from '../fakes/gateway_process.ts';
import { HELLO, MESSAGES, ModelGateway } from '../fakes/model_gateway.ts';
import { ask as say, scriptedInstall, shell } from '../fakes/scripted_group.ts';

/** A group's budgets: a real gateway process that is killed in between, a scripted endpoint on loopback. */

const world = await ModelGateway.start();
const { gateway, events } = world;
let newest = '';

/** A new session of a group. */
async function open(group: string, budget: string): Promise<string> {
  const yaml = `model: {name: claude-sonnet-5, upstream: "${world.model.origin}"}\nbudget: {${budget}}\n`;
  const { id, socket } = await world.open(group, yaml);
  newest = id;
  return socket;
}

async function statusOf(socket: string, path = MESSAGES): Promise<number> {
  return (await ask(socket, path, { body: HELLO })).status;
}

test('requests of all sessions together are refused from the budget on, also after kill −9', async () => {
  const budget = 'requests_per_day: 3';
  const [first, second] = [await open('counted', budget), await open('counted', budget)];
  assert.deepEqual([await statusOf(first), await statusOf(second), await statusOf(first)], [200, 200, 200]);
  const reply = await ask(second, MESSAGES, { body: HELLO });
  assert.equal(reply.status, 402);
  assert.deepEqual(JSON.parse(reply.body), {
    error: 'Payment Required',
    rule: 'budget',
    reason: 'the group has used its 3 requests of today',
    try: 'wait for midnight, or ask your operator for more',
  });
  assert.equal(world.model.requests.length, 3, 'the endpoint was not asked');
  const [row] = (await gateway.audit(world.host, newest)).slice(-1);
  assert.deepEqual([row!.decision, row!.rule, row!.status], ['deny', 'budget', 402]);

  await world.restart();
  assert.equal(await statusOf(await open('counted', budget)), 402);
  assert.equal(await statusOf(await open('other', budget)), 200, 'another group has its own');
});

test('tokens and dollars are counted as the reply says, and the owner hears of each share once', async () => {
  world.model.script = () => ({ text: 'hi', usage: { input: 300_000, output: 20_000 } });
  const socket = await open('spender', 'usd_per_day: 12');
  assert.deepEqual([await statusOf(socket), await statusOf(socket), await statusOf(socket)], [200, 200, 402]);
  // An answer on the socket of the events: they are all here then.
  const rows = await gateway.audit(world.host, newest);
  assert.deepEqual(
    events
      .filter(({ kind }) => kind === 'budget')
      .map(({ subject }) => subject?.replace(/^spender \d{4}-\d\d-\d\d /, '')),
    ['50 %', '100 %'],
  );
  // The reply names a model that no table has: the dearest counts.
  assert.deepEqual(
    rows.map((row) => row.cost_micros),
    [6_000_000, 6_000_000, 0],
  );
});

test('what the endpoint refuses is not charged, and what runs is reserved', async () => {
  world.model.mode = '500';
  const socket = await open('unlucky', 'tokens_per_day: 4000');
  assert.equal(await statusOf(socket), 500);
  assert.equal((await gateway.audit(world.host, newest)).at(-1)!.cost_micros, 0);
  world.model.mode = 'hang';
  const running = ask(socket, MESSAGES, { body: HELLO }).catch(() => {});
  while (world.model.requests.length < 2) await new Promise((resolve) => setTimeout(resolve, 5));
  world.model.mode = 'ok';
  const beside = await ask(socket, MESSAGES, { body: HELLO });
  assert.equal(beside.status, 402);
  assert.match(beside.body, /reserved by requests that run/);
  await world.host.request({ op: 'close', session: newest }, 5000);
  await running;
});

test('an hour in which nobody speaks has its own budget; a word opens it, a restart does not', async () => {
  world.model.script = () => ({ text: 'hi', usage: { input: 300_000, output: 20_000 } });
  const budget = 'usd_per_idle_hour: 5';
  const spoken = (at_ms: number) => world.host.request({ op: 'spoken', group: 'idler', at_ms }, 5000);
  const socket = await open('idler', budget);
  assert.deepEqual([await statusOf(socket), await statusOf(socket)], [200, 402]);
  const reply = await ask(socket, MESSAGES, { body: HELLO });
  assert.match(JSON.parse(reply.body).reason, /used its 5\.00 US dollars of an hour in which nobody speaks to it/);
  assert.deepEqual(
    events.filter(({ kind }) => kind === 'budget').map(({ subject }) => subject),
    ['idler idle'],
  );

  await world.restart();
  const again = await open('idler', budget);
  assert.equal(await statusOf(again), 402);
  await pause();
  await spoken(Date.now());
  assert.deepEqual([await statusOf(again), await statusOf(again)], [200, 402]);
});

test('the host tells of every word: an agent that was refused goes on when somebody speaks', async (context) => {
  const made = await scriptedInstall('budget: {usd_per_idle_hour: 0.000001}\n');
  context.after(async () => {
    made.install.explain(context);
    await made.stop();
  });
  assert.match(await shell(await made.terminal('one'), 'echo first'), /budget|nobody speaks/);
  await made.install.end('host', 'SIGTERM');
  await pause();
  made.install.spawn('host');
  await made.install.ready();
  const before = made.model.requests.length;
  await say(await made.terminal('two'), 'hello');
  assert.ok(made.model.requests.length > before, 'the word was told before the first request');
});

/** Seconds are what the gateway tells apart. */
function pause(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, 1100));
}
