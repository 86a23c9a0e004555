import type { Clock } from '../base/clock.ts';
import { BREAKER_FAILURES, BREAKER_OPEN_MAX_MS, BREAKER_OPEN_MS } from '../base/limits/channels.ts';
import type { SendResult } from './channel.ts';

/**
 * Keeps a platform that fails from being asked by every chat in turn: after so many failures in a row nothing is sent for
 * a while, then one message tries. What waits meanwhile is not counted as an attempt.
 */
export class Breaker {
  readonly #clock: Clock;
  #failures = 0;
  #opened = 0;
  #until = 0;
  #trying = false;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  get state(): 'closed' | 'open' | 'trying' {
    if (this.#opened === 0) return 'closed';
    return this.#trying || this.#clock.monotonic() >= this.#until ? 'trying' : 'open';
  }

  /** Milliseconds until something may be tried; 0 when it may, and whoever was told so must report the outcome. */
  ask(): number {
    if (this.#opened === 0) return 0;
    const wait = this.#until - this.#clock.monotonic();
    if (wait > 0) return wait;
    if (this.#trying) return BREAKER_OPEN_MS;
    this.#trying = true;
    return 0;
  }

  /** Returns whether it is closed now, and was not before. */
  report(result: SendResult): boolean {
    const failed = !result.ok && (result.class === 'retryable' || result.class === 'ambiguous');
    this.#trying = false;
    if (!failed) {
      const closed = this.#opened > 0;
      this.#failures = 0;
      this.#opened = 0;
      return closed;
    }
    this.#failures += 1;
    if (this.#failures >= BREAKER_FAILURES) {
      this.#until = this.#clock.monotonic() + Math.min(BREAKER_OPEN_MS * 2 ** this.#opened, BREAKER_OPEN_MAX_MS);
      this.#opened += 1;
    }
    return false;
  }
}
