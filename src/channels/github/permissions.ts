import { Latest } from '../latest.ts';
import { read } from './auth.ts';
import type { Client } from './client.ts';
import { statusOf } from './errors.ts';
import { PERMISSION_MS, PERMISSIONS_MAX } from './limits.ts';
import { type GhUser, permission } from './payloads.ts';
import type { Repo } from './places.ts';

/**
 * Who may write to a repository: what others say in public is anybody's, and nothing of it is passed on. An answer is believed
 * for some minutes. Whatever GitHub does not clearly allow is a no.
 */
export class Permissions {
  readonly #client: Client;
  readonly #repo: Repo;
  readonly #known = new Latest<number, { mayWrite: boolean; until_ms: number }>(PERMISSIONS_MAX);

  constructor(client: Client, repo: Repo) {
    this.#client = client;
    this.#repo = repo;
  }

  /** Rejects when it cannot be known now. */
  async mayWrite({ id, login }: GhUser, signal: AbortSignal): Promise<boolean> {
    const known = this.#known.get(id);
    if (known !== undefined && known.until_ms > Date.now()) return known.mayWrite;
    const mayWrite = await this.#ask(id, login, signal);
    this.#known.put(id, { mayWrite, until_ms: Date.now() + PERMISSION_MS });
    return mayWrite;
  }

  /** A name may be another's by now: the answer counts for who wrote alone. */
  async #ask(id: number, login: string, signal: AbortSignal): Promise<boolean> {
    const route = 'GET /repos/{owner}/{repo}/collaborators/{username}/permission';
    try {
      const { data } = await this.#client.call(route, { ...this.#repo, username: login }, { signal });
      const { permission: level, user } = read(permission, data);
      return user?.id === id && ['admin', 'maintain', 'write'].includes(level);
    } catch (error) {
      if (statusOf(error) === 404) return false;
      throw error;
    }
  }
}
