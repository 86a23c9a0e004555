import { hashOf } from '../authority/authority.ts';
import type { Clock } from '../base/clock.ts';
import { assert, OperatingError } from '../base/errors.ts';
import { parseId, showId } from '../base/ids.ts';
import { visible } from '../base/text.ts';
import type { HoldEvent } from '../protocol/gateway.ts';
import { clearAlert } from './alerts.ts';
import { chatById, nameOfChat } from './chats.ts';
import type { Db } from './db.ts';
import { type EventLinks, recordEvent } from './events.ts';
import { addMarks } from './marks.ts';
import { insertNotice } from './outbound.ts';
import { administers, nameOfPerson, rolesToDecide } from './people.ts';
import { freeCode } from './questions.ts';
import { isCancelled } from './turns.ts';

/**
 * Requests of agents (kind `egress`) that wait, or waited, for a person: pending → denied, or approved → done (it was sent). `expired`: nothing was
 * sent, and `reason` says why. Each transition happens once, with its hop; to be called inside one transaction.
 */
export type ApprovalState = 'pending' | 'approved' | 'denied' | 'expired' | 'done';

export interface ApprovalRow {
  id: number;
  hold: string;
  session_id: number;
  turn_id: number | null;
  /** JSON of `HoldEvent`: what was shown. */
  object: string;
  state: ApprovalState;
  reason: string;
  /** What a person writes to decide; null: from before there were any. */
  code: string | null;
  /** Where it is shown; null: nowhere. */
  card_chat: number | null;
  decided_by: number | null;
  created_ms: number;
  expires_ms: number;
  decided_ms: number | null;
}

/** Kind of the alert that stands while one waits. */
export const APPROVAL_ALERT = 'approval';

const EGRESS = `SELECT id, hold, session_id, turn_id, object, state, reason, code, card_chat, decided_by, created_ms, expires_ms,
  decided_ms FROM approvals WHERE kind = 'egress'`;

export function insertApproval(db: Db, clock: Clock, event: HoldEvent): ApprovalRow {
  const session = parseId('s', event.session)!;
  const turn = db.get<{ id: number }>(
    "SELECT id FROM turns INDEXED BY turns_open WHERE session_id = ? AND state IN ('running', 'waiting')",
    session,
  );
  const object = JSON.stringify(event);
  const id = db.insert(
    `INSERT INTO approvals (kind, object_hash, object, state, asked_by, created_ms, expires_ms, hold, session_id, turn_id, code)
     VALUES ('egress', ?, ?, 'pending', ?, ?, ?, ?, ?, ?, ?)`,
    hashOf(Buffer.from(object)),
    object,
    event.group,
    clock.now(),
    event.expires_ms,
    event.hold,
    session,
    turn?.id ?? null,
    freeCode(db),
  );
  const { service, method, host, path, body_bytes: bytes, body_sha256: sha256 } = event;
  const data = { approval: showId('h', id), service, to: `${method} ${host}${path}`, bytes, sha256 };
  recordEvent(db, clock, 'approval.held', { session, ...(turn === undefined ? {} : { turn: turn.id }) }, data);
  return approvalById(db, id)!;
}

export function approvalById(db: Db, id: number): ApprovalRow | undefined {
  return db.get(`${EGRESS} AND id = ?`, id);
}

/** By `h4`. Throws `OperatingError('not_found')`. */
export function approvalOf(db: Db, shown: string): ApprovalRow {
  const row = approvalById(db, parseId('h', shown) ?? 0);
  if (row !== undefined) return row;
  throw new OperatingError('not_found', `there is no held request "${shown}"`, './glass approval list shows them');
}

/** The newest, those that wait first. */
export function recentApprovals(db: Db, limit: number): ApprovalRow[] {
  return db.all(`${EGRESS} ORDER BY state <> 'pending', id DESC LIMIT ?`, limit);
}

/** Of every kind: since when they wait, and until when. */
export function pendingApprovals(db: Db): { id: number; created_ms: number; expires_ms: number }[] {
  return db.all("SELECT id, created_ms, expires_ms FROM approvals WHERE state = 'pending' ORDER BY id");
}

/** Of every kind. */
export function countPending(db: Db): number {
  return db.get<{ n: number }>("SELECT count(*) AS n FROM approvals WHERE state = 'pending'")!.n;
}

/** Why this person decides nothing about it, by their roles and the state of this moment; null: they can. */
export function whyUndecidable(
  db: Db,
  clock: Clock,
  row: ApprovalRow,
  person: number | null,
): { code: 'refused' | 'conflict'; text: string } | null {
  const { group } = JSON.parse(row.object) as HoldEvent;
  const shown = showId('h', row.id);
  if (person === null || !administers(db, person, group))
    return { code: 'refused', text: `Only an admin or an owner decides about ${shown}.` };
  if (row.state !== 'pending') return { code: 'conflict', text: `${shown} does not wait any more: ${endOf(db, row)}.` };
  if (row.turn_id !== null && isCancelled(db, row.turn_id))
    return { code: 'conflict', text: `${shown} does not wait any more: its turn was stopped.` };
  if (row.expires_ms <= clock.now()) return { code: 'conflict', text: `${shown} has expired: nothing was sent.` };
  return null;
}

