import { PROOFS_KEPT } from '../base/limits/sandbox.ts';
import type { Db } from './db.ts';

/** One self-check of a group's boundary. */
export interface ProofRow {
  id: number;
  group_name: string;
  /** Of everything that the boundary depends on: a proof holds only for the same one. */
  fingerprint: string;
  depth: 'quick' | 'full';
  ok: 0 | 1;
  at_ms: number;
  ms: number;
  /** JSON. */
  inspection: string;
}

/** The newest one, of any depth or of that one. */
export function lastProof(db: Db, group: string, depth: ProofRow['depth'] | null = null): ProofRow | undefined {
  return db.get<ProofRow>(
    'SELECT * FROM proofs WHERE group_name = ? AND (? IS NULL OR depth = ?) ORDER BY id DESC LIMIT 1',
    group,
    depth,
    depth,
  );
}

/** Keeps a proof with the probes that passed in it, and forgets the oldest ones; never the newest full one, which may be red. */
export function insertProof(db: Db, row: Omit<ProofRow, 'id'>, passed: string[]): void {
  db.run(
    'INSERT INTO proofs (group_name, fingerprint, depth, ok, at_ms, ms, inspection) VALUES (?, ?, ?, ?, ?, ?, ?)',
    row.group_name,
    row.fingerprint,
    row.depth,
    row.ok,
    row.at_ms,
    row.ms,
    row.inspection,
  );
  db.run(
    `INSERT INTO guards_seen (group_name, probe, at_ms) SELECT ?, value, ? FROM json_each(?) WHERE true
     ON CONFLICT (group_name, probe) DO UPDATE SET at_ms = excluded.at_ms`,
    row.group_name,
    row.at_ms,
    JSON.stringify(passed),
  );
  db.run(
    `DELETE FROM proofs WHERE group_name = ? AND id <= (SELECT id FROM proofs WHERE group_name = ? ORDER BY id DESC LIMIT 1 OFFSET ?)
     AND id <> ifnull((SELECT max(id) FROM proofs WHERE group_name = ? AND depth = 'full'), 0)`,
    ...[row.group_name, row.group_name, PROOFS_KEPT, row.group_name],
  );
}

/** Milliseconds since the epoch at which each probe of a group last passed. */
export function guardsSeen(db: Db, group: string): Record<string, number> {
  const rows = db.all<{ probe: string; at_ms: number }>(
    'SELECT probe, at_ms FROM guards_seen WHERE group_name = ?',
    group,
  );
  return Object.fromEntries(rows.map(({ probe, at_ms }) => [probe, at_ms]));
}
