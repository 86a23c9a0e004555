import { OperatingError } from '../base/errors.ts';
import { GROUP_UID_COUNT, GROUP_UID_FIRST, GROUP_UID_RANGES } from '../base/limits/sandbox.ts';
import type { Db } from './db.ts';

export interface ChatRow {
  id: number;
  channel: string;
  platform_id: string;
  title: string;
  policy: ChatPolicy;
  direct: number;
}

const COLUMNS = 'id, channel, platform_id, title, policy, direct';

/** A chat as people name it. */
export function nameOfChat(chat: { channel: string; platform_id: string }): string {
  return `${chat.channel}:${chat.platform_id}`;
}

/** What becomes of a sender without a role: ignored, asked about, or answered. */
export type ChatPolicy = 'strict' | 'ask' | 'public';

export interface WiringRow {
  id: number;
  chat_id: number;
  group_name: string;
  engage: 'always' | 'pattern' | 'mention' | 'mention-sticky';
  /** Of engage `pattern`. */
  pattern: string;
  /** What becomes of messages that it does not engage for. */
  context: 'drop' | 'accumulate';
  /** Who of those that may use the group. */
  senders: 'anyone' | 'admins' | 'listed';
  /** JSON list of keys of people, of senders `listed`. */
  listed: string;
  /** One session for each. */
  cut: 'thread' | 'chat' | 'group';
}

/** Stands for the chats of a channel that are not known yet: they begin with its policy and its wirings. */
export const EVERY_NEW = '*';

/** A chat as the platform tells of it. Absent `direct`: several people may read along. */
export interface SeenChat {
  platform_id: string;
  title: string;
  direct?: boolean;
}

export interface KnownChat {
  id: number;
  policy: ChatPolicy;
  direct: number;
}

/** Finds or creates a chat; what it is called and how many read it follow the platform. */
export function takeChat(db: Db, now: number, channel: string, seen: SeenChat): KnownChat {
  const known = db.get<KnownChat & { title: string }>(
    'SELECT id, title, policy, direct FROM chats WHERE channel = ? AND platform_id = ?',
    channel,
    seen.platform_id,
  );
  const direct = seen.direct === true ? 1 : 0;
  if (known === undefined) {
    const every = chatByPlatformId(db, channel, EVERY_NEW);
    const policy = every?.policy ?? 'strict';
    const id = db.insert(
      'INSERT INTO chats (channel, platform_id, title, policy, direct, created_ms) VALUES (?, ?, ?, ?, ?, ?)',
      ...[channel, seen.platform_id, seen.title, policy, direct, now],
    );
    if (every !== undefined)
      db.run(
        `INSERT INTO wirings (chat_id, group_name, engage, pattern, context, senders, listed, cut)
          SELECT ?, group_name, engage, pattern, context, senders, listed, cut FROM wirings WHERE chat_id = ? ORDER BY id`,
        ...[id, every.id],
      );
    return { id, policy, direct };
  }
  const title = seen.title === '' ? known.title : seen.title;
  if (known.title !== title || known.direct !== direct)
    db.run('UPDATE chats SET title = ?, direct = ? WHERE id = ?', title, direct, known.id);
  return { id: known.id, policy: known.policy, direct };
}

/** As `takeChat`, for a chat of which nothing but its name is known. */
export function ensureChat(db: Db, now: number, channel: string, platformId: string, title: string): number {
  const known = chatByPlatformId(db, channel, platformId);
  if (known !== undefined) return known.id;
  return takeChat(db, now, channel, { platform_id: platformId, title }).id;
}

export function setPolicy(db: Db, chatId: number, policy: ChatPolicy): void {
  db.run('UPDATE chats SET policy = ? WHERE id = ?', policy, chatId);
}

export function chatById(db: Db, id: number): ChatRow | undefined {
  return db.get<ChatRow>(`SELECT ${COLUMNS} FROM chats WHERE id = ?`, id);
}

export function chatByPlatformId(db: Db, channel: string, platformId: string): ChatRow | undefined {
  return db.get<ChatRow>(`SELECT ${COLUMNS} FROM chats WHERE channel = ? AND platform_id = ?`, channel, platformId);
}

export function wiringsOf(db: Db, chatId: number): WiringRow[] {
  return db.all<WiringRow>('SELECT * FROM wirings WHERE chat_id = ? ORDER BY id', chatId);
}

/** The chats that a group is wired to: the only places its agent may send to. */
export function destinationsOf(db: Db, group: string): ChatRow[] {
  return db.all<ChatRow>(
    'SELECT c.* FROM wirings w JOIN chats c ON c.id = w.chat_id WHERE w.group_name = ? AND c.platform_id <> ? ORDER BY c.id',
    ...[group, EVERY_NEW],
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

/**
 * Where groups' uids begin: where `glass.yaml` says, else by the install's hash; but an install that has given some from the range that
 * all of them once began in goes on in it.
 */
export function uidRange(
  db: Db,
  install: string,
  { first, count }: { first?: number | undefined; count: number },
): UidRange {
  if (first !== undefined) return { first, count };
  // One that was moved, or put back from a backup, goes on in the range that it has.
  const highest = db.get<{ uid: number | null }>('SELECT max(uid) AS uid FROM groups')?.uid ?? 0;
  const own = Math.floor((highest - GROUP_UID_FIRST) / GROUP_UID_COUNT);
  const range = own >= 0 && own <= GROUP_UID_RANGES ? own : 1 + (Number.parseInt(install, 16) % GROUP_UID_RANGES);
  return { first: GROUP_UID_FIRST + range * GROUP_UID_COUNT, count };
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
