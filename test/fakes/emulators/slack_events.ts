import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Channel, WebhookRequest } from '../../../src/channels/channel.ts';
import { LoopbackServer } from '../loopback_server.ts';

/** A message of Slack's, as far as tests read it. */
export interface Message {
  ts: string;
  user: string;
  text: string;
  thread_ts?: string;
}

export type SlackEvent = Partial<Message> & {
  type: string;
  subtype?: string;
  deleted_ts?: string;
  message?: Partial<Message>;
};

/** Where an emulator of Slack brings its events: they are the driver's, unless one is captured. */
export class EventsDoor {
  /** Null: nobody is there, and an event is refused. */
  channel: Channel | null = null;
  /** Messages whose event was answered 200. */
  readonly acked = new Set<string>();
  readonly #server = new LoopbackServer((request, response) => this.#answer(request, response));
  readonly #waiting = new Set<(event: SlackEvent) => void>();
  #captured: ((request: WebhookRequest) => void) | null = null;

  get url(): string {
    return this.#server.url;
  }

  listen(): Promise<void> {
    return this.#server.listen();
  }

  close(): Promise<void> {
    return this.#server.close();
  }

  /** The next event of which this holds, as soon as it is here. */
  next(holds: (event: SlackEvent) => boolean): Promise<SlackEvent> {
    const { promise, resolve } = Promise.withResolvers<SlackEvent>();
    const waits = (event: SlackEvent): void => {
      if (!holds(event)) return;
      this.#waiting.delete(waits);
      resolve(event);
    };
    this.#waiting.add(waits);
    return promise;
  }

  /** The request that comes of this, as the emulator made it. The driver does not get it. */
  async captured(act: () => Promise<unknown>): Promise<WebhookRequest> {
    const { promise, resolve } = Promise.withResolvers<WebhookRequest>();
    this.#captured = resolve;
    await act();
    return promise;
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const parts: Buffer[] = [];
    for await (const part of request) parts.push(part as Buffer);
    const headers = Object.fromEntries(Object.entries(request.headers).map(([name, value]) => [name, String(value)]));
    const given = { method: 'POST', path: '', query: '', headers, body: Buffer.concat(parts) };
    const { event } = JSON.parse(given.body.toString('utf8')) as { event: SlackEvent };
    const status = this.#handed(event, given);
    for (const waits of [...this.#waiting]) waits(event);
    const code = await status;
    if (code === 200 && event.ts !== undefined) this.acked.add(event.ts);
    response.writeHead(code).end();
  }

  async #handed(event: SlackEvent, request: WebhookRequest): Promise<number> {
    if (this.#captured !== null && event.type === 'message') {
      this.#captured(request);
      this.#captured = null;
      return 200;
    }
    if (this.channel === null) return 503;
    try {
      return (await this.channel.webhook!(request)).status;
    } catch {
      return 500;
    }
  }
}
