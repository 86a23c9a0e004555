import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { type TestContext, test } from 'node:test';
import { systemClock } from '../../src/base/clock.ts';
import { CALLS_PENDING_MAX, DELTAS_PER_SECOND_MAX } from '../../src/base/limits/messages.ts';
import { insertAuthority } from '../../src/ledger/authorities.ts';
import { ensureGroup } from '../../src/ledger/chats.ts';
import { conservation } from '../../src/ledger/conservation.ts';
import type { FileFacts } from '../../src/ledger/files.ts';
import { sessionsInTurn } from '../../src/ledger/sessions.ts';
import { endStops, takeStop } from '../../src/ledger/stops.ts';
import { stopSession } from '../../src/sessions/turn_book.ts';
import { inboundStates, queueMessage, seedChat } from '../fakes/ledger_kit.ts';
import { eventually, type FakeSandbox, type SessionWorld, sessionWorld } from '../fakes/session_world.ts';

/** Whoever is on a hatch may lie about the turn that runs, and about nothing else. */

interface Running extends SessionWorld {
  sandbox1: FakeSandbox;
  turn: number;
  id: number;
  /** An inbound key of another session. */
  stranger: number;
}

async function running(context: TestContext): Promise<Running> {
  const world = await sessionWorld(context);
  const other = await world.ledger.write('seed', (db) => seedChat(db, 'local', 'other', 'stranger'));
  const stranger = queueMessage(world.ledger.db, other, 'of somebody else');
  const id = world.say('hello');
  const sandbox1 = await world.sandbox(1);
  await sandbox1.ready();
  await eventually(() => sandbox1.turn() !== undefined);
  return { ...world, sandbox1, turn: sandbox1.turn()!.turn, id, stranger };
}

function turnsOf(sandbox: FakeSandbox): number[] {
  return sandbox.heard.flatMap((frame) => (frame.t === 'turn' ? [frame.turn] : []));
}

function done(turn: number, part: object = {}): object {
  return { t: 'done', turn, outcome: 'answered', text: 'the answer', resume: 'r1', ...part };
}

function stateOf(world: SessionWorld, id: number): { state: string; deaths: number } {
  return {
    ...world.ledger.db.get<{ state: string; deaths: number }>('SELECT state, deaths FROM inbound WHERE id = ?', id)!,
  };
}

function bodies(world: SessionWorld): string[] {
  return world.ledger.db.all<{ body: string }>('SELECT body FROM outbound ORDER BY id').map((row) => row.body);
}

function ends(world: SessionWorld): string[] {
  return world.ledger.db
    .all<{ data: string }>("SELECT data FROM events WHERE kind = 'sandbox.ended' ORDER BY id")
    .map((row) => JSON.parse(row.data).reason);
}

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

test('a send that was refused is refused again when the next attempt makes it', async (context) => {
  const world = await running(context);
  const { db } = world.ledger;
  ensureGroup(db, 1, 'other', null);
  for (const [group_name, object] of [
    ['assistant', { agents: { other: 'approve' } }],
    ['other', {}],
  ] as const)
    insertAuthority(db, {
      ...{ group_name, hash: 'h', object: JSON.stringify(object), image: null, controls: '[]' },
      ...{ applied_by: 'test', applied_ms: 1 },
    });
  const input = { to: 'agent:other', text: 'x'.repeat(5000) };
  const receiptOf = async (sandbox: FakeSandbox, turn: number) => {
    sandbox.send({ t: 'call', call: 1, turn, tool: 'send_message', input });
    await eventually(() => sandbox.heard.some((frame) => frame.t === 'receipt'));
    const receipt = sandbox.heard.find((frame) => frame.t === 'receipt');
    return receipt?.t === 'receipt' ? [receipt.ok, receipt.value] : [];
  };
  const first = await receiptOf(world.sandbox1, world.turn);
  assert.deepEqual(first, [false, 'that is more than a person reads at once: write less']);
  world.sandbox1.exit();
  const second = await world.sandbox(2);
  await second.ready();
  await eventually(() => second.turn() !== undefined);
  assert.deepEqual(await receiptOf(second, second.turn()!.turn), [false, `it was not sent: ${String(first[1])}`]);
});

