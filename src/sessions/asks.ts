import { createHash } from 'node:crypto';
import { z } from 'zod';
import type { Clock } from '../base/clock.ts';
import { unreachable } from '../base/errors.ts';
import { showId } from '../base/ids.ts';
import { DURATION_MAX_MS, TURN_SENDS_MAX } from '../base/limits/messages.ts';
import {
  ASK_MINUTES,
  ASK_MINUTES_MAX,
  ASK_MINUTES_MIN,
  ASK_OPTION_CHARS_MAX,
  ASK_OPTIONS_MAX,
  ASK_QUESTION_CHARS_MAX,
  CHAT_ASKS_MAX,
  TURN_ASKS_MAX,
} from '../base/limits/talk.ts';
import { MINUTE_MS } from '../base/limits/units.ts';
import { visible, visibleLines } from '../base/text.ts';
import { type Takes, textIn } from '../channels/dialects/outgoing.ts';
import {
  type AskRow,
  adoptAsk,
  askById,
  askOfOutbound,
  askShown,
  asksOfTurn,
  asksWaiting,
  asksWaitingIn,
  endAsk,
  insertAsk,
  linksOf,
  sameAsks,
} from '../ledger/asks.ts';
import { type ChatRow, nameOfChat } from '../ledger/chats.ts';
import type { Db } from '../ledger/db.ts';
import { recordEvent } from '../ledger/events.ts';
import type { Ledger } from '../ledger/ledger.ts';
import { addMarks, mustHold } from '../ledger/marks.ts';
import { insertOutbound, setButtons } from '../ledger/outbound.ts';
import { makeTokens } from '../ledger/questions.ts';
import type { SessionRow } from '../ledger/sessions.ts';
import { isCancelled } from '../ledger/turns.ts';
import { ASK_LATE } from '../router/answers.ts';

/**
 * The tool `ask`: its call is answered when a person has answered, the time is over, or the turn is. Everything is in rows:
 * whoever dies meanwhile, the question stays answerable, and the next attempt at the turn gets the same row.
 */
export interface AskParts {
  ledger: Ledger;
  clock: Clock;
  deliver(chat: number): void;
}

/** Who asks, and where. */
export interface AskContext {
  session: SessionRow;
  turn: { id: number; attempt: number };
  /** Among the sends of this attempt; 1 is the first. */
  ordinal: number;
  /** Questions that this attempt has already been given. */
  asked: Set<number>;
  chat: ChatRow;
  thread: string;
  /** It is another chat than where the turn was asked. */
  acts?: boolean;
  /** What the chat takes. */
  takes: Takes;
  /** Aborted when nobody waits for the receipt any more. */
  over: AbortSignal;
  /** A wait for a person begins; what is returned ends it. */
  hold(): () => void;
}

export interface AskReceipt {
  ok: boolean;
  value: unknown;
}

const minutesSchema = z.number().min(ASK_MINUTES_MIN).max(ASK_MINUTES_MAX);

export const ASK_INPUT = z.strictObject({
  question: z.string().trim().min(1).max(ASK_QUESTION_CHARS_MAX),
  options: z.array(z.string().trim().min(1).max(ASK_OPTION_CHARS_MAX)).max(ASK_OPTIONS_MAX).default([]),
  to: z.string().min(1).max(400).optional(),
  minutes: minutesSchema.default(ASK_MINUTES),
});
export type AskInput = z.infer<typeof ASK_INPUT>;

export class Asks {
  readonly #parts: AskParts;
  readonly #waiting = new Map<number, Set<() => void>>();
  #timer: NodeJS.Timeout | null = null;

  constructor(parts: AskParts) {
    this.#parts = parts;
  }

  /** What an earlier host left: questions whose time is over, or will be. */
  start(): void {
    this.#arm();
  }

  stop(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
  }

