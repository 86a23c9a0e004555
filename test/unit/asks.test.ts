import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { systemClock } from '../../src/base/clock.ts';
import { OVERDUE_MS } from '../../src/base/limits/messages.ts';
import { CHAT_ASKS_MAX, TURN_ASKS_MAX } from '../../src/base/limits/talk.ts';
import { type AskRow, answerAsk, askById } from '../../src/ledger/asks.ts';
import { conservation } from '../../src/ledger/conservation.ts';
import { latestMessageId } from '../../src/ledger/messages.ts';
import { Asks } from '../../src/sessions/asks.ts';
import { stopSession } from '../../src/sessions/turn_book.ts';
import { eventually, type FakeSandbox, type SessionWorld, sessionWorld } from '../fakes/session_world.ts';

/** What an agent may ask, and what becomes of its question whoever dies: one session, with the test as its sandbox. */

interface Asking extends SessionWorld {
  sandbox1: FakeSandbox;
  turn: number;
  /** Inbound keys of its messages. */
  ids: number[];
}

async function asking(context: TestContext, ...texts: string[]): Promise<Asking> {
  const world = await sessionWorld(context);
  const ids = (texts.length === 0 ? ['hello'] : texts).map((text) => world.say(text));
  const sandbox1 = await world.sandbox(1);
  const turn = await begins(sandbox1);
  return { ...world, sandbox1, turn, ids };
}

/** Resolves with the turn that a sandbox is given first. */
async function begins(sandbox: FakeSandbox): Promise<number> {
  await sandbox.ready();
  await eventually(() => sandbox.turn() !== undefined);
  return sandbox.turn()!.turn;
}

function ask(sandbox: FakeSandbox, turn: number, call: number, question: unknown, more: object = {}): void {
  sandbox.send({ t: 'call', call, turn, tool: 'ask', input: { question, ...more } });
}

function asks({ ledger }: SessionWorld): AskRow[] {
  return ledger.db.all<AskRow>('SELECT * FROM asks ORDER BY id');
}

function receipts(sandbox: FakeSandbox): [call: number, ok: boolean, value: unknown][] {
  return sandbox.heard.flatMap((frame) =>
    frame.t === 'receipt' ? [[frame.call, frame.ok, frame.value] as const] : [],
  ) as [number, boolean, unknown][];
}

/** A person says so, as the router writes it. */
async function answer(world: SessionWorld, id: number, text: string): Promise<void> {
  await world.ledger.write('accept', (db) => {
    const message = latestMessageId(db)!;
    answerAsk(db, systemClock, askById(db, id), {
      text,
      chosen: null,
      who: 'Alice',
      person: null,
      message,
      how: 'words',
    });
  });
  world.asks.ended(id);
}

function bodies(world: SessionWorld): string[] {
  return world.ledger.db.all<{ body: string }>('SELECT body FROM outbound ORDER BY id').map((row) => row.body);
}

function violations({ ledger }: SessionWorld): string[] {
  return conservation(ledger.db, systemClock.now()).violations;
}

function done(turn: number): object {
  return { t: 'done', turn, outcome: 'answered', text: 'the answer', resume: 'r1' };
}

test('the receipt comes with the answer, and not before', async (context) => {
  const world = await asking(context);
  ask(world.sandbox1, world.turn, 1, 'Well?');
  await eventually(() => asks(world).length === 1);
  await world.ledger.write('test', () => {});
  assert.deepEqual(receipts(world.sandbox1), []);
  await answer(world, 1, 'yes');
  await eventually(() => receipts(world.sandbox1).length === 1);
  assert.deepEqual(receipts(world.sandbox1), [[1, true, { answer: 'yes', by: 'Alice' }]]);
});

