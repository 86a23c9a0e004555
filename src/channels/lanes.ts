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
