import type { Db } from './db.ts';

/** The platform's fact about one message, as a driver normalised it. */
export interface NewMessage {
  dedupe_key: string;
  chat_id: number;
  thread: string;
  person_id: number | null;
  sender: string;
  /** The platform's own id of the sender. */
  handle: string;
  /** 1: to an agent by its name, or in a direct chat. */
  addressed: number;
  platform_id: string;
  text: string;
  sent_ms: number;
  received_ms: number;
  /** Absent: the platform of its chat. What another one says, no platform can quote. */
  origin?: Origin;
  /** The task that it is a run of. */
  task_id?: number;
  /** The text of another group's agent that it comes from, and how many agents it has come through. */
  outbound_id?: number;
  hops?: number;
  /** 1: it passes on what others wrote. */
  forwarded?: number;
}

export type Origin = 'platform' | 'task' | 'approval' | 'agent';

export interface MessageRow extends Omit<NewMessage, 'task_id' | 'origin' | 'outbound_id' | 'hops' | 'forwarded'> {
  id: number;
  origin: Origin;
  task_id: number | null;
  outbound_id: number | null;
  hops: number;
  forwarded: number;
  /** The platform's time of the edit that the text is; 0: as it came. */
  edited_ms: number;
}

export type InboundState = 'queued' | 'running' | 'answered' | 'silent' | 'ignored' | 'held' | 'cancelled' | 'failed';

export interface InboundRow {
  id: number;
  message_id: number;
  session_id: number | null;
  state: InboundState;
  reason: string;
  turn_id: number | null;
  deaths: number;
}

