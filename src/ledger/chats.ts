import { OperatingError } from '../base/errors.ts';
import type { Db } from './db.ts';

export interface ChatRow {
  id: number;
  channel: string;
  platform_id: string;
  title: string;
}

export interface WiringRow {
  id: number;
  chat_id: number;
  group_name: string;
  engage: 'always' | 'mention';
}

/** Finds or creates a chat; its title follows the platform's. */
export function ensureChat(db: Db, now: number, channel: string, platformId: string, title: string): number {
  const known = db.get<{ id: number; title: string }>(
    'SELECT id, title FROM chats WHERE channel = ? AND platform_id = ?',
    channel,
    platformId,
  );
  if (known === undefined) {
    return db.insert(
      'INSERT INTO chats (channel, platform_id, title, created_ms) VALUES (?, ?, ?, ?)',
      channel,
      platformId,
      title,
      now,
    );
  }
  if (known.title !== title && title !== '') db.run('UPDATE chats SET title = ? WHERE id = ?', title, known.id);
  return known.id;
}

export function chatById(db: Db, id: number): ChatRow | undefined {
  return db.get<ChatRow>('SELECT id, channel, platform_id, title FROM chats WHERE id = ?', id);
}

export function chatByPlatformId(db: Db, channel: string, platformId: string): ChatRow | undefined {
  return db.get<ChatRow>(
    'SELECT id, channel, platform_id, title FROM chats WHERE channel = ? AND platform_id = ?',
    channel,
    platformId,
  );
}

export function wiringsOf(db: Db, chatId: number): WiringRow[] {
  return db.all<WiringRow>('SELECT id, chat_id, group_name, engage FROM wirings WHERE chat_id = ? ORDER BY id', chatId);
}

/** The chats that a group is wired to: the only places its agent may send to. */
export function destinationsOf(db: Db, group: string): ChatRow[] {
  return db.all<ChatRow>(
    'SELECT c.id, c.channel, c.platform_id, c.title FROM wirings w JOIN chats c ON c.id = w.chat_id WHERE w.group_name = ? ORDER BY c.id',
    group,
  );
}

export function wire(db: Db, chatId: number, group: string, engage: WiringRow['engage']): void {
  db.run('INSERT OR IGNORE INTO wirings (chat_id, group_name, engage) VALUES (?, ?, ?)', chatId, group, engage);
}

/** Gives a chat to one group alone; what other groups have begun in it is finished. */
export function rewire(db: Db, chatId: number, group: string, engage: WiringRow['engage']): void {
  db.run('DELETE FROM wirings WHERE chat_id = ? AND group_name <> ?', chatId, group);
  wire(db, chatId, group, engage);
}

/** Host uids for groups; the last one of the range belongs to none. */
export interface UidRange {
  first: number;
  count: number;
}

/** Records a group. With a range it gets a host uid of its own, never one that another group ever had. */
export function ensureGroup(db: Db, now: number, name: string, uids: UidRange | null): void {
  db.run('INSERT OR IGNORE INTO groups (name, uid, created_ms) VALUES (?, NULL, ?)', name, now);
  if (uids === null || groupUid(db, name) !== null) return;
  const highest = db.get<{ uid: number | null }>('SELECT max(uid) AS uid FROM groups')?.uid ?? 0;
  const next = Math.max(uids.first, highest + 1);
  if (next >= uids.first + uids.count - 1)
    throw new OperatingError(
      'config',
      'every uid of the range for groups is used',
      'set uids in glass.yaml to a range above it',
    );
  db.run('UPDATE groups SET uid = ? WHERE name = ?', next, name);
}

export function groupUid(db: Db, name: string): number | null {
  return db.get<{ uid: number | null }>('SELECT uid FROM groups WHERE name = ?', name)?.uid ?? null;
}
