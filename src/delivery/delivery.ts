import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Clock } from '../base/clock.ts';
import { messageOf, unreachable } from '../base/errors.ts';
import { type Faults, guarded } from '../base/faults.ts';
import { showId } from '../base/ids.ts';
import { DURATION_MAX_MS, SEND_MS } from '../base/limits/messages.ts';
import { visible } from '../base/text.ts';
import type {
  Button,
  Card,
  Channel,
  OutgoingFile,
  Reconciled,
  SendOperation,
  SendResult,
} from '../channels/channel.ts';
import { textIn } from '../channels/dialects/outgoing.ts';
import { type ChatRow, chatById } from '../ledger/chats.ts';
import type { Db } from '../ledger/db.ts';
import { type DraftRow, draftReplacedBy, sendingDrafts } from '../ledger/drafts.ts';
import { recordEvent } from '../ledger/events.ts';
import type { Ledger } from '../ledger/ledger.ts';
import { isFollowed, messageById } from '../ledger/messages.ts';
import {
  chatsWithOutbound,
  fileOfOutbound,
  headOfChat,
  markSending,
  type OutboundRow,
  sendingRows,
} from '../ledger/outbound.ts';
import { endOfEdit } from './draft_step.ts';
import { Drafts } from './drafts.ts';
import {
  INTERRUPTED,
  isRetried,
  keptBack,
  links,
  type Refusal,
  recordEdit,
  recordOutcome,
  recordReconciled,
} from './outcomes.ts';

/**
 * Flow 1, step 6. One lane a chat keeps its order: the oldest row that has not ended is marked `sending` (committed,
 * mostly together with what wrote it), handed to the channel, and its outcome committed. A row that must wait holds the lane until its time or its end.
 *
 * A row found as `sending` at start may have been sent. The channel is asked; if it cannot tell, the row is `uncertain`,
 * an alert says so, and nothing is repeated.
 *
 * A reply whose beginning is shown already (`drafts.ts`) is delivered as the edit of that message.
 */
export interface DeliveryHooks {
  /** Raises an alert; must not throw. */
  alert(kind: string, subject: string, text: string): void;
  /** This row has been rejected: what an agent asks in it can have no answer. */
  rejected(outbound: number): void;
}

export class Delivery {
  readonly drafts: Drafts;
  readonly #ledger: Ledger;
  readonly #blobs: string;
  readonly #clock: Clock;
  readonly #channels: ReadonlyMap<string, Channel>;
  readonly #hooks: DeliveryHooks;
  readonly #faults: Faults;
  readonly #lanes = new Map<number, Lane>();
  #stopped = false;

  constructor(
    ledger: Ledger,
    blobs: string,
    clock: Clock,
    channels: ReadonlyMap<string, Channel>,
    faults: Faults,
    hooks: DeliveryHooks,
  ) {
    this.#ledger = ledger;
    this.#blobs = blobs;
    this.#clock = clock;
    this.#channels = channels;
    this.#faults = faults;
    this.#hooks = hooks;
    this.drafts = new Drafts({
      ...{ ledger, clock, channels, alert: hooks.alert },
      between: (chat, act) => this.#between(chat, act),
      call: (act) => this.#call(() => guarded(faults, 'channel.draft', act)),
      edit: (act) => this.#call(() => guarded(faults, 'channel.edit', act)),
      reconcile: (channel, operation) => askPlatform(channel, operation),
      quoted: (channel, reply_to, chat) => this.#quoted(channel, reply_to, chat),
    });
  }

