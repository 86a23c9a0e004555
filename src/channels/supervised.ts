import { setTimeout as sleep } from 'node:timers/promises';
import type { Clock } from '../base/clock.ts';
import { messageOf } from '../base/errors.ts';
import { type Faults, guarded } from '../base/faults.ts';
import {
  BREAKER_OPEN_MS,
  CHANNEL_DEAF_MS,
  DRIVER_BACKOFF_MAX_MS,
  DRIVER_BACKOFF_MS,
  DRIVER_GOOD_MS,
  DRIVER_STOP_MS,
} from '../base/limits/channels.ts';
import type { Log } from '../base/log.ts';
import { Breaker } from './breaker.ts';
import type {
  Channel,
  ChannelCapabilities,
  ChannelHealth,
  ChannelSeen,
  EditOperation,
  Linking,
  MenuCommand,
  ReactOperation,
  Reconciled,
  SendOperation,
  SendResult,
  Sink,
  WebhookAnswer,
  WebhookRequest,
} from './channel.ts';
import { CODE_HERE } from './driver_calls.ts';
import { DriverThread } from './driver_thread.ts';
import type { ChannelKind } from './kind.ts';
import type { WebhooksDeaf } from './webhooks.ts';

/**
 * A channel whose driver runs in a thread and is begun again for as long as the host lives, with growing waits. Somebody is
 * told when it has been deaf for a while. What is to be sent meanwhile waits in its row, uncounted, until it is back.
 */
export interface SupervisedParts {
  name: string;
  kind: ChannelKind;
  settings: Record<string, unknown>;
  /** Its driver's own. */
  folder: string;
  /** Out of the vault, anew for each life. Rejects with the sentence of what is missing. */
  secrets(): Promise<Record<string, string>>;
  clock: Clock;
  log: Log;
  faults: Faults;
  alert(kind: string, subject: string, text: string): void;
  clear(kind: string, subject: string): void;
  /** A life has begun; `http`: its driver takes what comes in over HTTP. */
  began(channel: SupervisedChannel, http: boolean): void;
  /** Why nothing comes in over HTTP; null: it does. */
  webhooks(): WebhooksDeaf | null;
}

const DEAF = 'channel.deaf';

export class SupervisedChannel implements Channel {
  readonly name: string;
  readonly capabilities: ChannelCapabilities;
  readonly #parts: SupervisedParts;
  readonly #breaker: Breaker;
  /** Chats in which something waits until the channel is back. */
  readonly #waiting = new Set<string>();
  readonly #ending = new AbortController();
  #cursors = new Map<string, string>();
  #sink: Sink | null = null;
  #menu: readonly MenuCommand[] | null = null;
  #made: DriverThread | null = null;
  #readiness = Promise.withResolvers<void>();
  /** It has been started, and may be sent to. */
  #live: DriverThread | null = null;
  #lives: Promise<void> = Promise.resolve();
  #wake: AbortController = new AbortController();
  #link: string | null = null;
  #linking: Linking | null = null;
  /** A send was refused for the token's sake. */
  #refused = false;
  #deaf: NodeJS.Timeout | null = null;
  #trial: NodeJS.Timeout | undefined;
  #state: ChannelHealth = { state: 'starting', detail: 'not started yet' };
  /** What the driver itself last said. */
  #said: ChannelHealth = this.#state;
  #seen: ChannelSeen;

  constructor(parts: SupervisedParts) {
    this.#parts = parts;
    this.name = parts.name;
    this.capabilities = parts.kind.capabilities(parts.settings);
    this.#breaker = new Breaker(parts.clock);
    const nothing = { last_in_ms: null, lag_ms: null, last_error: null, limited_until_ms: null };
    const since_ms = parts.clock.now();
    this.#seen = { kind: parts.kind.kind, since_ms, ...nothing, breaker: 'closed', restarts: 0 };
  }

  /** Resolves at once: a platform that is away holds nothing up. */
  async start(sink: Sink, cursors: ReadonlyMap<string, string>): Promise<void> {
    this.#cursors = new Map(cursors);
    this.#sink = this.#watched(sink);
    this.#become({ state: 'starting', detail: 'not connected yet' });
    this.#lives = this.#goOn(this.#sink);
  }

