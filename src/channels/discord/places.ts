import { before, later } from './snowflakes.ts';

/** Where we are in the history of a channel: everything up to the cursor is committed. */
export class Place {
  #cursor: string;
  #top: string;
  /** Handed over and not yet committed, and how often. */
  readonly #open = new Map<string, number>();
  #holds = 0;

  /** '': nothing is known. */
  constructor(cursor: string) {
    this.#cursor = cursor;
    this.#top = cursor;
  }

  get cursor(): string {
    return this.#cursor;
  }

  /** Something between the cursor and now may be missing: it stays until the history was read. */
  hold(): void {
    this.#holds += 1;
  }

  /** Returns the cursor where there was none: nothing before the first that we hear of was missed. */
  begin(id: string): string | null {
    const isFirst = this.#cursor === '';
    if (isFirst) this.#cursor = this.#top = before(id);
    this.#open.set(id, (this.#open.get(id) ?? 0) + 1);
    return isFirst ? this.#cursor : null;
  }

  /** Returns the new cursor, or null where it stays. */
  commit(id: string): string | null {
    const left = (this.#open.get(id) ?? 1) - 1;
    if (left > 0) this.#open.set(id, left);
    else this.#open.delete(id);
    if (later(id, this.#top)) this.#top = id;
    return this.#move();
  }

  /** The history was read, up to now. Returns as `commit`. */
  release(): string | null {
    this.#holds -= 1;
    return this.#move();
  }

  #move(): string | null {
    if (this.#holds > 0) return null;
    let next = this.#top;
    for (const id of this.#open.keys()) if (!later(id, next)) next = before(id);
    if (!later(next, this.#cursor)) return null;
    this.#cursor = next;
    return next;
  }
}

/** One thing at a time in each channel, in the order in which they came. */
export class Lanes {
  readonly #ends = new Map<string, Promise<unknown>>();

  run<T>(channel: string, act: () => Promise<T>): Promise<T> {
    const result = (this.#ends.get(channel) ?? Promise.resolve()).then(act);
    const end: Promise<void> = result.then(
      () => this.#ended(channel, end),
      () => this.#ended(channel, end),
    );
    this.#ends.set(channel, end);
    return result;
  }

  #ended(channel: string, end: Promise<unknown>): void {
    if (this.#ends.get(channel) === end) this.#ends.delete(channel);
  }
}

/** So many at once; the others wait in line. */
export class Slots {
  #free: number;
  readonly #waiting: (() => void)[] = [];

  constructor(count: number) {
    this.#free = count;
  }

  async run<T>(act: () => Promise<T>): Promise<T> {
    if (this.#free === 0) await new Promise<void>((resolve) => this.#waiting.push(resolve));
    else this.#free -= 1;
    try {
      return await act();
    } finally {
      const next = this.#waiting.shift();
      if (next === undefined) this.#free += 1;
      else next();
    }
  }
}
