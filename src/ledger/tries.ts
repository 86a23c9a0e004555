import { TRIES_MS } from '../base/limits/talk.ts';
import type { Db } from './db.ts';

/**
 * What is tried, counted by the hour: by people without a role `pair`, a code, and `public`, a message in a chat that is open to
 * all; by the agents of a group (the handle, of no channel) `wish`, more authority, and
 * `agent`, a message to another agent.
 */
export type TryKind = 'pair' | 'public' | 'wish' | 'agent';

/** Tries of one sender in their current hour. */
export function triesOf(db: Db, now: number, kind: TryKind, channel: string, handle: string): number {
  const sql = 'SELECT count FROM tries WHERE kind = ? AND channel = ? AND handle = ? AND since_ms > ?';
  return db.get<{ count: number }>(sql, kind, channel, handle, now - TRIES_MS)?.count ?? 0;
}

/** Tries of all senders of a channel. */
export function triesOfAll(db: Db, now: number, kind: TryKind, channel: string): number {
  const sql = 'SELECT sum(count) AS n FROM tries WHERE kind = ? AND channel = ? AND since_ms > ?';
  return db.get<{ n: number | null }>(sql, kind, channel, now - TRIES_MS)!.n ?? 0;
}

/** Counts one more; with the one that makes `max` the hour begins anew. What is past its hour goes. */
export function countTry(db: Db, now: number, kind: TryKind, channel: string, handle: string, max: number): void {
  db.run('DELETE FROM tries WHERE since_ms <= ?', now - TRIES_MS);
  db.run(
    `INSERT INTO tries (kind, channel, handle, count, since_ms) VALUES (?, ?, ?, 1, ?)
     ON CONFLICT (kind, channel, handle) DO UPDATE SET count = count + 1,
       since_ms = CASE WHEN count + 1 >= ? THEN excluded.since_ms ELSE since_ms END`,
    ...[kind, channel, handle, now, max],
  );
}
