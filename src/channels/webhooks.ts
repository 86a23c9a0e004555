import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { messageOf } from '../base/errors.ts';
import {
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
 */
interface Hooked {
  readonly name: string;
  webhook(request: WebhookRequest): Promise<WebhookAnswer>;
}

const PATH = /^\/hooks\/([a-z][a-z0-9-]{0,30})((?:\/[\w.~%-]+)*)\/?(?:\?(.*))?$/;

export class Webhooks {
  readonly #listen: { host: string; port: number };
  readonly #log: Log;
  readonly #channels = new Map<string, Hooked>();
  #server: Server | null = null;
  #open = 0;
  #problem: string | null = null;

  constructor(listen: { host: string; port: number }, log: Log) {
    this.#listen = listen;
    this.#log = log;
  }

  /** From now on its requests reach this channel. The listener opens with the first one; never throws. */
  add(channel: Hooked): void {
    this.#channels.set(channel.name, channel);
    if (this.#server !== null) return;
    const bounds = { maxHeaderSize: WEBHOOK_HEADERS_BYTES_MAX, requestTimeout: WEBHOOK_REQUEST_MS };
    const server = createServer({ ...bounds, headersTimeout: WEBHOOK_REQUEST_MS }, (request, response) => {
      void this.#serve(request, response);
    });
    this.#server = server;
    server.on('error', (error) => {
      this.#problem = `nothing comes in over HTTP: ${messageOf(error)}`;
      this.#log.error('webhooks.listen', { reason: messageOf(error) });
      this.#server = null;
    });
    server.listen(this.#listen.port, this.#listen.host, () => {
      this.#problem = null;
      this.#log.info('webhooks.listen', { ...this.#listen });
    });
  }

  remove(name: string): void {
    this.#channels.delete(name);
    if (this.#channels.size === 0) this.close();
  }

  /** Why nothing can come in, or null. */
  get problem(): string | null {
    return this.#problem;
  }

  close(): void {
    this.#server?.close();
    this.#server?.closeAllConnections();
    this.#server = null;
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const answer = await this.#answer(request).catch((error): WebhookAnswer => {
      this.#log.warn('webhooks.failed', { path: request.url?.slice(0, 80), reason: messageOf(error) });
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
