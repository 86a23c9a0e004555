import { UNREADABLE_BYTES_MAX, UNREADABLE_KEPT_MAX } from '../base/limits/channels.ts';
import { cutBytes } from '../base/text.ts';
import type { UnreadableEvent } from '../channels/channel.ts';
import type { Db } from '../ledger/db.ts';

/**
 * What a platform said and no driver could read, as it came: the newest of each channel. Nobody is answered for it, so it is no
 * message and in no law; it is there for whoever mends the driver, and goes with the files of its time (`retention.ts`).
 */
export interface UnreadableRow {
  id: number;
  kind: string;
  /** In JSON, or what is no JSON; cut at `UNREADABLE_BYTES_MAX`. */
  raw: string;
  at_ms: number;
}

/** What one answer of the control socket holds. */
const SHOWN_MAX = 50;

/** The same event once, however often it comes. */
export function keepUnreadable(db: Db, now: number, channel: string, event: UnreadableEvent): void {
  const { dedupe_key, kind, raw } = event;
  db.run(
    `INSERT INTO unreadable (channel, dedupe_key, kind, raw, at_ms) VALUES (?, ?, ?, ?, ?)
     ON CONFLICT (channel, dedupe_key) DO NOTHING`,
    ...[channel, dedupe_key, kind, cutBytes(raw, UNREADABLE_BYTES_MAX), now],
  );
  db.run(
    `DELETE FROM unreadable WHERE channel = ?1 AND id <= (
       SELECT id FROM unreadable WHERE channel = ?1 ORDER BY id DESC LIMIT 1 OFFSET ?2)`,
    ...[channel, UNREADABLE_KEPT_MAX],
  );
}

/** Of those at most `SHOWN_MAX`, the newest first. */
export function unreadableOf(db: Db, channel: string): UnreadableRow[] {
  return db.all<UnreadableRow>(
    'SELECT id, kind, raw, at_ms FROM unreadable WHERE channel = ? ORDER BY id DESC LIMIT ?',
    ...[channel, SHOWN_MAX],
  );
}

export function countUnreadable(db: Db, channel: string): number {
  return db.get<{ n: number }>('SELECT count(*) AS n FROM unreadable WHERE channel = ?', channel)!.n;
}

export function pruneUnreadable(db: Db, before_ms: number): void {
  db.run('DELETE FROM unreadable WHERE at_ms < ?', before_ms);
}
