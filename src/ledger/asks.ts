import { randomBytes } from 'node:crypto';
import type { Clock } from '../base/clock.ts';
import { assert } from '../base/errors.ts';
import { showId } from '../base/ids.ts';
import type { Db } from './db.ts';
import { recordEvent } from './events.ts';
import { IS_OPEN } from './messages.ts';

/**
 * What agents ask people: pending → answered, expired or cancelled, once. A question belongs to its turn and not to an
 * attempt at it: an attempt that asks the same gets the row of an earlier one, with the answer if there is one.
 */
export interface AskRow {
  id: number;
  session_id: number;
  turn_id: number;
  attempt: number;
  /** Among the sends of the turn. */
  ordinal: number;
  /** Of place, question and options. */
  hash: string;
  group_name: string;
  chat_id: number;
  thread: string;
  question: string;
  /** JSON list; empty: any words are an answer. */
  options: string;
  code: string;
  state: 'pending' | 'answered' | 'expired' | 'cancelled';
  /** Of an end without an answer. */
  reason: string;
  answer: string | null;
  /** Number of the option. */
  chosen: number | null;
  /** What the one who answered is called. */
  who: string | null;
  person_id: number | null;
  message_id: number | null;
  outbound_id: number | null;
  minutes: number;
  created_ms: number;
  expires_ms: number;
  ended_ms: number | null;
}

export type NewAsk = Pick<
  AskRow,
  'session_id' | 'turn_id' | 'attempt' | 'ordinal' | 'hash' | 'group_name' | 'chat_id' | 'thread' | 'question'
> &
  Pick<AskRow, 'options' | 'minutes' | 'created_ms' | 'expires_ms'>;

export function insertAsk(db: Db, ask: NewAsk): AskRow {
  const id = db.insert(
    `INSERT INTO asks (session_id, turn_id, attempt, ordinal, hash, group_name, chat_id, thread, question, options,
       code, state, minutes, created_ms, expires_ms) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 'pending', ?, ?, ?)`,
    ...[ask.session_id, ask.turn_id, ask.attempt, ask.ordinal, ask.hash, ask.group_name, ask.chat_id, ask.thread],
    ...[ask.question, ask.options, freeAskCode(db), ask.minutes, ask.created_ms, ask.expires_ms],
  );
  return askById(db, id)!;
}

/** It is shown by this outbound row. */
export function askShown(db: Db, id: number, outbound: number): void {
  db.run('UPDATE asks SET outbound_id = ? WHERE id = ?', outbound, id);
}

/** Both a digit and a letter: then no sentence that begins with `answer` is taken for one. */
const ASK_CODE = /^(?=.*\d)(?=.*[a-f])/;

function freeAskCode(db: Db): string {
  for (;;) {
    const code = randomBytes(2).toString('hex');
    if (ASK_CODE.test(code) && askByCode(db, code)?.state !== 'pending') return code;
  }
}

export function askById(db: Db, id: number): AskRow {
  const row = db.get<AskRow>('SELECT * FROM asks WHERE id = ?', id);
  assert(row !== undefined, 'a question is never removed');
  return row;
}

/** The last that had this code; one that waits is the last. */
export function askByCode(db: Db, code: string): AskRow | undefined {
  return db.get<AskRow>('SELECT * FROM asks WHERE code = ? ORDER BY id DESC LIMIT 1', code);
}

/** What a button means, in the chat that it was shown in; undefined: it is no question's. */
export function askOfToken(db: Db, token: string, chat: number): { ask: AskRow; choice: string } | undefined {
  const found = db.get<{ ask_id: number; choice: string }>(
    'SELECT t.ask_id, t.choice FROM button_tokens t JOIN asks a ON a.id = t.ask_id WHERE t.token = ? AND a.chat_id = ?',
    ...[token, chat],
  );
  return found === undefined ? undefined : { ask: askById(db, found.ask_id), choice: found.choice };
}

