import type { Db } from './db.ts';

/** An authority that was applied; the newest of a group is in force. */
export interface AuthorityRow {
  id: number;
  group_name: string;
  hash: string;
  /** Canonical JSON. */
  object: string;
  /** What its system files come from, by digest or path; null: the host's own. */
  image: string | null;
  /** JSON list of limits and how they held when it was applied. */
  controls: string;
  applied_by: string;
  applied_ms: number;
}

export function authorityInForce(db: Db, group: string): AuthorityRow | undefined {
  return db.get<AuthorityRow>('SELECT * FROM authorities WHERE group_name = ? ORDER BY id DESC LIMIT 1', group);
}

/** What may still be started from: the images of what is in force, and of what was before it, which a start may just have read. */
export function imagesOfUse(db: Db): string[] {
  const newest = 'row_number() OVER (PARTITION BY group_name ORDER BY id DESC)';
  const sql = `SELECT image FROM (SELECT image, ${newest} AS place FROM authorities) WHERE place <= 2 AND image IS NOT NULL`;
  return db.all<{ image: string }>(sql).map(({ image }) => image);
}

export function insertAuthority(db: Db, row: Omit<AuthorityRow, 'id'>): number {
  return db.insert(
    'INSERT INTO authorities (group_name, hash, object, image, controls, applied_by, applied_ms) VALUES (?, ?, ?, ?, ?, ?, ?)',
    row.group_name,
    row.hash,
    row.object,
    row.image,
    row.controls,
    row.applied_by,
    row.applied_ms,
  );
}
