import { randomToken } from '../base/ids.ts';
import type { Db } from './db.ts';
import type { FileFacts } from './files.ts';

export type OutboundState = 'queued' | 'sending' | 'retry' | 'sent' | 'rejected' | 'uncertain' | 'held';
export type OutboundKind = 'reply' | 'send' | 'notice';

/** One message to a platform. */
export interface Chunk {
  body: string;
  /** The Markdown that `body` says in the platform's dialect; null: `body` is words, which delivery writes in it. */
  source: string | null;
}

export interface OutboundRow {
  id: number;
  chat_id: number;
  thread: string;
  kind: OutboundKind;
  session_id: number | null;
  turn_id: number | null;
  ordinal: number;
  chunk: number;
  reply_to: number | null;
  /** `react`: the body is put under the message that `reply_to` names. */
  act: 'send' | 'react';
  body: string;
  /** As in `Chunk`; '' where it is the same as the body. */
  source: string | null;
  /** JSON list of `Button`; null: none. */
  buttons: string | null;
  /** JSON of `Card`; null: none. */
  card: string | null;
  /** Idempotency key towards the platform. */
  key: string;
  state: OutboundState;
  attempts: number;
  not_before_ms: number;
  receipt: string | null;
  error: string | null;
  created_ms: number;
  updated_ms: number;
}

/** A text on its way out, before it is cut for its platform. */
export interface NewOutbound {
  chat_id: number;
  thread: string;
  kind: OutboundKind;
  session_id: number | null;
  turn_id: number | null;
  attempt: number;
  ordinal: number;
  send_hash: string;
  reply_to: number | null;
  /** Goes with the last chunk: a text stands above its file. */
  file?: FileFacts;
  act?: OutboundRow['act'];
  /** JSON of `Card`, in the place of a text of one chunk. */
  card?: string;
}

/** Writes one row a chunk, in order; returns their keys. Deliver only after the commit. */
export function insertOutbound(db: Db, now: number, out: NewOutbound, chunks: Chunk[]): number[] {
  const ids = chunks.map(({ body, source }, chunk) =>
    db.insert(
      `INSERT INTO outbound (chat_id, thread, kind, session_id, turn_id, attempt, ordinal, chunk, send_hash, reply_to, act, body, source, key, state, created_ms, updated_ms)
       VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 'queued', ?, ?)`,
      out.chat_id,
      out.thread,
      out.kind,
      out.session_id,
      out.turn_id,
      out.attempt,
      out.ordinal,
      chunk,
      out.send_hash,
      chunk === 0 ? out.reply_to : null,
      out.act ?? 'send',
      body,
      source === body ? '' : source,
      randomToken(12),
      now,
      now,
    ),
  );
  if (out.file !== undefined) {
    const { name, type, bytes, sha256 } = out.file;
    const sql = 'INSERT INTO outbound_files (outbound_id, name, type, bytes, sha256) VALUES (?, ?, ?, ?, ?)';
    db.run(sql, ids.at(-1)!, name, type, bytes, sha256);
  }
  if (out.card !== undefined) db.run('UPDATE outbound SET card = ? WHERE id = ?', out.card, ids[0]!);
  return ids;
}

/** What a row says, as whoever wrote it did; SQL for a row of `outbound o` with its `outbound_files f`. */
export const SAID = `CASE o.act WHEN 'react' THEN '[reaction ' || o.body || ']' ELSE coalesce(nullif(o.source, ''), o.body) END
  || coalesce(' [file ' || f.name || ']', '')`;

/** What a turn sent before its answer, as its transcript keeps it: without what it asked, which stands there with its answer. */
export function sendsOf(db: Db, turnId: number): string[] {
  const rows = db.all<{ text: string }>(
    `SELECT trim(${SAID}) AS text
       FROM outbound o LEFT JOIN outbound_files f ON f.outbound_id = o.id
      WHERE o.turn_id = ? AND o.kind = 'send' AND NOT EXISTS (SELECT 1 FROM asks a WHERE a.outbound_id = o.id) ORDER BY o.id`,
    turnId,
  );
  return rows.map(({ text }) => text);
}

