import { showId } from '../base/ids.ts';
import { type WiringRow, wiringsOf } from './chats.ts';
import type { Db } from './db.ts';
import { IS_OPEN } from './messages.ts';
import { stoppedSql } from './stops.ts';

export interface SessionRow {
  id: number;
  group_name: string;
  chat_id: number;
  thread: string;
  harness: string | null;
  resume: string | null;
  /** 1: of all chats of the group; `chat_id` is the one that it began in. */
  shared: number;
  closed_ms: number | null;
}

const COLUMNS = 'id, group_name, chat_id, thread, harness, resume, shared, closed_ms';

/** Finds or opens the session of a group in a chat and thread, as its wiring cuts them. */
export function ensureSession(
  db: Db,
  now: number,
  group: string,
  chatId: number,
  given: string,
  cut: WiringRow['cut'] = 'thread',
): { id: number; isNew: boolean } {
  const thread = cut === 'thread' ? given : '';
  const known = cut === 'group' ? sharedSession(db, group) : ownSession(db, group, chatId, thread);
  if (known !== undefined) return { id: known.id, isNew: false };
  const id = db.insert(
    'INSERT INTO sessions (group_name, chat_id, thread, shared, created_ms) VALUES (?, ?, ?, ?, ?)',
    ...[group, chatId, thread, cut === 'group' ? 1 : 0, now],
  );
  return { id, isNew: true };
}

function ownSession(db: Db, group: string, chatId: number, thread: string): { id: number } | undefined {
  return db.get(
    'SELECT id FROM sessions WHERE group_name = ? AND chat_id = ? AND thread = ? AND closed_ms IS NULL AND shared = 0 AND task_id IS NULL',
    ...[group, chatId, thread],
  );
}

function sharedSession(db: Db, group: string): { id: number } | undefined {
  return db.get('SELECT id FROM sessions WHERE group_name = ? AND closed_ms IS NULL AND shared = 1', group);
}

export function sessionById(db: Db, id: number): SessionRow | undefined {
  return db.get<SessionRow>(`SELECT ${COLUMNS} FROM sessions WHERE id = ?`, id);
}

/** Sessions in which something waits that may be done: who must be woken after a start, or was forgotten. */
export function sessionsWithWork(db: Db): number[] {
  return db
    .all<{ session_id: number }>(
      `SELECT DISTINCT session_id FROM inbound INDEXED BY inbound_open
        WHERE ${IS_OPEN} AND session_id IS NOT NULL
          AND NOT ${stoppedSql('(SELECT group_name FROM sessions s WHERE s.id = session_id)')} ORDER BY session_id`,
    )
    .map((row) => row.session_id);
}

/** Sessions of the group (`''`: of any) whose turn runs, or waits for its next attempt. */
export function sessionsInTurn(db: Db, group: string): SessionRow[] {
  return db.all<SessionRow>(
    `SELECT ${COLUMNS} FROM sessions WHERE ?1 IN ('', group_name) AND id IN (
       SELECT session_id FROM turns INDEXED BY turns_open WHERE state IN ('running', 'waiting')) ORDER BY id`,
    group,
  );
}

/** Finds or opens the session that a task has for itself. */
export function ensureTaskSession(
  db: Db,
  now: number,
  task: { id: number; group_name: string; chat_id: number; thread: string },
): { id: number; isNew: boolean } {
  const known = db.get<{ id: number }>('SELECT id FROM sessions WHERE task_id = ? AND closed_ms IS NULL', task.id);
  if (known !== undefined) return { id: known.id, isNew: false };
  const id = db.insert(
    'INSERT INTO sessions (group_name, chat_id, thread, task_id, created_ms) VALUES (?, ?, ?, ?, ?)',
    ...[task.group_name, task.chat_id, task.thread, task.id, now],
  );
  return { id, isNew: true };
}

/** The open conversations that these groups have in a chat and thread, as its wirings cut them. */
export function openSessions(db: Db, chatId: number, thread: string, groups: string[]): SessionRow[] {
  const wirings = wiringsOf(db, chatId).filter((wiring) => groups.includes(wiring.group_name));
  return wirings.flatMap(({ group_name, cut }) => {
    const found =
      cut === 'group'
        ? sharedSession(db, group_name)
        : ownSession(db, group_name, chatId, cut === 'thread' ? thread : '');
    return found === undefined ? [] : [sessionById(db, found.id)!];
  });
}

/** Sessions of these groups that are at work on what was said in a chat and thread, whatever has become of them since. */
export function sessionsAtWork(db: Db, chatId: number, thread: string, groups: string[]): SessionRow[] {
  return db.all<SessionRow>(
    `SELECT ${COLUMNS} FROM sessions WHERE group_name IN (SELECT value FROM json_each(?)) AND id IN (
       SELECT i.session_id FROM inbound i INDEXED BY inbound_open JOIN messages m ON m.id = i.message_id
        WHERE i.${IS_OPEN} AND m.chat_id = ? AND m.thread = ?) ORDER BY id`,
    ...[JSON.stringify(groups), chatId, thread],
  );
}

/** Open sessions of other agents that work for these sessions alone, and so on down: the threads of their chats are named by them. */
export function helpersOf(db: Db, sessions: SessionRow[]): SessionRow[] {
  const found = [...sessions];
  for (const { id, group_name } of found) {
    const helpers = db.all<SessionRow>(
      `SELECT ${COLUMNS} FROM sessions WHERE chat_id IN (SELECT id FROM chats WHERE channel = 'agents' AND platform_id GLOB ? || '>*')
          AND group_name IN (SELECT substr(platform_id, ?) FROM chats WHERE channel = 'agents' AND platform_id GLOB ? || '>*')
          AND thread = ? AND closed_ms IS NULL AND shared = 0 AND task_id IS NULL`,
      ...[group_name, group_name.length + 2, group_name, showId('s', id)],
    );
    found.push(...helpers.filter((helper) => !found.some((each) => each.id === helper.id)));
  }
  return found.slice(sessions.length);
}

/** The conversation is over: the next message of its place begins another. What waits in it is still answered. */
export function closeSession(db: Db, now: number, id: number): void {
  db.run('UPDATE sessions SET closed_ms = ? WHERE id = ?', now, id);
}

/** A person wants the next turn to begin with a summary; or it has. */
export function askCompact(db: Db, id: number, asked: boolean): void {
  db.run('UPDATE sessions SET compact = ? WHERE id = ?', asked ? 1 : 0, id);
}

export function compactAsked(db: Db, id: number): boolean {
  return db.get<{ compact: number }>('SELECT compact FROM sessions WHERE id = ?', id)?.compact === 1;
}

export function setResume(db: Db, id: number, harness: string, resume: string | null): void {
  db.run('UPDATE sessions SET harness = ?, resume = ? WHERE id = ?', harness, resume, id);
}
