import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { TURN_DEATHS_MAX, TURN_MESSAGES_MAX, TURN_TEXT_BYTES_MAX } from '../../src/base/limits/messages.ts';
import { conservation } from '../../src/ledger/conservation.ts';
import type { Db } from '../../src/ledger/db.ts';
import { insertOutbound } from '../../src/ledger/outbound.ts';
import type { SessionRow } from '../../src/ledger/sessions.ts';
import {
  beginTurn,
  failAttempt,
  type OpenTurn,
  priorSends,
  returnAttempt,
  type Settlement,
  settleTurn,
  steerTurn,
} from '../../src/ledger/turns.ts';
import { freshLedger, inboundStates, queueMessage, seedChat } from '../fakes/ledger_kit.ts';

const NOW = 1000;

async function seeded(context: TestContext, texts: string[]): Promise<{ db: Db; session: SessionRow; ids: number[] }> {
  const { db } = await freshLedger(context);
  const session = seedChat(db);
  return { db, session, ids: texts.map((text) => queueMessage(db, session, text)) };
}

function begin(db: Db, session: SessionRow): OpenTurn {
  const turn = beginTurn(db, NOW, session.id, 'probe');
  assert.ok(turn, 'a turn begins');
  return turn;
}

function textsOf(turn: OpenTurn): string[] {
  return turn.messages.map((message) => message.text);
}

function answered(turn: OpenTurn, taken = turn.messages.map((message) => message.inbound_id)): Settlement {
  return { turnId: turn.id, attempt: turn.attempt, taken, outcome: 'answered', reason: '' };
}

/** After every scenario both laws hold. */
function lawful(db: Db): void {
  assert.deepEqual(conservation(db, NOW).violations, []);
}

// --- one step each: what waits, what happens, where the rows end -------------------------------------------------

interface Scenario {
  name: string;
  texts: string[];
  run: (db: Db, turn: OpenTurn, session: SessionRow) => void;
  states: string[];
  turns: string[];
}

const SCENARIOS: Scenario[] = [
  { name: 'begun', texts: ['a', 'b'], run: () => {}, states: ['running', 'running'], turns: ['running'] },
  {
    name: 'settled as answered',
    texts: ['a', 'b'],
    run: (db, turn) => settleTurn(db, NOW, answered(turn)),
    states: ['answered', 'answered'],
    turns: ['settled'],
  },
  {
    name: 'settled as silent',
    texts: ['a'],
    run: (db, turn) => settleTurn(db, NOW, { ...answered(turn), outcome: 'silent' }),
    states: ['silent'],
    turns: ['settled'],
  },
  {
    name: 'settled as failed',
    texts: ['a'],
    run: (db, turn) => settleTurn(db, NOW, { ...answered(turn), outcome: 'failed', reason: 'no credit' }),
    states: ['failed'],
    turns: ['failed'],
  },
  {
    name: 'settled with one of three taken',
    texts: ['a', 'b', 'c'],
    run: (db, turn) => settleTurn(db, NOW, answered(turn, [turn.messages[1]!.inbound_id])),
    states: ['queued', 'answered', 'queued'],
    turns: ['settled'],
  },
  {
    name: 'settled with a taken row of nobody and of no turn',
    texts: ['a'],
    run: (db, turn, session) => {
      const other = queueMessage(db, session, 'late');
      settleTurn(db, NOW, answered(turn, [other, 4711, turn.messages[0]!.inbound_id]));
    },
    states: ['answered', 'queued'],
    turns: ['settled'],
  },
  {
    name: 'dead once',
    texts: ['a', 'b'],
    run: (db, turn) => assert.deepEqual(failAttempt(db, NOW, turn.id, 'x'), { next: 'retry', failed: [] }),
    states: ['queued', 'queued'],
    turns: ['waiting'],
  },
  {
    name: 'dead, then not running: nothing more to record',
    texts: ['a'],
    run: (db, turn) => {
      failAttempt(db, NOW, turn.id, 'x');
      assert.equal(failAttempt(db, NOW, turn.id, 'x'), undefined);
    },
    states: ['queued'],
    turns: ['waiting'],
  },
  {
    name: 'taken back by the host',
    texts: ['a'],
    run: (db, turn) => returnAttempt(db, NOW, turn.id),
    states: ['queued'],
    turns: ['waiting'],
  },
  {
    name: 'taken back after it settled: nothing changes',
    texts: ['a'],
    run: (db, turn) => {
      settleTurn(db, NOW, answered(turn));
      returnAttempt(db, NOW, turn.id);
    },
    states: ['answered'],
    turns: ['settled'],
  },
];

for (const { name, texts, run, states, turns } of SCENARIOS) {
  test(`a turn that is ${name}`, async (context) => {
    const { db, session } = await seeded(context, texts);
    run(db, begin(db, session), session);
    assert.deepEqual(inboundStates(db), states);
    assert.deepEqual(
      db.all<{ state: string }>('SELECT state FROM turns ORDER BY id').map((row) => row.state),
      turns,
    );
    lawful(db);
  });
}

