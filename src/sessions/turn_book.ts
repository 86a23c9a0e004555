import type { Authority } from '../authority/authority.ts';
import { standingMarks } from '../authority/rule_of_two.ts';
import type { Clock } from '../base/clock.ts';
import { PRIOR_TEXT_BYTES_MAX, RESEED_ENTRIES_MAX } from '../base/limits/messages.ts';
import { cutBytes, fileLine } from '../base/text.ts';
import { piecesOf, type Takes, wordsFor } from '../channels/dialects/outgoing.ts';
import { askEntries, cancelAsks, cancelAsksOfSession } from '../ledger/asks.ts';
import type { Db } from '../ledger/db.ts';
import { replaceDraft } from '../ledger/drafts.ts';
import { recordEvent } from '../ledger/events.ts';
import { filesOf } from '../ledger/files.ts';
import { addMarks } from '../ledger/marks.ts';
import { holdUnsent, insertOutbound, leftTheHouse, type OutboundKind, sendsOf } from '../ledger/outbound.ts';
import { askCompact, compactAsked, type SessionRow, setResume } from '../ledger/sessions.ts';
import { gateOf } from '../ledger/tasks.ts';
import { addEntry, addSummary, markNoticesSeen, recentEntries, unseenNotices } from '../ledger/transcript.ts';
import {
  beginTurn,
  type Cancel,
  type CancelledWork,
  cancelWork,
  type FailedAttempt,
  failAttempt,
  isCancelled,
  priorSends,
  returnAttempt,
  settleTurn,
  steerTurn,
  type TurnMessage,
} from '../ledger/turns.ts';
import { type ContextRow, contextOf, contextShown } from '../ledger/wirings.ts';
import type { FrameEntry, FramePriorSend } from '../protocol/frames.ts';
import { inboxPath } from './inbox.ts';

/**
 * The transactions of a turn, with their hops. Each function runs inside one ledger transaction; what it returns is true
 * once that has been committed.
 */
export interface OpenedTurn {
  id: number;
  attempt: number;
  messages: TurnMessage[];
  prior: FramePriorSend[];
  notices: { id: number; text: string }[];
  /** What others said in its chat since the last turn, that no agent was addressed by. */
  context: ContextRow[];
  /** The conversation so far, as far as the harness does not have it; the context at its end. */
  transcript: FrameEntry[];
  /** A person has asked that it begins with a summary. */
  compact: boolean;
  /** The script of its task; null: none. */
  gate: string | null;
}

export interface TurnStart {
  session: SessionRow;
  harness: string;
  /** Whether the sandbox was live when the message came. */
  warm: boolean;
  /** The harness has no memory of this session: give it the conversation. */
  reseed: boolean;
  /** What its sandbox has; absent: there is none. */
  authority?: Authority;
}

/** What stands in the place of an answer that was begun and that there is not. */
const NO_ANSWER = '[The agent decided not to answer.]';
const NOT_ENDED = '[Stopped before the answer was finished.]';
const BEGUN_AGAIN = '[Interrupted: these messages are answered one by one.]';
const NOTICES_MAX = 100;
const PRIOR_MAX = 100;

export function openTurn(db: Db, clock: Clock, start: TurnStart): OpenedTurn | undefined {
  const turn = beginTurn(db, clock.now(), start.session.id, start.harness);
  if (turn === undefined) return undefined;
  const links = { session: start.session.id, turn: turn.id };
  recordEvent(db, clock, 'turn.started', links, {
    attempt: turn.attempt,
    messages: turn.messages.length,
    warm: start.warm,
    harness: start.harness,
  });
  for (const [cause, marks] of start.authority === undefined ? [] : standingMarks(start.authority))
    addMarks(db, clock, start.session, marks, cause, links);
  const context = contextOf(db, start.session.id);
  if (context.length > 0) recordEvent(db, clock, 'turn.context', links, { messages: context.length });
  const before = start.reseed ? recentEntries(db, start.session.id).slice(-(RESEED_ENTRIES_MAX - context.length)) : [];
  return {
    ...turn,
    context,
    compact: compactAsked(db, start.session.id),
    gate: scriptOf(db, turn.messages),
    prior: turn.attempt === 1 ? [] : priorSends(db, turn).slice(-PRIOR_MAX).map(shortened),
    notices: unseenNotices(db, start.session.id).slice(0, NOTICES_MAX),
    transcript: [
      ...before.map(({ role, author, text }) => ({ role, author, text })),
      ...context.map(({ sender, text }) => ({ role: 'person' as const, author: sender, text })),
    ],
  };
}

