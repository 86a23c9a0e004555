import { setTimeout as sleep } from 'node:timers/promises';
import { type Api, GrammyError, HttpError } from 'grammy';
import type { DriverParts } from '../kind.ts';
import { ALONE_S, BACKOFF_MAX_MS, BACKOFF_MS, POLL_S, UPDATES_MAX } from './limits.ts';
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
  /** False: updates come by other means, and beginning is all there is to do. */
  hears: boolean;
}

/**
 * Long polling with an offset of our own: Telegram forgets an update when it is asked for one with a higher number, so it is
 * asked so only once an update is committed. A batch is taken one by one, for the order of each chat, and ends at the first
 * that was not committed. Answered once, an offset is not said again: after a quiet week the numbers begin anew anywhere.
 */
export class Polling {
  readonly #api: Api;
  readonly #hooks: PollHooks;
  readonly #ended = new AbortController();
  #isBegun = false;
  #offset: number | null = null;
  /** The code of the last failure, -1 without one; 0: all is well; null: nothing has been asked yet. */
  #failed: number | null = null;

  constructor(api: Api, hooks: PollHooks) {
    this.#api = api;
    this.#hooks = hooks;
  }

  /** Resolves when it has been stopped. */
  async run(): Promise<void> {
    let wait = BACKOFF_MS;
    while (!this.#ended.signal.aborted) {
      if (await this.#round()) wait = BACKOFF_MS;
      else {
        await sleep(wait, undefined, { signal: this.#ended.signal, ref: false }).catch(() => {});
        wait = Math.min(wait * 2, BACKOFF_MAX_MS);
      }
    }
  }

  stop(): void {
    this.#ended.abort();
  }

  /** False: something failed. */
  async #round(): Promise<boolean> {
    try {
      if (!this.#isBegun) await this.#hooks.begin();
      this.#isBegun = true;
      const updates = this.#hooks.hears ? await this.#poll() : [];
      if (this.#ended.signal.aborted) return true;
      this.#failed = 0;
      this.#hooks.works();
      if (!this.#hooks.hears) this.stop();
      return await this.#takeAll(updates);
    } catch (error) {
      if (!(error instanceof GrammyError || error instanceof HttpError)) throw error;
      if (this.#ended.signal.aborted) return true;
      this.#failed = error instanceof GrammyError ? error.error_code : -1;
      this.#hooks.fails(error);
      return false;
    }
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
