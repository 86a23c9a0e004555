import type { Clock } from '../base/clock.ts';
import { IDLE_HOUR_MS } from '../base/limits/gateway.ts';
import type { Amount } from './prices.ts';

/**
 * What a group's models cost since somebody spoke to it, and in the last hour at most: by the second in which a request
 * began, reservations included. A group that nobody is known to have spoken to is idle. After a restart the audit says
 * what was used; that counts as if it had been used just then, so it is forgotten later than it would have been, never earlier.
 */
export class IdleHours {
  readonly #clock: Clock;
  readonly #usedSince: (group: string, since_ms: number) => Amount;
  readonly #spoken = new Map<string, number>();
  /** By group, millionths of a dollar of each second. */
  readonly #spent = new Map<string, Map<number, number>>();

  constructor(clock: Clock, usedSince: (group: string, since_ms: number) => Amount) {
    this.#clock = clock;
    this.#usedSince = usedSince;
  }

  /** Somebody spoke to the group. A time to come is not believed: until then nothing would count. */
  spoken(group: string, at_ms: number): void {
    this.#spoken.set(group, Math.max(this.#spoken.get(group) ?? 0, Math.min(at_ms, this.#clock.now())));
  }

  /** Millionths of a dollar. Throws when the audit cannot be read. */
  used(group: string): number {
    const since_ms = Math.max(this.#spoken.get(group) ?? 0, this.#clock.now() - IDLE_HOUR_MS);
    const spent = this.#spent.get(group) ?? this.#read(group, since_ms);
    let sum = 0;
    for (const [second, micros] of spent) {
      if (second < secondOf(since_ms)) spent.delete(second);
      else sum += micros;
    }
    return sum;
  }

  /** `micros` may be less than nothing, where a reservation of that time was too high. */
  add(group: string, at_ms: number, micros: number): void {
    // What has not been read yet will be read with this in it.
    const spent = this.#spent.get(group);
    spent?.set(secondOf(at_ms), (spent.get(secondOf(at_ms)) ?? 0) + micros);
  }

  #read(group: string, since_ms: number): Map<number, number> {
    const { cost_micros } = this.#usedSince(group, since_ms);
    const spent = new Map([[secondOf(this.#clock.now()), cost_micros]]);
    this.#spent.set(group, spent);
    return spent;
  }
}

function secondOf(at_ms: number): number {
  return Math.floor(at_ms / 1000);
}
