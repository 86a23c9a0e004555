import type { Clock } from '../base/clock.ts';
import { showId } from '../base/ids.ts';
import { DRAFT_CHARS_MIN, DRAFT_DELAY_MS, DRAFT_EVERY_MS, DURATION_MAX_MS } from '../base/limits/messages.ts';
import { visible } from '../base/text.ts';
import type { Channel, Reconciled, SendOperation, SendResult } from '../channels/channel.ts';
import { type ChatRow, chatById } from '../ledger/chats.ts';
import { type DraftRow, draftOfRunning, dropDraft, markDraft, openDraft, sendingDrafts } from '../ledger/drafts.ts';
import { recordEvent } from '../ledger/events.ts';
import type { Ledger } from '../ledger/ledger.ts';
import { draftBody, stepOf } from './draft_step.ts';

/**
 * What there is of an answer, shown in its chat while the turn runs: one message, sent when a long answer begins and edited at most
 * once a second. Only the first send is a row; the edits are nobody's record. Everything happens in the chat's lane, between
 * two rows of it, so that nothing of it is under way when the answer itself takes its place (`draftReplacedBy`), and only
 * while the ledger says that the turn runs.
 *
 * A channel that can show it without a message (`partial`: a terminal) is told of each word, and nothing of that is kept anywhere.
 */
export interface DraftPlace {
  turn: number;
  session: number;
  chat_id: number;
  thread: string;
  /** The message that is being answered. */
  reply_to: number;
}

/** What it needs of delivery. */
export interface DraftParts {
  ledger: Ledger;
  clock: Clock;
  channels: ReadonlyMap<string, Channel>;
  /** Runs `act` in the lane of a chat. False: the lane is at work, nothing was run. */
  between(chat: number, act: () => Promise<void>): boolean;
  /** One call of a driver; what hangs or throws is `ambiguous`. */
  call(act: () => Promise<SendResult>): Promise<SendResult>;
  edit(act: () => Promise<SendResult>): Promise<SendResult>;
  reconcile(channel: Channel, operation: SendOperation): Promise<Reconciled>;
  /** The platform's id of the message that an answer quotes; null: none. */
  quoted(channel: Channel, reply_to: number | null, chat: ChatRow): string | null;
  alert(kind: string, subject: string, text: string): void;
}

interface Shown {
  place: DraftPlace;
  chat: ChatRow;
  channel: Channel;
  text: string;
  /** What the chat shows of it. */
  shown: string;
  /** When it may be shown next, on the monotonic clock. */
  due: number;
  timer: NodeJS.Timeout | null;
  busy: boolean;
}

export class Drafts {
  readonly #parts: DraftParts;
  readonly #turns = new Map<number, Shown>();

  constructor(parts: DraftParts) {
    this.#parts = parts;
  }