  async stop(): Promise<void> {
    this.#ending.abort('stopped');
    if (this.#deaf !== null) clearTimeout(this.#deaf);
    clearTimeout(this.#trial);
    await this.#made?.stop();
    // One that is still being made ends by itself.
    await Promise.race([this.#lives, sleep(DRIVER_STOP_MS, undefined, { ref: false })]);
  }

  /** What it was made of has changed: begins anew at once, unless it is well. */
  retry(): void {
    if (this.#state.state === 'connected') return;
    // Of the life that ends here: who looks now is to see what the next one asks.
    this.#linking = null;
    this.#made?.end('it begins anew');
    this.#wake.abort('retry');
  }

  /** One that is connected, and is called over HTTP alone, hears nothing while nobody listens there; it can be sent to. */
  health(): ChannelHealth {
    const { kind, settings, webhooks } = this.#parts;
    const seen = { ...this.#seen, breaker: this.#breaker.state };
    const alone = kind.webhook === 'always' || kind.webhookAlone?.(settings) === true;
    const deaf = alone && this.#state.state === 'connected' ? webhooks() : null;
    if (deaf === null) return { ...this.#state, seen };
    const { reason, since_ms } = deaf;
    return {
      ...{ state: 'failed', detail: reason },
      seen: { ...seen, since_ms, last_error: { at_ms: since_ms, text: reason } },
    };
  }

  async send(operation: SendOperation): Promise<SendResult> {
    return this.#sent(operation.chat, (thread) => thread.call('send', [operation]));
  }

  async edit(operation: EditOperation): Promise<SendResult> {
    return this.#sent(operation.chat, (thread) => thread.call('edit', [operation]));
  }

  async react(operation: ReactOperation): Promise<SendResult> {
    return this.#sent(operation.chat, (thread) => thread.call('react', [operation]));
  }

  async typing(chat: string, thread: string): Promise<void> {
    if (this.#live?.methods.has('typing')) await this.#live.call('typing', [chat, thread]);
  }

  ready(): Promise<void> {
    return this.#isReady() ? Promise.resolve() : this.#readiness.promise;
  }

  /** A driver that runs need not know yet who it is on the platform. */
  #isReady(): boolean {
    return this.#live !== null && this.#state.state === 'connected';
  }

  #tellReady(): void {
    if (!this.#isReady()) return;
    this.#readiness.resolve();
    this.#readiness = Promise.withResolvers();
  }

  async reconcile(operation: SendOperation): Promise<Reconciled> {
    if (!this.#live?.methods.has('reconcile')) return { found: 'unknown' };
    return this.#live.call('reconcile', [operation]);
  }

  async openDm(handle: string): Promise<{ platform_id: string; title: string } | null> {
    const live = this.#live;
    if (!live?.methods.has('openDm')) return null;
    return guarded(this.#parts.faults, 'channel.open_dm', () => live.call('openDm', [handle]));
  }

  /** Shown again in each life. */
  async menu(commands: readonly MenuCommand[]): Promise<void> {
    this.#menu = commands;
    const live = this.#live;
    if (live?.methods.has('menu'))
      await guarded(this.#parts.faults, 'channel.menu', () => live.call('menu', [commands]));
  }

  deepLink(code: string): string | null {
    return this.#link?.replace(CODE_HERE, encodeURIComponent(code)) ?? null;
  }

  linking(): Linking | null {
    return this.#linking;
  }

  async webhook(request: WebhookRequest): Promise<WebhookAnswer> {
    if (this.#live?.methods.has('webhook')) return this.#live.call('webhook', [request]);
    return { status: 503 };
  }

  /** One life after the other. */
  async #goOn(sink: Sink): Promise<void> {
    const { clock, log } = this.#parts;
    for (let wait = DRIVER_BACKOFF_MS; !this.#ending.signal.aborted; this.#seen.restarts += 1) {
      const began = clock.monotonic();
      const reason = await this.#life(sink).catch(messageOf);
      this.#live = null;
      this.#linking = null;
      if (this.#ending.signal.aborted) return;
      log.warn('channel.ended', { channel: this.name, reason });
      this.#fails(reason);
      this.#become({ state: 'failed', detail: reason });
      wait = clock.monotonic() - began > DRIVER_GOOD_MS ? DRIVER_BACKOFF_MS : wait;
      const woken = AbortSignal.any([this.#wake.signal, this.#ending.signal]);
      await sleep(wait, undefined, { signal: woken }).catch(() => {});
      this.#wake = new AbortController();
      wait = Math.min(wait * 2, DRIVER_BACKOFF_MAX_MS);
    }
  }

  /** Resolves with why it ended; rejects with why it could not begin. */
  async #life(sink: Sink): Promise<string> {
    const thread = await this.#open();
    this.#made = thread;
    // It may have been stopped meanwhile.
    if (this.#ending.signal.aborted) thread.end('it was stopped');
    await thread.start(sink, this.#cursors);
    this.#parts.began(this, thread.methods.has('webhook'));
    this.#live = thread;
    this.#tellReady();
    // What was refused only because nobody was there.
    this.#reachable();
    if (this.#menu !== null)
      this.menu(this.#menu).catch((error) =>
        this.#parts.log.warn('channel.menu', { channel: this.name, reason: messageOf(error) }),
      );
    return thread.ended;
  }

  async #open(): Promise<DriverThread> {
    const { name, kind, settings, folder, log } = this.#parts;
    const secrets = await this.#parts.secrets();
    return DriverThread.open({ driver: kind.driver.href, name, settings, folder, secrets }, log, {
      health: (health, link, linking) => {
        this.#link = link;
        this.#linking = linking;
        this.#said = health;
        this.#become(health);
      },
    });
  }

  /** The driver's sink: what passes is seen. */
  #watched(sink: Sink): Sink {
    const { clock } = this.#parts;
    return {
      ...sink,
      accept: async (message) => {
        const accepted = await sink.accept(message);
        this.#seen.last_in_ms = clock.now();
        this.#seen.lag_ms = Math.max(0, clock.now() - message.sent_ms);
        return accepted;
      },
      saveCursor: async (name, value) => {
        await sink.saveCursor(name, value);
        this.#cursors.set(name, value);
      },
    };
  }

  #become(health: ChannelHealth): void {
    const { clock, clear, alert } = this.#parts;
    const was = this.#state.state;
    this.#state = { state: health.state, detail: health.detail };
    if (was !== health.state) this.#seen.since_ms = clock.now();
    if (health.state === 'connected') {
      if (this.#deaf !== null) clearTimeout(this.#deaf);
      this.#deaf = null;
      clear(DEAF, this.name);
      this.#tellReady();
      if (was !== 'connected') this.#reachable();
    } else if (!this.#ending.signal.aborted) {
      if (health.state === 'failed') this.#fails(health.detail);
      this.#deaf ??= setTimeout(() => {
        alert(DEAF, this.name, `The channel ${this.name} hears nothing: ${this.#state.detail}`);
      }, CHANNEL_DEAF_MS);
    }
  }

  #fails(reason: string): void {
    this.#seen.last_error = { at_ms: this.#parts.clock.now(), text: reason };
  }

  async #sent(chat: string, act: (thread: DriverThread) => Promise<SendResult>): Promise<SendResult> {
    if (this.#live === null) return this.#waits(chat, `the channel is not connected: ${this.#state.detail}`);
    const wait = this.#breaker.ask();
    if (wait > 0) {
      clearTimeout(this.#trial);
      this.#trial = setTimeout(() => this.#tryOne(), wait);
      return this.#waits(chat, 'the platform fails again and again; it is tried again in a while');
    }
    const result: SendResult = await act(this.#live).catch((error) => ({
      ...{ ok: false, class: 'ambiguous', reason: messageOf(error) },
    }));
    if (this.#breaker.report(result)) this.#reachable();
    if (result.ok) {
      if (this.#refused) this.#become(this.#said);
      this.#refused = false;
      return result;
    }
    this.#fails(result.reason);
    // Some platforms do not say for how long: then it shows for a while.
    if (result.class === 'rate_limited')
      this.#seen.limited_until_ms = this.#parts.clock.now() + (result.after_ms ?? BREAKER_OPEN_MS);
    // Until somebody has put a good token in the vault; nothing that was said is thrown away for it.
    if (result.class === 'auth') {
      this.#refused = true;
      this.#become({ state: 'failed', detail: result.reason });
      return this.#waits(chat, result.reason);
    }
    return result;
  }

  #waits(chat: string, reason: string): SendResult {
    this.#waiting.add(chat);
    return { ok: false, class: 'waiting', reason };
  }

  /** The breaker lets one through: the chat that has waited longest. */
  #tryOne(): void {
    const [chat] = this.#waiting;
    if (chat === undefined || this.#breaker.state === 'closed') return;
    this.#waiting.delete(chat);
    this.#sink?.reachable(chat);
    // What waited there may have been taken back since.
    if (this.#waiting.size > 0) this.#trial = setTimeout(() => this.#tryOne(), BREAKER_OPEN_MS);
  }

  #reachable(): void {
    const chats = [...this.#waiting];
    this.#waiting.clear();
    for (const chat of chats) this.#sink?.reachable(chat);
  }
}
