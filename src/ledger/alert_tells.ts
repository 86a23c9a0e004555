import type { Db } from './db.ts';

/** Whom an alert was told, by which way, and what became of it. */
export type TellWhat = 'raised' | 'cleared' | 'flapping' | 'many' | 'test';
export type OuterWay = 'command' | 'webhook';

export interface TellRow {
  id: number;
  alert_id: number;
  what: TellWhat;
  way: 'chat' | OuterWay;
  /** Null: the operator's own chat, or no chat. */
  person_id: number | null;
  channel: string;
  outbound_id: number | null;
  state: 'queued' | 'sent' | 'failed';
  attempts: number;
  not_before_ms: number;
  error: string | null;
  created_ms: number;
  updated_ms: number;
}

export type NewTell = Pick<TellRow, 'alert_id' | 'what' | 'way' | 'person_id' | 'channel' | 'outbound_id'>;

export function insertTell(db: Db, now: number, tell: NewTell): number {
  return db.insert(
    `INSERT INTO alert_tells (alert_id, what, way, person_id, channel, outbound_id, created_ms, updated_ms)
     VALUES (?, ?, ?, ?, ?, ?, ?, ?)`,
    ...[tell.alert_id, tell.what, tell.way, tell.person_id, tell.channel, tell.outbound_id, now, now],
  );
}

export function tellsOf(db: Db, alert: number): TellRow[] {
  return db.all<TellRow>('SELECT * FROM alert_tells WHERE alert_id = ? ORDER BY id', alert);
}

/** How many alerts of a kind people were told of since a time. */
export function toldSince(db: Db, kind: string, since_ms: number): number {
  const sql = `SELECT count(DISTINCT t.alert_id) AS n FROM alert_tells t JOIN alerts a ON a.id = t.alert_id
    WHERE t.created_ms > ? AND t.what <> 'test' AND a.kind = ?`;
  return db.get<{ n: number }>(sql, since_ms, kind)!.n;
}

/** Whether a text is an alert itself. */
export function isTell(db: Db, outbound: number): boolean {
  return db.get('SELECT 1 AS yes FROM alert_tells WHERE outbound_id = ?', outbound) !== undefined;
}

/** What waits for a way: one that is tried again does not hold up the others. */
export function nextTell(db: Db, way: OuterWay): TellRow | undefined {
  const sql = `SELECT * FROM alert_tells t INDEXED BY alert_tells_open WHERE way = ? AND state = 'queued' AND NOT EXISTS (
      SELECT 1 FROM alert_tells e INDEXED BY alert_tells_open
      WHERE e.way = t.way AND e.state = 'queued' AND e.alert_id = t.alert_id AND e.id < t.id)
    ORDER BY not_before_ms, id LIMIT 1`;
  return db.get<TellRow>(sql, way);
}

/** What waits to be tried again is tried now. */
export function tellsAgain(db: Db, now: number, way: OuterWay): void {
  db.run(
    "UPDATE alert_tells SET not_before_ms = ? WHERE way = ? AND state = 'queued' AND not_before_ms > ?",
    now,
    way,
    now,
  );
}

export function waitingTells(db: Db, way: OuterWay): number {
  const sql = "SELECT count(*) AS n FROM alert_tells INDEXED BY alert_tells_open WHERE way = ? AND state = 'queued'";
  return db.get<{ n: number }>(sql, way)!.n;
}

/** Alerts that were over before a time go, with whom they were told. */
export function pruneAlerts(db: Db, before_ms: number): void {
  db.run('DELETE FROM alert_tells WHERE alert_id IN (SELECT id FROM alerts WHERE cleared_ms < ?)', before_ms);
  db.run('DELETE FROM alerts WHERE cleared_ms < ?', before_ms);
}

/** The newest that has left by a way, or was given up. */
export function lastTell(db: Db, way: OuterWay, state: 'sent' | 'failed'): TellRow | undefined {
  return db.get<TellRow>('SELECT * FROM alert_tells WHERE way = ? AND state = ? ORDER BY id DESC LIMIT 1', way, state);
}

export function endTell(db: Db, now: number, id: number, error: string | null): void {
  const state = error === null ? 'sent' : 'failed';
  const sql = 'UPDATE alert_tells SET state = ?, error = ?, attempts = attempts + 1, updated_ms = ? WHERE id = ?';
  db.run(sql, state, error, now, id);
}

export function retryTell(db: Db, now: number, id: number, error: string, not_before_ms: number): void {
  const sql =
    'UPDATE alert_tells SET error = ?, attempts = attempts + 1, not_before_ms = ?, updated_ms = ? WHERE id = ?';
  db.run(sql, error, not_before_ms, now, id);
}

/** Tells in chats of people that are not known to have arrived, with what their message is at. */
export function openChatTells(db: Db): (TellRow & { delivery: string; reason: string | null })[] {
  return db.all(
    `SELECT t.*, o.state AS delivery, o.error AS reason FROM alert_tells t INDEXED BY alert_tells_open
       JOIN outbound o ON o.id = t.outbound_id
      WHERE t.way = 'chat' AND t.state = 'queued' AND t.person_id IS NOT NULL ORDER BY t.id LIMIT 100`,
  );
}