  /** Whether a chat can show one; null: whether any can. */
  wanted(chatId: number | null): boolean {
    if (chatId === null) return [...this.#parts.channels.values()].some(canShow);
    return this.#ofChat(chatId) !== null;
  }

  /** There is more of an answer. Returns at once. */
  show(place: DraftPlace, text: string): void {
    let shown = this.#turns.get(place.turn);
    if (shown === undefined) {
      const where = this.#ofChat(place.chat_id);
      if (where === null) return;
      const due = this.#parts.clock.monotonic() + DRAFT_DELAY_MS;
      shown = { ...where, place, text, shown: '', due, timer: null, busy: false };
      this.#turns.set(place.turn, shown);
    }
    shown.text = text;
    if (shown.channel.partial === undefined) this.#arm(shown);
    else tellPartial(shown, text);
  }

  /** The attempt has ended: nothing more is begun for it. */
  end(turn: number): void {
    const shown = this.#turns.get(turn);
    if (shown === undefined) return;
    if (shown.timer !== null) clearTimeout(shown.timer);
    this.#turns.delete(turn);
    tellPartial(shown, '');
  }

  stop(): void {
    for (const turn of [...this.#turns.keys()]) this.end(turn);
  }

  /** Settles what an earlier host was sending in these chats, before any answer takes its place. */
  async recover(chats: ReadonlySet<number>): Promise<void> {
    const { ledger, reconcile } = this.#parts;
    for (const draft of sendingDrafts(ledger.db)) {
      if (!chats.has(draft.chat_id)) continue;
      const where = this.#ofChat(draft.chat_id);
      if (where === null) continue; // its driver is not configured now, and nothing else of that chat leaves either
      const known = await reconcile(where.channel, this.#operation(where.channel, where.chat, draft));
      await ledger.insist('draft_found', (db) => this.#found(db, draft, known));
      if (known.found === 'unknown') this.#tell(draft);
    }
  }

  #ofChat(chatId: number): { chat: ChatRow; channel: Channel } | null {
    const chat = chatById(this.#parts.ledger.db, chatId);
    const channel = chat === undefined ? undefined : this.#parts.channels.get(chat.channel);
    return chat === undefined || channel === undefined || !canShow(channel) ? null : { chat, channel };
  }

  #arm(shown: Shown): void {
    if (shown.timer !== null || shown.busy || this.#turns.get(shown.place.turn) !== shown) return;
    if (shown.text.length < DRAFT_CHARS_MIN || shown.text === shown.shown) return;
    shown.timer = setTimeout(
      () => {
        shown.timer = null;
        shown.busy = this.#parts.between(shown.place.chat_id, () => this.#act(shown));
        // The chat has something else to say: the next word of the answer asks again.
        if (!shown.busy) shown.due = this.#parts.clock.monotonic() + this.#every(shown);
      },
      Math.max(0, shown.due - this.#parts.clock.monotonic()),
    );
    shown.timer.unref();
  }

  /** In the lane. */
  async #act(shown: Shown): Promise<void> {
    const { place, text } = shown;
    const { draft, running } = draftOfRunning(this.#parts.ledger.db, place.turn);
    const step = stepOf(draft, running, text, shown.shown);
    let wait: number | null = 0;
    if (step === 'begin') wait = await this.#begin(shown, text);
    else if (step === 'edit') wait = await this.#edit(shown, draft!, text);
    else if (step === 'never') wait = null;
    shown.busy = false;
    if (wait === null) return this.end(place.turn);
    shown.due = this.#parts.clock.monotonic() + Math.max(wait, this.#every(shown));
    this.#arm(shown);
  }

  #every({ place }: Shown): number {
    return Math.max(DRAFT_EVERY_MS, this.#ofChat(place.chat_id)?.channel.capabilities.edit_every_ms ?? 0);
  }

  /** Returns how long the platform wants to be left alone, in milliseconds; null: there is no draft in this attempt. */
  async #begin(shown: Shown, text: string): Promise<number | null> {
    const { ledger, clock, call } = this.#parts;
    const { place, channel, chat } = shown;
    const { turn: turn_id, chat_id, thread, reply_to } = place;
    const body = draftBody(text, channel.capabilities);
    const links = { turn: turn_id, session: place.session };
    // A full disk costs the draft, never the answer.
    const draft = await ledger
      .write('draft', (db) => {
        const row = openDraft(db, clock.now(), { turn_id, chat_id, thread, reply_to, body });
        if (row !== undefined) recordEvent(db, clock, 'draft.sending', links, { chars: text.length });
        return row;
      })
      .catch(() => undefined);
    if (draft === undefined) return null;
    const result = await call(() => channel.send(this.#operation(channel, chat, draft)));
    await ledger.insist('drafted', (db) => this.#outcome(db, draft, links, result));
    if (!result.ok && result.class === 'ambiguous') this.#tell(draft);
    if (!result.ok) return null;
    shown.shown = text;
    return 0;
  }

  #outcome(db: Ledger['db'], draft: DraftRow, links: { turn: number; session?: number }, result: SendResult): void {
    const { clock } = this.#parts;
    const now = clock.now();
    if (result.ok) {
      markDraft(db, now, draft.turn_id, 'shown', result.receipt);
      recordEvent(db, clock, 'draft.shown', links, { receipt: result.receipt });
    } else if (result.class === 'ambiguous') {
      markDraft(db, now, draft.turn_id, 'uncertain');
      recordEvent(db, clock, 'draft.uncertain', links, { reason: result.reason });
    } else {
      markDraft(db, now, draft.turn_id, 'refused');
      recordEvent(db, clock, 'draft.refused', links, { class: result.class, reason: result.reason });
    }
  }

  /** As `#begin`. Best effort: what fails is only not seen, and the answer will say if the message is gone. */
  async #edit(shown: Shown, { receipt, key }: DraftRow, text: string): Promise<number | null> {
    const { channel, chat, place } = shown;
    const body = draftBody(text, channel.capabilities);
    const operation = { chat: chat.platform_id, thread: place.thread, message: receipt!, body, key };
    const result = await this.#parts.edit(() => channel.edit!(operation));
    if (result.ok) shown.shown = text;
    if (result.ok || result.class === 'ambiguous') return 0;
    if (result.class !== 'retryable' && result.class !== 'rate_limited') return null;
    const wait = 'after_ms' in result ? (result.after_ms ?? 0) : 0;
    return Number.isFinite(wait) ? Math.min(wait, DURATION_MAX_MS) : DRAFT_EVERY_MS;
  }

  #found(db: Ledger['db'], draft: DraftRow, known: Reconciled): void {
    const links = { turn: draft.turn_id };
    if (known.found === true) this.#outcome(db, draft, links, { ok: true, receipt: known.receipt });
    else if (known.found === false) dropDraft(db, draft.turn_id);
    else this.#outcome(db, draft, links, { ok: false, class: 'ambiguous', reason: 'the host ended while it was sent' });
  }

  #tell(draft: DraftRow): void {
    const chat = chatById(this.#parts.ledger.db, draft.chat_id);
    const to = visible(chat?.title || chat?.platform_id || '');
    this.#parts.alert(
      'delivery.uncertain',
      showId('t', draft.turn_id),
      `The beginning of an answer to ${to} may or may not have arrived; the answer itself comes as a message of its own.`,
    );
  }

  #operation(channel: Channel, chat: ChatRow, draft: DraftRow): SendOperation {
    const { thread, body, key } = draft;
    const reply_to = this.#parts.quoted(channel, draft.reply_to, chat);
    return { chat: chat.platform_id, thread, body, kind: 'reply', reply_to, file: null, key };
  }
}

function canShow(channel: Channel): boolean {
  return channel.partial !== undefined || (channel.capabilities.edits === true && channel.edit !== undefined);
}

function tellPartial({ channel, chat, place }: Shown, text: string): void {
  channel.partial?.({ chat: chat.platform_id, thread: place.thread, turn: showId('t', place.turn), text });
}
