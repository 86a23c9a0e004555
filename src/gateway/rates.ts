import type { Clock } from '../base/clock.ts';

/**
 * `rate` of a service: so many requests in a time, for all sessions of a group together. A bucket that fills evenly. A new
 * one begins with what the audit says was used in the time before, so that a restart, or another authority, is no way around.
 */
export interface Limit {
  service: string;
  /** `120/min` */
  rate: string;
}

/** Requests of a group to a service since a time. Throws when it cannot be told. */
export type CountSince = (group: string, service: string, since_ms: number) => number;

const PERIOD_MS: Record<string, number> = { s: 1000, min: 60_000, hour: 3_600_000, day: 86_400_000 };

interface Bucket {
  tokens: number;
  at_ms: number;
}

export class Rates {
  readonly #clock: Clock;
  readonly #countSince: CountSince;
  readonly #buckets = new Map<string, Bucket>();

  constructor(clock: Clock, countSince: CountSince) {
    this.#clock = clock;
    this.#countSince = countSince;
  }

  /**
   * Takes one request from every limit, or from none: then it returns the limit that is used up and the seconds until it is
   * not. Throws when the audit cannot be read.
   */
  take(group: string, limits: readonly Limit[]): { limit: Limit; wait_s: number } | null {
    const found = limits.map((limit) => ({ limit, ...this.#filled(group, limit) }));
    const empty = found.find(({ bucket }) => bucket.tokens < 1);
    if (empty !== undefined) {
      const { limit, bucket, each_ms } = empty;
      return { limit, wait_s: Math.ceil(((1 - bucket.tokens) * each_ms) / 1000) };
    }
    for (const { bucket } of found) bucket.tokens -= 1;
    return null;
  }

  #filled(group: string, { service, rate }: Limit): { bucket: Bucket; each_ms: number } {
    const [count, period] = rate.split('/') as [string, string];
    const most = Number(count);
    const each_ms = PERIOD_MS[period]! / most;
    const now_ms = this.#clock.monotonic();
    const key = `${group} ${service} ${rate}`;
    let bucket = this.#buckets.get(key);
    if (bucket === undefined) {
      const used = this.#countSince(group, service, this.#clock.now() - PERIOD_MS[period]!);
      bucket = { tokens: Math.max(0, most - used), at_ms: now_ms };
      this.#buckets.set(key, bucket);
    }
    bucket.tokens = Math.min(most, bucket.tokens + (now_ms - bucket.at_ms) / each_ms);
    bucket.at_ms = now_ms;
    return { bucket, each_ms };
  }
}