test('a hostile input of a tool is a refusal, never the end of the host', async (context) => {
  const world = await running(context);
  const inputs = [{ words: 'a\0b' }, { words: '"' }, { words: 7 }, [], 'x', null, { words: 'x', group: 'stranger' }];
  for (const [index, input] of inputs.entries()) {
    world.sandbox1.send({ t: 'call', call: index + 1, turn: world.turn, tool: 'history_search', input });
    await eventually(() => world.sandbox1.heard.filter((frame) => frame.t === 'receipt').length === index + 1);
  }
  world.sandbox1.send({ t: 'call', call: 99, turn: world.turn, tool: '__proto__', input: {} });
  await eventually(() => world.sandbox1.heard.some((frame) => frame.t === 'receipt' && frame.call === 99 && !frame.ok));
  assert.equal(world.sandbox1.killed, false);
});

test('an agent sends to the chats of its group only', async (context) => {
  const world = await running(context);
  for (const [call, to] of ['local:other', 'local:main'].entries())
    world.sandbox1.send({ t: 'call', call: call + 1, turn: world.turn, tool: 'send_message', input: { text: to, to } });
  await eventually(() => world.sandbox1.heard.filter((frame) => frame.t === 'receipt').length === 2);
  assert.deepEqual(bodies(world), ['local:main']);
});

test('an agent sends a file that it has streamed in this turn, and none that it only names', async (context) => {
  const world = await running(context);
  const bytes = Buffer.from('a report');
  const sha256 = createHash('sha256').update(bytes).digest('hex');
  const receipts = (): object[] => world.sandbox1.heard.filter((frame) => frame.t === 'receipt');
  const call = { t: 'call', turn: world.turn, tool: 'send_file', input: { sha256, text: 'here' } };
  world.sandbox1.send({ ...call, call: 1 });
  await eventually(() => receipts().length === 1);
  world.sandbox1.send(
    { t: 'file', call: 2, turn: world.turn, name: '../r.txt', bytes: bytes.length, sha256 },
    { t: 'chunk', call: 2, seq: 0, data: bytes.toString('base64') },
  );
  await eventually(() => receipts().length === 2);
  world.sandbox1.send({ ...call, call: 3 });
  await eventually(() => receipts().length === 3);
  assert.deepEqual(
    receipts().map((frame) => ({ ...frame })),
    [
      { t: 'receipt', call: 1, ok: false, value: 'no file with that hash has come from this turn' },
      { t: 'receipt', call: 2, ok: true, value: { name: 'r.txt', type: 'text/plain', bytes: bytes.length, sha256 } },
      { t: 'receipt', call: 3, ok: true, value: { id: 'o1' } },
    ],
  );
  const { name, bytes: size } = world.ledger.db.get<FileFacts>('SELECT * FROM outbound_files')!;
  assert.deepEqual([bodies(world), name, size], [['here'], 'r.txt', bytes.length]);
  world.sandbox1.send({ t: 'taken', turn: world.turn, ids: [world.id] }, done(world.turn));
  await eventually(() => stateOf(world, world.id).state === 'answered');
  world.say('next');
  await eventually(() => turnsOf(world.sandbox1).length === 2);
  world.sandbox1.send({ ...call, turn: turnsOf(world.sandbox1)[1]!, call: 4 });
  await eventually(() => receipts().length === 4);
  assert.equal(bodies(world).length, 2, 'the file of an earlier turn is streamed again, or not sent');
});

test('a file that the channel cannot carry is refused, with the reason', async (context) => {
  const world = await running(context);
  const bytes = Buffer.alloc(1001);
  const sha256 = createHash('sha256').update(bytes).digest('hex');
  world.sandbox1.send(
    { t: 'file', call: 1, turn: world.turn, name: 'x', bytes: bytes.length, sha256 },
    { t: 'chunk', call: 1, seq: 0, data: bytes.toString('base64') },
    { t: 'call', call: 2, turn: world.turn, tool: 'send_file', input: { sha256 } },
  );
  await eventually(() => world.sandbox1.heard.some((frame) => frame.t === 'receipt' && frame.call === 2));
  const receipt = world.sandbox1.heard.find((frame) => frame.t === 'receipt' && frame.call === 2);
  assert.deepEqual({ ...receipt }, { t: 'receipt', call: 2, ok: false, value: 'local:main takes files up to 1 KB' });
  assert.deepEqual(bodies(world), []);
});

