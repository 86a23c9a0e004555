import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { systemClock } from '../../src/base/clock.ts';
import { showId } from '../../src/base/ids.ts';
import { TRACE_MATCHES_MAX, TRACE_PORTION } from '../../src/base/limits/messages.ts';
import { traceOf } from '../../src/evidence/trace.ts';
import { findMessage } from '../../src/evidence/trace_find.ts';
import { followTrace } from '../../src/evidence/trace_follow.ts';
import { type Match, searchMessages } from '../../src/evidence/trace_search.ts';
import type { Db } from '../../src/ledger/db.ts';
import { recordEvent } from '../../src/ledger/events.ts';
import { insertInbound, insertMessage } from '../../src/ledger/messages.ts';
import { insertNotice } from '../../src/ledger/outbound.ts';
import type { SessionRow } from '../../src/ledger/sessions.ts';
import { closeTurn, openTurn } from '../../src/sessions/turn_book.ts';
import { freshLedger, queueMessage, seedChat, TAKES } from '../fakes/ledger_kit.ts';

/** How a message is found and traced, on a real ledger; and that none of it reads a table that grows for ever. */

const noAudit = async () => [];

interface World {
  db: Db;
  session: SessionRow;
  message: number;
  turn: number;
  /** Key of the reply, which the platform calls `r1`. */
  reply: number;
}

/** A message that was answered by a turn, the answer sent. */
async function answered(context: TestContext, channel = 'slack', chat = 'C1'): Promise<World> {
  const { db } = await freshLedger(context);
  const session = seedChat(db, channel, chat);
  const inbound = queueMessage(db, session, 'a question');
  const message = db.get<{ id: number }>('SELECT message_id AS id FROM inbound WHERE id = ?', inbound)!.id;
  recordEvent(db, systemClock, 'message.received', { message }, { channel, chat, sender: 'Alice', bytes: 10 });
  recordEvent(db, systemClock, 'message.queued', { message, session: session.id }, { ahead: 0 });
  const turn = openTurn(db, systemClock, { session, harness: 'probe', warm: true, reseed: false })!;
  const [reply] = closeTurn(db, systemClock, {
    ...{
      session,
      takes: () => TAKES,
      turn,
      harness: 'probe',
      taken: [{ ids: [inbound], at_us: systemClock.micros() }],
    },
    ...{ tools: [], compactions: [], outcome: 'answered', text: 'an answer', resume: null },
  });
  db.run("UPDATE outbound SET state = 'sent', receipt = 'r1' WHERE id = ?", reply!);
  recordEvent(
    db,
    systemClock,
    'delivery.sent',
    { turn: turn.id, session: session.id, outbound: reply! },
    { receipt: 'r1' },
  );
  return { db, session, message, turn: turn.id, reply: reply! };
}

function said(db: Db, chat_id: number, platform_id: string, text = 'x', more: object = {}): number {
  const now = systemClock.now();
  const message = insertMessage(db, {
    ...{
      dedupe_key: `t:${chat_id}:${platform_id}`,
      chat_id,
      thread: '',
      person_id: null,
      sender: 'Bob',
      handle: 'bob',
    },
    ...{ addressed: 1, platform_id, text, sent_ms: now, received_ms: now, ...more },
  })!;
  insertInbound(db, now, message, null, 'ignored', 'nobody');
  return message;
}

test('every id that belongs to a message leads to it', async (context) => {
  const { db, session, message, turn, reply } = await answered(context);
  for (const what of [
    showId('m', message),
    showId('t', turn),
    showId('o', reply),
    showId('s', session.id),
    'i1',
    'p1',
    'r1',
  ])
    assert.equal(findMessage(db, what), message, what);
  const waiting = queueMessage(db, session, 'another');
  const newest = db.get<{ id: number }>('SELECT message_id AS id FROM inbound WHERE id = ?', waiting)!.id;
  assert.equal(findMessage(db, showId('s', session.id)), newest, 'what waits in a session is its latest');
  for (const what of ['m9', 't9', 'o9', 's9', 'q9', 'h9', 'k9', 'i9', 'z1', '', "' OR 1=1"])
    assert.throws(() => findMessage(db, what), /there is no message/, what);
});

test('a link leads to the message of that chat, or to what ours answers', async (context) => {
  const { db, message } = await answered(context);
  const other = seedChat(db, 'slack', 'C2');
  const [here, there] = [said(db, 1, '1700000000.000001'), said(db, other.chat_id, '1700000000.000001')];
  const link = (chat: string, ts: string): string => `https://acme.slack.com/archives/${chat}00/p${ts}`;
  db.run("UPDATE chats SET platform_id = platform_id || '00'");
  assert.equal(findMessage(db, link('C1', '1700000000000001')), here);
  assert.equal(findMessage(db, link('C2', '1700000000000001')), there);
  assert.throws(() => findMessage(db, link('C3', '1700000000000001')), /there is no message/);
  db.run("UPDATE outbound SET receipt = '1700000000.000009'");
  assert.equal(findMessage(db, link('C1', '1700000000000009')), message, 'ours');
  assert.throws(() => findMessage(db, 'https://example.com/'), /names no message of a platform/);
  assert.throws(() => findMessage(db, 'file:///etc/passwd'), /there is no message/);
});

