import { Agent, createServer, request as httpRequest, type IncomingMessage, type ServerResponse } from 'node:http';
import { messageOf } from '../../../src/base/errors.ts';
import { AWAY_MS, AWAY_STEP_MS, isAway } from '../../runner/relay.ts';
import type { Failure } from './wire.ts';

/**
 * Between the Claude process and the model route: sees each request whole before it leaves, and so knows which messages
 * it contains. Every message carries a mark, a word that nobody outside this process can guess. Between turns nothing
 * leaves, whatever the process may want to ask.
 */
const FAILURE_BYTES_MAX = 16 * 1024;
/** Gateways that may die over one request: two, for who is started again and dies once more. A model that is asked twice has done nothing twice. */
const DEATHS_MAX = 2;

/** What a request may still be tried: after so many cuts, and while nobody listens until then. */
interface Tries {
  cuts: number;
  until_ms: number;
}

export class Gate {
  /** The last failure since the turn began. */
  failure: Failure | null = null;
  readonly #upstream: string;
  readonly #socket: string | null;
  readonly #onMark: (mark: string) => void;
  readonly #agent = new Agent({ keepAlive: true });
  /** Marks that no request had yet; `true` for a message that joined its turn. */
  readonly #expected = new Map<string, boolean>();
  #open = false;

  /** `socket`: where `upstream` is reached, if not by TCP. `onMark`: a request that contains the mark is about to leave. */
  constructor(upstream: string, socket: string | null, onMark: (mark: string) => void) {
    this.#upstream = upstream;
    this.#socket = socket;
    this.#onMark = onMark;
  }

  /** Resolves with the base URL for the process. */
  async listen(): Promise<string> {
    const server = createServer((request, response) => void this.#serve(request, response));
    server.unref();
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen(0, '127.0.0.1', resolve);
    });
    const address = server.address();
    if (address === null || typeof address === 'string') throw new Error('the gate has no port');
    return `http://127.0.0.1:${address.port}`;
  }

  /** A turn begins. */
  open(): void {
    this.#open = true;
    this.failure = null;
    this.#expected.clear();
  }

  /** A turn has ended. Returns whether a message was handed over that no request had. */
  close(): boolean {
    this.#open = false;
    return this.#expected.size > 0;
  }

  expect(mark: string, joined: boolean): void {
    this.#expected.set(mark, joined);
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    response.on('error', () => {});
    const body = await wholeBody(request).catch(() => null);
    if (body === null) return;
    if (!this.#open || !this.#admit(body)) {
      refuse(response, 403, 'no turn is running');
      return;
    }
    this.#forward(request, response, body);
  }

  /** Reports marks. False for a message that joined a turn, in a request that would begin another one. */
  #admit(body: Buffer): boolean {
    if (body.indexOf('"tools":[{') === -1) return true; // not the conversation
    const found = [...this.#expected].filter(([mark]) => body.indexOf(mark) !== -1);
    if (found.some(([, joined]) => joined) && !answersTools(body)) return false;
    for (const [mark] of found) {
      this.#expected.delete(mark);
      this.#onMark(mark);
    }
    return true;
  }

  /**
   * A kept connection may have been closed just now: what was written to it then was not read, and is written once more. Where a
   * gateway has died over the request the next one is asked; where nobody listens nothing was written, and it is waited for.
   */
  #forward(request: IncomingMessage, response: ServerResponse, body: Buffer, tries?: Tries): void {
    const { host: _, connection: __, 'transfer-encoding': ___, ...headers } = request.headers;
    const left = tries ?? { cuts: this.#socket === null ? 1 : DEATHS_MAX, until_ms: Date.now() + AWAY_MS };
    const up = httpRequest(
      `${this.#upstream}${request.url}`,
      {
        method: request.method ?? 'POST',
        headers: { ...headers, 'content-length': body.length },
        agent: tries === undefined ? this.#agent : false,
        ...(this.#socket === null ? {} : { socketPath: this.#socket }),
      },
      (reply) => this.#reply(reply, response),
    );
    up.on('error', (error) => {
      const isOver = response.headersSent || response.destroyed;
      const isCut = isClosed(error) && (up.reusedSocket || this.#socket !== null);
      if (!isOver && isCut && left.cuts > 0)
        return this.#forward(request, response, body, { ...left, cuts: left.cuts - 1 });
      if (!isOver && this.#socket !== null && isAway(error) && Date.now() < left.until_ms) {
        setTimeout(() => this.#forward(request, response, body, left), AWAY_STEP_MS);
        return;
      }
      this.failure = { status: 502, body: JSON.stringify({ reason: messageOf(error) }) };
      refuse(response, 502, messageOf(error));
    });
    response.on('close', () => up.destroy());
    up.end(body);
  }

  #reply(reply: IncomingMessage, response: ServerResponse): void {
    const status = reply.statusCode ?? 502;
    const { connection: _, 'transfer-encoding': __, ...headers } = reply.headers;
    response.writeHead(status, headers);
    reply.pipe(response);
    if (status >= 400) this.#keepFailure(status, reply);
    else this.failure = null; // a retry that came through
    reply.on('error', () => {
      this.failure = { status: 'cut', body: '' };
      response.destroy();
    });
  }

  #keepFailure(status: number, reply: IncomingMessage): void {
    const failure: Failure = { status, body: '' };
    this.failure = failure;
    reply.on('data', (chunk: Buffer) => {
      if (failure.body.length < FAILURE_BYTES_MAX) failure.body += chunk.toString();
    });
  }
}

function isClosed(error: NodeJS.ErrnoException): boolean {
  return error.code === 'ECONNRESET' || error.code === 'EPIPE';
}

/** The newest things said are results of tools: the request goes on with a turn. */
function answersTools(body: Buffer): boolean {
  // biome-ignore lint/suspicious/noExplicitAny: the request of a client that we do not control
  const { messages }: any = JSON.parse(body.toString());
  // biome-ignore lint/suspicious/noExplicitAny: as above
  const since = messages.slice(messages.findLastIndex((message: any) => message.role === 'assistant') + 1);
  // biome-ignore lint/suspicious/noExplicitAny: as above
  return since.some((message: any) => JSON.stringify(message.content).includes('"type":"tool_result"'));
}

async function wholeBody(request: IncomingMessage): Promise<Buffer> {
  const parts: Buffer[] = [];
  for await (const part of request) parts.push(part as Buffer);
  return Buffer.concat(parts);
}

function refuse(response: ServerResponse, status: number, message: string): void {
  if (response.headersSent || response.destroyed) return void response.destroy();
  response.writeHead(status, { 'content-type': 'application/json', 'x-should-retry': 'false' });
  response.end(JSON.stringify({ type: 'error', error: { type: 'api_error', message } }));
}
