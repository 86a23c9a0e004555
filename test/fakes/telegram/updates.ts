import { STATUS_CODES } from 'node:http';

/**
 * What waits for a bot, with the server's own rules: an update is kept until it is confirmed, which a `getUpdates` with a
 * higher offset does; a second `getUpdates` ends the first with 409; types that were not asked for are not kept.
 */
export interface Update {
  update_id: number;
  [kind: string]: unknown;
}

export type Polled = { updates: Update[] } | { conflict: string };

const OTHER = 'Conflict: terminated by other getUpdates request; make sure that only one bot instance is running';
const HOOKED =
  "Conflict: can't use getUpdates method while webhook is active; use deleteWebhook to delete the webhook first";
/** Kept unless asked for others. */
const DEFAULT = ['message', 'edited_message', 'callback_query'];

interface Webhook {
  url: string;
  secret: string;
  /** Resolves with the status of the answer. */
  deliver: (update: Update, secret: string) => Promise<number>;
}

export class Updates {
  #next = 700_000;
  #waiting: Update[] = [];
  #allowed: readonly string[] = DEFAULT;
  #poll: { end: (polled: Polled) => void } | null = null;
  #webhook: Webhook | null = null;
  #isDelivering = false;
  /** Of the newest delivery that failed; another address begins without. */
  #lastError: { last_error_date?: number; last_error_message?: string } = {};
  /** Of the conflict that `second` makes. */
  #second = false;

  /** As `getWebhookInfo` gives it: what there is not is left out. */
  get info(): object {
    const url = this.#webhook?.url ?? '';
    const active = url === '' ? {} : { max_connections: 1, ip_address: '192.0.2.7', allowed_updates: this.#allowed };
    return {
      url,
      has_custom_certificate: false,
      pending_update_count: this.#waiting.length,
      ...active,
      ...this.#lastError,
    };
  }

  /** What the bot has told us to show it with each call. */
  get secret(): string {
    return this.#webhook?.secret ?? '';
  }

  get pending(): readonly Update[] {
    return this.#waiting;
  }

  /** Null: nobody asked for this kind. */
  add(kind: string, value: object): number | null {
    if (!this.#allowed.includes(kind)) return null;
    const update = { update_id: this.#next, [kind]: value };
    this.#next += 1;
    this.#waiting.push(update);
    this.#wake();
    void this.#deliver();
    return update.update_id;
  }

  async get(offset: number, limit: number, timeout_s: number, allowed?: readonly string[]): Promise<Polled> {
    if (this.#webhook !== null) return { conflict: HOOKED };
    if (allowed !== undefined) this.#allowed = allowed.length === 0 ? DEFAULT : allowed;
    this.#poll?.end({ conflict: OTHER });
    if (offset > 0) this.#waiting = this.#waiting.filter(({ update_id }) => update_id >= offset);
    if (this.#waiting.length > 0 || timeout_s === 0) return { updates: this.#waiting.slice(0, limit) };
    const { promise, resolve } = Promise.withResolvers<Polled>();
    const timer = setTimeout(() => end({ updates: [] }), timeout_s * 1000);
    const end = (polled: Polled): void => {
      clearTimeout(timer);
      if (this.#poll?.end === end) this.#poll = null;
      const due = this.#waiting.filter(({ update_id }) => update_id >= offset);
      resolve('updates' in polled ? { updates: due.slice(0, limit) } : polled);
    };
    this.#poll = { end };
    return promise;
  }

  /** After a week without any, the server goes on with any number. */
  renumber(next: number): void {
    this.#next = next;
  }

  /** The connection of the poll that waits has ended. */
  forget(): void {
    this.#poll?.end({ updates: [] });
  }

  hook(webhook: Webhook | null, allowed?: readonly string[]): void {
    if (webhook?.url !== this.#webhook?.url) this.#lastError = {};
    this.#webhook = webhook;
    if (allowed !== undefined) this.#allowed = allowed;
    this.#poll?.end({ conflict: HOOKED });
    void this.#deliver();
  }

  /** Another program polls, for as long as it is to; it confirms nothing. */
  async second(runs: boolean): Promise<void> {
    this.#second = runs;
    if (!runs) return this.forget();
    const poll = async (): Promise<void> => {
      while (this.#second) {
        await this.get(0, 100, 1);
        await new Promise((resolve) => setTimeout(resolve, 20));
      }
    };
    void poll();
  }

  #wake(): void {
    this.#poll?.end({ updates: [] });
  }

  /** One at a time (`max_connections: 1`), again and again until it is answered 2xx. */
  async #deliver(): Promise<void> {
    if (this.#isDelivering) return;
    this.#isDelivering = true;
    while (this.#webhook !== null && this.#waiting.length > 0) {
      const { deliver, secret } = this.#webhook;
      const status = await deliver(this.#waiting[0]!, secret);
      if (status >= 200 && status < 300) this.#waiting.shift();
      else {
        const last_error_message = `Wrong response from the webhook: ${status} ${STATUS_CODES[status]}`;
        this.#lastError = { last_error_date: Math.floor(Date.now() / 1000), last_error_message };
        await new Promise((resolve) => setTimeout(resolve, 20));
      }
    }
    this.#isDelivering = false;
  }
}
