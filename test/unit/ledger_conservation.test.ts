import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { OVERDUE_MS } from '../../src/base/limits/messages.ts';
import { conservation } from '../../src/ledger/conservation.ts';
import type { Db } from '../../src/ledger/db.ts';
import { beginTurn, settleTurn } from '../../src/ledger/turns.ts';
import { freshLedger, queueMessage, queueOutbound, seedChat } from '../fakes/ledger_kit.ts';

/** Each law is broken by hand once, to see that it is not asleep. */

const LATE = Date.now() + 2 * OVERDUE_MS;

/** An answered message with a delivered reply, a running one, a waiting one, an ignored one. */
async function healthy(context: TestContext): Promise<Db> {
  const { db } = await freshLedger(context);
  const session = seedChat(db);
  queueMessage(db, session, 'first');
  const first = beginTurn(db, 1, session.id, 'probe')!;
  const taken = first.messages.map((message) => message.inbound_id);
  settleTurn(db, 2, { turnId: first.id, attempt: 1, taken, outcome: 'answered', reason: '' });
  const [reply] = queueOutbound(db, session.chat_id, ['reply'], { session: session.id, kind: 'reply' });
  db.run("UPDATE outbound SET state = 'sent', receipt = 'r', turn_id = ? WHERE id = ?", first.id, reply!);
  queueMessage(db, session, 'second');
  beginTurn(db, 3, session.id, 'probe');
  queueMessage(db, session, 'third');
  const ignored = queueMessage(db, session, 'fourth');
  db.run("UPDATE inbound SET state = 'ignored', session_id = NULL, reason = 'rule' WHERE id = ?", ignored);
  return db;
}

test('on a healthy ledger both laws hold, and every row is counted once', async (context) => {
  const db = await healthy(context);
  const { violations, messages, inbound, outbound, unheard } = conservation(db, Date.now());
  assert.deepEqual(violations, []);
  assert.equal(messages, 4);
  assert.deepEqual(inbound, { answered: 1, ignored: 1, queued: 1, running: 1 });
  assert.deepEqual(outbound, { sent: 1 });
  assert.equal(unheard, 0);
});

const BROKEN: [what: string, by: string, sentence: RegExp][] = [
  [
    'an answered message has no settled turn',
    "UPDATE turns SET state = 'failed' WHERE state = 'settled'",
    /^1 messages count as answered without a settled turn$/,
  ],
  ['a message loses its row', "DELETE FROM inbound WHERE state = 'queued'", /^1 messages are in no state$/],
  [
    'the turn of a running message ends without it',
    "UPDATE turns SET state = 'settled' WHERE state = 'running'",
    /^1 messages count as running without a running turn$/,
  ],
  [
    'a running message has no turn',
    "UPDATE inbound SET turn_id = NULL WHERE state = 'running'",
    /^1 messages count as running without a running turn$/,
  ],
  [
    'a queued message belongs to no session',
    "UPDATE inbound SET session_id = NULL WHERE state = 'queued'",
    /^1 messages wait for nobody$/,
  ],
  [
    'a turn runs while its message waits',
    "UPDATE inbound SET state = 'queued' WHERE state = 'running'",
    /^1 turns run without a message$/,
  ],
  ['a send without a receipt counts as sent', 'UPDATE outbound SET receipt = NULL', /without a receipt$/],
];

for (const [what, by, sentence] of BROKEN) {
  test(`red when ${what}`, async (context) => {
    const db = await healthy(context);
    db.raw.exec('PRAGMA foreign_keys = OFF');
    assert.ok(db.run(by) > 0, 'the sabotage did something');
    const { violations } = conservation(db, Date.now());
    assert.ok(
      violations.some((found) => sentence.test(found)),
      `found: ${violations.join('; ') || 'nothing'}`,
    );
  });
}

test('no row can be in a state of no name, nor be twice without a session', async (context) => {
  const db = await healthy(context);
  assert.throws(() => db.run("UPDATE inbound SET state = 'lost'"), /CHECK/);
  assert.throws(() => db.run("UPDATE outbound SET state = 'delivered'"), /CHECK/);
  assert.throws(
    () =>
      db.run(
        "INSERT INTO inbound (message_id, session_id, state, updated_ms) SELECT message_id, NULL, 'ignored', 1 FROM inbound WHERE session_id IS NULL",
      ),
    /UNIQUE/,
  );
});

test('what stays in a passing state too long is overdue, what waits for a terminal is not', async (context) => {
  const db = await healthy(context);
  const chat = db.get<{ id: number }>('SELECT id FROM chats')!.id;
  const [waiting, stuck] = [
    queueOutbound(db, chat, ['waiting'])[0]!,
    queueOutbound(db, seedChat(db, 'local', 'desk').chat_id, ['stuck'])[0]!,
  ];
  db.run("UPDATE outbound SET error = 'no terminal is connected' WHERE id = ?", waiting);
  assert.deepEqual(conservation(db, Date.now()).overdue, { inbound: 1, outbound: 0 }, 'one turn began at 3 ms');
  assert.deepEqual(conservation(db, LATE).overdue, { inbound: 2, outbound: 1 });
  db.run("UPDATE outbound SET state = 'retry', error = 'later' WHERE id = ?", stuck);
  assert.equal(conservation(db, LATE).overdue.outbound, 1);
});

test('an answer of which nothing arrived is unheard; one part that arrived is enough', async (context) => {
  const db = await healthy(context);
  db.run("UPDATE outbound SET state = 'rejected', receipt = NULL, error = 'gone'");
  db.run("UPDATE turns SET ended_ms = ? WHERE state = 'settled'", Date.now());
  assert.equal(conservation(db, Date.now()).unheard, 1);
  assert.equal(conservation(db, Date.now() + 25 * 3_600_000).unheard, 0, 'it is said for a day');
  const { chat_id, turn_id } = db.get<{ chat_id: number; turn_id: number }>('SELECT chat_id, turn_id FROM outbound')!;
  const [second] = queueOutbound(db, chat_id, ['more']);
  db.run("UPDATE outbound SET state = 'sent', receipt = 'r', turn_id = ?, ordinal = 1 WHERE id = ?", turn_id, second!);
  assert.equal(conservation(db, Date.now()).unheard, 0);
});

test('what waits behind a row that waits for a terminal is not overdue; of another chat it is', async (context) => {
  const db = await healthy(context);
  const { chat_id } = seedChat(db, 'local', 'desk');
  const [head] = queueOutbound(db, chat_id, ['one', 'two', 'three']);
  assert.equal(conservation(db, LATE).overdue.outbound, 3);
  db.run("UPDATE outbound SET error = 'no terminal is connected' WHERE id = ?", head!);
  assert.equal(conservation(db, LATE).overdue.outbound, 0);
  queueOutbound(db, seedChat(db, 'local', 'other').chat_id, ['four']);
  assert.equal(conservation(db, LATE).overdue.outbound, 1);
});
