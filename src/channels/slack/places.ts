/** Where we are in the history of a chat: everything up to the cursor is committed. Timestamps are Slack's own, as text. */
export class Place {
  #cursor: string;
  #top: string;
  /** Accepted and not yet committed. */
  readonly #open = new Map<string, number>();
  #held = false;

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
    this.#held = true;
  }

  begin(ts: string): void {
    // The first that we hear of this chat: nothing before it was missed.
    if (this.#cursor === '') this.#cursor = this.#top = before(ts);
    this.#open.set(ts, (this.#open.get(ts) ?? 0) + 1);
  }

  /** Returns the new cursor, or null where it stays. */
  commit(ts: string): string | null {
    this.#close(ts);
    if (later(ts, this.#top)) this.#top = ts;
    return this.#move();
  }

  /** The history was read, up to now. Returns as `commit`. */
  release(): string | null {
    this.#held = false;
    return this.#move();
  }

  #close(ts: string): void {
    const left = (this.#open.get(ts) ?? 1) - 1;
    if (left > 0) this.#open.set(ts, left);
    else this.#open.delete(ts);
  }

  #move(): string | null {
    if (this.#held) return null;
    let next = this.#top;
    for (const ts of this.#open.keys()) if (!later(ts, next)) next = before(ts);
    if (!later(next, this.#cursor)) return null;
    this.#cursor = next;
    return next;
  }
}

/** Whether `one` is after `other`; '' is before everything. */
export function later(one: string, other: string): boolean {
  return numberOf(one) > numberOf(other);
}

export function tsOfMs(ms: number): string {
  return `${Math.floor(ms / 1000)}.${String(Math.floor(ms % 1000) * 1000).padStart(6, '0')}`;
}

/** A millionth of a second earlier. */
function before(ts: string): string {
  const number = numberOf(ts) - 1n;
  return `${number / 1_000_000n}.${String(number % 1_000_000n).padStart(6, '0')}`;
}

function numberOf(ts: string): bigint {
  const [seconds = '', parts = ''] = ts.split('.');
  return BigInt(seconds || 0) * 1_000_000n + BigInt(parts.padEnd(6, '0').slice(0, 6));
}