/** Inserts the message, or returns undefined when this dedupe key was accepted before. */
export function insertMessage(db: Db, message: NewMessage): number | undefined {
  if (messageByKey(db, message.dedupe_key) !== undefined) return undefined;
  return db.insert(
    `INSERT INTO messages (dedupe_key, chat_id, thread, person_id, sender, handle, addressed, platform_id, text, sent_ms, received_ms, task_id, origin,
       outbound_id, hops, forwarded)
     VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
    message.dedupe_key,
    message.chat_id,
    message.thread,
    message.person_id,
    message.sender,
    message.handle,
    message.addressed,
    message.platform_id,
    message.text,
    message.sent_ms,
    message.received_ms,
    message.task_id ?? null,
    message.origin ?? 'platform',
    message.outbound_id ?? null,
    message.hops ?? 0,
    message.forwarded ?? 0,
  );
}

export function messageByKey(db: Db, dedupeKey: string): number | undefined {
  return db.get<{ id: number }>('SELECT id FROM messages WHERE dedupe_key = ?', dedupeKey)?.id;
}

/** For what must not be kept as it was sent. */
export function setText(db: Db, id: number, text: string): void {
  db.run('UPDATE messages SET text = ? WHERE id = ?', text, id);
}

export function messageById(db: Db, id: number): MessageRow | undefined {
  return db.get<MessageRow>('SELECT * FROM messages WHERE id = ?', id);
}

/** Whether something was said in the chat after this message. */
export function isFollowed(db: Db, id: number, chatId: number): boolean {
  return db.get('SELECT 1 AS yes FROM messages WHERE id > ? AND chat_id = ? LIMIT 1', id, chatId) !== undefined;
}

export function latestMessageId(db: Db): number | undefined {
  return db.get<{ id: number | null }>('SELECT max(id) AS id FROM messages')?.id ?? undefined;
}

/** The row that a session handles, or the one row without session that says why nobody does. */
export function insertInbound(
  db: Db,
  now: number,
  messageId: number,
  sessionId: number | null,
  state: InboundState,
  reason: string,
  alone = false,
): number {
  return db.insert(
    'INSERT INTO inbound (message_id, session_id, state, reason, alone, updated_ms) VALUES (?, ?, ?, ?, ?, ?)',
    messageId,
    sessionId,
    state,
    reason,
    alone ? 1 : 0,
    now,
  );
}

export function inboundOf(db: Db, messageId: number): InboundRow[] {
  return db.all<InboundRow>(
    'SELECT id, message_id, session_id, state, reason, turn_id, deaths FROM inbound WHERE message_id = ? ORDER BY id',
    messageId,
  );
}

/** A message that waits for a decision waits no more. False: it was not waiting for this one. */
export function releaseHeld(db: Db, messageId: number, reason: string): boolean {
  const sql = "DELETE FROM inbound WHERE message_id = ? AND session_id IS NULL AND state = 'held' AND reason = ?";
  return db.run(sql, messageId, reason) === 1;
}

/**
 * How a message has ended: every session is through with it, and what its turns sent and what answers it has reached its own end. Undefined
 * while something is still to come.
 */
export function outcomeOf(db: Db, messageId: number): { states: InboundState[]; reason: string } | undefined {
  const rows = inboundOf(db, messageId);
  if (rows.some((row) => row.state === 'queued' || row.state === 'running')) return undefined;
  const leaving = db.get(
    `SELECT 1 AS yes FROM inbound i JOIN outbound o ON o.turn_id = i.turn_id
      WHERE i.message_id = ? AND o.state IN ('queued', 'sending', 'retry') LIMIT 1`,
    messageId,
  );
  const told = db.get(
    `SELECT 1 AS yes FROM outbound INDEXED BY outbound_open WHERE state IN ('queued', 'sending', 'retry')
        AND chat_id = (SELECT chat_id FROM messages WHERE id = ?) AND reply_to = ? LIMIT 1`,
    ...[messageId, messageId],
  );
  if (leaving !== undefined || told !== undefined) return undefined;
  return { states: rows.map((row) => row.state), reason: rows.find((row) => row.reason !== '')?.reason ?? '' };
}

/**
 * A row that has not reached an end. SQLite uses a partial index only for the index's own condition, word by word; what
 * is asked for each message says INDEXED BY, so that it fails rather than reads the whole history.
 */
export const IS_OPEN = "state IN ('queued', 'running')";

/** The groups whose sessions have had a message. */
export function groupsOfMessage(db: Db, id: number): string[] {
  return db
    .all<{ name: string }>(
      'SELECT DISTINCT s.group_name AS name FROM inbound i JOIN sessions s ON s.id = i.session_id WHERE i.message_id = ?',
      id,
    )
    .map(({ name }) => name);
}

/** So far back a message is looked for that is not named by its key: no index is worth what it would cost each message. */
const LOOKED_BACK = 10_000;

/** What a row of `outbound o` answers, in SQL: what it names, else the first message of its turn. */
export const ANSWERED_BY = `coalesce(o.reply_to, (SELECT i.message_id FROM turn_inbound x JOIN inbound i ON i.id = x.inbound_id
  WHERE x.turn_id = o.turn_id ORDER BY i.id LIMIT 1))`;

/**
 * A message of a chat: by key, by the platform's id of it or of any text of ours that came of it, else the last one that
 * was not a command. Undefined: none, or one of another chat; but what our text came of may have been said elsewhere.
 */
export function messageInChat(
  db: Db,
  chatId: number,
  id: number | undefined,
  platformId: string | undefined,
): number | undefined {
  if (id !== undefined) return messageById(db, id)?.chat_id === chatId ? id : undefined;
  if (platformId !== undefined) {
    return db.get<{ id: number }>(
      `SELECT id FROM messages WHERE id > (SELECT max(id) FROM messages) - ?3 AND chat_id = ?1 AND platform_id = ?2
        UNION ALL SELECT ${ANSWERED_BY} FROM outbound o WHERE o.id > (SELECT max(id) FROM outbound) - ?3
          AND o.chat_id = ?1 AND o.receipt = ?2 AND coalesce(o.reply_to, o.turn_id) IS NOT NULL LIMIT 1`,
      ...[chatId, platformId, LOOKED_BACK],
    )?.id;
  }
  return db.get<{ id: number }>(
    `SELECT m.id FROM messages m WHERE m.id > (SELECT max(id) FROM messages) - ? AND m.chat_id = ? AND NOT EXISTS (
       SELECT 1 FROM inbound i WHERE i.message_id = m.id AND i.session_id IS NULL AND i.state = 'answered')
      ORDER BY m.id DESC LIMIT 1`,
    LOOKED_BACK,
    chatId,
  )?.id;
}

/** How many messages wait in a session. */
export function queuedIn(db: Db, sessionId: number): number {
  return (
    db.get<{ n: number }>(
      `SELECT count(*) AS n FROM inbound INDEXED BY inbound_open WHERE session_id = ? AND ${IS_OPEN} AND state = 'queued'`,
      sessionId,
    )?.n ?? 0
  );
}
