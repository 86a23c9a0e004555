import type { Db } from './db.ts';

/** Lives of the host: one that has no end and is not this one was cut short. */
export function beginLife(db: Db, now: number): void {
  db.run('INSERT INTO lives (started_ms) VALUES (?)', now);
}

export function endLife(db: Db, now: number): void {
  db.run('UPDATE lives SET ended_ms = ? WHERE id = (SELECT max(id) FROM lives)', now);
}

/** Those that began before a time, but for this one. */
export function pruneLives(db: Db, before_ms: number): void {
  db.run('DELETE FROM lives WHERE started_ms < ? AND id < (SELECT max(id) FROM lives)', before_ms);
}

/** How many lives that began since a time were cut short. */
export function livesCut(db: Db, since_ms: number): number {
  const sql = `SELECT count(*) AS n FROM lives WHERE started_ms > ? AND ended_ms IS NULL AND id < (SELECT max(id) FROM lives)`;
  return db.get<{ n: number }>(sql, since_ms)!.n;
}
