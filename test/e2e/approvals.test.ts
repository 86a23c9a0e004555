import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import type { GatewayEvent, HoldEvent } from '../../src/protocol/gateway.ts';
import { AttackBench, type Held } from '../fakes/attack_bench.ts';
import { until } from '../fakes/install.ts';
import { PatchedTree } from '../fakes/patched_tree.ts';
import { askService } from '../fakes/tunnel.ts';

/** Held requests through a real gateway process: what holds at release, and what ends a wait. */

const bench = new AttackBench();
before(() => bench.start());
after(() => bench.dispose());

type Bench = Held['bench'];

function post(on: Bench, socket: string, target = '/held', place = on.places.plain) {
  return askService(socket, { ca: on.ca, place }, target, { method: 'POST', body: 'body' });
}

/** The newest request of a session that waits. */
function held(on: Bench, session: string): Promise<HoldEvent> {
  return until('it waits', async () => {
    const found = on.events.findLast((event) => event.event === 'hold' && event.session === session);
    assert.equal(found?.event, 'hold');
    return found as HoldEvent;
  });
}

async function rules(on: Bench, session: string): Promise<string[]> {
  return (await on.rows(session)).map(({ decision, status, rule }) => `${decision} ${status} ${rule}`);
}

test('an approved request leaves with the secret, and its answer comes back masked', async () => {
  const { id, socket } = await bench.session();
  const reply = askService(socket, { ca: bench.ca, place: bench.places.api }, '/held', {
    method: 'POST',
    body: '{"a":1}',
  });
  const asked = await held(bench, id);
  assert.deepEqual(
    [asked.method, asked.host, asked.path, asked.service, asked.body_bytes, asked.preview],
    ['POST', bench.places.api, '/held', 'api', 7, '{"a":1}'],
  );
  assert.equal(await bench.decide(asked), null);
  assert.equal((await reply).status, 200);
  assert.equal(bench.api.received.at(-1)!.body.toString(), '{"a":1}');
  assert.equal(bench.api.values('authorization').length, 1);
  const [row] = await bench.rows(id);
  assert.deepEqual([row!.decision, row!.rule, row!.secret], ['allow', 'api: POST /held', 'api-token']);
});

test('a denied request is answered as JSON that says who and why', async () => {
  const { id, socket } = await bench.session();
  const reply = post(bench, socket);
  await bench.decide(await held(bench, id), { allow: false, reason: 'wrong list' });
  const { status, body } = await reply;
  assert.equal(status, 403);
  assert.deepEqual(JSON.parse(body), {
    error: 'Forbidden',
    rule: 'plain: POST /held: denied',
    reason: 'while it waited for approval, a person denied it: wrong list',
    try: 'ask your operator before you try again',
  });
});

test('three requests of a group wait, over its sessions; a decision makes room', async () => {
  const sessions = [await bench.session(), await bench.session(), await bench.session(), await bench.session()];
  const replies = sessions.slice(0, 3).map(({ socket }) => post(bench, socket));
  const asked = await Promise.all(sessions.slice(0, 3).map(({ id }) => held(bench, id)));
  const last = sessions[3]!;
  const refused = await post(bench, last.socket);
  assert.deepEqual([refused.status, JSON.parse(refused.body).rule], [429, 'plain: POST /held: 3 wait']);
  await bench.decide(asked[0]!, { allow: false });
  const fourth = post(bench, last.socket);
  await bench.decide(await held(bench, last.id));
  for (const each of asked.slice(1)) await bench.decide(each);
  assert.deepEqual(
    (await Promise.all([...replies, fourth])).map(({ status }) => status),
    [403, 200, 200, 200],
  );
});

test('what waits does not run, and runs only where there is room when it is allowed', async () => {
  const { id, socket } = await bench.session();
  const first = post(bench, socket);
  const asked = await held(bench, id);
  bench.plain.handler = () => {};
  const running = Array.from({ length: 16 }, () => post(bench, socket, '/a').catch(() => null));
  await until('sixteen run', async () => assert.ok((await busy(socket)).status === 429));
  assert.match((await bench.decide(asked)) ?? '', /16 requests of this session are running/);
  assert.equal((await first).status, 429);
  await bench.host.request({ op: 'close', session: id }, 5000);
  await Promise.all(running);
  bench.plain.handler = (_request, response) => void response.end('ok');
});

/** A request that ends soon, where it may run at all. */
function busy(socket: string) {
  return post(bench, socket, '/hidden').then((denied) =>
    denied.status === 403 ? askService(socket, { ca: bench.ca, place: bench.places.closed }, '/a') : denied,
  );
}

