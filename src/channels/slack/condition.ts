import type { ChannelHealth } from '../channel.ts';

/** How the channel is, out of what several parts know. `changed` is called when it says something else than before. */
export class Condition {
  readonly #changed: () => void;
  #told = '';
  #link: ChannelHealth = { state: 'starting', detail: 'connecting to Slack' };
  readonly #troubles = new Map<Trouble, string>();

  constructor(changed: () => void) {
    this.#changed = changed;
    this.#told = JSON.stringify(this.health());
  }

  health(): ChannelHealth {
    const [trouble] = [...this.#troubles.entries()].sort().map(([, sentence]) => sentence);
    return trouble === undefined ? this.#link : { state: 'failed', detail: trouble };
  }

  link(link: ChannelHealth): void {
    this.#link = link;
    this.#tell();
  }

  /** Null: it is over. */
  trouble(trouble: Trouble, sentence: string | null): void {
    if (sentence === null) this.#troubles.delete(trouble);
    else this.#troubles.set(trouble, sentence);
    this.#tell();
  }

  #tell(): void {
    const now = JSON.stringify(this.health());
    if (now === this.#told) return;
    this.#told = now;
    this.#changed();
  }
}

/** In the order in which they are told. */
export type Trouble = '1 token' | '2 scopes' | '3 shared';
