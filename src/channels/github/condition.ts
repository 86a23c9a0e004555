import type { ChannelHealth } from '../channel.ts';
import { REVOKED, type Refusal } from './errors.ts';

/** What the channel says of itself, of what is known about each of its repositories. */
export class Condition {
  readonly #changed: () => void;
  /** Null: it was not read yet; '': all is well; else why not. */
  readonly #repos: Map<string, string | null>;
  #name = '';
  #isRevoked = false;
  #said: ChannelHealth;

  constructor(repos: readonly string[], changed: () => void) {
    this.#repos = new Map(repos.map((repo) => [repo, null]));
    this.#changed = changed;
    this.#said = this.#now();
  }

  get health(): ChannelHealth {
    return this.#said;
  }

  works(repo: string, name: string): void {
    this.#name = name;
    this.#isRevoked = false;
    this.#repos.set(repo, '');
    this.#tell();
  }

  fails(repo: string, { class: as, reason }: Refusal): void {
    if (as === 'auth') this.#isRevoked = true;
    const unread = as === 'gone' || as === 'permanent';
    this.#repos.set(repo, unread ? `cannot read ${repo}: ${reason}` : `${repo}: ${reason}; it is tried again`);
    this.#tell();
  }

  revoked(): void {
    this.#isRevoked = true;
    this.#tell();
  }

  #tell(): void {
    const now = this.#now();
    const { state, detail } = this.#said;
    this.#said = now;
    if (now.state !== state || now.detail !== detail) this.#changed();
  }

  #now(): ChannelHealth {
    if (this.#isRevoked) return { state: 'failed', detail: REVOKED };
    const states = [...this.#repos.values()];
    const wrong = states.filter((state) => state !== null && state !== '');
    if (wrong.length > 0) return { state: 'failed', detail: wrong.join('; ') };
    if (states.includes(null)) return { state: 'starting', detail: 'GitHub has not answered yet' };
    return { state: 'connected', detail: `@${this.#name} in ${[...this.#repos.keys()].join(', ')}` };
  }
}