/** A message with a gate stands alone in its turn. */
function scriptOf(db: Db, [message]: TurnMessage[]): string | null {
  const task = message?.task_id ?? null;
  return (task === null ? '' : gateOf(db, task)) || null;
}

/** Enough to recognise a message by; a hundred of them fit into a frame. */
function shortened(send: FramePriorSend): FramePriorSend {
  const text = cutBytes(send.text, PRIOR_TEXT_BYTES_MAX);
  return { ...send, text: text === send.text ? text : `${text}…` };
}

export function joinTurn(db: Db, clock: Clock, sessionId: number, turnId: number): TurnMessage[] {
  if (isCancelled(db, turnId)) return [];
  const joined = steerTurn(db, clock.now(), sessionId, turnId);
  if (joined.length > 0)
    recordEvent(db, clock, 'turn.steered', { session: sessionId, turn: turnId }, { messages: joined.length });
  return joined;
}

export interface Compaction {
  before: number;
  after: number;
  unit: 'bytes' | 'tokens';
  summary: string;
}

export interface TurnEnd extends Place {
  turn: OpenedTurn;
  harness: string;
  /** Inbound keys, and when (microseconds) each report of them came. */
  taken: { ids: number[]; at_us: number }[];
  tools: string[];
  /** What of the conversation has become a summary; none of a turn that failed, which left it as it was. */
  compactions: Compaction[];
  outcome: 'answered' | 'silent' | 'failed';
  /** The reply, or the sentence for the person when it failed. */
  text: string;
  resume: string | null;
}

/**
 * Settles the turn: its only way to an answer. Returns the keys of the reply; none when a person has stopped the turn.
 * What was shown of an answer becomes the reply when that is delivered; without one it is taken back.
 * Throws when this attempt has ended before.
 */
export function closeTurn(db: Db, clock: Clock, end: TurnEnd): number[] {
  const { session, turn } = end;
  const now = clock.now();
  const links = { session: session.id, turn: turn.id };
  const reason = end.outcome === 'failed' ? end.text : '';
  const taken = end.taken.flatMap((report) => report.ids);
  const settlement = settleTurn(db, now, {
    turnId: turn.id,
    attempt: turn.attempt,
    taken,
    outcome: end.outcome,
    reason,
  });
  if (settlement === undefined) return [];
  const { settled, returned } = settlement;
  for (const report of end.taken)
    recordEvent(db, clock, 'turn.taken', links, { messages: report.ids.length }, report.at_us);
  recordEvent(db, clock, 'turn.settled', links, { outcome: end.outcome, taken: settled.length, returned });
  cancelAsks(db, clock, turn.id, 'its turn is over');
  writeSummaries(db, clock, end);
  writeTranscript(db, now, end, settled);
  markNoticesSeen(
    db,
    turn.notices.map((notice) => notice.id),
  );
  contextShown(
    db,
    session.id,
    turn.id,
    turn.context.map((row) => row.id),
  );
  if (end.outcome !== 'failed') setResume(db, session.id, end.harness, end.resume);
  const reply = end.outcome === 'silent' ? [] : writeReply(db, clock, end, settled.at(-1) ?? null);
  if (reply.length === 0) replaceDraft(db, now, turn.id, NO_ANSWER);
  return reply;
}

