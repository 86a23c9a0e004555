import { assert } from '../base/errors.ts';
import {
  TURN_DEATHS_MAX,
  TURN_DEATHS_SPLIT,
  TURN_INBOX_BYTES_MAX,
  TURN_MESSAGES_MAX,
  TURN_TEXT_BYTES_MAX,
} from '../base/limits/messages.ts';
import type { Db } from './db.ts';
import { replaceDraft } from './drafts.ts';
import { IS_OPEN, queuedIn } from './messages.ts';
import { SAID } from './outbound.ts';
import { isSessionStopped } from './stops.ts';

/**
 * The turn's three transitions, each to be called inside one transaction:
 *
 *   begin:  queued rows of a session → running, in arrival order
 *   settle: taken rows → their end; the others → queued, in their old order. At most once for a turn.
 *   fail:   one attempt died. Its rows → queued for the next attempt, or each by itself, or failed.
 *
 * A turn keeps its key over its attempts, so that a later one can be told what an earlier one did.
 */

export interface TurnMessage {
  inbound_id: number;
  message_id: number;
  /** Where it was said, and so where its answer goes. */
  chat_id: number;
  thread: string;
  /** What its chat is called, where the session has several; else null. */
  place: string | null;
  sender: string;
  text: string;
  sent_ms: number;
  deaths: number;
  /** The task that it is a run of. */
  task_id: number | null;
}

export interface OpenTurn {
  id: number;
  attempt: number;
  messages: TurnMessage[];
}

export interface PriorSend {
  ordinal: number;
  text: string;
  state: string;
}

interface QueuedRow extends TurnMessage {
  alone: number;
  file_bytes: number;
}

const COLUMNS = `i.id AS inbound_id, m.id AS message_id, m.chat_id, m.thread,
  (SELECT c.title FROM sessions s JOIN chats c ON c.id = m.chat_id WHERE s.id = i.session_id AND s.shared = 1) AS place, m.sender, m.text, m.sent_ms, i.deaths, i.alone, m.task_id,
  (SELECT coalesce(sum(f.bytes), 0) FROM files f WHERE f.message_id = m.id) AS file_bytes`;
const OF_TURN = `SELECT ${COLUMNS} FROM inbound i JOIN messages m ON m.id = i.message_id`;

/** The limit is no parameter: SQLite prepares a statement again for each value that its plan may depend on, 0.2 ms a message. */
const NEXT = `SELECT ${COLUMNS} FROM inbound i INDEXED BY inbound_open JOIN messages m ON m.id = i.message_id
  WHERE i.session_id = ? AND i.${IS_OPEN} AND i.state = 'queued' ORDER BY i.id LIMIT ${TURN_MESSAGES_MAX}`;

/** Begins the next attempt of a session: of the turn that waits for one, else of a new turn. Undefined: nothing waits, or its group is stopped. */
export function beginTurn(db: Db, now: number, sessionId: number, harness: string): OpenTurn | undefined {
  if (isSessionStopped(db, sessionId)) return undefined;
  const open = db.get<{ id: number; attempt: number; state: string }>(
    "SELECT id, attempt, state FROM turns INDEXED BY turns_open WHERE session_id = ? AND state IN ('running', 'waiting')",
    sessionId,
  );
  assert(open?.state !== 'running', 'a session runs one turn at a time');
  if (open !== undefined) return beginAgain(db, now, open, harness);
  const messages = nextBatch(db, sessionId);
  if (messages.length === 0) return undefined;
  const deaths = Math.max(...messages.map((message) => message.deaths));
  const attempt = deaths + 1;
  const id = db.insert(
    "INSERT INTO turns (session_id, state, attempt, deaths, harness, started_ms) VALUES (?, 'running', ?, ?, ?, ?)",
    sessionId,
    attempt,
    deaths,
    harness,
    now,
  );
  joinTurn(db, now, id, messages);
  return { id, attempt, messages };
}

