import type { Clock } from '../base/clock.ts';
import type { Db } from './db.ts';
import { recordEvent } from './events.ts';

export interface AlertRow {
  id: number;
  kind: string;
  subject: string;
  text: string;
  count: number;
  created_ms: number;
  updated_ms: number;
  cleared_ms: number | null;
  /** Somebody has seen it; it stands all the same. */
  acked_ms: number | null;
  /** 1: that it began is still to be told; 2: that it is over. */
  untold: 0 | 1 | 2;
}

/** Raises an alert, or counts it when it stands already. Returns true when it is new: then people are to be told. */
export function raiseAlert(db: Db, clock: Clock, kind: string, subject: string, text: string): boolean {
  const now = clock.now();
  const counted = db.run(
    'UPDATE alerts SET count = count + 1, text = ?, updated_ms = ? WHERE kind = ? AND subject = ? AND cleared_ms IS NULL',
    text,
    now,
    kind,
    subject,
  );
  if (counted > 0) return false;
  db.run(
    'INSERT INTO alerts (kind, subject, text, created_ms, updated_ms, untold) VALUES (?, ?, ?, ?, ?, 1)',
    kind,
    subject,
    text,
    now,
    now,
  );
  recordEvent(db, clock, 'alert.raised', {}, { kind, subject });
  return true;
}

/** Clears an alert whose cause is gone; who was told of it is to hear that too. Returns whether it stood. */
export function clearAlert(db: Db, clock: Clock, kind: string, subject: string): boolean {
  const cleared = db.run(
    `UPDATE alerts SET cleared_ms = ?, untold = CASE untold WHEN 0 THEN 2 ELSE untold END
      WHERE kind = ? AND subject = ? AND cleared_ms IS NULL`,
    clock.now(),
    kind,
    subject,
  );
  if (cleared > 0) recordEvent(db, clock, 'alert.cleared', {}, { kind, subject });
  return cleared > 0;
}

/** `limit`: the newest; absent: all. */
export function openAlerts(db: Db, limit = -1): AlertRow[] {
  return db.all<AlertRow>('SELECT * FROM alerts WHERE cleared_ms IS NULL ORDER BY updated_ms DESC LIMIT ?', limit);
}

/** The newest, those that stand first. */
export function recentAlerts(db: Db, limit: number): AlertRow[] {
  return db.all<AlertRow>('SELECT * FROM alerts ORDER BY cleared_ms IS NOT NULL, id DESC LIMIT ?', limit);
}

export function alertById(db: Db, id: number): AlertRow | undefined {
  return db.get<AlertRow>('SELECT * FROM alerts WHERE id = ?', id);
}

/**
 * The operator has seen it: nobody is told of it again. One that `stands` for as long as its cause does stays, and does not ask
 * for a look any more; any other is over.
 */
export function ackAlert(db: Db, clock: Clock, { id, kind, subject }: AlertRow, stands: boolean): void {
  db.run('UPDATE alerts SET acked_ms = ?, untold = 0 WHERE id = ? AND cleared_ms IS NULL', clock.now(), id);
  if (stands) return;
  clearAlert(db, clock, kind, subject);
  db.run('UPDATE alerts SET untold = 0 WHERE id = ?', id);
}

export function isAlertOpen(db: Db, kind: string, subject: string): boolean {
  return (
    db.get('SELECT 1 AS yes FROM alerts WHERE kind = ? AND subject = ? AND cleared_ms IS NULL', kind, subject) !==
    undefined
  );
}

/** What is still to be told, oldest first. */
export function untoldAlerts(db: Db, limit: number): AlertRow[] {
  return db.all<AlertRow>('SELECT * FROM alerts INDEXED BY alerts_untold WHERE untold > 0 ORDER BY id LIMIT ?', limit);
}

/** Takes an alert for told. False: somebody else has, meanwhile. */
export function takeUntold(db: Db, alert: AlertRow): boolean {
  return db.run('UPDATE alerts SET untold = 0 WHERE id = ? AND untold = ?', alert.id, alert.untold) === 1;
}

/** How often the same thing began since a time. */
export function raisesSince(db: Db, { kind, subject }: AlertRow, since_ms: number): number {
  return db.get<{ n: number }>(
    'SELECT count(*) AS n FROM alerts WHERE kind = ? AND subject = ? AND created_ms > ?',
    kind,
    subject,
    since_ms,
  )!.n;
}
