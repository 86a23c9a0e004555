/** One thing at a time in each chat, in the order in which they came. */
export class Lanes {
  readonly #ends = new Map<string, Promise<unknown>>();

  run<T>(chat: string, act: () => Promise<T>): Promise<T> {
    const result = (this.#ends.get(chat) ?? Promise.resolve()).then(act);
    const end: Promise<void> = result.then(
      () => this.#ended(chat, end),
      () => this.#ended(chat, end),
    );
    this.#ends.set(chat, end);
    return result;
  }

  #ended(chat: string, end: Promise<unknown>): void {
    if (this.#ends.get(chat) === end) this.#ends.delete(chat);
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
