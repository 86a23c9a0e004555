import type { Db } from './db.ts';
import type { MessageRow } from './messages.ts';

/** What people did to a message after it came. */
export interface NewChange {
  dedupe_key: string;
  kind: 'edited' | 'deleted' | 'reacted';
  /** Null: nobody knows it here. */
  message_id: number | null;
}

/** False: this key was taken before. */
export function insertChange(db: Db, now: number, { dedupe_key, kind, message_id }: NewChange): boolean {
  const sql = 'INSERT OR IGNORE INTO changes (dedupe_key, kind, message_id, received_ms) VALUES (?, ?, ?, ?)';
  return db.run(sql, dedupe_key, kind, message_id, now) === 1;
}

/** The text becomes another one; the old one is kept with the change. */
export function replaceText(db: Db, { id, text }: MessageRow, changed: string, sent_ms: number, key: string): void {
  db.run('UPDATE messages SET text = ?, edited_ms = ? WHERE id = ?', changed, sent_ms, id);
  db.run('UPDATE changes SET old_text = ? WHERE dedupe_key = ?', text, key);
}

/** What no agent has been given yet: rows that wait in a queue without having been in a turn, and what is kept as context. */
const UNSEEN = `(context = 1 OR (state = 'queued'
  AND NOT EXISTS (SELECT 1 FROM turn_inbound x WHERE x.inbound_id = inbound.id)))`;

/** Whether no agent has been given any of it, and some may be. */
export function isUnseen(db: Db, messageId: number): boolean {
  const { rows, unseen } = db.get<{ rows: number; unseen: number }>(
    `SELECT count(*) AS rows, coalesce(sum(${UNSEEN}), 0) AS unseen FROM inbound WHERE message_id = ?`,
    messageId,
  )!;
  return rows > 0 && rows === unseen;
}

/** What waits of a message, for an agent or a decision, waits no more. Returns how many rows. */
export function cancelUnseen(db: Db, now: number, messageId: number, reason: string): number {
  const cancelled = db.run(
    `UPDATE inbound SET state = 'cancelled', reason = ?, updated_ms = ?
      WHERE message_id = ? AND (state = 'held' OR (${UNSEEN} AND state = 'queued'))`,
    ...[reason, now, messageId],
  );
  return cancelled + db.run('UPDATE inbound SET context = 0 WHERE message_id = ? AND context = 1', messageId);
}