function beginAgain(
  db: Db,
  now: number,
  waiting: { id: number; attempt: number },
  harness: string,
): OpenTurn | undefined {
  const messages = db.all<QueuedRow>(`${OF_TURN} WHERE i.turn_id = ? AND i.state = 'queued' ORDER BY i.id`, waiting.id);
  const again = withinTurn(messages);
  // What had joined beyond the limits of a turn goes back to the queue.
  for (const row of messages.slice(again.length))
    db.run('UPDATE inbound SET turn_id = NULL WHERE id = ?', row.inbound_id);
  if (again.length === 0) {
    db.run("UPDATE turns SET state = 'cancelled', ended_ms = ? WHERE id = ?", now, waiting.id);
    replaceDraft(db, now, waiting.id, '[What was to be answered was taken back.]');
    return undefined;
  }
  const attempt = waiting.attempt + 1;
  db.run("UPDATE turns SET state = 'running', attempt = ?, harness = ? WHERE id = ?", attempt, harness, waiting.id);
  joinTurn(db, now, waiting.id, again);
  return { id: waiting.id, attempt, messages: again };
}

/** Arrival order, up to the limits of a turn, of one place: an answer has one. A message that must run alone never shares one. */
function nextBatch(db: Db, sessionId: number): QueuedRow[] {
  const waiting = db.all<QueuedRow>(NEXT, sessionId);
  const elsewhere = waiting.findIndex((row) => !isSamePlace(row, waiting[0]!));
  const rows = elsewhere === -1 ? waiting : waiting.slice(0, elsewhere);
  const alone = rows[0]?.alone === 1 ? 1 : rows.findIndex((row) => row.alone === 1);
  return withinTurn(alone === -1 ? rows : rows.slice(0, alone));
}

function isSamePlace(a: TurnMessage, b: TurnMessage): boolean {
  return a.chat_id === b.chat_id && a.thread === b.thread;
}

/** The first rows, as many as one turn may have; at least one. */
function withinTurn(rows: QueuedRow[]): QueuedRow[] {
  let bytes = 0;
  let fileBytes = 0;
  const end = rows.findIndex((row, index) => {
    bytes += Buffer.byteLength(row.text);
    fileBytes += row.file_bytes;
    return index > 0 && (bytes > TURN_TEXT_BYTES_MAX || fileBytes > TURN_INBOX_BYTES_MAX || index >= TURN_MESSAGES_MAX);
  });
  return end === -1 ? rows : rows.slice(0, end);
}

/** Adds waiting messages to the running turn, for a harness that can be steered: those of its place, before any other. */
export function steerTurn(db: Db, now: number, sessionId: number, turnId: number): TurnMessage[] {
  const first = db.get<TurnMessage>(`${OF_TURN} WHERE i.turn_id = ? LIMIT 1`, turnId);
  const batch = nextBatch(db, sessionId).filter(
    (row) => row.alone === 0 && first !== undefined && isSamePlace(row, first),
  );
  joinTurn(db, now, turnId, batch);
  return batch;
}

function joinTurn(db: Db, now: number, turnId: number, messages: TurnMessage[]): void {
  for (const message of messages) {
    const changed = db.run(
      "UPDATE inbound SET state = 'running', turn_id = ?, updated_ms = ? WHERE id = ? AND state = 'queued'",
      turnId,
      now,
      message.inbound_id,
    );
    assert(changed === 1, 'a message joins a turn from the queue');
    db.run('INSERT OR IGNORE INTO turn_inbound (turn_id, inbound_id) VALUES (?, ?)', turnId, message.inbound_id);
  }
}

/** Sends that earlier attempts at these messages committed, and how far they got. */
export function priorSends(db: Db, turn: OpenTurn): PriorSend[] {
  const ids = JSON.stringify(turn.messages.map((message) => message.inbound_id));
  return db.all<PriorSend>(
    `SELECT o.ordinal, trim(group_concat(${SAID} || coalesce(' [' || a.state || coalesce(': ' || a.answer, '') || ']', ''), '')) AS text, min(o.state) AS state
       FROM (SELECT * FROM outbound WHERE kind = 'send' AND turn_id IN (
              SELECT turn_id FROM turn_inbound WHERE inbound_id IN (SELECT value FROM json_each(?))) ORDER BY id) o
       LEFT JOIN outbound_files f ON f.outbound_id = o.id LEFT JOIN asks a ON a.outbound_id = o.id
      GROUP BY o.turn_id, o.attempt, o.ordinal ORDER BY min(o.id)`,
    ids,
  );
}

