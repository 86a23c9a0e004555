import { SWEEP_MS } from '../base/limits/messages.ts';
import type { Log } from '../base/log.ts';

/** Something that can tell which of its parts should be awake and are not. */
export interface Sleeper {
  forgotten(): number[];
  wake(id: number): void;
}

/** The backstop for a lost wake-up. It counts how often it was needed, which is a defect each time: it should read 0. */
export class Sweep {
  readonly #sleepers: Sleeper[];
  readonly #log: Log;
  readonly #swept: (lost: number) => void;
  readonly #timer: NodeJS.Timeout;
  #needed = 0;

  /** `swept` is called after each look, with how many wake-ups were lost. */
  constructor(sleepers: Sleeper[], log: Log, swept: (lost: number) => void) {
    this.#sleepers = sleepers;
    this.#log = log;
    this.#swept = swept;
    this.#timer = setInterval(() => this.#run(), SWEEP_MS);
  }

  get needed(): number {
    return this.#needed;
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  #run(): void {
    const before = this.#needed;
    for (const sleeper of this.#sleepers) {
      const lost = sleeper.forgotten();
      this.#needed += lost.length;
      if (lost.length > 0) this.#log.error('sweep.needed', { lost: lost.length });
      for (const id of lost) sleeper.wake(id);
    }
    this.#swept(this.#needed - before);
  }
}