/** The question that a platform's message shows, by what the driver said when it was sent. */
export function askOfReceipt(db: Db, chat: number, receipt: string): AskRow | undefined {
  return db.get<AskRow>(
    `SELECT a.* FROM asks a JOIN outbound o ON o.id = a.outbound_id
      WHERE a.id > (SELECT max(id) FROM asks) - ${LOOKED_BACK} AND a.chat_id = ? AND o.receipt = ? LIMIT 1`,
    ...[chat, receipt],
  );
}

export function askOfOutbound(db: Db, outbound: number): AskRow | undefined {
  return db.get<AskRow>('SELECT * FROM asks INDEXED BY asks_outbound WHERE outbound_id = ?', outbound);
}

/** So far back a question is looked for that is not named by its code. */
const LOOKED_BACK = 1000;

/** What waits in a chat, the newest first. */
export function asksWaitingIn(db: Db, chat: number): AskRow[] {
  return db.all<AskRow>(
    "SELECT * FROM asks INDEXED BY asks_waiting WHERE chat_id = ? AND state = 'pending' ORDER BY id DESC",
    chat,
  );
}

/** Everything that waits, the first to expire first. */
export function asksWaiting(db: Db): AskRow[] {
  return db.all<AskRow>("SELECT * FROM asks INDEXED BY asks_waiting WHERE state = 'pending' ORDER BY expires_ms");
}

export function asksOfTurn(db: Db, turn: number): AskRow[] {
  return db.all<AskRow>('SELECT * FROM asks INDEXED BY asks_turn WHERE turn_id = ? ORDER BY id', turn);
}

/** Turns that were taken apart, of which turn `?2` handles a message again. */
const SPLIT = `SELECT earlier.turn_id FROM turn_inbound mine
  JOIN turn_inbound earlier ON earlier.inbound_id = mine.inbound_id
  JOIN turns t ON t.id = earlier.turn_id AND t.state = 'split' WHERE mine.turn_id = ?2`;

/** The same questions of this turn, and of turns that were taken apart, unless they were withdrawn; the oldest first. */
export function sameAsks(db: Db, turn: number, hash: string): AskRow[] {
  return db.all<AskRow>(
    `SELECT * FROM asks WHERE hash = ?1 AND state <> 'cancelled' AND turn_id IN (SELECT ?2 UNION ${SPLIT}) ORDER BY id`,
    ...[hash, turn],
  );
}

/** A turn that was taken apart has asked it: from now on it is this turn's. */
export function adoptAsk(db: Db, id: number, turn: number): void {
  db.run('UPDATE asks SET turn_id = ? WHERE id = ?', turn, id);
}

/** Whether somebody has words in a turn: a person, or whoever writes under this handle of a channel. */
export function wroteTurn(
  db: Db,
  turn: number,
  by: { person: number | null; channel: string; handle: string },
): boolean {
  const found = db.get(
    `SELECT 1 AS yes FROM turn_inbound x JOIN inbound i ON i.id = x.inbound_id JOIN messages m ON m.id = i.message_id
       JOIN chats c ON c.id = m.chat_id
      WHERE x.turn_id = ? AND (m.person_id = ? OR (c.channel = ? AND m.handle = ? AND m.handle <> '')) LIMIT 1`,
    ...[turn, by.person, by.channel, by.handle],
  );
  return found !== undefined;
}

export interface Answer {
  text: string;
  chosen: number | null;
  who: string;
  person: number | null;
  message: number;
  how: 'press' | 'words' | 'reply' | 'message';
}

