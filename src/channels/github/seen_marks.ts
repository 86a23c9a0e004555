import type { DriverParts } from '../kind.ts';
import type { Client } from './client.ts';
import { isRefused } from './errors.ts';
import { SEEN_WAITING_MAX } from './limits.ts';
import type { Chat, MessageKind } from './places.ts';
import { putReaction, reactionRoute } from './reactions.ts';

/** "Eyes" under what an agent is to answer. One after the other; nothing waits for them, and what fails is left. */
export class SeenMarks {
  readonly #client: Client;
  readonly #log: DriverParts['log'];
  readonly #ended: AbortSignal;
  #waiting = 0;
  #last: Promise<void> = Promise.resolve();

  constructor(client: Client, log: DriverParts['log'], ended: AbortSignal) {
    this.#client = client;
    this.#log = log;
    this.#ended = ended;
  }

  put(chat: Chat, { kind, id }: { kind: MessageKind; id: number }): void {
    const route = reactionRoute(kind);
    if (route === null || this.#waiting >= SEEN_WAITING_MAX) return;
    this.#waiting += 1;
    this.#last = this.#last.then(async () => {
      try {
        if (!this.#ended.aborted) await putReaction(this.#client, route, chat, { id, content: 'eyes' }, this.#ended);
      } catch (error) {
        if (!isRefused(error) && !this.#ended.aborted) throw error;
        this.#log('info', 'github.not_marked', { kind, id });
      } finally {
        this.#waiting -= 1;
      }
    });
  }
}