/** Before what was said in the turn: that is not in them. */
function writeSummaries(db: Db, clock: Clock, { session, turn, compactions, outcome }: TurnEnd): void {
  const links = { session: session.id, turn: turn.id };
  for (const { summary, ...sizes } of compactions) {
    const entry = addSummary(db, clock.now(), session.id, turn.id, summary);
    const data = { ...sizes, summary_bytes: Buffer.byteLength(summary), entry };
    recordEvent(db, clock, 'session.compacted', links, data);
  }
  if (turn.compact && outcome !== 'failed') askCompact(db, session.id, false);
}

function writeTranscript(db: Db, now: number, end: TurnEnd, settled: TurnMessage[]): void {
  const { session, turn } = end;
  for (const { sender, text } of turn.context) addEntry(db, now, session.id, turn.id, 'person', sender, text);
  for (const message of settled) addEntry(db, now, session.id, turn.id, 'person', message.sender, saidIn(db, message));
  if (end.tools.length > 0) addEntry(db, now, session.id, turn.id, 'tool', '', countNames(end.tools));
  for (const send of sendsOf(db, turn.id)) addEntry(db, now, session.id, turn.id, 'agent', '', send);
  writeAsks(db, now, session.id, turn.id);
  if (end.outcome === 'answered' && end.text !== '') addEntry(db, now, session.id, turn.id, 'agent', '', end.text);
}

/** What a turn asked, and what a person said to it. */
function writeAsks(db: Db, now: number, session: number, turn: number): void {
  for (const { role, author, text } of askEntries(db, turn)) addEntry(db, now, session, turn, role, author, text);
}

/** A message as the transcript keeps it: its text, and where its files lie. */
function saidIn(db: Db, message: TurnMessage): string {
  const files = filesOf(db, message.message_id);
  return [message.text, ...files.map((file) => fileLine({ ...file, path: inboxPath(file) }))].join('\n').trim();
}

function writeReply(db: Db, clock: Clock, end: TurnEnd, answers: TurnMessage | null): number[] {
  if (end.text.trim() === '') return [];
  const outbound = writeOut(db, clock, {
    session: end.session,
    turn: end.turn,
    kind: end.outcome === 'failed' ? 'notice' : 'reply',
    text: end.text,
    takes: end.takes,
    answers,
  });
  recordEvent(db, clock, 'reply.queued', { session: end.session.id, turn: end.turn.id }, { chunks: outbound.length });
  return outbound;
}

interface Out {
  session: SessionRow;
  turn: { id: number; attempt: number } | null;
  kind: OutboundKind;
  text: string;
  takes: Place['takes'];
  /** What it answers: it goes where that was said. Null: where the session began. */
  answers: TurnMessage | null;
}

function writeOut(db: Db, clock: Clock, out: Out): number[] {
  const { chat_id, thread } = out.answers ?? out.session;
  return insertOutbound(
    db,
    clock.now(),
    {
      chat_id,
      thread,
      kind: out.kind,
      session_id: out.session.id,
      turn_id: out.turn?.id ?? null,
      attempt: out.turn?.attempt ?? 0,
      ordinal: 0,
      send_hash: '',
      reply_to: out.answers?.message_id ?? null,
    },
    // A notice is our own words, or a program's: no Markdown.
    out.kind === 'notice' ? wordsFor(out.text, out.takes(chat_id)) : piecesOf(out.text, out.takes(chat_id)),
  );
}

/** Where a session speaks. */
export interface Place {
  session: SessionRow;
  /** What a chat's channel takes. */
  takes: (chatId: number) => Takes;
}

/** No sandbox came up: an attempt that died before it began. */
export function recordFailedStart(
  db: Db,
  clock: Clock,
  place: Place,
  harness: string,
  reason: string,
): FailedAttempt | undefined {
  const turn = openTurn(db, clock, { session: place.session, harness, warm: false, reseed: false });
  return turn === undefined ? undefined : recordDeath(db, clock, place, turn, reason);
}

