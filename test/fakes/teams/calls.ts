import type { Channel, WebhookAnswer, WebhookRequest } from '../../../src/channels/channel.ts';

/** From an activity that was not answered 200 to its next try; Teams' own waits are longer. */
const AGAIN_MS = 500;

/** Teams' calls of us: each is made again until it is answered 200; while nobody is there it is lost. */
export class Calls {
  channel: Channel | null = null;
  isOffline = false;
  readonly acked = new Set<string>();
  readonly #waiting = new Map<WebhookRequest, string>();
  readonly #timers = new Set<NodeJS.Timeout>();
  /** Ends the calls of a host that is there no more. */
  #gone = Promise.withResolvers<WebhookAnswer>();

  bring(request: WebhookRequest, message: string): void {
    if (this.channel === null && !this.isOffline) return;
    this.#waiting.set(request, message);
    void this.#try(request, message);
  }

  waits(message: string): boolean {
    return [...this.#waiting.values()].includes(message);
  }

  /** Everything that waits, once more, in its order. */
  comes(channel: Channel): void {
    this.channel = channel;
    this.again();
  }

  goes(): void {
    this.channel = null;
    this.#gone.resolve({ status: 502 });
    this.#gone = Promise.withResolvers();
  }

  again(): void {
    for (const [request, message] of this.#waiting) void this.#try(request, message);
  }

  forget(): void {
    this.#waiting.clear();
    for (const timer of this.#timers) clearTimeout(timer);
  }

  async #try(request: WebhookRequest, message: string): Promise<void> {
    if (this.channel === null || this.isOffline || !this.#waiting.has(request)) return;
    const answer = await Promise.race([this.channel.webhook!(request), this.#gone.promise]).catch(() => ({
      status: 500,
    }));
    if (answer.status === 200) {
      this.#waiting.delete(request);
      this.acked.add(message);
    } else if (this.#waiting.has(request)) {
      const timer = setTimeout(() => {
        this.#timers.delete(timer);
        void this.#try(request, message);
      }, AGAIN_MS);
      this.#timers.add(timer);
    }
  }
}