  /** A question has its answer, or its end, on disk. */
  ended(ask: number): void {
    for (const wake of this.#waiting.get(ask) ?? []) wake();
  }

  /** What shows a question was not delivered, so nobody can answer it. */
  undelivered(outbound: number): void {
    const ask = askOfOutbound(this.#parts.ledger.db, outbound);
    if (ask !== undefined) this.ended(ask.id);
  }

  /** Resolves when somebody has answered or nobody will. Rejects when the ledger does. */
  async ask(context: AskContext, input: AskInput): Promise<AskReceipt> {
    const refusal = this.#refusal(context, input);
    if (refusal !== null) return refused(refusal);
    const { ledger, clock, deliver } = this.#parts;
    const asked = await ledger.write('ask', (db) => commitAsk(db, clock, context, input));
    if (typeof asked === 'string') return refused(asked);
    deliver(context.chat.id);
    this.#arm();
    await this.#end(asked, context);
    return receiptOf(askById(ledger.db, asked));
  }

  /** Why it is not asked at all; null: it is. */
  #refusal({ asked, ordinal, takes }: AskContext, { question, options }: AskInput): string | null {
    const distinct = new Set(options.map((option) => option.toLowerCase()));
    if (distinct.size < options.length) return 'options: two of them are the same';
    if (ordinal > TURN_SENDS_MAX) return `a turn sends at most ${TURN_SENDS_MAX} messages`;
    if (asked.size >= TURN_ASKS_MAX) return `a turn asks at most ${TURN_ASKS_MAX} questions`;
    const longest = askText({ id: 1e9, code: '0000', minutes: ASK_MINUTES_MAX, question }, options);
    const { markup, text_max } = takes;
    return textIn(markup, longest).length > text_max ? `a message there has at most ${text_max} characters` : null;
  }

  /** Until the row has an end, or nobody waits for it. */
  async #end(id: number, { over, hold }: AskContext): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    const waiting = this.#waiting.get(id) ?? new Set();
    this.#waiting.set(id, waiting.add(resolve));
    over.addEventListener('abort', () => resolve(), { once: true });
    const release = hold();
    // It may have been answered before this turn asked again, or in the very transaction that wrote it.
    if (over.aborted || askById(this.#parts.ledger.db, id).state !== 'pending') resolve();
    await promise;
    release();
    waiting.delete(resolve);
    if (waiting.size === 0) this.#waiting.delete(id);
  }

  /** At the end of the one that ends first. */
  #arm(): void {
    this.stop();
    const [first] = asksWaiting(this.#parts.ledger.db);
    if (first === undefined) return;
    const wait = Math.max(0, first.expires_ms - this.#parts.clock.now());
    this.#timer = setTimeout(() => void this.#expire().catch(() => {}), Math.min(wait, DURATION_MAX_MS));
  }

  async #expire(): Promise<void> {
    const { ledger, clock } = this.#parts;
    const late = await ledger.insist('ask_expire', (db) => {
      const found = asksWaiting(db).filter(({ expires_ms }) => expires_ms <= clock.now());
      for (const ask of found) endAsk(db, clock, ask, 'expired', ASK_LATE);
      return found;
    });
    for (const { id } of late) this.ended(id);
    this.#arm();
  }
}

/** The row of the same question by an earlier attempt, else a new one with its card; or why there is none. */
function commitAsk(db: Db, clock: Clock, context: AskContext, input: AskInput): number | string {
  const { session, turn, ordinal, asked, chat, thread } = context;
  if (isCancelled(db, turn.id)) return 'this turn was stopped by a person';
  const { question, minutes } = input;
  const options = JSON.stringify(input.options);
  const hash = createHash('sha256')
    .update(JSON.stringify([chat.id, thread, question, input.options]))
    .digest('hex');
  const same = sameAsks(db, turn.id, hash).find(({ id }) => !asked.has(id));
  if (same !== undefined) {
    asked.add(same.id);
    adoptAsk(db, same.id, turn.id);
    recordEvent(db, clock, 'ask.repeated', linksOf({ ...same, turn_id: turn.id }), {
      ask: showId('q', same.id),
      state: same.state,
    });
    return same.id;
  }
  if (context.acts && mustHold(db, session, ['C']))
    return 'by the rule of two this conversation asks where it was asked';
  supersede(db, clock, context);
  if (asksWaitingIn(db, chat.id).length >= CHAT_ASKS_MAX)
    return `${CHAT_ASKS_MAX} questions wait in ${nameOfChat(chat)} already; ask again later`;
  const now = clock.now();
  const ask = insertAsk(db, {
    ...{ session_id: session.id, turn_id: turn.id, attempt: turn.attempt, ordinal, hash },
    ...{ group_name: session.group_name, chat_id: chat.id, thread, question, options, minutes },
    ...{ created_ms: now, expires_ms: Math.round(now + minutes * MINUTE_MS) },
  });
  asked.add(ask.id);
  if (context.acts) addMarks(db, clock, session, ['C'], showId('q', ask.id), linksOf(ask));
  showAsk(db, now, ask, input.options);
  const data = { ask: showId('q', ask.id), chat: nameOfChat(chat), options: input.options.length, minutes };
  recordEvent(db, clock, 'ask.asked', linksOf(ask), data);
  return ask.id;
}

/** What an earlier attempt asked at this place, in other words, nobody waits for any more. */
function supersede(db: Db, clock: Clock, { turn, ordinal, asked }: AskContext): void {
  for (const ask of asksOfTurn(db, turn.id))
    if (ask.state === 'pending' && !asked.has(ask.id) && ask.ordinal === ordinal)
      endAsk(db, clock, ask, 'cancelled', 'it was asked again in other words');
}

function showAsk(db: Db, now: number, ask: AskRow, options: string[]): void {
  const { chat_id, thread, session_id, turn_id, attempt, ordinal, hash } = ask;
  const links = { session_id, turn_id, attempt, ordinal, send_hash: hash };
  const out = { chat_id, thread, kind: 'send' as const, ...links, reply_to: null };
  const [id] = insertOutbound(db, now, out, [{ body: askText(ask, options), source: null }]);
  askShown(db, ask.id, id!);
  if (options.length === 0) return;
  const choices = options.map((_, i) => `${i + 1}`);
  const tokens = makeTokens(db, { ask: ask.id }, choices);
  setButtons(
    db,
    id!,
    options.map((label, i) => ({ token: tokens[i]!, label: visible(label) })),
  );
}

/** The question in words: it can be answered wherever it is shown, also without buttons. */
function askText(
  { id, code, minutes, question }: Pick<AskRow, 'id' | 'code' | 'minutes' | 'question'>,
  options: string[],
): string {
  const lines = options.map((option, i) => `  ${i + 1}. ${visible(option)}`);
  const how =
    options.length === 0
      ? `Answer in your next message, or write: answer ${code} your words`
      : `Answer with the number, or write: answer ${code} 1`;
  return [visibleLines(question), ...lines, `(${showId('q', id)}, open for ${timeOf(minutes)}) ${how}`].join('\n');
}

function receiptOf(ask: AskRow): AskReceipt {
  switch (ask.state) {
    case 'answered':
      return {
        ok: true,
        value: { answer: ask.answer, by: ask.who, ...(ask.chosen === null ? {} : { option: ask.chosen }) },
      };
    case 'expired':
      return refused(`nobody answered within ${timeOf(ask.minutes)}`);
    case 'cancelled':
      return refused(`the question was withdrawn: ${ask.reason}`);
    case 'pending':
      return refused('the turn ended before anybody answered');
    default:
      return unreachable(ask.state);
  }
}

function timeOf(minutes: number): string {
  const [n, unit] = minutes < 1 ? [Math.round(minutes * 60), 'second'] : [Math.round(minutes), 'minute'];
  return `${n} ${unit}${n === 1 ? '' : 's'}`;
}

function refused(reason: string): AskReceipt {
  return { ok: false, value: reason };
}
