import { setTimeout as pause } from 'node:timers/promises';

/** So many at once; the others wait in line. A place is handed on to who has waited for longest, so that nobody else takes it meanwhile. */
export class Slots {
  #free: number;
  readonly #waiting: (() => void)[] = [];

  constructor(count: number) {
    this.#free = count;
  }

  get waiting(): number {
    return this.#waiting.length;
  }

  /** Resolves when a place is the asker's, until it calls `free`. */
  async take(): Promise<void> {
    if (this.#free === 0) await new Promise<void>((resolve) => this.#waiting.push(resolve));
    else this.#free -= 1;
  }

  free(): void {
    const next = this.#waiting.shift();
    if (next === undefined) this.#free += 1;
    else next();
  }

  /** Runs `act` when there is a place for it; after `most_ms` its place is somebody else's, and it goes on without one. */
  async run<T>(act: () => Promise<T>, most_ms?: number): Promise<T> {
    await this.take();
    const result = Promise.resolve().then(act);
    const late = most_ms === undefined ? [] : [pause(most_ms, undefined, { ref: false })];
    const free = (): void => this.free();
    Promise.race([result, ...late]).then(free, free);
    return result;
  }
}