test('the next attempt gets the row of the one before it, answered or not, and an answer of the dead goes to nobody', async (context) => {
  const world = await asking(context);
  ask(world.sandbox1, world.turn, 1, 'First?');
  ask(world.sandbox1, world.turn, 2, 'Second?');
  await eventually(() => asks(world).length === 2);
  world.sandbox1.exit();
  const next = await world.sandbox(2);
  await begins(next);
  ask(next, world.turn, 1, 'Second?');
  await eventually(() => world.ledger.db.get("SELECT 1 FROM events WHERE kind = 'ask.repeated'") !== undefined);
  await answer(world, 1, 'to the first');
  ask(next, world.turn, 2, 'First?');
  await eventually(() => receipts(next).length === 1);
  await answer(world, 2, 'to the second');
  await eventually(() => receipts(next).length === 2);
  assert.deepEqual(receipts(next), [
    [2, true, { answer: 'to the first', by: 'Alice' }],
    [1, true, { answer: 'to the second', by: 'Alice' }],
  ]);
  assert.equal(bodies(world).length, 2, 'one message a question');
  const prior = next.heard.find((frame) => frame.t === 'turn')!.prior.map(({ text }) => text);
  assert.match(prior[0]!, /^First\?[\s\S]*\[pending\]$/);
});

test('a question that the next attempt asks at another place is not withdrawn by what it asks then', async (context) => {
  const world = await asking(context);
  ask(world.sandbox1, world.turn, 1, 'First?');
  ask(world.sandbox1, world.turn, 2, 'Second?');
  await eventually(() => asks(world).length === 2);
  world.sandbox1.exit();
  const next = await world.sandbox(2);
  await begins(next);
  ask(next, world.turn, 1, 'Second?');
  ask(next, world.turn, 2, 'Third?');
  await eventually(() => asks(world).length === 3);
  assert.deepEqual(
    asks(world).map(({ state }) => state),
    ['pending', 'pending', 'pending'],
  );
});

test('the same question twice in one attempt is asked twice, and twice waited for in the next', async (context) => {
  const world = await asking(context);
  ask(world.sandbox1, world.turn, 1, 'Again?');
  ask(world.sandbox1, world.turn, 2, 'Again?');
  await eventually(() => asks(world).length === 2);
  world.sandbox1.exit();
  const next = await world.sandbox(2);
  await begins(next);
  ask(next, world.turn, 1, 'Again?');
  ask(next, world.turn, 2, 'Again?');
  const repeated = (): object[] => world.ledger.db.all("SELECT 1 FROM events WHERE kind = 'ask.repeated'");
  await eventually(() => repeated().length === 2);
  await answer(world, 1, 'to the first');
  await answer(world, 2, 'to the second');
  await eventually(() => receipts(next).length === 2);
  assert.deepEqual(
    receipts(next).map(([call, , value]) => [call, (value as { answer: string }).answer]),
    [
      [1, 'to the first'],
      [2, 'to the second'],
    ],
  );
  assert.equal(bodies(world).length, 2);
});

test('what is asked in other words at the same place withdraws the question before it', async (context) => {
  const world = await asking(context);
  ask(world.sandbox1, world.turn, 1, 'Well?');
  await eventually(() => asks(world).length === 1);
  world.sandbox1.exit();
  const next = await world.sandbox(2);
  ask(next, await begins(next), 1, 'Well then?');
  await eventually(() => asks(world).length === 2);
  assert.deepEqual(
    asks(world).map(({ state, reason }) => [state, reason]),
    [
      ['cancelled', 'it was asked again in other words'],
      ['pending', ''],
    ],
  );
  next.exit();
  const last = await world.sandbox(3);
  ask(last, await begins(last), 1, 'Well?');
  await eventually(() => asks(world).length === 3);
  assert.equal(asks(world)[2]!.state, 'pending', 'what was withdrawn can be asked again');
});

test('a batch that is taken apart goes on with its question, and the last of it withdraws what nobody asked again', async (context) => {
  const world = await asking(context, 'one', 'two');
  ask(world.sandbox1, world.turn, 1, 'First?');
  ask(world.sandbox1, world.turn, 2, 'Second?');
  await eventually(() => asks(world).length === 2);
  world.sandbox1.exit();
  const second = await world.sandbox(2);
  await begins(second);
  second.exit();
  const third = await world.sandbox(3);
  const part = await begins(third);
  assert.notEqual(part, world.turn);
  ask(third, part, 1, 'First?');
  await eventually(() => asks(world)[0]!.turn_id === part);
  await answer(world, 1, 'yes');
  await eventually(() => receipts(third).length === 1);
  third.send({ t: 'taken', turn: part, ids: [world.ids[0]!] }, done(part));
  await eventually(() => third.heard.filter((frame) => frame.t === 'turn').length === 2);
  assert.equal(asks(world)[1]!.state, 'pending', 'the other part may still ask for it');
  third.send({ t: 'taken', turn: part + 1, ids: [world.ids[1]!] }, done(part + 1));
  await eventually(() => asks(world)[1]!.state === 'cancelled');
  assert.equal(asks(world).length, 2);
  assert.deepEqual(violations(world), []);
});

