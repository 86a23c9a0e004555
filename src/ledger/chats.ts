import { OperatingError } from '../base/errors.ts';
import { GROUP_UID_COUNT, GROUP_UID_FIRST } from '../base/limits.ts';
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

/** Records a group. With `ownUid` it gets a host uid of its own, never one that another group ever had. */
export function ensureGroup(db: Db, now: number, name: string, ownUid: boolean): void {
  db.run('INSERT OR IGNORE INTO groups (name, uid, created_ms) VALUES (?, NULL, ?)', name, now);
  if (!ownUid || groupUid(db, name) !== null) return;
  const last = db.get<{ uid: number | null }>('SELECT max(uid) AS uid FROM groups')?.uid ?? GROUP_UID_FIRST - 1;
  if (last + 1 >= GROUP_UID_FIRST + GROUP_UID_COUNT)
    throw new OperatingError('config', 'every uid of the range for groups is used');
  db.run('UPDATE groups SET uid = ? WHERE name = ?', last + 1, name);
}

export function groupUid(db: Db, name: string): number | null {
  return db.get<{ uid: number | null }>('SELECT uid FROM groups WHERE name = ?', name)?.uid ?? null;
}