test('a task is set in nobody’s name while a stranger has words in the turn', async (context) => {
  const world = await running(context);
  const call = { t: 'call', turn: world.turn, tool: 'task_add', input: { when: 'every 1h', text: 'x' } };
  world.sandbox1.send({ ...call, call: 1 });
  await eventually(() => world.sandbox1.heard.some((frame) => frame.t === 'receipt' && frame.call === 1));
  const [alice] = world.ledger.db.all<{ person_id: number }>('SELECT person_id FROM identities');
  world.ledger.db.run('UPDATE messages SET person_id = ?', alice!.person_id);
  world.sandbox1.send({ ...call, call: 2 });
  await eventually(() => world.sandbox1.heard.some((frame) => frame.t === 'receipt' && frame.call === 2));
  const answers = world.sandbox1.heard.flatMap((frame) => (frame.t === 'receipt' ? [[frame.ok, frame.value]] : []));
  assert.deepEqual(answers[0], [false, 'only people with a role here may have tasks set']);
  assert.equal(answers[1]![0], true);
});

test('a turn that a person has stopped sends nothing any more', async (context) => {
  const world = await running(context);
  await world.ledger.write('test', (db) =>
    stopSession(db, systemClock, world.row, 'alice', { keep: false, untaken: [] }),
  );
  world.sandbox1.send({ t: 'call', call: 1, turn: world.turn, tool: 'send_message', input: { text: 'too late' } });
  await eventually(() => world.sandbox1.heard.some((frame) => frame.t === 'receipt'));
  const receipt = world.sandbox1.heard.find((frame) => frame.t === 'receipt');
  assert.deepEqual({ ...receipt }, { t: 'receipt', call: 1, ok: false, value: 'this turn was stopped by a person' });
  assert.deepEqual(bodies(world), []);
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

/** The group of the session is stopped, as an owner does it: on disk, then its sandboxes end. */
async function halted(world: SessionWorld): Promise<void> {
  await world.ledger.write('test', (db) => {
    takeStop(db, 1, 'assistant', 'olga');
    for (const session of sessionsInTurn(db, 'assistant'))
      stopSession(db, systemClock, session, 'olga', { keep: true, untaken: [] });
  });
  await world.session.halt('its group was stopped');
}

test('a session whose group is stopped ends in its turn, and begins nothing until the group goes on', async (context) => {
  const world = await running(context);
  await halted(world);
  assert.equal(world.sandbox1.killed, true);
  await eventually(() => world.session.state === 'cold');
  const later = world.say('later');
  await new Promise((resolve) => setTimeout(resolve, 50));
  assert.deepEqual([world.session.state, world.sandboxes.length, stateOf(world, later).state], ['cold', 1, 'queued']);
  await world.ledger.write('test', (db) => endStops(db, 2, 'assistant', 'olga'));
  world.session.wake();
  const second = await world.sandbox(2);
  await second.ready();
  await eventually(() => second.turn() !== undefined);
  assert.deepEqual([second.turn()!.messages.length, stateOf(world, later).deaths], [1, 0]);
  assert.deepEqual(world.alerts, []);
});

test('a sandbox that was just starting when its group was stopped is ended, and nobody is alarmed', async (context) => {
  const world = await sessionWorld(context);
  const id = world.say('hello');
  const sandbox = await world.sandbox(1);
  await halted(world);
  await eventually(() => world.session.state === 'cold');
  assert.deepEqual([sandbox.killed, stateOf(world, id), world.alerts], [true, { state: 'queued', deaths: 0 }, []]);
});

test('an idle sandbox that is given a message as its group is stopped ends instead', async (context) => {
  const world = await running(context);
  world.sandbox1.send({ t: 'taken', turn: world.turn, ids: [world.id] }, done(world.turn));
  await eventually(() => world.session.state === 'idle');
  const first = world.ledger.write('test', (db) => takeStop(db, 1, 'assistant', 'olga'));
  // In the same transaction as the mark, behind it.
  world.say('too late');
  await first;
  await eventually(() => world.session.state === 'cold');
  assert.equal(turnsOf(world.sandbox1).length, 1);
});
