import type { Clock } from '../base/clock.ts';
import { assert, unreachable } from '../base/errors.ts';
import { DURATION_MAX_MS, SEND_ATTEMPTS_MAX, SEND_BACKOFF_MAX_MS, SEND_BACKOFF_MS } from '../base/limits/messages.ts';
import type { Reconciled, SendResult } from '../channels/channel.ts';
import { askOfOutbound, endAsk } from '../ledger/asks.ts';
import type { ChatRow } from '../ledger/chats.ts';
import type { Db } from '../ledger/db.ts';
import { type DraftRow, markDraft } from '../ledger/drafts.ts';
import { type EventLinks, recordEvent } from '../ledger/events.ts';
import { finishSending, type OutboundRow } from '../ledger/outbound.ts';
import { isSessionStopped } from '../ledger/stops.ts';
import { addEntry } from '../ledger/transcript.ts';

/** What a send's outcome does to its row: one transition out of `sending`, with its hop, in the caller's transaction. */
export type Refusal = Extract<SendResult, { ok: false }>;

/** Said of a send whose host died. */
export const INTERRUPTED = 'the host ended while it was being sent';

export function recordOutcome(db: Db, clock: Clock, row: OutboundRow, chat: ChatRow, result: SendResult): void {
  if (result.ok) return sent(db, clock, row, result.receipt);
  switch (result.class) {
    case 'waiting':
      finish(db, clock, row, { state: 'queued', error: result.reason, uncount: true });
      return recordEvent(db, clock, 'delivery.waiting', links(row), { reason: result.reason });
    case 'ambiguous':
      return uncertain(db, clock, row, result.reason);
    default:
      if (isRetried(row, result))
        return retry(db, clock, row, result.class, result.reason, result.after_ms ?? backoff(row.attempts));
      return reject(db, clock, row, chat, result.class, result.reason);
  }
}

/** As `recordOutcome`, of a row that takes the place of its turn's draft. */
export function recordEdit(
  db: Db,
  clock: Clock,
  row: OutboundRow,
  chat: ChatRow,
  end: { result: SendResult; draft: DraftRow['state'] },
): void {
  markDraft(db, clock.now(), row.turn_id!, end.draft);
  if (end.result.ok) sent(db, clock, row, end.result.receipt, true);
  else recordOutcome(db, clock, row, chat, end.result);
}

/** What the platform says about a row that a host before this one left in `sending`. */
export function recordReconciled(db: Db, clock: Clock, row: OutboundRow, known: Reconciled): void {
  switch (known.found) {
    case true:
      return sent(db, clock, row, known.receipt);
    case false:
      return retry(db, clock, row, 'retryable', `${INTERRUPTED}; the platform does not have it`, 0);
    case 'unknown':
      return uncertain(db, clock, row, INTERRUPTED);
    default:
      return unreachable(known);
  }
}

/** Of a row that bears its mark already when its group is stopped: the last moment in which it is not sent. Null: it may go. */
export function keptBack(db: Db, { session_id }: OutboundRow): Refusal | null {
  if (session_id === null || !isSessionStopped(db, session_id)) return null;
  return { ok: false, class: 'waiting', reason: 'its group is stopped' };
}

/** Whether another attempt follows. */
export function isRetried(row: OutboundRow, result: Refusal): boolean {
  switch (result.class) {
    case 'retryable':
    case 'rate_limited':
      return row.attempts + 1 < SEND_ATTEMPTS_MAX;
    case 'permanent':
    case 'auth':
    case 'gone':
    case 'unsupported':
    case 'too_large':
    case 'ambiguous':
    case 'waiting':
      return false;
    default:
      return unreachable(result);
  }
}

export function links(row: OutboundRow): EventLinks {
  return {
    outbound: row.id,
    // What the host itself answers belongs to no turn.
    ...(row.turn_id === null && row.reply_to !== null ? { message: row.reply_to } : {}),
    ...(row.turn_id === null ? {} : { turn: row.turn_id }),
    ...(row.session_id === null ? {} : { session: row.session_id }),
  };
}

function sent(db: Db, clock: Clock, row: OutboundRow, receipt: string, edited = false): void {
  finish(db, clock, row, { state: 'sent', receipt });
  recordEvent(db, clock, 'delivery.sent', links(row), { receipt, ...(edited && { edited }) });
}

function uncertain(db: Db, clock: Clock, row: OutboundRow, reason: string): void {
  finish(db, clock, row, { state: 'uncertain', error: reason });
  recordEvent(db, clock, 'delivery.uncertain', links(row), { reason });
}

function retry(db: Db, clock: Clock, row: OutboundRow, kind: string, reason: string, after_ms: number): void {
  // A driver's own figure is not trusted to be one.
  const wait = Number.isFinite(after_ms)
    ? Math.min(Math.max(Math.round(after_ms), 0), DURATION_MAX_MS)
    : SEND_BACKOFF_MS;
  finish(db, clock, row, { state: 'retry', error: reason, not_before_ms: clock.now() + wait });
  recordEvent(db, clock, 'delivery.retry', links(row), { class: kind, reason, after_ms: wait });
}

/** The agent is told with its next turn; the owner by an alert. */
function reject(db: Db, clock: Clock, row: OutboundRow, chat: ChatRow, kind: string, reason: string): void {
  finish(db, clock, row, { state: 'rejected', error: reason });
  recordEvent(db, clock, 'delivery.rejected', links(row), { class: kind, reason });
  const ask = askOfOutbound(db, row.id);
  if (ask !== undefined) endAsk(db, clock, ask, 'cancelled', `it was not delivered (${reason})`);
  if (row.session_id === null) return;
  const notice = `Your message to ${chat.title || chat.platform_id} was not delivered: ${reason}`;
  addEntry(db, clock.now(), row.session_id, row.turn_id, 'notice', '', notice);
}

function finish(db: Db, clock: Clock, row: OutboundRow, outcome: Parameters<typeof finishSending>[3]): void {
  assert(finishSending(db, clock.now(), row.id, outcome), 'an outcome belongs to a row that is being sent');
}

function backoff(attempts: number): number {
  return Math.min(SEND_BACKOFF_MS * 2 ** attempts, SEND_BACKOFF_MAX_MS);
}
