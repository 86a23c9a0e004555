import type { DatabaseSync } from 'node:sqlite';
import { EVENTS_AT_ONCE } from '../base/limits/messages.ts';
import type { Cut, SignedCut } from '../protocol/chain.ts';
import type { Chained, ChainedHead } from './chain.ts';

/** The record of requests as evidence: the host's heads in it, and its cut at the beginning. */
export const RECORD_TABLES = `
  CREATE TABLE heads (
    seq        INTEGER PRIMARY KEY,
    hash       TEXT NOT NULL,
    at_ms      INTEGER NOT NULL,
    event      INTEGER NOT NULL,
    event_hash TEXT NOT NULL,
    cut        TEXT
  ) STRICT;
  CREATE TABLE cut (
    one       INTEGER PRIMARY KEY CHECK (one = 1),
    day       TEXT NOT NULL,
    through   INTEGER NOT NULL,
    seq       INTEGER NOT NULL,
    hash      TEXT NOT NULL,
    count     INTEGER NOT NULL,
    signature TEXT NOT NULL
  ) STRICT;
  -- Requests up to this one may be from before there was a chain, which covers none of them.
  CREATE TABLE unchained (through INTEGER NOT NULL) STRICT;
  INSERT INTO unchained SELECT coalesce(max(id), 0) FROM requests WHERE begun_seq IS NULL;`;

export function addHead(db: DatabaseSync, { seq, hash, at_ms, event, event_hash, cut }: ChainedHead): void {
  db.prepare('INSERT INTO heads (seq, hash, at_ms, event, event_hash, cut) VALUES (?, ?, ?, ?, ?, ?)').run(
    ...[seq, hash, at_ms, event, event_hash, cut],
  );
}

/** The newest event that the host had told of by then; 0: of none. */
export function eventKnownAt(db: DatabaseSync, at_ms: number): number {
  const sql = 'SELECT event FROM heads WHERE at_ms <= ? ORDER BY seq DESC LIMIT 1';
  return (db.prepare(sql).get(at_ms) as { event: number } | undefined)?.event ?? 0;
}

export function cutOf(db: DatabaseSync): SignedCut | null {
  const sql = 'SELECT day, through, seq, hash, count, signature FROM cut';
  return (db.prepare(sql).get() as SignedCut | undefined) ?? null;
}

/**
 * Where the requests before a time can be cut: at a moment at which none ran, after `EVENTS_AT_ONCE` of them or at the last such
 * moment. Null: nowhere.
 */
export function cutBefore(db: DatabaseSync, day: string, before_id: number): Cut | null {
  const old = cutOf(db);
  const rows = db.prepare('SELECT id, begun_seq, ended_seq, ended_hash FROM requests WHERE id > ? ORDER BY id');
  let found: Cut | null = null;
  let so = { day, through: old?.through ?? 0, seq: old?.seq ?? 0, hash: old?.hash ?? '', count: old?.count ?? 0 };
  const begin = so.count;
  for (const row of rows.iterate(so.through)) {
    const { id, begun_seq, ended_seq, ended_hash } = row as Pick<
      Chained,
      'id' | 'begun_seq' | 'ended_seq' | 'ended_hash'
    >;
    if (so.count > begin && (begun_seq ?? so.seq + 1) > so.seq) found = so;
    const runs = begun_seq !== null && ended_seq === null;
    if (id >= before_id || runs || (found !== null && found.count - begin >= EVENTS_AT_ONCE)) return found;
    const last = ended_seq !== null && ended_seq > so.seq ? { seq: ended_seq, hash: ended_hash! } : {};
    so = { ...so, ...last, through: id, count: so.count + 1 };
  }
  return so.count > begin ? so : null;
}

/** Removes what the cut stands for, together with its commit. */
export function cutAt(db: DatabaseSync, { day, through, seq, hash, count, signature }: SignedCut): void {
  db.exec('BEGIN IMMEDIATE');
  try {
    db.prepare(
      'INSERT OR REPLACE INTO cut (one, day, through, seq, hash, count, signature) VALUES (1, ?, ?, ?, ?, ?, ?)',
    ).run(...[day, through, seq, hash, count, signature]);
    db.prepare('DELETE FROM requests WHERE id <= ?').run(through);
    db.prepare('DELETE FROM heads WHERE seq <= ?').run(seq);
    db.exec('COMMIT');
  } catch (error) {
    db.exec('ROLLBACK');
    throw error;
  }
}
