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
}

/** Raises an alert, or counts it when it stands already. Returns true when it is new: then a person is told. */
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
    'INSERT INTO alerts (kind, subject, text, created_ms, updated_ms) VALUES (?, ?, ?, ?, ?)',
    kind,
    subject,
    text,
    now,
    now,
  );
  recordEvent(db, clock, 'alert.raised', {}, { kind, subject });
  return true;
}

/** Clears an alert whose cause is gone. Returns whether it stood. */
export function clearAlert(db: Db, clock: Clock, kind: string, subject: string): boolean {
  const cleared = db.run(
    'UPDATE alerts SET cleared_ms = ? WHERE kind = ? AND subject = ? AND cleared_ms IS NULL',
    clock.now(),
    kind,
    subject,
  );
  if (cleared > 0) recordEvent(db, clock, 'alert.cleared', {}, { kind, subject });
  return cleared > 0;
}

export function openAlerts(db: Db): AlertRow[] {
  return db.all<AlertRow>(
    'SELECT id, kind, subject, text, count, created_ms, updated_ms FROM alerts WHERE cleared_ms IS NULL ORDER BY updated_ms DESC LIMIT 100',
  );
}

/** The operator has seen what stands. Returns how many that were. */
export function clearAllAlerts(db: Db, clock: Clock): number {
  const open = openAlerts(db);
  for (const alert of open) clearAlert(db, clock, alert.kind, alert.subject);
  return open.length;
}

export function isAlertOpen(db: Db, kind: string, subject: string): boolean {
  return (
    db.get('SELECT 1 AS yes FROM alerts WHERE kind = ? AND subject = ? AND cleared_ms IS NULL', kind, subject) !==
    undefined
  );
}