/** The file that goes with a text, if one does. */
export function fileOfOutbound(db: Db, id: number): FileFacts | undefined {
  return db.get<FileFacts>('SELECT name, type, bytes, sha256 FROM outbound_files WHERE outbound_id = ?', id);
}

/** Writes a sentence of the host itself to a chat; returns its key. */
export function insertNotice(
  db: Db,
  now: number,
  chatId: number,
  thread: string,
  replyTo: number | null,
  body: string,
): number {
  const own = { session_id: null, turn_id: null, attempt: 0, ordinal: 0, send_hash: '' };
  return insertOutbound(db, now, { chat_id: chatId, thread, kind: 'notice', ...own, reply_to: replyTo }, [
    { body, source: null },
  ])[0]!;
}

/** As a notice, with buttons for where there are some. */
export function insertCard(db: Db, now: number, chatId: number, body: string, buttons: object[]): void {
  setButtons(db, insertNotice(db, now, chatId, '', null, body), buttons);
}

/** Of a row that has just been written. */
export function setButtons(db: Db, id: number, buttons: object[]): void {
  db.run('UPDATE outbound SET buttons = ? WHERE id = ?', JSON.stringify(buttons), id);
}

export function outboundById(db: Db, id: number): OutboundRow | undefined {
  return db.get<OutboundRow>('SELECT * FROM outbound WHERE id = ?', id);
}

/** A row that has not reached an end; the condition of the index, as with `IS_OPEN`. */
const IS_UNSENT = "state IN ('queued', 'sending', 'retry')";

/** The oldest row of a chat that has not reached an end: nothing of that chat may overtake it. */
export function headOfChat(db: Db, chatId: number): OutboundRow | undefined {
  return db.get<OutboundRow>(
    `SELECT * FROM outbound INDEXED BY outbound_open WHERE chat_id = ? AND ${IS_UNSENT} ORDER BY id LIMIT 1`,
    chatId,
  );
}

export function chatsWithOutbound(db: Db): number[] {
  return db
    .all<{ chat_id: number }>(
      `SELECT DISTINCT chat_id FROM outbound INDEXED BY outbound_open WHERE ${IS_UNSENT} ORDER BY chat_id`,
    )
    .map((row) => row.chat_id);
}

export function sendingRows(db: Db): OutboundRow[] {
  return db.all<OutboundRow>(
    `SELECT * FROM outbound INDEXED BY outbound_open WHERE ${IS_UNSENT} AND state = 'sending' ORDER BY id`,
  );
}

/** `queued` or `retry` → `sending`. The mark is committed before the platform is called; returns whether it was made. */
export function markSending(db: Db, now: number, id: number): boolean {
  return (
    db.run(
      "UPDATE outbound SET state = 'sending', attempts = attempts + 1, updated_ms = ? WHERE id = ? AND state IN ('queued', 'retry')",
      now,
      id,
    ) === 1
  );
}

/** `sending` → the outcome. Returns false when the row was not being sent: the outcome is then not ours to record. */
export function finishSending(
  db: Db,
  now: number,
  id: number,
  outcome: {
    state: Exclude<OutboundState, 'sending'>;
    receipt?: string;
    error?: string;
    not_before_ms?: number;
    uncount?: boolean;
  },
): boolean {
  return (
    db.run(
      `UPDATE outbound SET state = ?, receipt = ?, error = ?, not_before_ms = ?, attempts = attempts - ?, updated_ms = ?
        WHERE id = ? AND state = 'sending'`,
      outcome.state,
      outcome.receipt ?? null,
      outcome.error ?? null,
      outcome.not_before_ms ?? 0,
      outcome.uncount ? 1 : 0,
      now,
      id,
    ) === 1
  );
}

/** What a session has not sent yet is held back. Returns how many texts. */
export function holdUnsent(db: Db, now: number, sessionId: number, reason: string): number {
  return db.run(
    `UPDATE outbound SET state = 'held', error = ?, updated_ms = ? WHERE session_id = ? AND ${IS_UNSENT} AND state <> 'sending'`,
    reason,
    now,
    sessionId,
  );
}