test('latest is that of a chat, a group or both, however long it was silent', async (context) => {
  const { db, message } = await answered(context);
  const other = seedChat(db, 'local', 'side', 'others');
  const newest = said(db, other.chat_id, 'n');
  assert.equal(findMessage(db, 'latest'), newest);
  assert.equal(findMessage(db, 'latest', { chat: 'slack:C1' }), message);
  assert.equal(findMessage(db, 'latest', { chat: 'side' }), newest);
  assert.equal(findMessage(db, 'latest', { group: 'assistant' }), message);
  assert.throws(() => findMessage(db, 'latest', { group: 'others' }), /no message yet of others/);
  assert.throws(() => findMessage(db, 'latest', { chat: 'local:none' }), /there is no chat/);
  // Beyond the look back among all messages.
  db.run('UPDATE messages SET id = id + 50000 WHERE id = ?', newest + 1);
  const far = said(db, other.chat_id, 'far');
  db.raw.exec('PRAGMA foreign_keys = OFF');
  db.run('UPDATE messages SET id = 90000 WHERE id = ?', far);
  db.run('UPDATE inbound SET id = 90000, message_id = 90000 WHERE message_id = ?', far);
  assert.equal(findMessage(db, 'latest', { chat: 'slack:C1' }), message);
  assert.equal(findMessage(db, 'latest', { group: 'assistant' }), message);
});

/** Tables that keep every message for ever. */
const GROWING = [
  'messages',
  'inbound',
  'turns',
  'turn_inbound',
  'outbound',
  'transcript',
  'events',
  'files',
  'approvals',
  'asks',
  'changes',
];

test('no query of a trace reads a table that grows with every message', async (context) => {
  const { db, session, message } = await answered(context);
  const seen = new Set<string>();
  const prepare = db.raw.prepare.bind(db.raw);
  db.raw.prepare = (sql: string) => {
    seen.add(sql);
    return prepare(sql);
  };
  insertNotice(db, systemClock.now(), session.chat_id, '', null, 'x');
  seen.clear();
  for (const what of [
    'latest',
    'm1',
    'o1',
    't1',
    's1',
    'q1',
    'h1',
    'k1',
    'i1',
    'p1',
    'r1',
    'nothing',
    'https://t.me/c/1/1',
  ])
    for (const scope of [{}, { chat: 'slack:C1' }, { group: 'assistant' }, { group: 'assistant', chat: 'slack:C1' }]) {
      try {
        findMessage(db, what, scope);
      } catch {
        // Not what this is about.
      }
    }
  assert.throws(() => findMessage(db, 'latest', { group: 'others' }));
  await traceOf(db, message, noAudit);
  const gone = Promise.withResolvers<void>();
  await followTrace({
    ...{ db, message, audit: noAudit, onEvents: () => () => {}, gone: gone.promise },
    ...{ onTrace: () => {}, onStep: () => {} },
  });
  await searchMessages(
    db,
    { words: 'question', since_ms: null },
    () => {},
    async () => true,
  );
  assert.ok(seen.size > 25, `${seen.size} statements were seen`);
  for (const sql of seen)
    for (const { detail } of prepare(`EXPLAIN QUERY PLAN ${sql}`).all() as { detail: string }[]) {
      const whole = /^SCAN (\w+)(?! USING (COVERING )?INDEX \w+_open)/.exec(detail)?.[1];
      const table = GROWING.find((name) => name === whole || new RegExp(`\\b${name} (AS )?${whole}\\b`).test(sql));
      assert.ok(table === undefined, `${detail}: ${sql}`);
    }
});

test('words are looked for in any case, newest first, up to a limit that is told', async (context) => {
  const { db, session } = await answered(context);
  const old = systemClock.now() - 3_600_000;
  db.run('BEGIN');
  for (let i = 0; i < 3 * TRACE_PORTION; i += 1)
    said(db, session.chat_id, `w${i}`, i % 100 === 0 ? `Über den ${i}` : 'x', {
      received_ms: i < 1000 ? old : systemClock.now(),
    });
  db.run('COMMIT');
  const search = async (words: string, since_ms: number | null = null) => {
    const found: Match[] = [];
    const portions: number[] = [];
    const searched = await searchMessages(
      db,
      { words, since_ms },
      (match) => found.push(match),
      async (looked) => portions.push(looked) > 0,
    );
    return { texts: found.map(({ text }) => text), searched, portions };
  };
  const many = await search('den ÜBER');
  assert.deepEqual(
    [many.texts.length, many.texts[0], many.searched.stopped],
    [TRACE_MATCHES_MAX, 'Über den 2900', 'matches'],
  );
  const one = await search('über 100');
  assert.deepEqual(one.texts, ['Über den 2100', 'Über den 1100', 'Über den 1000', 'Über den 100']);
  assert.deepEqual([one.searched.stopped, one.searched.looked, one.portions.length], ['all', 3 * TRACE_PORTION + 1, 3]);
  const recent = await search('über 100', old + 1000);
  assert.deepEqual(
    [recent.texts, recent.searched.stopped],
    [['Über den 2100', 'Über den 1100', 'Über den 1000'], 'since'],
  );
  assert.deepEqual((await search('100% _')).texts, [], 'no word is a pattern');
});
