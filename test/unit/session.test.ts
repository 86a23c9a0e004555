import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { CALLS_PENDING_MAX, DELTAS_PER_SECOND_MAX } from '../../src/base/limits/messages.ts';
import { conservation } from '../../src/ledger/conservation.ts';
import { inboundStates, queueMessage } from '../fakes/ledger_kit.ts';
import { bodies, done, ends, type Running, running, stateOf, turnsOf } from '../fakes/running_session.ts';
import { eventually, sessionWorld } from '../fakes/session_world.ts';

/** Whoever is on a hatch may lie about the turn that runs, and about nothing else. */

test('an honest turn: taken, done, settled, and the resume point is kept', async (context) => {
  const world = await running(context);
  world.sandbox1.send({ t: 'taken', turn: world.turn, ids: [world.id] }, done(world.turn));
  await eventually(() => stateOf(world, world.id).state === 'answered');
  assert.deepEqual(bodies(world), ['the answer']);
  assert.deepEqual(
    { ...world.ledger.db.get<object>('SELECT harness, resume FROM sessions WHERE id = ?', world.row.id) },
    { harness: 'probe', resume: 'r1' },
  );
});

test('a flood of what there is of an answer ends its sandbox, and nothing of it is an answer', async (context) => {
  const world = await running(context);
  const delta = { t: 'delta', turn: world.turn, text: 'so far' };
  const tool = { t: 'tool', turn: world.turn, tool: 'bash', ok: true, ms: 1, summary: '' };
  world.sandbox1.send(...Array.from({ length: DELTAS_PER_SECOND_MAX }, () => delta), tool);
  const seen = "SELECT 1 FROM events WHERE kind = 'tool.called'";
  await eventually(() => world.ledger.db.get(seen) !== undefined);
  assert.deepEqual(ends(world), []);
  world.sandbox1.send(...Array.from({ length: DELTAS_PER_SECOND_MAX + 1 }, () => delta));
  await eventually(() => ends(world).length === 1);
  assert.match(ends(world)[0]!, /more than 10 deltas a second/);
  assert.deepEqual(bodies(world), []);
});

/** A session whose sandbox is there and has nothing to do. */
async function idle(context: TestContext): Promise<Running> {
  const world = await running(context);
  world.sandbox1.send({ t: 'taken', turn: world.turn, ids: [world.id] }, done(world.turn));
  await eventually(() => world.session.state === 'idle');
  return world;
}

test('a message and the turn that it begins in a sandbox that is there are one commit', async (context) => {
  const { ledger, session, row, sandbox1, turn } = await idle(context);
  const before = ledger.commits;
  await ledger.write('accept', (db) => {
    queueMessage(db, row, 'and now?');
    session.wake();
  });
  assert.equal(ledger.commits - before, 1);
  assert.deepEqual({ ...ledger.db.get<object>("SELECT id FROM turns WHERE state = 'running'") }, { id: turn + 1 });
  await eventually(() => turnsOf(sandbox1).length === 2);
  assert.deepEqual(turnsOf(sandbox1), [turn, turn + 1]);
});

test('a turn whose message could not be stored never was, and the next message is served', async (context) => {
  const world = await idle(context);
  const { ledger, session, row, sandbox1, turn } = world;
  const pages = Number(Object.values(ledger.db.raw.prepare('PRAGMA page_count').get()!)[0]);
  ledger.db.raw.exec(`PRAGMA max_page_count = ${pages}`);
  const refused = ledger.write('accept', (db) => {
    session.wake();
    queueMessage(db, row, 'x'.repeat(100_000));
  });
  await assert.rejects(refused, { code: 'storage' });
  ledger.db.raw.exec('PRAGMA max_page_count = 1000000');
  await eventually(() => session.state === 'idle');
  assert.deepEqual(turnsOf(sandbox1), [turn], 'the sandbox heard nothing of it');
  world.say('again');
  await eventually(() => turnsOf(sandbox1).length === 2);
});

const FORGED: [name: string, frames: (world: Running) => object[], reason: RegExp][] = [
  [
    'taken of another turn',
    ({ turn, id }) => [{ t: 'taken', turn: turn + 1, ids: [id] }],
    /of a turn that does not run/,
  ],
  [
    'a message of another session as taken',
    ({ turn, stranger }) => [{ t: 'taken', turn, ids: [stranger] }],
    /does not have/,
  ],
  ['taken of the same message twice', ({ turn, id }) => Array(2).fill({ t: 'taken', turn, ids: [id] }), /nothing new/],
  ['taken of nothing', ({ turn }) => [{ t: 'taken', turn, ids: [] }], /nothing new/],
  [
    'a call of another turn',
    ({ turn }) => [{ t: 'call', call: 1, turn: turn + 1, tool: 'send_message', input: { text: 'x' } }],
    /does not run/,
  ],
  [
    'a file of another turn',
    ({ turn }) => [{ t: 'file', call: 1, turn: turn + 1, name: 'x', bytes: 0, sha256: '' }],
    /does not run/,
  ],
  ['a chunk of no file', () => [{ t: 'chunk', call: 1, seq: 0, data: 'QQ==' }], /not announced/],
  ['done of another turn', ({ turn }) => [done(turn + 1)], /does not run/],
  ['done without having taken anything', ({ turn }) => [done(turn)], /without having taken/],
  [
    'an interruption that nobody asked for',
    ({ turn }) => [done(turn, { outcome: 'interrupted' })],
    /interrupted itself/,
  ],
  ['ready again', () => [{ t: 'ready', steer: true, resumed: true }], /second ready/],
  [
    'calls without waiting for their receipts',
    ({ turn }) =>
      Array.from({ length: CALLS_PENDING_MAX + 1 }, (_, i) => ({
        t: 'call',
        call: i + 1,
        turn,
        tool: 'send_message',
        input: { text: `m${i}` },
      })),
    /receipt/,
  ],
];

