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
