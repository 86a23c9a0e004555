import { nameOfChat } from './chats.ts';
import type { Db } from './db.ts';

/**
 * Groups that are stopped as a whole. A stop is an open row: whatever begins a turn, a task or a way out asks for it here, and two triggers
 * hold whatever a session of the group wants to send (`migrations/0017_stops.sql`). Only `endStops` ends it: no restart does.
 */
export interface StopRow {
  id: number;
  /** `''`: every group. */
  group_name: string;
  by: string;
  stopped_ms: number;
  /** JSON; null: the host ended before it knew. */
  receipt: string | null;
}

/** SQL: whether the group is stopped that an expression names. */
export function stoppedSql(group: string): string {
  return `EXISTS (SELECT 1 FROM stops x WHERE x.resumed_ms IS NULL AND x.group_name IN ('', ${group}))`;
}

/** SQL: whether a session is of this group (parameter 1), or of any where it is `''`. */
const OF_GROUP = "(SELECT id FROM sessions WHERE ?1 IN ('', group_name))";

/** Of all: also what is of no session. */
const OF_GROUP_OR_NONE = `(session_id IN ${OF_GROUP} OR (?1 = '' AND session_id IS NULL))`;

const OPEN = 'SELECT id, group_name, by, stopped_ms, receipt FROM stops INDEXED BY stops_open WHERE resumed_ms IS NULL';

export function isStopped(db: Db, group: string): boolean {
  return stopOf(db, group) !== undefined;
}

export function isSessionStopped(db: Db, session: number): boolean {
  const sql = `${OPEN} AND group_name IN ('', (SELECT group_name FROM sessions WHERE id = ?)) LIMIT 1`;
  return db.get(sql, session) !== undefined;
}

/** The stop that a group is under, its own before that of all. */
export function stopOf(db: Db, group: string): StopRow | undefined {
  return db.get<StopRow>(`${OPEN} AND group_name IN ('', ?) ORDER BY group_name DESC LIMIT 1`, group);
}

/** Oldest first. */
export function openStops(db: Db): StopRow[] {
  return db.all<StopRow>(`${OPEN} ORDER BY id`);
}

/** The open stop of exactly this group, or of all; made if there is none. */
export function takeStop(db: Db, now: number, group: string, by: string): { stop: StopRow; isNew: boolean } {
  const find = (): StopRow | undefined => db.get<StopRow>(`${OPEN} AND group_name = ?`, group);
  const known = find();
  if (known !== undefined) return { stop: known, isNew: false };
  db.run('INSERT INTO stops (group_name, by, stopped_ms) VALUES (?, ?, ?)', group, by, now);
  return { stop: find()!, isNew: true };
}

export function setReceipt(db: Db, id: number, receipt: object): void {
  db.run('UPDATE stops SET receipt = ? WHERE id = ?', JSON.stringify(receipt), id);
}

/**
 * The group goes on, or (`''`) all do. Of a stop of all, the other groups stay stopped, each by itself. Returns whether anything was stopped.
 */
export function endStops(db: Db, now: number, group: string, by: string): boolean {
  const all = group === '' ? undefined : db.get<StopRow>(`${OPEN} AND group_name = ''`);
  if (all !== undefined)
    db.run(
      `INSERT INTO stops (group_name, by, stopped_ms) SELECT name, ?, ? FROM groups g WHERE name <> ?
         AND NOT EXISTS (SELECT 1 FROM stops x WHERE x.resumed_ms IS NULL AND x.group_name = g.name)`,
      ...[all.by, all.stopped_ms, group],
    );
  const sql =
    "UPDATE stops SET resumed_by = ?2, resumed_ms = ?3 WHERE resumed_ms IS NULL AND (?1 = '' OR group_name IN ('', ?1))";
  return db.run(sql, group, by, now) > 0;
}

/** Whether the writers in a chat are still to hear of it; from now on they have. */
export function tellOfStop(db: Db, group: string, chat: number): boolean {
  const stop = stopOf(db, group);
  if (stop === undefined) return false;
  return db.run('INSERT OR IGNORE INTO stops_told (stop_id, chat_id) VALUES (?, ?)', stop.id, chat) === 1;
}

