import type { DatabaseSync } from 'node:sqlite';
import { setImmediate } from 'node:timers/promises';
import { AUDIT_ANCHORS_MAX } from '../base/limits/gateway.ts';
import { EVENTS_AT_ONCE } from '../base/limits/messages.ts';
import type { Cut, SignedCut } from '../protocol/chain.ts';
import type { ChainState, EventAnchor } from '../protocol/gateway.ts';
import { ChainCheck, type Chained, type ChainedHead, type Link } from './chain.ts';

/** The record of requests as evidence: the host's heads in it, its cut at the beginning, and the check of all of it. */
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

/** What a check looks at: as it was when it began. */
export interface Checked {
  /** Key of the newest row, and number of the newest link. */
  until: number;
  last: number;
  anchors: readonly Link[];
  /** Of the host's events. */
  cut: EventAnchor | null;
  isSigned(cut: SignedCut): boolean;
}

/** Others get their turn between portions. */
export async function checkRecord(
  db: DatabaseSync,
  { until, last, anchors, cut, isSigned }: Checked,
): Promise<ChainState> {
  const own = cutOf(db);
  const heads = db.prepare(
    `SELECT seq, hash, at_ms, event, event_hash, cut FROM heads WHERE seq > ? AND seq <= ? ORDER BY seq LIMIT ${EVENTS_AT_ONCE}`,
  );
  const headsAfter = (seq: number): ChainedHead[] => heads.all(seq, last) as unknown as ChainedHead[];
  const { through: unchained } = db.prepare('SELECT through FROM unchained').get() as { through: number };
  const check = new ChainCheck({ anchors, last, cut: own, unchained, headsAfter });
  if (own !== null && !isSigned(own)) check.broken = 'the record begins at a cut that is not signed by its gateway';
  const before = db.prepare(
    'SELECT 1 FROM requests WHERE id <= ?1 UNION ALL SELECT 1 FROM heads WHERE seq <= ?2 LIMIT 1',
  );
  if (before.get(own?.through ?? 0, own?.seq ?? 0) !== undefined)
    check.broken ??= 'something was put in before its beginning';
  const page = db.prepare(
    `SELECT id, session, group_name AS "group", at_ms, method, host, path, service, secret, ended_ms, decision, rule, status,
       model, request_bytes, response_bytes, input_tokens, output_tokens, redacted, cost_micros, tokens,
       begun_seq, begun_hash, ended_seq, ended_hash
     FROM requests WHERE id > ? AND id <= ? ORDER BY id LIMIT ${EVENTS_AT_ONCE}`,
  );
  for (let after = own?.through ?? 0; check.broken === null; ) {
    const rows = page.all(after, until) as unknown as Chained[];
    for (const row of rows) check.push(row);
    if (rows.length < EVENTS_AT_ONCE) break;
    after = rows.at(-1)!.id;
    await setImmediate();
  }
  check.end();
  const newest = db.prepare('SELECT event, event_hash AS hash FROM heads WHERE seq <= ? ORDER BY seq DESC LIMIT ?');
  const known = db.prepare('SELECT 1 FROM heads WHERE cut IS NOT NULL AND event = ? AND event_hash = ?');
  return {
    links: check.links,
    broken: check.broken,
    cut: own?.day ?? null,
    heads: newest.all(last, AUDIT_ANCHORS_MAX) as unknown as EventAnchor[],
    cut_known: cut === null || known.get(cut.event, cut.hash) !== undefined,
  };
}
