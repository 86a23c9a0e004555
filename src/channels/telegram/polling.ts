import { setTimeout as sleep } from 'node:timers/promises';
import { type Api, GrammyError, HttpError } from 'grammy';
import type { DriverParts } from '../kind.ts';
import { HookWatch, MOVED } from './hook_watch.ts';
import {
  ALONE_S,
  BACKOFF_MAX_MS,
  BACKOFF_MS,
  HOOK_LOOK_FIRST_MS,
  HOOK_LOOK_MS,
  POLL_S,
  UPDATES_MAX,
} from './limits.ts';
import { KINDS } from './payloads.ts';

export interface PollHooks {
  /** Before the first poll, until it has succeeded. */
  begin(): Promise<void>;
  /** Resolves when the update is committed. */
  take(update: unknown): Promise<void>;
  /** Telegram has answered. */
  works(): void;
  /** It has not, or has refused. */
  fails(error: GrammyError | HttpError): void;
  log: DriverParts['log'];
  /** Updates do not reach the webhook: why. */
  deaf(reason: string): void;
  /** Where Telegram brings the updates; null: they are asked for. */
  webhook: string | null;
}

/**
 * Long polling with an offset of our own: Telegram forgets an update when it is asked for one with a higher number, so it is
 * asked so only once an update is committed. A batch is taken one by one, for the order of each chat, and ends at the first
 * that was not committed. Answered once, an offset is not said again: after a quiet week the numbers begin anew anywhere.
 *
 * Over a webhook nothing is polled; Telegram is asked from time to time whether it reaches us, and whether it knows the token.
 */
export class Polling {
  readonly #api: Api;
  readonly #hooks: PollHooks;
  readonly #ended = new AbortController();
  readonly #watch: HookWatch | null;
  #isBegun = false;
  #isDeaf = false;
  #offset: number | null = null;
  /** The code of the last failure, -1 without one; 0: all is well; null: nothing has been asked yet. */
  #failed: number | null = null;

  constructor(api: Api, hooks: PollHooks) {
    this.#api = api;
    this.#hooks = hooks;
    this.#watch = hooks.webhook === null ? null : new HookWatch(hooks.webhook);
  }

  /** Resolves when it has been stopped. */
  async run(): Promise<void> {
    let [wait, look] = [BACKOFF_MS, HOOK_LOOK_FIRST_MS];
    while (!this.#ended.signal.aborted) {
      if (!(await this.#round())) {
        await this.#pause(wait);
        wait = Math.min(wait * 2, BACKOFF_MAX_MS);
        look = HOOK_LOOK_FIRST_MS;
      } else {
        wait = BACKOFF_MS;
        if (this.#watch === null) continue;
        await this.#pause(look);
        look = Math.min(look * 2, HOOK_LOOK_MS);
      }
    }
  }

  async #pause(ms: number): Promise<void> {
    await sleep(ms, undefined, { signal: this.#ended.signal, ref: false }).catch(() => {});
  }

  /** An update has come over the webhook, and is committed. */
  heard(): void {
    this.#watch?.heard();
    if (!this.#isDeaf) return;
    this.#isDeaf = false;
    this.#hooks.works();
  }

  stop(): void {
    this.#ended.abort();
  }

  /** False: something failed. */
  async #round(): Promise<boolean> {
    try {
      if (this.#isBegun && this.#watch !== null && !(await this.#reaches(this.#watch))) return false;
      if (!this.#isBegun) await this.#hooks.begin();
      this.#isBegun = true;
      const updates = this.#watch === null ? await this.#poll() : [];
      if (this.#ended.signal.aborted) return true;
      this.#failed = 0;
      this.#isDeaf = false;
      this.#hooks.works();
      return await this.#takeAll(updates);
    } catch (error) {
      if (!(error instanceof GrammyError || error instanceof HttpError)) throw error;
      if (this.#ended.signal.aborted) return true;
      this.#failed = error instanceof GrammyError ? error.error_code : -1;
      this.#hooks.fails(error);
      return false;
    }
  }

  /** Whether Telegram brings updates to the webhook. One that is not ours any more is set again in the next round. */
  async #reaches(watch: HookWatch): Promise<boolean> {
    const why = watch.judge(await this.#api.getWebhookInfo());
    if (why === null || this.#ended.signal.aborted) return true;
    if (why === MOVED) this.#isBegun = false;
    this.#isDeaf = true;
    this.#hooks.log('warn', 'telegram.webhook_deaf', { reason: why });
    this.#hooks.deaf(why);
    return false;
  }

  async #poll(): Promise<{ update_id: number }[]> {
    const signal = this.#ended.signal as Parameters<Api['getUpdates']>[1];
    const offset = this.#offset === null ? {} : { offset: this.#offset };
    const options = { ...offset, timeout: this.#patience(), limit: UPDATES_MAX, allowed_updates: KINDS };
    const updates = await this.#api.getUpdates(options, signal);
    this.#offset = null;
    return updates;
  }

  /** After a failure an answer at once shows that it is over; after a conflict, that nobody has ended our poll for a while. */
  #patience(): number {
    if (this.#failed === 409) return ALONE_S;
    return this.#failed === 0 ? POLL_S : 0;
  }

  async #takeAll(updates: { update_id: number }[]): Promise<boolean> {
    for (const update of updates) {
      if (this.#ended.signal.aborted) return true;
      try {
        await this.#hooks.take(update);
      } catch {
        // Not kept: it stays the platform's, with all that follows it.
        this.#hooks.log('warn', 'telegram.not_kept', { update: update.update_id });
        return false;
      }
      this.#offset = update.update_id + 1;
    }
    return true;
  }
}