for (const [name, frames, reason] of FORGED) {
  test(`${name} ends the sandbox, and the message waits for the next one`, async (context) => {
    const world = await running(context);
    world.sandbox1.send(...frames(world));
    await eventually(() => world.sandbox1.killed);
    await world.sandbox(2);
    assert.deepEqual(stateOf(world, world.id), { state: 'queued', deaths: 1 });
    assert.equal(stateOf(world, world.stranger).state, 'queued');
    await eventually(() => ends(world).length === 1);
    assert.match(ends(world)[0]!, reason);
    assert.deepEqual(conservation(world.ledger.db, 0).violations, []);
  });
}

test('done twice settles once; the second is of a turn that does not run', async (context) => {
  const world = await running(context);
  world.sandbox1.send(
    { t: 'taken', turn: world.turn, ids: [world.id] },
    done(world.turn),
    done(world.turn, { text: 'again' }),
  );
  await eventually(() => stateOf(world, world.id).state === 'answered');
  await eventually(() => world.sandbox1.killed);
  assert.deepEqual(bodies(world), ['the answer']);
  world.say('next');
  const second = await world.sandbox(2);
  await second.ready();
  await eventually(() => second.turn() !== undefined);
  assert.equal(second.turn()!.attempt, 1, 'nobody is blamed for what came after the end');
});

test('an answer of nothing is silence, a failure of nothing has a sentence', async (context) => {
  const world = await running(context);
  world.sandbox1.send({ t: 'taken', turn: world.turn, ids: [world.id] }, done(world.turn, { text: ' \n' }));
  await eventually(() => stateOf(world, world.id).state === 'silent');
  const next = world.say('next');
  await eventually(() => world.sandbox1.heard.filter((frame) => frame.t === 'turn').length === 2);
  world.sandbox1.send(done(world.turn + 1, { outcome: 'failed', text: '' }));
  await eventually(() => stateOf(world, next).state === 'failed');
  assert.equal(bodies(world).length, 1);
  assert.match(bodies(world)[0]!, /\w/);
});

test('a message that comes while an idle sandbox is being ended is not charged for it', async (context) => {
  const world = await running(context);
  world.sandbox1.send({ t: 'taken', turn: world.turn, ids: [world.id] }, done(world.turn));
  await eventually(() => world.session.state === 'idle');
  world.sandbox1.exitsWhenKilled = false;
  world.session.rest('its place was needed');
  const late = world.say('late');
  await new Promise((resolve) => setTimeout(resolve, 30));
  world.sandbox1.exit();
  const second = await world.sandbox(2);
  await second.ready();
  await eventually(() => second.turn() !== undefined);
  assert.equal(second.turn()!.attempt, 1);
  assert.deepEqual(stateOf(world, late), { state: 'running', deaths: 0 });
});

test('an idle sandbox that dies by itself is not charged to the message that comes just then', async (context) => {
  const world = await running(context);
  world.sandbox1.send({ t: 'taken', turn: world.turn, ids: [world.id] }, done(world.turn));
  await eventually(() => world.session.state === 'idle');
  world.sandbox1.exitsWhenKilled = false;
  world.sandbox1.send({ t: 'nonsense' }); // the hatch ends at once, the process a little later
  await eventually(() => world.sandbox1.killed);
  const late = world.say('late');
  await new Promise((resolve) => setTimeout(resolve, 30));
  world.sandbox1.exit();
  const second = await world.sandbox(2);
  await second.ready();
  await eventually(() => second.turn() !== undefined);
  assert.deepEqual(stateOf(world, late), { state: 'running', deaths: 0 });
});

test('what joined and was not taken goes back to the queue, in order', async (context) => {
  const world = await sessionWorld(context);
  const first = world.say('first');
  const sandbox = await world.sandbox(1);
  await sandbox.ready(true);
  await eventually(() => sandbox.turn() !== undefined);
  world.say('second');
  await eventually(() => sandbox.heard.some((frame) => frame.t === 'steer'));
  const turn = sandbox.turn()!.turn;
  sandbox.send({ t: 'taken', turn, ids: [first] }, done(turn));
  await eventually(() => sandbox.heard.filter((frame) => frame.t === 'turn').length === 2);
  const again = sandbox.heard.findLast((frame) => frame.t === 'turn')!;
  assert.deepEqual(again.t === 'turn' && again.messages.map((message) => message.text), ['second']);
  assert.deepEqual(inboundStates(world.ledger.db), ['answered', 'running']);
});
