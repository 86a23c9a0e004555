/**
 * The deadline of one turn. It stands still while the turn waits for a person, for `stillMax` milliseconds in all, so that
 * a turn that asks is no turn that hangs, and none lasts for ever.
 */
export class TurnClock {
  readonly #fire: () => void;
  #left: number;
  #still: number;
  #since: number;
  #holds = 0;
  #over = false;
  #timer: NodeJS.Timeout | undefined;

  constructor(ms: number, stillMax: number, fire: () => void) {
    this.#fire = fire;
    this.#left = ms;
    this.#still = stillMax;
    this.#since = performance.now();
    this.#arm();
  }

  /** Whether it stands still now. */
  get stands(): boolean {
    return this.#holds > 0;
  }

  /** Until what is returned is called, once. */
  hold(): () => void {
    this.#account();
    this.#holds += 1;
    this.#arm();
    let held = true;
    return () => {
      if (!held) return;
      held = false;
      this.#account();
      this.#holds -= 1;
      this.#arm();
    };
  }

  /** It never fires any more. */
  stop(): void {
    this.#over = true;
    clearTimeout(this.#timer);
  }

  /** The time since the last change belongs to the wait, as far as there is any left for it, else to the turn. */
  #account(): void {
    const now = performance.now();
    const passed = now - this.#since;
    const still = this.#holds > 0 ? Math.min(passed, this.#still) : 0;
    this.#still -= still;
    this.#left -= passed - still;
    this.#since = now;
  }

  #arm(): void {
    clearTimeout(this.#timer);
    if (this.#over) return;
    const still = this.#holds > 0 ? this.#still : 0;
    this.#timer = setTimeout(() => this.#end(), Math.max(0, this.#left + still));
  }

  #end(): void {
    this.stop();
    this.#fire();
  }
}