  /** Settles what an earlier host left in `sending`, then delivers everything that waits. */
  async recover(): Promise<void> {
    const { db } = this.#ledger;
    const left = new Set([...sendingDrafts(db), ...sendingRows(db)].map(({ chat_id }) => chat_id));
    for (const chat of left) {
      // A platform that is away holds up its own chats, and not the start.
      const settled = this.#recover(chat);
      if (this.#channelOf(chat)?.ready === undefined) await settled;
    }
    for (const chat of chatsWithOutbound(db)) this.wake(chat);
  }

  /** What was being sent in a chat; nothing else leaves it until that is known. */
  async #recover(chat: number): Promise<void> {
    this.#lanes.set(chat, { busy: true, again: false, timer: null, claimed: null });
    await this.#channelOf(chat)?.ready?.();
    await this.drafts.recover(new Set([chat]));
    for (const row of sendingRows(this.#ledger.db)) if (row.chat_id === chat) await this.#reconcile(row);
    this.#lanes.delete(chat);
    this.wake(chat);
  }

  #channelOf(chat: number): Channel | undefined {
    return this.#channels.get(chatById(this.#ledger.db, chat)?.channel ?? '');
  }

  /**
   * Inside the transaction that writes the next message of a chat: marks the head `sending` at once, which saves the
   * commit of its own. Once that is on disk the row goes to `wake`. Null when the lane has to come to it by itself.
   */
  claim(db: Db, chatId: number): OutboundRow | null {
    if (this.#stopped || this.#lanes.get(chatId)?.busy) return null;
    const row = headOfChat(db, chatId);
    if (row?.state !== 'queued' || this.#channelOf(chatId) === undefined) return null;
    return this.#mark(db, row) ? row : null;
  }

  /** Something was committed for this chat, `claimed` of it with its mark. Returns at once. */
  wake(chatId: number, claimed: OutboundRow | null = null): void {
    if (this.#stopped && claimed === null) return;
    const lane = this.#lanes.get(chatId) ?? { busy: false, again: false, timer: null, claimed: null };
    this.#lanes.set(chatId, lane);
    lane.claimed ??= claimed;
    if (lane.busy) {
      lane.again = true;
      return;
    }
    if (lane.timer !== null) clearTimeout(lane.timer);
    lane.timer = null;
    lane.busy = true;
    void this.#run(chatId, lane);
  }

  /** Chats whose head is due but whose lane sleeps; counted by the sweep. */
  forgotten(): number[] {
    const now = this.#clock.now();
    return chatsWithOutbound(this.#ledger.db).filter((chat) => {
      const lane = this.#lanes.get(chat);
      const head = headOfChat(this.#ledger.db, chat);
      return (
        head !== undefined &&
        head.state !== 'sending' &&
        head.error === null &&
        head.not_before_ms <= now &&
        !(lane?.busy || lane?.timer)
      );
    });
  }

  /** Starts no new send; resolves when the running ones have ended or `graceMs` is over. */
  async stop(graceMs: number): Promise<void> {
    this.#stopped = true;
    this.drafts.stop();
    for (const lane of this.#lanes.values()) if (lane.timer !== null) clearTimeout(lane.timer);
    const until = this.#clock.monotonic() + graceMs;
    while ([...this.#lanes.values()].some((lane) => lane.busy) && this.#clock.monotonic() < until) await sleep(20);
  }

  /** Runs `act` in a lane that has nothing to do: no row is handed over until it has ended. False: it has, or this stops. */
  #between(chatId: number, act: () => Promise<void>): boolean {
    if (this.#stopped || this.#lanes.has(chatId) || headOfChat(this.#ledger.db, chatId) !== undefined) return false;
    const lane: Lane = { busy: true, again: false, timer: null, claimed: null };
    this.#lanes.set(chatId, lane);
    void act().then(() => this.#run(chatId, lane));
    return true;
  }

  async #run(chatId: number, lane: Lane): Promise<void> {
    do {
      lane.again = false;
      while (this.#mayRun(lane) && (await this.#deliverHead(chatId, lane))) {
        // the head has ended; the next one is due
      }
    } while (lane.again && this.#mayRun(lane));
    lane.busy = false;
    if (lane.timer === null && !lane.again) this.#lanes.delete(chatId);
  }

  /** What bears the mark is sent even while this stops: as `sending` it would be taken for interrupted. */
  #mayRun(lane: Lane): boolean {
    return !this.#stopped || lane.claimed !== null;
  }

  /** Returns whether to go on with the next row at once. */
  async #deliverHead(chatId: number, lane: Lane): Promise<boolean> {
    const { claimed } = lane;
    lane.claimed = null;
    const row = claimed ?? headOfChat(this.#ledger.db, chatId);
    const chat = chatById(this.#ledger.db, chatId);
    if (row === undefined || chat === undefined || row.state === 'sending') return false;
    const wait = row.state === 'retry' ? row.not_before_ms - this.#clock.now() : 0;
    if (wait > 0) {
      this.#wakeIn(chatId, lane, wait);
      return false;
    }
    const channel = this.#channels.get(chat.channel);
    if (channel === undefined) return false; // its driver is not configured now; the row stays, status shows its age
    // Somebody may have had it held meanwhile: then the next one is the head.
    if (claimed === null && !(await this.#ledger.insist('sending', (db) => this.#mark(db, row)))) return true;
    const result = await this.#deliver(channel, row, chat, lane);
    if (!result.ok) this.#tell(row, chat, result);
    // A row that is to be tried again is looked at once more, which sets the timer for it.
    return result.ok || result.class !== 'waiting' || headOfChat(this.#ledger.db, chatId)?.id !== row.id;
  }

  /** Hands a row over that bears its mark, and commits the outcome. */
  async #deliver(channel: Channel, row: OutboundRow, chat: ChatRow, lane: Lane): Promise<SendResult> {
    const draft = channel.edit === undefined ? null : draftReplacedBy(this.#ledger.db, row);
    const said = await this.#call(() =>
      guarded(this.#faults, 'channel.send', () => this.#act(channel, row, chat, draft)),
    ).then((result) => this.#sure(channel, row, chat, draft, result));
    const end = draft === null ? null : endOfEdit(said, draft.receipt!);
    const result = end === null ? said : end.result;
    await this.#ledger.insist(
      'sent',
      (db) => {
        if (end === null) recordOutcome(db, this.#clock, row, chat, result);
        else recordEdit(db, this.#clock, row, chat, end);
      },
      lane.again ? 'now' : 'soon',
    );
    return result;
  }

  /** Where the outcome was lost, what the platform knows of it. */
  async #sure(
    channel: Channel,
    row: OutboundRow,
    chat: ChatRow,
    draft: DraftRow | null,
    result: SendResult,
  ): Promise<SendResult> {
    if (result.ok || result.class !== 'ambiguous' || row.act !== 'send' || draft !== null) return result;
    const known = await askPlatform(channel, this.#operation(channel, row, chat));
    if (known.found === true) return { ok: true, receipt: known.receipt };
    if (known.found === 'unknown') return result;
    return { ok: false, class: 'retryable', reason: `${result.reason}; the platform does not have it` };
  }

  /** False: the row does not wait any more. */
  #mark(db: Ledger['db'], row: OutboundRow): boolean {
    if (!markSending(db, this.#clock.now(), row.id)) return false;
    recordEvent(db, this.#clock, 'delivery.sending', links(row), { attempt: row.attempts + 1 });
    return true;
  }

  /** A driver that throws or hangs breaks its contract; the outcome is then unknown. */
  async #call(act: () => Promise<SendResult>): Promise<SendResult> {
    const late: SendResult = { ok: false, class: 'ambiguous', reason: `no outcome after ${SEND_MS / 1000} s` };
    try {
      return await inTime(act(), late);
    } catch (error) {
      return { ok: false, class: 'ambiguous', reason: `the driver failed: ${messageOf(error)}` };
    }
  }

  /** The owner hears of what did not arrive: the chat itself cannot be trusted to tell. */
  #tell(row: OutboundRow, chat: ChatRow, result: Refusal): void {
    const to = visible(chat.title || chat.platform_id);
    if (result.class === 'ambiguous') {
      this.#hooks.alert(
        'delivery.uncertain',
        `o${row.id}`,
        `A message to ${to} may or may not have arrived (${result.reason}); it was not repeated.`,
      );
    } else if (result.class !== 'waiting' && !isRetried(row, result)) {
      this.#hooks.alert('delivery.rejected', `o${row.id}`, `A message to ${to} was not delivered: ${result.reason}`);
      this.#hooks.rejected(row.id);
    }
  }

  #wakeIn(chatId: number, lane: Lane, wait: number): void {
    const ms = Math.min(wait, DURATION_MAX_MS);
    if (lane.timer !== null) clearTimeout(lane.timer);
    lane.timer = setTimeout(() => {
      lane.timer = null;
      this.wake(chatId);
    }, ms);
  }

  async #reconcile(row: OutboundRow): Promise<void> {
    const chat = chatById(this.#ledger.db, row.chat_id);
    const channel = chat === undefined ? undefined : this.#channels.get(chat.channel);
    if (chat === undefined || channel === undefined) return;
    // The same reaction, or the same edit, once more changes nothing.
    const again = row.act === 'react' || draftReplacedBy(this.#ledger.db, row) !== null;
    const known = again ? { found: false as const } : await askPlatform(channel, this.#operation(channel, row, chat));
    await this.#ledger.insist('reconcile', (db) => recordReconciled(db, this.#clock, row, known));
    if (known.found === 'unknown') this.#tell(row, chat, { ok: false, class: 'ambiguous', reason: INTERRUPTED });
  }

  #file(row: OutboundRow): OutgoingFile | null {
    const file = fileOfOutbound(this.#ledger.db, row.id);
    return file === undefined ? null : { ...file, id: showId('o', row.id), path: join(this.#blobs, file.sha256) };
  }

  /** `draft`: what the row takes the place of. */
  async #act(channel: Channel, row: OutboundRow, chat: ChatRow, draft: DraftRow | null): Promise<SendResult> {
    const kept = keptBack(this.#ledger.db, row);
    if (kept !== null) return kept;
    switch (row.act) {
      case 'send': {
        const operation = this.#operation(channel, row, chat);
        if (draft === null || channel.edit === undefined) return channel.send(operation);
        const { thread, body } = operation;
        return channel.edit({ chat: chat.platform_id, thread, message: draft.receipt!, body, key: draft.key });
      }
      case 'react': {
        const message = this.#answered(row.reply_to);
        if (message === null || channel.react === undefined)
          return { ok: false, class: 'unsupported', reason: 'there is nothing to react to' };
        return channel.react({ chat: chat.platform_id, thread: row.thread, message, emoji: row.body });
      }
      default:
        return unreachable(row.act);
    }
  }

  /** The platform's id of the message that is answered. A task's message is none of the platform's. */
  #answered(reply_to: number | null): string | null {
    const answered = reply_to === null ? undefined : messageById(this.#ledger.db, reply_to);
    return answered?.origin === 'platform' ? answered.platform_id : null;
  }

  /** Between two people a quote says something only when more has been said since. */
  #quoted(channel: Channel, reply_to: number | null, chat: ChatRow): string | null {
    if (channel.capabilities.quotes !== true || reply_to === null) return null;
    return chat.direct === 0 || isFollowed(this.#ledger.db, reply_to, chat.id) ? this.#answered(reply_to) : null;
  }

  #operation(channel: Channel, row: OutboundRow, chat: ChatRow): SendOperation {
    const { buttons: canPress, cards: hasCards, markup } = channel.capabilities;
    const card = row.card !== null && hasCards === true ? { card: JSON.parse(row.card) as Card } : {};
    const buttons = row.buttons !== null && canPress === true ? { buttons: JSON.parse(row.buttons) as Button[] } : {};
    return {
      chat: chat.platform_id,
      thread: row.thread,
      body: row.source === null ? textIn(markup, row.body) : row.body,
      kind: row.kind,
      reply_to: this.#quoted(channel, row.reply_to, chat),
      ...(row.reply_to !== null && { answers: showId('m', row.reply_to) }),
      file: this.#file(row),
      key: row.key,
      ...buttons,
      ...card,
    };
  }
}

interface Lane {
  busy: boolean;
  again: boolean;
  timer: NodeJS.Timeout | null;
  /** The head, when it bears its mark already; as it was before. */
  claimed: OutboundRow | null;
}

/** A driver that fails or hangs here cannot tell; the host must start all the same. */
async function askPlatform(channel: Channel, operation: SendOperation): Promise<Reconciled> {
  if (channel.reconcile === undefined) return { found: 'unknown' };
  try {
    await channel.ready?.();
    return await inTime(channel.reconcile(operation), { found: 'unknown' });
  } catch {
    return { found: 'unknown' };
  }
}

/** What the driver says, or `late` when it says nothing. Rejects as the driver does. */
async function inTime<T>(work: Promise<T>, late: T): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const deadline = new Promise<T>((resolve) => {
    timer = setTimeout(() => resolve(late), SEND_MS);
  });
  try {
    return await Promise.race([work, deadline]);
  } finally {
    clearTimeout(timer);
  }
}