/** Lets what is held of these sessions leave, wherever it goes, and of these groups in this chat. Returns the chats, one a text. */
export function releaseUnsent(db: Db, now: number, chatId: number, sessions: number[], groups: string[]): number[] {
  const rows = db.all<{ chat_id: number }>(
    `UPDATE outbound SET state = 'queued', error = NULL, updated_ms = ?1 WHERE state = 'held' AND (approval_id IS NULL OR (SELECT state FROM approvals a WHERE a.id = approval_id) = 'done') AND (
       session_id IN (SELECT value FROM json_each(?2)) OR (chat_id = ?3 AND session_id IN (
         SELECT id FROM sessions WHERE group_name IN (SELECT value FROM json_each(?4))))) RETURNING chat_id`,
    ...[now, JSON.stringify(sessions), chatId, JSON.stringify(groups)],
  );
  return rows.map(({ chat_id }) => chat_id);
}

/** Texts that have just been written wait for a decision. */
export function holdForApproval(db: Db, ids: number[], approval: number): void {
  for (const id of ids) db.run("UPDATE outbound SET state = 'held', approval_id = ? WHERE id = ?", approval, id);
}

/** Texts that have just been written never leave. */
export function rejectTexts(db: Db, now: number, ids: number[], reason: string): void {
  for (const id of ids)
    db.run("UPDATE outbound SET state = 'rejected', error = ?, updated_ms = ? WHERE id = ?", reason, now, id);
}

/** What waited for a decision leaves, or never does: then `refusal` is why. Returns the chats, one a text. */
export function endHeld(db: Db, now: number, approval: number, refusal: string | null): number[] {
  const rows = db.all<{ chat_id: number }>(
    "UPDATE outbound SET state = ?, error = ?, updated_ms = ? WHERE approval_id = ? AND state = 'held' RETURNING chat_id",
    ...[refusal === null ? 'queued' : 'rejected', refusal, now, approval],
  );
  return rows.map(({ chat_id }) => chat_id);
}

/** What a turn has sent, and may have sent: what cannot be taken back. */
export function leftTheHouse(db: Db, turnId: number): number {
  return db.get<{ n: number }>(
    "SELECT count(*) AS n FROM outbound WHERE turn_id = ? AND state IN ('sent', 'sending', 'uncertain')",
    turnId,
  )!.n;
}

/** The first rows of earlier attempts at this ordinal of a turn. */
export function sendsAt(db: Db, turnId: number, ordinal: number): { id: number; send_hash: string; attempt: number }[] {
  return db.all(
    'SELECT id, send_hash, attempt FROM outbound WHERE turn_id = ? AND ordinal = ? AND chunk = 0 ORDER BY attempt',
    turnId,
    ordinal,
  );
}

/** First rows of the same send by turns that were taken apart, of which this turn handles a message again. */
export function sendsBeforeSplit(db: Db, turnId: number, hash: string): number[] {
  const rows = db.all<{ id: number }>(
    `SELECT id FROM outbound WHERE kind = 'send' AND chunk = 0 AND send_hash = ? AND turn_id IN (
       SELECT earlier.turn_id FROM turn_inbound mine
         JOIN turn_inbound earlier ON earlier.inbound_id = mine.inbound_id
         JOIN turns t ON t.id = earlier.turn_id AND t.state = 'split'
        WHERE mine.turn_id = ?) ORDER BY id`,
    hash,
    turnId,
  );
  return rows.map((row) => row.id);
}

/** What was said in a chat, for a terminal that connects: newest last. */
export function recentOutbound(db: Db, chatId: number, limit: number): OutboundRow[] {
  return db
    .all<OutboundRow>(
      "SELECT * FROM outbound WHERE chat_id = ? AND state = 'sent' ORDER BY id DESC LIMIT ?",
      chatId,
      limit,
    )
    .reverse();
}