export interface Settlement {
  turnId: number;
  attempt: number;
  /** Inbound keys that entered a request to the model. */
  taken: number[];
  outcome: 'answered' | 'silent' | 'failed';
  reason: string;
}

/**
 * Ends a turn. Undefined: a person has stopped it meanwhile, and nothing of it counts. Throws (and so rolls everything back)
 * when this attempt was ended before: a settlement is at most once.
 */
export function settleTurn(
  db: Db,
  now: number,
  settlement: Settlement,
): { settled: TurnMessage[]; returned: number } | undefined {
  const closed = db.run(
    "UPDATE turns SET state = ?, ended_ms = ?, error = ? WHERE id = ? AND state = 'running' AND attempt = ?",
    settlement.outcome === 'failed' ? 'failed' : 'settled',
    now,
    settlement.outcome === 'failed' ? settlement.reason : null,
    settlement.turnId,
    settlement.attempt,
  );
  if (closed === 0 && isCancelled(db, settlement.turnId)) return undefined;
  assert(closed === 1, 'an attempt settles once');
  const taken = JSON.stringify(settlement.taken);
  const settled = db.all<TurnMessage>(
    `${OF_TURN} WHERE i.turn_id = ? AND i.state = 'running' AND i.id IN (SELECT value FROM json_each(?)) ORDER BY i.id`,
    settlement.turnId,
    taken,
  );
  for (const row of settled) {
    db.run(
      'UPDATE inbound SET state = ?, reason = ?, updated_ms = ? WHERE id = ?',
      settlement.outcome,
      settlement.reason,
      now,
      row.inbound_id,
    );
  }
  const returned = db.run(
    "UPDATE inbound SET state = 'queued', turn_id = NULL, updated_ms = ? WHERE turn_id = ? AND state = 'running'",
    now,
    settlement.turnId,
  );
  return { settled, returned };
}

export interface FailedAttempt {
  next: 'retry' | 'split' | 'failed';
  /** The messages that were given up, when `next` is `failed`. */
  failed: TurnMessage[];
}

/** Records the death of a running attempt. Undefined: the turn was not running, there is nothing to record. */
export function failAttempt(db: Db, now: number, turnId: number, reason: string): FailedAttempt | undefined {
  const turn = db.get<{ deaths: number }>("SELECT deaths FROM turns WHERE id = ? AND state = 'running'", turnId);
  if (turn === undefined) return undefined;
  const rows = db.all<TurnMessage>(`${OF_TURN} WHERE i.turn_id = ? AND i.state = 'running' ORDER BY i.id`, turnId);
  const deaths = turn.deaths + 1;
  if (deaths >= TURN_DEATHS_MAX) {
    endTurn(db, now, turnId, 'failed', deaths, reason);
    moveRows(db, now, turnId, "state = 'failed', deaths = deaths + 1", reason);
    return { next: 'failed', failed: rows };
  }
  if (deaths >= TURN_DEATHS_SPLIT && rows.length > 1) {
    endTurn(db, now, turnId, 'split', deaths, reason);
    moveRows(db, now, turnId, "state = 'queued', turn_id = NULL, alone = 1, deaths = deaths + 1", '');
    return { next: 'split', failed: [] };
  }
  db.run("UPDATE turns SET state = 'waiting', deaths = ?, error = ? WHERE id = ?", deaths, reason, turnId);
  moveRows(db, now, turnId, "state = 'queued', deaths = deaths + 1", '');
  return { next: 'retry', failed: [] };
}

/** Takes a running attempt back without counting a death: the host ended, or stopped it on purpose. */
export function returnAttempt(db: Db, now: number, turnId: number): void {
  const changed = db.run("UPDATE turns SET state = 'waiting' WHERE id = ? AND state = 'running'", turnId);
  if (changed === 1) moveRows(db, now, turnId, "state = 'queued'", '');
}

function endTurn(db: Db, now: number, turnId: number, state: 'failed' | 'split', deaths: number, reason: string): void {
  db.run(
    'UPDATE turns SET state = ?, deaths = ?, ended_ms = ?, error = ? WHERE id = ?',
    state,
    deaths,
    now,
    reason,
    turnId,
  );
}

