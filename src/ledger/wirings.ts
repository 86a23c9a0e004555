import { CONTEXT_BYTES_MAX, CONTEXT_MESSAGES_MAX, STICKY_MS } from '../base/limits/talk.ts';
import type { ChatRow, WiringRow } from './chats.ts';
import type { Db } from './db.ts';

/** What a wiring says besides which chat and group it joins. */
export type WiringTerms = Omit<WiringRow, 'id' | 'chat_id' | 'group_name'>;

export const PLAIN_TERMS: WiringTerms = {
  ...{ engage: 'always', pattern: '', context: 'drop', senders: 'anyone', listed: '[]', cut: 'thread' },
};

export function wiringOf(db: Db, chatId: number, group: string): WiringRow | undefined {
  return db.get('SELECT * FROM wirings WHERE chat_id = ? AND group_name = ?', chatId, group);
}

/** Makes or changes a wiring. Where it listened on after a mention, it does no more. */
export function setWiring(db: Db, chatId: number, group: string, terms: WiringTerms): void {
  const { engage, pattern, context, senders, listed, cut } = terms;
  db.run(
    `INSERT INTO wirings (chat_id, group_name, engage, pattern, context, senders, listed, cut) VALUES (?, ?, ?, ?, ?, ?, ?, ?)
     ON CONFLICT (chat_id, group_name) DO UPDATE SET engage = excluded.engage, pattern = excluded.pattern,
       context = excluded.context, senders = excluded.senders, listed = excluded.listed, cut = excluded.cut`,
    ...[chatId, group, engage, pattern, context, senders, listed, cut],
  );
  db.run(
    'DELETE FROM sticky WHERE wiring_id IN (SELECT id FROM wirings WHERE chat_id = ? AND group_name = ?)',
    chatId,
    group,
  );
}

/** Returns whether there was one. */
export function removeWiring(db: Db, chatId: number, group: string): boolean {
  return db.run('DELETE FROM wirings WHERE chat_id = ? AND group_name = ?', chatId, group) === 1;
}

export function allWirings(db: Db): (WiringRow & { channel: string; platform_id: string; title: string })[] {
  return db.all(
    `SELECT w.*, c.channel, c.platform_id, c.title FROM wirings w JOIN chats c ON c.id = w.chat_id
      ORDER BY c.channel, c.platform_id, w.id`,
  );
}

/** Chats in which nobody answers, the newest first. */
export function unwiredChats(db: Db, limit: number): ChatRow[] {
  return db.all(
    `SELECT c.* FROM chats c WHERE NOT EXISTS (SELECT 1 FROM wirings w WHERE w.chat_id = c.id) ORDER BY c.id DESC LIMIT ?`,
    limit,
  );
}

/** After a mention: every message of the thread until it is told to be quiet; without threads, of the chat, for a time. */
export function stick(db: Db, now: number, wiringId: number, thread: string): void {
  const until = thread === '' ? now + STICKY_MS : null;
  db.run('INSERT OR REPLACE INTO sticky (wiring_id, thread, until_ms) VALUES (?, ?, ?)', wiringId, thread, until);
}

export function sticks(db: Db, now: number, wiringId: number, thread: string): boolean {
  const sql = 'SELECT 1 AS yes FROM sticky WHERE wiring_id = ? AND thread = ? AND (until_ms IS NULL OR until_ms > ?)';
  return db.get(sql, wiringId, thread, now) !== undefined;
}

/** Nobody listens on any more in a thread. Returns how many did. */
export function unstick(db: Db, now: number, chatId: number, thread: string): number {
  return db.run(
    `DELETE FROM sticky WHERE thread = ? AND (until_ms IS NULL OR until_ms > ?)
        AND wiring_id IN (SELECT id FROM wirings WHERE chat_id = ?)`,
    ...[thread, now, chatId],
  );
}

/** A message that nobody engaged for and that a session is to be shown later. */
export interface ContextRow {
  id: number;
  sender: string;
  text: string;
}

/** The newest that fit, oldest first. */
export function contextOf(db: Db, sessionId: number): ContextRow[] {
  const rows = db.all<ContextRow>(
    `SELECT i.id, m.sender, m.text FROM inbound i INDEXED BY inbound_context JOIN messages m ON m.id = i.message_id
      WHERE i.session_id = ? AND i.context = 1 ORDER BY i.id DESC LIMIT ${CONTEXT_MESSAGES_MAX}`,
    sessionId,
  );
  let bytes = 0;
  const end = rows.findIndex((row) => {
    bytes += Buffer.byteLength(row.text);
    return bytes > CONTEXT_BYTES_MAX;
  });
  return (end === -1 ? rows : rows.slice(0, end)).reverse();
}

/** Keeps an ignored message for a session, and lets go of the one that this pushes out. */
export function keepContext(db: Db, now: number, messageId: number, sessionId: number, reason: string): void {
  db.run(
    `INSERT INTO inbound (message_id, session_id, state, reason, context, updated_ms) VALUES (?, ?, 'ignored', ?, 1, ?)`,
    ...[messageId, sessionId, reason, now],
  );
  db.run(
    `UPDATE inbound SET context = 0 WHERE id IN (SELECT id FROM inbound INDEXED BY inbound_context
      WHERE session_id = ? AND context = 1 ORDER BY id DESC LIMIT -1 OFFSET ${CONTEXT_MESSAGES_MAX})`,
    sessionId,
  );
}

/** A turn has shown these; what is older was pushed out by them. */
export function contextShown(db: Db, sessionId: number, turnId: number, ids: number[]): void {
  for (const id of ids) db.run('UPDATE inbound SET context = 0, turn_id = ? WHERE id = ? AND context = 1', turnId, id);
  const older =
    'UPDATE inbound INDEXED BY inbound_context SET context = 0 WHERE session_id = ? AND context = 1 AND id < ?';
  if (ids.length > 0) db.run(older, sessionId, ids.at(-1)!);
}