/** What they hear. */
export function stoppedText(group: string): string {
  return `${group} is stopped for now. Your message is kept, and is answered when ${group} goes on.`;
}

/** Nothing leaves any more that is not being sent: that is told of. Returns how many texts are held. */
export function holdOfGroup(db: Db, now: number, group: string): number {
  return db.run(
    `UPDATE outbound INDEXED BY outbound_open SET state = 'held', stopped = 1, error = 'its group is stopped', updated_ms = ?2
      WHERE state IN ('queued', 'sending', 'retry') AND state <> 'sending' AND session_id IN ${OF_GROUP}`,
    group,
    now,
  );
}

/** As `holdOfGroup` of all, and what is of no session: cards, alerts, answers to commands. */
export function holdEverything(db: Db, now: number): void {
  holdOfGroup(db, now, '');
  db.run(
    "UPDATE outbound INDEXED BY outbound_open SET state = 'held', stopped = 1, error = 'everything is stopped', updated_ms = ? WHERE state IN ('queued', 'sending', 'retry') AND state <> 'sending' AND session_id IS NULL",
    now,
  );
}

/** What the stop held leaves in its old order, or (`dropped`: why) never does. Returns the texts and their chats. */
export function releaseOfGroup(
  db: Db,
  now: number,
  group: string,
  dropped: string | null,
): { id: number; chat_id: number }[] {
  return db.all<{ id: number; chat_id: number }>(
    `UPDATE outbound INDEXED BY outbound_stopped SET state = ?2, error = ?3, stopped = ?4, updated_ms = ?5
      WHERE stopped = 1 AND state = 'held' AND ${OF_GROUP_OR_NONE} RETURNING id, chat_id`,
    ...[group, dropped === null ? 'queued' : 'rejected', dropped, dropped === null ? 0 : 1, now],
  );
}

export interface StopCounts {
  /** Texts that it holds back. */
  held: number;
  /** Messages that wait in the queue. */
  waiting: number;
  /** Texts that a platform is being given: they may arrive. */
  sending: { outbound: number; to: string }[];
}

export function countsOfGroup(db: Db, group: string): StopCounts {
  const count = (sql: string): number => db.get<{ n: number }>(sql, group)!.n;
  const sending = db.all<{ outbound: number; channel: string; platform_id: string }>(
    `SELECT o.id AS outbound, c.channel, c.platform_id FROM outbound o INDEXED BY outbound_open JOIN chats c ON c.id = o.chat_id
      WHERE o.state IN ('queued', 'sending', 'retry') AND o.state = 'sending' AND o.session_id IN ${OF_GROUP} ORDER BY o.id`,
    group,
  );
  return {
    held: count(
      `SELECT count(*) AS n FROM outbound INDEXED BY outbound_stopped WHERE stopped = 1 AND state = 'held' AND ${OF_GROUP_OR_NONE}`,
    ),
    waiting: count(
      `SELECT count(*) AS n FROM inbound INDEXED BY inbound_open WHERE state IN ('queued', 'running') AND state = 'queued' AND session_id IN ${OF_GROUP}`,
    ),
    sending: sending.map(({ outbound, ...chat }) => ({ outbound, to: nameOfChat(chat) })),
  };
}

/** So far back the last text is looked for. */
const LOOKED_BACK = 10_000;

/** The last text of the group that a platform has taken. */
export function lastSentOf(db: Db, group: string): { outbound: number; to: string; at_ms: number } | null {
  const row = db.get<{ outbound: number; at_ms: number; channel: string; platform_id: string }>(
    `SELECT o.id AS outbound, o.updated_ms AS at_ms, c.channel, c.platform_id FROM outbound o JOIN chats c ON c.id = o.chat_id
      WHERE o.id > (SELECT max(id) FROM outbound) - ?2 AND o.state = 'sent' AND o.session_id IN ${OF_GROUP}
      ORDER BY o.updated_ms DESC, o.id DESC LIMIT 1`,
    group,
    LOOKED_BACK,
  );
  if (row === undefined) return null;
  const { outbound, at_ms, ...chat } = row;
  return { outbound, to: nameOfChat(chat), at_ms };
}
