import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { Clock } from '../base/clock.ts';
import { messageOf } from '../base/errors.ts';
import {
  DRIVER_BACKOFF_MAX_MS,
  DRIVER_BACKOFF_MS,
  WEBHOOK_BODY_BYTES_MAX,
  WEBHOOK_HEADERS_BYTES_MAX,
  WEBHOOK_OPEN_MAX,
  WEBHOOK_REQUEST_MS,
} from '../base/limits/channels.ts';
import type { Log } from '../base/log.ts';
import type { WebhookAnswer, WebhookRequest } from './channel.ts';

/**
 * The one HTTP listener, for platforms that call us: `/hooks/<channel>` and what is below it. It listens on loopback unless
 * the operator says otherwise, behind a proxy or tunnel that ends TLS. Whether a request is the platform's is for its driver to say.
 * While it cannot listen somebody is told, and it tries again for ever, with growing waits.
 */
export interface WebhooksParts {
  listen: { host: string; port: number };
  clock: Clock;
  log: Log;
  alert(kind: string, subject: string, text: string): void;
  clear(kind: string, subject: string): void;
}

/** Nothing comes in over HTTP: why, and since when in milliseconds since the epoch. */
export interface WebhooksDeaf {
  reason: string;
  since_ms: number;
}

interface Hooked {
  readonly name: string;
  webhook(request: WebhookRequest): Promise<WebhookAnswer>;
}

const DEAF = 'webhooks.deaf';
const SUBJECT = 'webhooks';
const PATH = /^\/hooks\/([a-z][a-z0-9-]{0,30})((?:\/[\w.~%-]+)*)\/?(?:\?(.*))?$/;

export class Webhooks {
  readonly #parts: WebhooksParts;
  readonly #channels = new Map<string, Hooked>();
  #server: Server | null = null;
  #open = 0;
  #deaf: WebhooksDeaf | null = null;
  #wait = DRIVER_BACKOFF_MS;
  #again: NodeJS.Timeout | undefined;

  constructor(parts: WebhooksParts) {
    this.#parts = parts;
  }

  /** From now on its requests reach this channel. The listener opens with the first one; never throws. */
  add(channel: Hooked): void {
    this.#channels.set(channel.name, channel);
    if (this.#server === null && this.#deaf === null) this.#begin();
  }

  /** No request is this channel's any more. Without any the listener closes, and that it could not listen is over. */
  remove(name: string): void {
    this.#channels.delete(name);
    if (this.#channels.size > 0) return;
    this.close();
    this.#isWell();
  }

  /** Does not wait any longer, if it cannot listen. */
  retry(): void {
    if (this.#deaf !== null && this.#server === null) this.#begin();
  }

  /** Null: it listens, or nobody needs it. */
  get deaf(): WebhooksDeaf | null {
    return this.#deaf;
  }

  close(): void {
    clearTimeout(this.#again);
    this.#server?.close();
    this.#server?.closeAllConnections();
    this.#server = null;
  }

  #begin(): void {
    clearTimeout(this.#again);
    const { listen, log } = this.#parts;
    const bounds = { maxHeaderSize: WEBHOOK_HEADERS_BYTES_MAX, requestTimeout: WEBHOOK_REQUEST_MS };
    const server = createServer({ ...bounds, headersTimeout: WEBHOOK_REQUEST_MS }, (request, response) => {
      void this.#serve(request, response);
    });
    this.#server = server;
    server.on('error', (error) => {
      if (this.#server === server) this.#fails(server, messageOf(error));
    });
    server.listen(listen.port, listen.host, () => {
      if (this.#server !== server) return;
      log.info('webhooks.listen', { ...listen });
      this.#isWell();
    });
  }

  #isWell(): void {
    this.#deaf = null;
    this.#wait = DRIVER_BACKOFF_MS;
    this.#parts.clear(DEAF, SUBJECT);
  }

  #fails(server: Server, why: string): void {
    const { clock, log, alert } = this.#parts;
    // One that accepts no more holds its port all the same.
    server.close();
    this.#server = null;
    const reason = `nothing comes in over HTTP: ${why}`;
    this.#deaf = { reason, since_ms: this.#deaf?.since_ms ?? clock.now() };
    log.error('webhooks.listen', { reason: why, again_ms: this.#wait });
    // A program that ends just now may still hold the port: the first time nobody is told.
    if (this.#wait > DRIVER_BACKOFF_MS)
      alert(DEAF, SUBJECT, `Nothing comes in over HTTP: ${why}. It is tried again for ever.`);
    this.#again = setTimeout(() => this.#begin(), this.#wait);
    this.#wait = Math.min(this.#wait * 2, DRIVER_BACKOFF_MAX_MS);
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const answer = await this.#answer(request).catch((error): WebhookAnswer => {
      this.#parts.log.warn('webhooks.failed', { path: request.url?.slice(0, 80), reason: messageOf(error) });
      return { status: 503, body: 'try again' };
    });
    if (response.destroyed) return;
    // Whoever is refused before all of the body was read is not listened to any further.
    if (!request.complete) response.setHeader('connection', 'close');
    response.writeHead(answer.status, { 'content-type': answer.type ?? 'text/plain; charset=utf-8' });
    response.end(answer.body ?? '');
  }

  async #answer(request: IncomingMessage): Promise<WebhookAnswer> {
    const [, name, path, query = ''] = PATH.exec(request.url ?? '') ?? [];
    const channel = name === undefined ? undefined : this.#channels.get(name);
    if (channel === undefined) return { status: 404 };
    if (request.method !== 'POST' && request.method !== 'GET') return { status: 405 };
    if (this.#open >= WEBHOOK_OPEN_MAX) return { status: 503, body: 'try again' };
    this.#open += 1;
    try {
      const body = await bodyOf(request);
      if (body === null) return { status: 413 };
      const headers = Object.fromEntries(
        Object.entries(request.headersDistinct).flatMap(([key, values]) =>
          values?.length === 1 ? [[key, values[0]!]] : [],
        ),
      );
      return await channel.webhook({ method: request.method, path: path!, query, headers, body });
    } finally {
      this.#open -= 1;
    }
  }
}

/** Null: it is larger than any platform's. */
async function bodyOf(request: IncomingMessage): Promise<Buffer | null> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > WEBHOOK_BODY_BYTES_MAX) return null;
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}