test('with nothing in the queue no turn begins', async (context) => {
  const { db, session } = await seeded(context, []);
  assert.equal(beginTurn(db, NOW, session.id, 'probe'), undefined);
  assert.equal(db.get<{ n: number }>('SELECT count(*) AS n FROM turns')!.n, 0);
});

// --- settlement is at most once ----------------------------------------------------------------------------------

test('a second settlement throws, whatever it says', async (context) => {
  const { db, session } = await seeded(context, ['a']);
  const turn = begin(db, session);
  settleTurn(db, NOW, answered(turn));
  assert.throws(() => settleTurn(db, NOW, answered(turn)), /an attempt settles once/);
  assert.throws(() => settleTurn(db, NOW, { ...answered(turn), outcome: 'failed' }), /an attempt settles once/);
});

test('an attempt that died cannot settle the next one', async (context) => {
  const { db, session } = await seeded(context, ['a']);
  const first = begin(db, session);
  failAttempt(db, NOW, first.id, 'x');
  assert.throws(() => settleTurn(db, NOW, answered(first)), /settles once/);
  const second = begin(db, session);
  assert.equal(second.id, first.id);
  assert.equal(second.attempt, 2);
  assert.throws(() => settleTurn(db, NOW, answered(first)), /settles once/);
  settleTurn(db, NOW, answered(second));
  assert.deepEqual(inboundStates(db), ['answered']);
});

// --- order -------------------------------------------------------------------------------------------------------

test('untaken rows are next, in their old order, before those that came later', async (context) => {
  const { db, session } = await seeded(context, ['a', 'b', 'c']);
  const turn = begin(db, session);
  queueMessage(db, session, 'd');
  assert.equal(settleTurn(db, NOW, answered(turn, [turn.messages[1]!.inbound_id]))?.returned, 2);
  assert.deepEqual(textsOf(begin(db, session)), ['a', 'c', 'd']);
});

test('a turn takes what it may, in arrival order, and the rest waits for the next', async (context) => {
  const many = Array.from({ length: TURN_MESSAGES_MAX + 7 }, (_, i) => `m${i}`);
  const { db, session } = await seeded(context, many);
  const first = begin(db, session);
  assert.deepEqual(textsOf(first), many.slice(0, TURN_MESSAGES_MAX));
  settleTurn(db, NOW, answered(first));
  assert.deepEqual(textsOf(begin(db, session)), many.slice(TURN_MESSAGES_MAX));
});

test('a batch ends before its texts are too many bytes, but one message always fits', async (context) => {
  const half = 'é'.repeat(TURN_TEXT_BYTES_MAX / 4);
  const { db, session } = await seeded(context, [half, half, 'over', 'x'.repeat(TURN_TEXT_BYTES_MAX + 1), 'last']);
  for (const expected of [2, 1, 1, 1]) {
    const turn = begin(db, session);
    assert.equal(turn.messages.length, expected);
    settleTurn(db, NOW, answered(turn));
  }
});

// --- steering ----------------------------------------------------------------------------------------------------

test('messages that join are part of the turn; untaken they go back behind nobody', async (context) => {
  const { db, session } = await seeded(context, ['a']);
  const turn = begin(db, session);
  queueMessage(db, session, 'b');
  queueMessage(db, session, 'c');
  const joined = steerTurn(db, NOW, session.id, turn.id);
  assert.deepEqual(
    joined.map((message) => message.text),
    ['b', 'c'],
  );
  assert.deepEqual(steerTurn(db, NOW, session.id, turn.id), []);
  settleTurn(db, NOW, answered(turn, [turn.messages[0]!.inbound_id, joined[0]!.inbound_id]));
  queueMessage(db, session, 'd');
  assert.deepEqual(inboundStates(db), ['answered', 'answered', 'queued', 'queued']);
  assert.deepEqual(textsOf(begin(db, session)), ['c', 'd']);
});

test('a turn that many joined comes back within the limits of a frame, the rest behind it in order', async (context) => {
  const { db, session } = await seeded(context, ['m0']);
  const turn = begin(db, session);
  const total = TURN_MESSAGES_MAX + 20;
  for (let i = 1; i < total; i += 1) queueMessage(db, session, `m${i}`);
  while (steerTurn(db, NOW, session.id, turn.id).length > 0);
  returnAttempt(db, NOW, turn.id);
  const seen: string[] = [];
  for (let turns = 0; seen.length < total && turns < 5; turns += 1) {
    const again = begin(db, session);
    assert.ok(again.messages.length <= TURN_MESSAGES_MAX, `${again.messages.length} messages in one frame`);
    seen.push(...textsOf(again));
    settleTurn(db, NOW, answered(again));
  }
  assert.deepEqual(
    seen,
    Array.from({ length: total }, (_, i) => `m${i}`),
  );
  lawful(db);
});

// --- death -------------------------------------------------------------------------------------------------------