test('a rate and a budget are taken when the request leaves, not while it waits', async () => {
  const at = `port: ${bench.plain.port}, private: [127.0.0.0/8]`;
  const policy = bench.gateway.group(
    'few',
    `budget: {requests_per_day: 2}
egress:
  slow: {host: plain.example.com, ${at}, rate: 1/day, approve: [POST /slow]}
  free: {host: plain.example.com, ${at}, allow: [GET /free], approve: [POST /free]}
`,
  );
  const id = 's900';
  const socket = await bench.gateway.open(bench.host, id, 'few', policy);
  const decide = async (other = {}) => bench.decide(await held(bench, id), { policy, ...other });
  const denied = post(bench, socket, '/slow');
  await decide({ allow: false });
  assert.equal((await denied).status, 403);
  const sent = post(bench, socket, '/slow');
  await until('the next one waits', async () => assert.equal(await decide(), null));
  assert.equal((await sent).status, 200);
  const slow = post(bench, socket, '/slow');
  await until('the rate refuses', async () => assert.match((await decide()) ?? '', /slow may be asked 1\/day/));
  assert.equal((await slow).status, 429);
  const free = post(bench, socket, '/free');
  await until('it waits', async () => assert.equal((await held(bench, id)).path, '/free'));
  assert.equal((await askService(socket, { ca: bench.ca, place: bench.places.plain }, '/free')).status, 200);
  assert.match((await decide()) ?? '', /budget|today/);
  assert.equal((await free).status, 402);
});

test('a session that closes, or is opened anew, refuses what waits', async () => {
  for (const again of [false, true]) {
    const { id, socket } = await bench.session();
    const reply = post(bench, socket).catch(() => 'cut');
    const asked = await held(bench, id);
    if (again) await bench.gateway.open(bench.host, id, 'assistant', bench.policy);
    else await bench.host.request({ op: 'close', session: id }, 5000);
    assert.equal(await reply, 'cut');
    assert.equal(await bench.decide(asked), 'it does not wait any more');
    assert.deepEqual(await rules(bench, id), ['deny 403 plain: POST /held: session ended']);
    assert.deepEqual(bench.events.at(-1), { event: 'hold_ended', hold: asked.hold, reason: 'its session ended' });
  }
});

test('a gateway that is killed has sent nothing, and takes no decision about it afterwards', async () => {
  bench.plain.received.length = 0;
  const { id, socket } = await bench.session();
  const reply = post(bench, socket).catch(() => 'cut');
  const asked = await held(bench, id);
  await bench.gateway.end('SIGKILL');
  assert.equal(await reply, 'cut');
  await bench.gateway.start();
  await bench.restartHost();
  assert.equal(await bench.decide(asked), 'it does not wait any more');
  assert.deepEqual(await rules(bench, id), []);
  const again = await bench.gateway.open(bench.host, id, 'assistant', bench.policy);
  assert.equal(await bench.decide(asked), 'it does not wait any more');
  assert.deepEqual(bench.plain.received, []);
  assert.equal((await post(bench, again, '/a')).status, 200);
});

test('a gateway that is asked to end refuses what waits, on record', async () => {
  const { id, socket } = await bench.session();
  const reply = post(bench, socket).catch(() => 'cut');
  await held(bench, id);
  assert.equal(await bench.gateway.end('SIGTERM'), 0);
  assert.equal(await reply, 'cut');
  await bench.gateway.start();
  await bench.restartHost();
  assert.deepEqual(await rules(bench, id), ['deny 403 plain: POST /held: session ended']);
});

test('what nobody decides is refused after its time, and an approval then is too late', async () => {
  using tree = new PatchedTree([
    ['src/base/limits/gateway.ts', 'APPROVAL_MS = 10 * MINUTE_MS', 'APPROVAL_MS = SECOND_MS / 4'],
  ]);
  const hasty = new AttackBench(tree.root);
  try {
    await hasty.start();
    const { id, socket } = await hasty.session();
    const { status, body } = await post(hasty, socket);
    assert.deepEqual([status, JSON.parse(body).rule], [403, 'plain: POST /held: expired']);
    const ended = hasty.events.at(-1) as GatewayEvent;
    assert.deepEqual(ended.event === 'hold_ended' && ended.reason, 'nobody decided in time');
    assert.equal(await hasty.decide(await held(hasty, id)), 'it does not wait any more');
    assert.deepEqual(await rules(hasty, id), ['deny 403 plain: POST /held: expired']);
    assert.deepEqual(hasty.plain.received, []);
  } finally {
    await hasty.dispose();
  }
});