/** An attempt died: the next one, or the word to the person that there is none. */
export function recordDeath(
  db: Db,
  clock: Clock,
  place: Place,
  turn: { id: number; attempt: number },
  reason: string,
): FailedAttempt | undefined {
  const { session, takes } = place;
  const failure = failAttempt(db, clock.now(), turn.id, reason);
  if (failure === undefined) return undefined;
  recordEvent(
    db,
    clock,
    'turn.attempt_failed',
    { session: session.id, turn: turn.id },
    { attempt: turn.attempt, reason, next: failure.next },
  );
  if (failure.next === 'split') replaceDraft(db, clock.now(), turn.id, BEGUN_AGAIN);
  if (failure.next === 'failed') {
    const what = failure.failed.length === 1 ? 'That message' : `Those ${failure.failed.length} messages`;
    const text = `${what} could not be answered: the agent's sandbox ended each time it tried (${reason}). Nothing else is affected.`;
    writeOut(db, clock, {
      session,
      turn,
      kind: 'notice',
      text,
      takes,
      answers: failure.failed.at(-1) ?? null,
    });
    for (const message of failure.failed)
      addEntry(db, clock.now(), session.id, turn.id, 'person', message.sender, saidIn(db, message));
    cancelAsks(db, clock, turn.id, 'its turn failed');
    writeAsks(db, clock.now(), session.id, turn.id);
    addEntry(db, clock.now(), session.id, turn.id, 'notice', '', text);
  }
  return failure;
}

/**
 * A person stops a session: its turn is cancelled, what waits is cancelled or kept, what it has not sent yet is held. The
 * agent is told by its next turn, which goes on from the last one that was settled.
 */
export function stopSession(
  db: Db,
  clock: Clock,
  session: SessionRow,
  by: string,
  what: Omit<Cancel, 'reason'>,
): Stopped {
  const now = clock.now();
  const reason = `stopped by ${by}`;
  const work = cancelWork(db, now, session.id, { ...what, reason });
  const held = holdUnsent(db, now, session.id, reason);
  const sent = work.turn === null ? 0 : leftTheHouse(db, work.turn.id);
  if (!what.keep) cancelAsksOfSession(db, clock, session.id, reason);
  const shown = work.turn === null ? null : replaceDraft(db, now, work.turn.id, NOT_ENDED);
  if (work.turn !== null) {
    const links = { session: session.id, turn: work.turn.id };
    const cancelled = work.messages.length + (what.keep ? 0 : work.waiting);
    recordEvent(db, clock, 'turn.stopped', links, { by, cancelled });
    for (const message of work.messages)
      addEntry(db, now, session.id, work.turn.id, 'person', message.sender, saidIn(db, message));
    cancelAsks(db, clock, work.turn.id, reason);
    writeAsks(db, now, session.id, work.turn.id);
    const text = `Your turn was stopped by ${by}. Do not go on with it unless you are asked to.`;
    addEntry(db, now, session.id, work.turn.id, 'notice', '', text);
  }
  return { session, ...work, sent, held, shown };
}

export interface Stopped extends CancelledWork {
  session: SessionRow;
  /** Texts that had left, or may have. */
  sent: number;
  /** Texts that had not, and are held. */
  held: number;
  /** The chat that shows what there was of an answer; null: none does. */
  shown: number | null;
}

/** The host takes an attempt back: no fault of the message. */
export function takeBack(
  db: Db,
  clock: Clock,
  sessionId: number,
  turnId: number,
  attempt: number,
  reason: string,
): void {
  returnAttempt(db, clock.now(), turnId);
  recordEvent(
    db,
    clock,
    'turn.attempt_failed',
    { session: sessionId, turn: turnId },
    { attempt, reason, next: 'retry' },
  );
}

function countNames(names: string[]): string {
  const counts = new Map<string, number>();
  for (const name of names) counts.set(name, (counts.get(name) ?? 0) + 1);
  return [...counts].map(([name, count]) => (count === 1 ? name : `${name} ×${count}`)).join(', ');
}
