import { createHmac } from 'node:crypto';
import type { Channel, WebhookRequest } from '../../../src/channels/channel.ts';

export const SIGNING = '0123456789abcdef0123456789abcdef';

/** From a request that was not answered 200 to its next try; Slack's own waits are longer. */
const AGAIN_MS = 1500;

export function signed(payload: object, stampS = Math.floor(Date.now() / 1000), secret = SIGNING): WebhookRequest {
  return requestOf(Buffer.from(JSON.stringify(payload)), 'application/json', stampS, secret);
}

export function pressRequest(payload: object): WebhookRequest {
  const body = Buffer.from(new URLSearchParams({ payload: JSON.stringify(payload) }).toString());
  return requestOf(body, 'application/x-www-form-urlencoded', Math.floor(Date.now() / 1000), SIGNING);
}

function requestOf(body: Buffer, type: string, stampS: number, secret: string): WebhookRequest {
  const digest = createHmac('sha256', secret).update(`v0:${stampS}:`).update(body).digest('hex');
  const headers = { 'x-slack-request-timestamp': String(stampS), 'x-slack-signature': `v0=${digest}` };
  return { method: 'POST', path: '', query: '', headers: { 'content-type': type, ...headers }, body };
}

/** Events over HTTP, Slack's end: each is brought again until it is answered 200; while nobody is there it is lost. */
export class EventCalls {
  channel: Channel | null = null;
  isOffline = false;
  readonly acked = new Set<string>();
  readonly #waiting = new Map<object, string>();
  readonly #timers = new Set<NodeJS.Timeout>();

  bring(payload: object, ts: string): void {
    if (this.channel === null && !this.isOffline) return;
    this.#waiting.set(payload, ts);
    void this.#try(payload, ts);
  }

  waits(ts: string): boolean {
    return [...this.#waiting.values()].includes(ts);
  }

  /** Everything that waits, once more, in its order. */
  again(): void {
    for (const [payload, ts] of this.#waiting) void this.#try(payload, ts);
  }

  forget(): void {
    this.#waiting.clear();
    for (const timer of this.#timers) clearTimeout(timer);
  }

  async #try(payload: object, ts: string): Promise<void> {
    if (this.channel === null || this.isOffline || !this.#waiting.has(payload)) return;
    const status = await this.channel.webhook!(signed(payload)).then(
      (answer) => answer.status,
      () => 500,
    );
    if (status === 200) {
      this.#waiting.delete(payload);
      this.acked.add(ts);
    } else if (this.#waiting.has(payload)) {
      const timer = setTimeout(() => {
        this.#timers.delete(timer);
        void this.#try(payload, ts);
      }, AGAIN_MS);
      this.#timers.add(timer);
    }
  }
}