test('a stop withdraws what a turn has asked that was taken apart, while its parts wait', async (context) => {
  const world = await asking(context, 'one', 'two');
  ask(world.sandbox1, world.turn, 1, 'First?');
  await eventually(() => asks(world).length === 1);
  world.sandbox1.exit();
  const second = await world.sandbox(2);
  await begins(second);
  second.exit();
  await eventually(() => world.ledger.db.get("SELECT 1 AS yes FROM turns WHERE state = 'split'") !== undefined);
  await world.ledger.write('stop', (db) =>
    stopSession(db, systemClock, world.row, 'alice', { keep: false, untaken: [] }),
  );
  assert.equal(asks(world)[0]!.state, 'cancelled');
  assert.deepEqual(violations(world), []);
});

test('a turn that ends while it asks withdraws its question', async (context) => {
  const world = await asking(context);
  ask(world.sandbox1, world.turn, 1, 'Well?');
  await eventually(() => asks(world).length === 1);
  world.sandbox1.send({ t: 'taken', turn: world.turn, ids: world.ids }, done(world.turn));
  await eventually(() => world.session.state === 'idle');
  assert.deepEqual([asks(world)[0]!.state, asks(world)[0]!.reason], ['cancelled', 'its turn is over']);
  assert.deepEqual(violations(world), []);
  // Else a runner would count it as a call that waits, for ever.
  await eventually(() => receipts(world.sandbox1).length === 1);
});

test('a turn that is given up withdraws its question', async (context) => {
  const world = await asking(context);
  ask(world.sandbox1, world.turn, 1, 'Well?');
  await eventually(() => asks(world).length === 1);
  for (const number of [1, 2, 3]) {
    const sandbox = await world.sandbox(number);
    if (number > 1) await begins(sandbox);
    sandbox.exit();
  }
  await eventually(() => asks(world)[0]!.state === 'cancelled');
  assert.equal(asks(world)[0]!.reason, 'its turn failed');
  assert.deepEqual(violations(world), []);
});

test('a turn that a person has stopped asks nothing any more', async (context) => {
  const world = await asking(context);
  await world.ledger.write('test', (db) =>
    stopSession(db, systemClock, world.row, 'alice', { keep: false, untaken: [] }),
  );
  ask(world.sandbox1, world.turn, 1, 'too late?');
  await eventually(() => receipts(world.sandbox1).length === 1);
  assert.deepEqual(receipts(world.sandbox1), [[1, false, 'this turn was stopped by a person']]);
  assert.deepEqual(bodies(world), []);
});

test('a turn that waits for a person is not overdue, nor is what waits behind it, nor right after the answer', async (context) => {
  const world = await asking(context);
  ask(world.sandbox1, world.turn, 1, 'Well?');
  await eventually(() => asks(world).length === 1);
  world.say('behind it');
  world.ledger.db.run('UPDATE inbound SET updated_ms = ?', systemClock.now() - 2 * OVERDUE_MS);
  const overdue = (): number => conservation(world.ledger.db, systemClock.now()).overdue.inbound;
  assert.equal(overdue(), 0);
  await answer(world, 1, 'yes');
  assert.equal(overdue(), 0);
  world.ledger.db.run('UPDATE inbound SET updated_ms = ?', systemClock.now() - 2 * OVERDUE_MS);
  assert.equal(overdue(), 2, 'whoever waits for nobody is overdue');
});

test('a law says so when a question waits for a turn that is over', async (context) => {
  const world = await asking(context);
  ask(world.sandbox1, world.turn, 1, 'Well?');
  await eventually(() => asks(world).length === 1);
  world.ledger.db.run("UPDATE turns SET state = 'settled'");
  assert.ok(violations(world).includes('1 questions wait for a turn that is over'));
});

