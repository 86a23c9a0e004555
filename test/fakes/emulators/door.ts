import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Channel, WebhookRequest } from '../../../src/channels/channel.ts';
import { LoopbackServer } from '../loopback_server.ts';

/** Where an emulator calls: what it brings is the driver's, unless it is captured. `Told`: the body of a call. */
export class Door<Told> {
  /** Null: nobody is there, and a call is refused. */
  channel: Channel | null = null;
  /** Of calls that were answered 200. */
  readonly acked = new Set<string>();
  readonly #nameOf: (told: Told) => string | undefined;
  readonly #signature: () => Record<string, string>;
  readonly #server = new LoopbackServer((request, response) => this.#answer(request, response));
  readonly #waiting = new Set<(told: Told, when: 'here' | 'answered') => void>();
  #captured: ((request: WebhookRequest) => void) | null = null;

  /** `nameOf`: the id of the message that a call tells of. `signature`: headers that an emulator leaves out. */
  constructor(nameOf: (told: Told) => string | undefined, signature: () => Record<string, string> = () => ({})) {
    this.#nameOf = nameOf;
    this.#signature = signature;
  }

  get url(): string {
    return this.#server.url;
  }

  listen(): Promise<void> {
    return this.#server.listen();
  }

  close(): Promise<void> {
    return this.#server.close();
  }

  /** The same channel, which is called here while it runs. */
  leadsTo(channel: Channel): Channel {
    const { start, stop } = channel;
    return Object.assign(channel, {
      start: async (...given: Parameters<Channel['start']>) => {
        await start.apply(channel, given);
        this.channel = channel;
      },
      stop: async () => {
        this.channel = null;
        await stop.apply(channel);
      },
    });
  }

  /** The next call of which this holds, as soon as it is here, or once it was answered. */
  next(holds: (told: Told) => boolean, when: 'here' | 'answered' = 'here'): Promise<Told> {
    const { promise, resolve } = Promise.withResolvers<Told>();
    const waits = (told: Told, now: typeof when): void => {
      if (now !== when || !holds(told)) return;
      this.#waiting.delete(waits);
      resolve(told);
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
    if (request.method !== 'POST') return void response.writeHead(200).end(); // it looks whether anybody is here
    const named = Object.entries(request.headers).map(([name, value]) => [name, String(value)]);
    const headers = { ...Object.fromEntries(named), ...this.#signature() };
    const given = { method: 'POST', path: '', query: '', headers, body: Buffer.concat(parts) };
    const told = JSON.parse(given.body.toString('utf8')) as Told;
    const name = this.#nameOf(told);
    const status = this.#handed(given, name);
    for (const waits of [...this.#waiting]) waits(told, 'here');
    const code = await status;
    if (code === 200 && name !== undefined) this.acked.add(name);
    for (const waits of [...this.#waiting]) waits(told, 'answered');
    response.writeHead(code).end();
  }

  async #handed(request: WebhookRequest, name: string | undefined): Promise<number> {
    if (this.#captured !== null && name !== undefined) {
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
