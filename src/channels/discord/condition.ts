import type { ChannelHealth } from '../channel.ts';

/** How the channel is. `changed` is called when it says something else than before. */
export class Condition {
  readonly #changed: () => void;
  #told = '';
  #link: ChannelHealth = { state: 'starting', detail: 'connecting to Discord' };
  #trouble: string | null = null;

  constructor(changed: () => void) {
    this.#changed = changed;
    this.#told = JSON.stringify(this.health());
  }

  health(): ChannelHealth {
    return this.#trouble === null ? this.#link : { state: 'failed', detail: this.#trouble };
  }

  link(state: ChannelHealth['state'], detail: string): void {
    this.#link = { state, detail };
    this.#tell();
  }

  /** Of the token, whatever the connection is. Null: it is over. */
  trouble(sentence: string | null): void {
    this.#trouble = sentence;
    this.#tell();
  }

  #tell(): void {
    const now = JSON.stringify(this.health());
    if (now === this.#told) return;
    this.#told = now;
    this.#changed();
  }
}