/** `pending` → `answered`, once. False: it has ended before. What waits behind it is as young as the answer. */
export function answerAsk(db: Db, clock: Clock, ask: AskRow, answer: Answer): boolean {
  const now = clock.now();
  const changed = db.run(
    `UPDATE asks SET state = 'answered', answer = ?, chosen = ?, who = ?, person_id = ?, message_id = ?, ended_ms = ?
      WHERE id = ? AND state = 'pending'`,
    ...[answer.text, answer.chosen, answer.who, answer.person, answer.message, now, ask.id],
  );
  if (changed === 0) return false;
  rejuvenate(db, now, ask);
  const data = { ask: showId('q', ask.id), by: answer.who, how: answer.how, ms: now - ask.created_ms };
  recordEvent(db, clock, 'ask.answered', linksOf(ask, answer.message), data);
  return true;
}

/** `pending` → an end without an answer, once. */
export function endAsk(db: Db, clock: Clock, ask: AskRow, state: 'expired' | 'cancelled', reason: string): void {
  const now = clock.now();
  const sql = "UPDATE asks SET state = ?, reason = ?, ended_ms = ? WHERE id = ? AND state = 'pending'";
  if (db.run(sql, state, reason, now, ask.id) === 0) return;
  rejuvenate(db, now, ask);
  recordEvent(db, clock, 'ask.ended', linksOf(ask), { ask: showId('q', ask.id), state, reason });
}

/** A turn is over: what it asks needs no answer any more, nor what one did of which it was the last part. */
export function cancelAsks(db: Db, clock: Clock, turn: number, reason: string): void {
  const left = db.all<AskRow>(
    `SELECT a.* FROM asks a INDEXED BY asks_turn WHERE a.state = ?1 AND a.turn_id IN (SELECT ?2 UNION ${SPLIT})
        AND (a.turn_id = ?2 OR NOT EXISTS (
          SELECT 1 FROM turn_inbound x JOIN inbound i ON i.id = x.inbound_id WHERE x.turn_id = a.turn_id AND i.${IS_OPEN}))`,
    ...['pending', turn],
  );
  for (const ask of left) endAsk(db, clock, ask, 'cancelled', reason);
}

/** What a session asks is over, whichever turn has asked it: also one that was taken apart, whose parts wait. */
export function cancelAsksOfSession(db: Db, clock: Clock, session: number, reason: string): void {
  const sql = "SELECT * FROM asks INDEXED BY asks_waiting WHERE state = 'pending' AND session_id = ?";
  for (const ask of db.all<AskRow>(sql, session)) endAsk(db, clock, ask, 'cancelled', reason);
}

/** A turn that has waited for a person is not overdue for that. */
function rejuvenate(db: Db, now: number, { session_id }: AskRow): void {
  db.run(
    `UPDATE inbound INDEXED BY inbound_open SET updated_ms = ? WHERE session_id = ? AND ${IS_OPEN}`,
    ...[now, session_id],
  );
}

export function linksOf(
  { session_id, turn_id }: AskRow,
  message?: number,
): { session: number; turn: number; message?: number } {
  return { session: session_id, turn: turn_id, ...(message === undefined ? {} : { message }) };
}

/** How many questions wait for a person, and since when the oldest does; null: none. */
export function asksStatus(db: Db): { waiting: number; oldest_ms: number | null } {
  return db.get(
    "SELECT count(*) AS waiting, min(created_ms) AS oldest_ms FROM asks INDEXED BY asks_waiting WHERE state = 'pending'",
  )!;
}

export interface AskEntry {
  role: 'person' | 'agent' | 'notice';
  author: string;
  text: string;
}

/** What a turn asked and what came of it, as its transcript keeps it. */
export function askEntries(db: Db, turn: number): AskEntry[] {
  return asksOfTurn(db, turn).flatMap((ask): AskEntry[] => {
    const options = JSON.parse(ask.options) as string[];
    const question = [ask.question, ...options.map((option, i) => `  ${i + 1}. ${option}`)].join('\n');
    const asked: AskEntry = { role: 'agent', author: '', text: question };
    return ask.answer === null
      ? [asked, { role: 'notice', author: '', text: `That question had no answer: ${ask.reason}.` }]
      : [asked, { role: 'person', author: ask.who ?? '', text: ask.answer }];
  });
}
