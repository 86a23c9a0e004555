import type { Db } from './db.ts';
import { IS_OPEN } from './messages.ts';

export interface SessionRow {
  id: number;
  group_name: string;
  chat_id: number;
  thread: string;
  harness: string | null;
  resume: string | null;
}

const COLUMNS = 'id, group_name, chat_id, thread, harness, resume';

/** Finds or opens the session of a group in a chat and thread. */
export function ensureSession(
  db: Db,
  now: number,
  group: string,
  chatId: number,
  thread: string,
): { id: number; isNew: boolean } {
  const known = db.get<{ id: number }>(
    'SELECT id FROM sessions WHERE group_name = ? AND chat_id = ? AND thread = ? AND closed_ms IS NULL',
    group,
    chatId,
    thread,
  );
  if (known !== undefined) return { id: known.id, isNew: false };
  const id = db.insert(
    'INSERT INTO sessions (group_name, chat_id, thread, created_ms) VALUES (?, ?, ?, ?)',
    group,
    chatId,
    thread,
    now,
  );
  return { id, isNew: true };
}

export function sessionById(db: Db, id: number): SessionRow | undefined {
  return db.get<SessionRow>(`SELECT ${COLUMNS} FROM sessions WHERE id = ?`, id);
}

/** Sessions in which something waits: who must be woken after a start, or was forgotten. */
export function sessionsWithWork(db: Db): number[] {
  return db
    .all<{ session_id: number }>(
      `SELECT DISTINCT session_id FROM inbound INDEXED BY inbound_open
        WHERE ${IS_OPEN} AND session_id IS NOT NULL ORDER BY session_id`,
    )
    .map((row) => row.session_id);
}

/** The open conversations of these groups in a chat and thread. */
export function openSessions(db: Db, chatId: number, thread: string, groups: string[]): SessionRow[] {
  return db.all<SessionRow>(
    `SELECT ${COLUMNS} FROM sessions WHERE chat_id = ? AND thread = ? AND closed_ms IS NULL
        AND group_name IN (SELECT value FROM json_each(?)) ORDER BY id`,
    chatId,
    thread,
    JSON.stringify(groups),
  );
}

/** The conversation is over: the next message of its place begins another. What waits in it is still answered. */
export function closeSession(db: Db, now: number, id: number): void {
  db.run('UPDATE sessions SET closed_ms = ? WHERE id = ?', now, id);
}

export function setResume(db: Db, id: number, harness: string, resume: string | null): void {
  db.run('UPDATE sessions SET harness = ?, resume = ? WHERE id = ?', harness, resume, id);
}
