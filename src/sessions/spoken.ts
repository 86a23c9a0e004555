import { SPOKEN_TOLD_MS } from '../base/limits/gateway.ts';

/**
 * When people last spoke to each group, for the gateway, which keeps the budget of an idle hour. It is told of the first
 * word at once, of those that follow when a minute is over, and of every group again after it was lost.
 */
interface Heard {
  at_ms: number;
  told_ms: number;
  /** It was told less than a minute ago. */
  resting: boolean;
}

export class Spoken {
  readonly #tell: (group: string, at_ms: number) => void;
  readonly #groups = new Map<string, Heard>();

  constructor(tell: (group: string, at_ms: number) => void) {
    this.#tell = tell;
  }

  heard(group: string, at_ms: number): void {
    const known = this.#groups.get(group) ?? { at_ms, told_ms: 0, resting: false };
    known.at_ms = at_ms;
    this.#groups.set(group, known);
    if (!known.resting) this.#pass(group, known);
  }

  /** 0: never, as far as is known. */
  last(group: string): number {
    return this.#groups.get(group)?.at_ms ?? 0;
  }

  /** To a gateway that may know nothing. */
  again(): void {
    for (const [group, { at_ms }] of this.#groups) this.#tell(group, at_ms);
  }

  #pass(group: string, known: Heard): void {
    known.resting = true;
    known.told_ms = known.at_ms;
    this.#tell(group, known.at_ms);
    setTimeout(() => {
      known.resting = false;
      if (known.at_ms > known.told_ms) this.#pass(group, known);
    }, SPOKEN_TOLD_MS).unref();
  }
}