/** `message`: that which said so, with the `chat` it came in; null: the command line. */
export interface ApprovalDecision {
  person: number;
  allow: boolean;
  reason: string;
  message: number | null;
  chat: number | null;
}

/** `pending` → `approved` or `denied`, of what `whyUndecidable` has nothing against in the same transaction. */
export function decideApproval(db: Db, clock: Clock, row: ApprovalRow, decision: ApprovalDecision): void {
  const { person, allow, reason, message, chat } = decision;
  const approval = showId('h', row.id);
  const decided = db.run(
    "UPDATE approvals SET state = ?, reason = ?, decided_by = ?, decided_ms = ? WHERE id = ? AND state = 'pending'",
    ...[allow ? 'approved' : 'denied', reason, person, clock.now(), row.id],
  );
  assert(decided === 1, 'a held request is decided once');
  const { group: group_name, marks = [] } = JSON.parse(row.object) as HoldEvent;
  if (allow) addMarks(db, clock, { id: row.session_id, group_name }, marks, approval, linksOf(row));
  clearAlert(db, clock, APPROVAL_ALERT, approval);
  const where = chat === null ? 'the command line' : nameOfChat(chatById(db, chat)!);
  const who = { person: showId('p', person), by: nameOfPerson(db, person), as: rolesToDecide(db, person) };
  const data = { approval, allowed: allow, ...who, reason, where };
  recordEvent(db, clock, 'approval.decided', { ...linksOf(row), ...(message === null ? {} : { message }) }, data);
}

/** What was approved has left. */
export function approvalSent(db: Db, clock: Clock, row: ApprovalRow): void {
  if (db.run("UPDATE approvals SET state = 'done' WHERE id = ? AND state = 'approved'", row.id) === 1)
    recordEvent(db, clock, 'approval.sent', linksOf(row), { approval: showId('h', row.id) });
}

/**
 * It is over, and nobody can decide any more; where it was shown, and in the chat `decided`, people are told. Returns the chats to
 * deliver to. Does nothing to one that has ended.
 */
export function endApproval(
  db: Db,
  clock: Clock,
  row: ApprovalRow,
  from: 'pending' | 'approved',
  reason: string,
  decided: number | null = null,
): number[] {
  const ended = db.run(
    "UPDATE approvals SET state = 'expired', reason = ?, decided_ms = coalesce(decided_ms, ?) WHERE id = ? AND state = ?",
    ...[reason, clock.now(), row.id, from],
  );
  if (ended === 0) return [];
  const approval = showId('h', row.id);
  clearAlert(db, clock, APPROVAL_ALERT, approval);
  recordEvent(db, clock, 'approval.ended', linksOf(row), { approval, reason });
  const over = from === 'pending' ? 'is over, and nothing was sent' : 'was approved, but it ended';
  const chats = [...new Set([row.card_chat, decided])].filter((chat) => chat !== null);
  for (const chat of chats) insertNotice(db, clock.now(), chat, '', null, `${approval} ${over}: ${visible(reason)}.`);
  return chats;
}

export function endApprovalOfHold(db: Db, clock: Clock, hold: string, reason: string): number[] {
  const row = db.get<ApprovalRow>(`${EGRESS} AND hold = ?`, hold);
  return row === undefined ? [] : endApproval(db, clock, row, 'pending', reason);
}

/** All that wait: those who hold them have gone. */
export function endPending(db: Db, clock: Clock, reason: string): number[] {
  return openApprovals(db).flatMap((row) => endApproval(db, clock, row, 'pending', reason));
}

/** At a start of the host: the gateway has refused what waited, and what was being sent nobody here has seen. */
export function endLeftOver(db: Db, clock: Clock): void {
  endPending(db, clock, 'the host restarted');
  const unknown = 'the host ended while it was sent: the audit says whether it was';
  for (const row of openApprovals(db)) endApproval(db, clock, row, 'approved', unknown);
}

function openApprovals(db: Db): ApprovalRow[] {
  return db.all(`${EGRESS} AND state IN ('pending', 'approved') ORDER BY id`);
}

function endOf(db: Db, row: ApprovalRow): string {
  if (row.state === 'expired') return row.reason;
  return `${nameOfPerson(db, row.decided_by!)} ${row.state === 'denied' ? 'denied' : 'approved'} it`;
}

export function linksOf(row: ApprovalRow): EventLinks {
  return { session: row.session_id, ...(row.turn_id === null ? {} : { turn: row.turn_id }) };
}