const REFUSED: [what: string, input: object][] = [
  ['no question', { question: ' ' }],
  ['a book', { question: 'x'.repeat(1001) }],
  ['ten options', { options: [...'0123456789'] }],
  ['an empty option', { options: ['a', ' '] }],
  ['a long option', { options: ['x'.repeat(61)] }],
  ['the same option twice', { options: ['Yes', 'yes'] }],
  ['options that are no texts', { options: [1] }],
  ['no time', { minutes: 0 }],
  ['two days', { minutes: 2880 }],
  ['a time that is none', { minutes: 'soon' }],
  ['another group’s chat', { to: 'local:other' }],
  ['more than a message there holds', { question: 'x'.repeat(950) }],
  ['a field that nobody knows', { from: 'the operator' }],
];

test('what cannot be asked is refused with the reason, and nothing is written', async (context) => {
  const world = await asking(context);
  for (const [index, [, input]] of REFUSED.entries()) ask(world.sandbox1, world.turn, index + 1, 'Well?', input);
  await eventually(() => receipts(world.sandbox1).length === REFUSED.length);
  for (const [call, ok, value] of receipts(world.sandbox1)) {
    assert.equal(ok, false, REFUSED[call - 1]![0]);
    assert.equal(typeof value, 'string');
  }
  assert.deepEqual([asks(world).length, bodies(world).length], [0, 0]);
});

test('what cannot be seen in a question is shown as what it is', async (context) => {
  const world = await asking(context);
  ask(world.sandbox1, world.turn, 1, 'a\u202eb\nc', { options: ['\u200bred', 'blue'] });
  await eventually(() => asks(world).length === 1);
  assert.match(bodies(world)[0]!, /^aU\+202Eb\nc\n {2}1\. U\+200Bred\n {2}2\. blue\n\(q1, open for 60 minutes\) /);
});

test('a planned stop interrupts a turn that waits for a person, and no other', async (context) => {
  const interrupts = (sandbox: FakeSandbox): number => sandbox.heard.filter((frame) => frame.t === 'interrupt').length;
  const busy = await asking(context);
  busy.session.drain(false);
  const waiting = await asking(context);
  ask(waiting.sandbox1, waiting.turn, 1, 'Well?');
  await eventually(() => bodies(waiting).length === 1);
  await waiting.ledger.write('test', () => {});
  waiting.session.drain(false);
  await eventually(() => interrupts(waiting.sandbox1) === 1);
  assert.equal(interrupts(busy.sandbox1), 0);
});

test('a question whose turn nobody takes up ends in its time', async (context) => {
  const world = await asking(context);
  ask(world.sandbox1, world.turn, 1, 'Well?');
  await eventually(() => asks(world).length === 1);
  world.asks.stop();
  world.ledger.db.run('UPDATE asks SET expires_ms = 1');
  const next = new Asks({ ledger: world.ledger, clock: systemClock, deliver: () => {} });
  context.after(() => next.stop());
  next.start();
  await eventually(() => asks(world)[0]!.state === 'expired');
});

test('one turn asks so often, and not once more', async (context) => {
  const world = await asking(context);
  for (let call = 1; call <= TURN_ASKS_MAX; call += 1) {
    ask(world.sandbox1, world.turn, call, 'Again?');
    await eventually(() => asks(world).length === call);
    await answer(world, call, 'yes');
    await eventually(() => receipts(world.sandbox1).length === call);
  }
  ask(world.sandbox1, world.turn, 99, 'Again?');
  await eventually(() => receipts(world.sandbox1).length === TURN_ASKS_MAX + 1);
  assert.deepEqual(receipts(world.sandbox1).at(-1), [99, false, 'a turn asks at most 20 questions']);
});

test('one chat has so many questions waiting, and not one more', async (context) => {
  const world = await asking(context);
  for (let call = 1; call <= CHAT_ASKS_MAX + 1; call += 1) ask(world.sandbox1, world.turn, call, `Number ${call}?`);
  await eventually(() => receipts(world.sandbox1).length === 1);
  assert.match(String(receipts(world.sandbox1)[0]![2]), /^5 questions wait in local:main already/);
  assert.equal(asks(world).length, CHAT_ASKS_MAX);
});