/** Moves every running row of a turn. `change` is one of the literals above. */
function moveRows(db: Db, now: number, turnId: number, change: string, reason: string): void {
  db.run(
    `UPDATE inbound SET ${change}, reason = ?, updated_ms = ? WHERE turn_id = ? AND state = 'running'`,
    reason,
    now,
    turnId,
  );
}

/** The turn that runs in a session, or waits for its next attempt. */
export function runningTurnOf(db: Db, sessionId: number): { id: number; started_ms: number } | undefined {
  return db.get(
    "SELECT id, started_ms FROM turns INDEXED BY turns_open WHERE session_id = ? AND state IN ('running', 'waiting')",
    sessionId,
  );
}

/** Whose words a turn has, oldest first; null among them: somebody nobody knows. */
export function peopleOfTurn(db: Db, turnId: number): { person_id: number | null; message_id: number }[] {
  return db.all(
    `SELECT m.person_id, m.id AS message_id FROM turn_inbound x JOIN inbound i ON i.id = x.inbound_id JOIN messages m ON m.id = i.message_id
      WHERE x.turn_id = ? ORDER BY i.id`,
    turnId,
  );
}

/** Whether a person has stopped the turn: nothing of it counts any more. */
export function isCancelled(db: Db, turnId: number): boolean {
  return db.get("SELECT 1 AS yes FROM turns WHERE id = ? AND state = 'cancelled'", turnId) !== undefined;
}

export interface CancelledWork {
  /** The turn that ran, or waited for its next attempt. */
  turn: { id: number; started_ms: number } | null;
  /** Messages of that turn, in their order. */
  messages: TurnMessage[];
  /** Messages that waited for a later one: cancelled too, or kept. */
  waiting: number;
  /** Where those were said that are cancelled. */
  places: { chat_id: number; thread: string }[];
}

export interface Cancel {
  /** Who stopped it. */
  reason: string;
  /** What waits stays in the queue. */
  keep: boolean;
  /** Inbound keys that have joined the turn without having entered a request to the model: they wait too. */
  untaken: number[];
}

/** Ends a session's turn, and what waits behind it unless that is to be kept. */
export function cancelWork(db: Db, now: number, sessionId: number, { reason, keep, untaken }: Cancel): CancelledWork {
  const turn = runningTurnOf(db, sessionId);
  for (const id of turn === undefined ? [] : untaken)
    db.run("UPDATE inbound SET state = 'queued', turn_id = NULL WHERE id = ? AND turn_id = ?", id, turn!.id);
  const messages =
    turn === undefined
      ? []
      : db.all<TurnMessage>(`${OF_TURN} WHERE i.turn_id = ? AND i.${IS_OPEN} ORDER BY i.id`, turn.id);
  if (turn !== undefined) {
    db.run("UPDATE turns SET state = 'cancelled', ended_ms = ?, error = ? WHERE id = ?", now, reason, turn.id);
    db.run(`UPDATE inbound SET ${CANCELLED} WHERE turn_id = ? AND ${IS_OPEN}`, reason, now, turn.id);
  }
  const waiting = queuedIn(db, sessionId);
  const places = placesOf(db, sessionId, messages, keep);
  if (!keep) db.run(`UPDATE inbound SET ${CANCELLED} WHERE session_id = ? AND ${IS_OPEN}`, reason, now, sessionId);
  return { turn: turn ?? null, messages, waiting, places };
}

function placesOf(db: Db, sessionId: number, messages: TurnMessage[], keep: boolean): CancelledWork['places'] {
  const queued = keep ? [] : db.all<TurnMessage>(NEXT, sessionId);
  const names = [...messages, ...queued].map(({ chat_id, thread }) => JSON.stringify({ chat_id, thread }));
  return [...new Set(names)].map((name) => JSON.parse(name));
}

const CANCELLED = "state = 'cancelled', reason = ?, updated_ms = ?";

/** Turns that a host before this one left running. */
export function runningTurns(db: Db): { id: number; session_id: number; attempt: number }[] {
  return db.all(
    `SELECT id, session_id, attempt FROM turns INDEXED BY turns_open
      WHERE state IN ('running', 'waiting') AND state = 'running' ORDER BY id`,
  );
}
