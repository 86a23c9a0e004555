import { MINUTE_MS } from '../../base/limits/units.ts';

/** What Telegram says of a webhook, as far as it is looked at. Times in seconds since the epoch. */
export interface HookInfo {
  url?: string | undefined;
  pending_update_count: number;
  last_error_date?: number | undefined;
  last_error_message?: string | undefined;
}

/** The reason of a webhook that is somebody else's by now; it is set again. */
export const MOVED = 'another program has taken the webhook of this bot away with the same token; it is set again';

/**
 * Whether Telegram brings its updates to our webhook. It says nothing by itself when it cannot, so it is asked from time to time. An
 * update that waits at one look may just have come; one that has failed, or has waited since the look before, with none that
 * arrived since, has not.
 */
export class HookWatch {
  readonly #url: string;
  #heard = false;
  #waited = false;
  #looked_ms = Date.now();

  constructor(url: string) {
    this.#url = url;
  }

  /** An update has come. */
  heard(): void {
    this.#heard = true;
  }

  /** Why none comes; null: they do, or there are none. */
  judge(info: HookInfo): string | null {
    const { pending_update_count: waiting, last_error_date = 0, last_error_message } = info;
    const [heard, waited, since_ms] = [this.#heard, this.#waited, this.#looked_ms];
    this.#heard = false;
    this.#waited = waiting > 0;
    this.#looked_ms = Date.now();
    if (info.url !== this.#url) return MOVED;
    // The clock that says when it failed is not ours.
    const hasFailed = last_error_date * 1000 > since_ms - MINUTE_MS;
    if (heard || waiting === 0 || !(waited || hasFailed)) return null;
    const why = last_error_message === undefined ? 'none comes' : last_error_message;
    return `what is said waits at Telegram (${waiting}), which cannot bring it to the webhook: ${why}`;
  }
}
