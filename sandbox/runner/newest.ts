/**
 * Passes on the newest of what comes often: the first at once, then at most one each `every_ms`. What is replaced by a newer
 * one meanwhile is dropped; the last one is passed on, unless it is told to forget it.
 */
export class Newest<T> {
  readonly #every_ms: number;
  readonly #pass: (value: T) => void;
  #last = Number.NEGATIVE_INFINITY;
  #timer: NodeJS.Timeout | null = null;
  #newest: T | null = null;

  constructor(every_ms: number, pass: (value: T) => void) {
    this.#every_ms = every_ms;
    this.#pass = pass;
  }

  give(value: T): void {
    this.#newest = value;
    this.#timer ??= setTimeout(() => this.#go(), Math.max(0, this.#last + this.#every_ms - performance.now()));
  }

  /** Nothing that has been given so far is passed on any more. */
  forget(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
    this.#newest = null;
  }

  #go(): void {
    const value = this.#newest;
    this.forget();
    this.#last = performance.now();
    if (value !== null) this.#pass(value);
  }
}
