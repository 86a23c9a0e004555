import type { Clock } from '../base/clock.ts';
import { assert } from '../base/errors.ts';
import { type Cut, DAY_MS, dayBefore, type SignedCut } from '../protocol/chain.ts';
import type { Db } from './db.ts';
import { eventHeadAt, recordEvent } from './events.ts';

/**
 * Old hops go from the beginning only, together with the commit of the cut that stands for them: at any moment the hops begin with what
 * it says.
 */

/** A clock is set by less every day. */
const AHEAD_MS = DAY_MS;

/** Null: the hops begin with the first one. */
export function cutOf(db: Db): SignedCut | null {
  return db.get<SignedCut>('SELECT day, through, seq, hash, count, signature FROM cut') ?? null;
}

/** What can go next of the hops before a time (the beginning of a day), at most `limit`; null: nothing. */
export function cutBefore(db: Db, before_ms: number, limit: number): Cut | null {
  const old = cutOf(db);
  const begin = old?.through ?? 0;
  const first = (where: string, ...values: number[]): number | undefined =>
    db.get<{ id: number }>(`SELECT id FROM events WHERE id > ? AND ${where} ORDER BY id LIMIT 1`, begin, ...values)?.id;
  const chained = first('hash IS NOT NULL');
  if (chained === undefined) return null;
  // Those from before the chain have one hash for all of them, and go at once.
  const most = Math.max(begin + limit, chained - 1);
  // What lies behind that portion is not read: the next one does.
  const kept = first('id <= ? AND at_us >= ?', most, before_ms * 1000) ?? first('id > ?', most);
  if (kept === undefined) return null;
  const through = Math.min(kept - 1, most);
  if (through < chained - 1 || through === begin) return null;
  const { hash } = eventHeadAt(db, through)!;
  return { day: dayBefore(before_ms), through, seq: through, hash, count: (old?.count ?? 0) + through - begin };
}

/**
 * The time of the oldest hop, in milliseconds, when the clock was far ahead then: old ones behind it stay until it is old too. Rows of
 * that time are as far ahead, so to step over it would make them look like rows without their hops. Else null. `limit`: of how
 * many behind it are looked at.
 */
export function heldBack(db: Db, before_ms: number, now_ms: number, limit: number): number | null {
  const begin = cutOf(db)?.through ?? 0;
  const oldest = db.get<{ at_us: number }>('SELECT at_us FROM events WHERE id > ? ORDER BY id LIMIT 1', begin);
  const at_ms = Math.floor((oldest?.at_us ?? 0) / 1000);
  if (at_ms < before_ms) return null; // it goes with the next cut
  if (at_ms > now_ms + AHEAD_MS) return at_ms;
  const old_us = (before_ms - AHEAD_MS) * 1000;
  const sql = 'SELECT 1 FROM events WHERE id > ? AND id <= ? AND at_us < ? LIMIT 1';
  return db.get(sql, begin, begin + limit, old_us) === undefined ? null : at_ms;
}

/** Removes what the cut stands for. Throws, and so rolls back, when it does not go on from the one before. */
export function cutEvents(db: Db, clock: Clock, { day, through, seq, hash, count, signature }: SignedCut): void {
  assert((cutOf(db)?.through ?? 0) < through, 'a cut goes on from the one before');
  db.run(
    'INSERT OR REPLACE INTO cut (one, day, through, seq, hash, count, signature) VALUES (1, ?, ?, ?, ?, ?, ?)',
    ...[day, through, seq, hash, count, signature],
  );
  db.run('DELETE FROM events WHERE id <= ?', through);
  recordEvent(db, clock, 'events.cut', {}, { day, through, count });
}

/** Writes a key down if it is new. */
export function signerSeen(db: Db, clock: Clock, key: string): void {
  if (db.run('INSERT OR IGNORE INTO signers (key, seen_ms) VALUES (?, ?)', key, clock.now()) === 1)
    recordEvent(db, clock, 'signer.seen', {}, { key });
}

export function signersOf(db: Db): string[] {
  return db.all<{ key: string }>('SELECT key FROM signers ORDER BY seen_ms, key').map(({ key }) => key);
}