test(`one message whose sandbox dies ${TURN_DEATHS_MAX} times fails, and the next is served`, async (context) => {
  const { db, session } = await seeded(context, ['poison', 'good']);
  for (const step of ['retry', 'split', 'failed']) {
    const turn = begin(db, session);
    assert.equal(failAttempt(db, NOW, turn.id, 'aborted')?.next, step);
    lawful(db);
  }
  const next = begin(db, session);
  assert.deepEqual(textsOf(next), ['good']);
  assert.equal(next.attempt, 3, 'it was in the batch that died twice');
  settleTurn(db, NOW, answered(next));
  assert.deepEqual(inboundStates(db), ['failed', 'answered']);
  const [failed] = db.all<{ reason: string; deaths: number }>('SELECT reason, deaths FROM inbound ORDER BY id');
  assert.deepEqual({ ...failed }, { reason: 'aborted', deaths: 3 });
});

test('a poison in the middle of a batch fails alone, and everybody keeps their order', async (context) => {
  const { db, session } = await seeded(context, ['a', 'b', 'poison', 'c']);
  const ends: string[] = [];
  for (let runs = 0; runs < 10; runs += 1) {
    const turn = beginTurn(db, NOW, session.id, 'probe');
    if (turn === undefined) break;
    if (textsOf(turn).includes('poison')) {
      const failure = failAttempt(db, NOW, turn.id, 'aborted')!;
      for (const message of failure.failed) ends.push(`${message.text} failed`);
    } else {
      settleTurn(db, NOW, answered(turn));
      ends.push(...textsOf(turn).map((text) => `${text} answered`));
    }
    lawful(db);
  }
  assert.deepEqual(ends, ['a answered', 'b answered', 'poison failed', 'c answered']);
});

test('after a split a message that runs alone is joined by nobody', async (context) => {
  const { db, session } = await seeded(context, ['a', 'b']);
  for (let death = 0; death < 2; death += 1) failAttempt(db, NOW, begin(db, session).id, 'x');
  queueMessage(db, session, 'late');
  const alone = begin(db, session);
  assert.deepEqual(textsOf(alone), ['a']);
  assert.deepEqual(steerTurn(db, NOW, session.id, alone.id), []);
});

test('the host’s own ends count no death: a message survives any number of restarts', async (context) => {
  const { db, session } = await seeded(context, ['a']);
  for (let restart = 1; restart <= 20; restart += 1) {
    const turn = begin(db, session);
    assert.equal(turn.attempt, restart);
    returnAttempt(db, NOW, turn.id);
  }
  assert.equal(db.get<{ deaths: number }>('SELECT deaths FROM inbound')!.deaths, 0);
  lawful(db);
});

test('a waiting turn without messages is given up, and the next one is new', async (context) => {
  const { db, session } = await seeded(context, ['a']);
  const turn = begin(db, session);
  returnAttempt(db, NOW, turn.id);
  db.run("UPDATE inbound SET state = 'cancelled', reason = 'the owner'");
  assert.equal(beginTurn(db, NOW, session.id, 'probe'), undefined);
  queueMessage(db, session, 'b');
  assert.notEqual(begin(db, session).id, turn.id);
});

// --- what earlier attempts sent ----------------------------------------------------------------------------------

function send(db: Db, session: SessionRow, turn: OpenTurn, ordinal: number, chunks: string[]): void {
  insertOutbound(
    db,
    NOW,
    {
      chat_id: session.chat_id,
      thread: '',
      kind: 'send',
      session_id: session.id,
      turn_id: turn.id,
      attempt: turn.attempt,
      ordinal,
      send_hash: chunks.join(''),
      reply_to: null,
    },
    chunks.map((body) => ({ body, source: body })),
  );
}

test('a later attempt hears of every send of the earlier ones, whole and in order', async (context) => {
  const { db, session } = await seeded(context, ['a']);
  const first = begin(db, session);
  send(db, session, first, 1, ['one, ', 'in two parts']);
  failAttempt(db, NOW, first.id, 'x');
  const second = begin(db, session);
  send(db, session, second, 1, ['another']);
  failAttempt(db, NOW, second.id, 'x');
  const third = begin(db, session);
  assert.deepEqual(
    priorSends(db, third).map((prior) => ({ ...prior })),
    [
      { ordinal: 1, text: 'one, in two parts', state: 'queued' },
      { ordinal: 1, text: 'another', state: 'queued' },
    ],
  );
});

test('after a split the sends of the batch are known to each of its messages, and to no other', async (context) => {
  const { db, session } = await seeded(context, ['a', 'b']);
  const batch = begin(db, session);
  send(db, session, batch, 1, ['from the batch']);
  for (let death = 0; death < 2; death += 1) failAttempt(db, NOW, death === 0 ? batch.id : begin(db, session).id, 'x');
  for (let i = 0; i < 2; i += 1) {
    const turn = begin(db, session);
    assert.deepEqual(
      priorSends(db, turn).map((prior) => prior.text),
      ['from the batch'],
    );
    settleTurn(db, NOW, answered(turn));
  }
  queueMessage(db, session, 'new');
  assert.deepEqual(priorSends(db, begin(db, session)), []);
});
