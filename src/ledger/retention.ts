import type { Db } from './db.ts';

/** What is kept of files, and of conversations that are over: facts for `operations/retention.ts`, which decides. */
export interface KeptFile {
  sha256: string;
  bytes: number;
  /** Of the newest row that names it: when the message came, when the text was last at work. */
  at_ms: number;
  /** 1: something that is not over needs it. */
  needed: number;
}

/** Messages that no agent is through with, or about which somebody is asked: found once, not for each file. */
const NEEDED_MESSAGES = `SELECT message_id FROM inbound WHERE state IN ('queued', 'running', 'held')
  UNION SELECT message_id FROM approvals WHERE state = 'pending' AND message_id IS NOT NULL`;

/** Each file whose bytes are there, the oldest first. */
export function keptFiles(db: Db): KeptFile[] {
  return db.all<KeptFile>(
    `SELECT sha256, max(bytes) AS bytes, max(at_ms) AS at_ms, max(needed) AS needed FROM (
       SELECT f.sha256, f.bytes, m.received_ms AS at_ms, f.message_id IN (${NEEDED_MESSAGES}) AS needed
         FROM files f JOIN messages m ON m.id = f.message_id WHERE f.gone_ms IS NULL
       UNION ALL
       SELECT f.sha256, f.bytes, o.updated_ms, o.state IN ('queued', 'sending', 'retry', 'held')
         FROM outbound_files f JOIN outbound o ON o.id = f.outbound_id WHERE f.gone_ms IS NULL)
      GROUP BY sha256 ORDER BY 3, 1`,
  );
}

/** From now on no row counts on these bytes. */
export function markGone(db: Db, now: number, hashes: string[]): void {
  const list = JSON.stringify(hashes);
  for (const table of ['files', 'outbound_files'])
    db.run(
      `UPDATE ${table} SET gone_ms = ? WHERE gone_ms IS NULL AND sha256 IN (SELECT value FROM json_each(?))`,
      now,
      list,
    );
}

/** Whether a row counts on these bytes. */
export function isKept(db: Db, sha256: string): boolean {
  return (
    db.get(
      `SELECT 1 AS yes FROM files WHERE gone_ms IS NULL AND sha256 = ?1
       UNION ALL SELECT 1 FROM outbound_files WHERE gone_ms IS NULL AND sha256 = ?1 LIMIT 1`,
      sha256,
    ) !== undefined
  );
}

/** Files whose bytes are kept. */
export function filesKept(db: Db): { count: number; bytes: number } {
  return db.get(
    `SELECT count(*) AS count, coalesce(sum(bytes), 0) AS bytes FROM (
       SELECT sha256, bytes FROM files WHERE gone_ms IS NULL
       UNION SELECT sha256, bytes FROM outbound_files WHERE gone_ms IS NULL)`,
  )!;
}

/** When the bytes of a text's file were removed; null: they were not. */
export function outboundFileGone(db: Db, outboundId: number): number | null {
  return (
    db.get<{ gone_ms: number | null }>('SELECT gone_ms FROM outbound_files WHERE outbound_id = ?', outboundId)
      ?.gone_ms ?? null
  );
}

export interface GoneFile {
  name: string;
  gone_ms: number;
  /** The text that it left with; null: it came with the message. */
  outbound_id: number | null;
}

/** Of a message and what its turns sent, the files whose bytes were removed. */
export function goneFilesOf(db: Db, messageId: number): GoneFile[] {
  return db.all<GoneFile>(
    `SELECT name, gone_ms, NULL AS outbound_id FROM files WHERE message_id = ?1 AND gone_ms IS NOT NULL
     UNION ALL
     SELECT f.name, f.gone_ms, o.id FROM inbound i JOIN turn_inbound x ON x.inbound_id = i.id
       JOIN outbound o ON o.turn_id = x.turn_id JOIN outbound_files f ON f.outbound_id = o.id
      WHERE i.message_id = ?1 AND f.gone_ms IS NOT NULL`,
    messageId,
  );
}

/** Something waits in the session, or runs. */
const OPEN = "EXISTS (SELECT 1 FROM inbound i WHERE i.session_id = s.id AND i.state IN ('queued', 'running'))";

/** A task that is over for so long has no conversation any more. One that begins again gets a new one. */
export function closeTaskSessions(db: Db, now: number, before_ms: number): void {
  db.run(
    `UPDATE sessions AS s SET closed_ms = ? WHERE closed_ms IS NULL AND NOT ${OPEN} AND task_id IN (
       SELECT t.id FROM tasks t WHERE t.state IN ('done', 'removed') AND NOT EXISTS (
         SELECT 1 FROM task_runs r WHERE r.task_id = t.id AND coalesce(r.ended_ms, r.started_ms) >= ?))`,
    now,
    before_ms,
  );
}

/** What may go of a session: undefined, no session of that key. */
export function sessionFacts(db: Db, id: number): { closed_ms: number | null; open: number } | undefined {
  return db.get(`SELECT s.closed_ms, ${OPEN} AS open FROM sessions s WHERE s.id = ?`, id);
}

/** Whether a session may still be asked for the files of a message: it is young, its bytes are there, or its turn is not over. */
export function inboxKept(db: Db, sessionId: number, messageId: number, before_ms: number): boolean {
  return (
    db.get(
      `SELECT 1 AS yes FROM messages m WHERE m.id = ?1 AND (
         (m.received_ms >= ?3 AND EXISTS (SELECT 1 FROM files f WHERE f.message_id = m.id AND f.gone_ms IS NULL))
         OR EXISTS (SELECT 1 FROM inbound i WHERE i.message_id = m.id AND i.session_id = ?2 AND i.state IN ('queued', 'running', 'held')))`,
      ...[messageId, sessionId, before_ms],
    ) !== undefined
  );
}
