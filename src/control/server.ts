import { once } from 'node:events';
import { chmodSync, rmSync } from 'node:fs';
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import { type ErrorCode, messageOf, OperatingError } from '../base/errors.ts';
import { createServer } from '../base/http.ts';
import {
  CONTROL_BACKLOG_BYTES_MAX,
  CONTROL_BODY_BYTES_MAX,
  CONTROL_REFUSALS_LOGGED_MAX,
} from '../base/limits/messages.ts';
import type { Log } from '../base/log.ts';
import type { ControlServices, Streaming } from './operations/operation.ts';
import { OPERATIONS } from './operations.ts';
import { refuseInSafeMode, refuseInTrial } from './safe_mode.ts';

/**
 * `control.sock`: HTTP and JSON, so that `curl --unix-socket` works too. `POST /v1/<operation>` with a JSON object;
 * the answer is a JSON object, or NDJSON for a stream. Errors are `{error: {code, message, fix?}}`.
 */
const STATUS: Record<ErrorCode, number> = {
  usage: 400,
  config: 422,
  not_found: 404,
  conflict: 409,
  unavailable: 503,
  refused: 403,
  storage: 507,
  internal: 500,
};

export class ControlServer {
  readonly #path: string;
  readonly #mode: number;
  readonly #services: ControlServices;
  readonly #log: Log;
  readonly #server: Server;
  #refusals = { second: 0, count: 0 };

  /** `mode` of the socket: whoever can open it is the operator. */
  constructor(path: string, mode: number, services: ControlServices, log: Log) {
    this.#path = path;
    this.#mode = mode;
    this.#services = services;
    this.#log = log;
    this.#server = createServer(
      { keepAliveTimeout: 60_000, requestTimeout: 30_000 },
      (request, response) => void this.#serve(request, response),
    );
  }

  /** The caller holds the lock of this home, so that a socket found here was left by a crash. */
  async listen(): Promise<void> {
    rmSync(this.#path, { force: true });
    await new Promise<void>((resolve, reject) => {
      this.#server.once('error', reject);
      this.#server.listen(this.#path, resolve);
    });
    chmodSync(this.#path, this.#mode);
  }

  close(): void {
    this.#server.close();
    this.#server.closeAllConnections();
    rmSync(this.#path, { force: true });
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    try {
      const name = /^\/v1\/([a-z_]+)$/.exec(request.url ?? '')?.[1];
      const operation = OPERATIONS.find((known) => known.name === name);
      if (operation === undefined || request.method !== 'POST') {
        throw new OperatingError(
          'not_found',
          `there is no ${request.method} ${request.url?.slice(0, 80)}; operations: ${OPERATIONS.map((known) => known.name).join(', ')}`,
        );
      }
      if (this.#services.safe && !this.#services.trial) refuseInSafeMode(operation.name);
      const input = operation.input.safeParse(await readJson(request));
      if (!input.success) {
        const issue = input.error.issues[0]!;
        throw new OperatingError('usage', `${issue.path.join('.') || 'input'}: ${issue.message}`);
      }
      if (this.#services.trial) refuseInTrial(operation.name, input.data as Record<string, unknown>);
      const handled = await operation.handle(this.#services, input.data as never);
      if (handled.kind === 'value') sendJson(response, 200, handled.value);
      else await this.#stream(response, handled.run);
    } catch (error) {
      this.#fail(request, response, error);
    }
  }

  async #stream(response: ServerResponse, run: Streaming): Promise<void> {
    const gone = new Promise<void>((resolve) => response.on('close', resolve));
    response.writeHead(200, { 'content-type': 'application/x-ndjson' });
    response.flushHeaders();
    const write = (row: object): void => {
      response.write(`${JSON.stringify(row)}\n`);
      // Who does not read is gone: a cursor lets them come back.
      if (response.writableLength > CONTROL_BACKLOG_BYTES_MAX) response.destroy();
    };
    const drained = async (): Promise<void> => {
      if (response.writableNeedDrain) await Promise.race([once(response, 'drain'), gone]);
    };
    await run(write, gone, drained);
    response.end();
  }

  #fail(request: IncomingMessage, response: ServerResponse, error: unknown): void {
    const known =
      error instanceof OperatingError ? error : new OperatingError('internal', `the host failed: ${messageOf(error)}`);
    if (known.code === 'internal')
      this.#log.error('control.failed', {
        url: request.url,
        reason: messageOf(error),
        stack: error instanceof Error ? error.stack : undefined,
      });
    else if (known.code !== 'unavailable') this.#refused(request, known); // who waits for the gateway asks again and again
    const body = {
      error: { code: known.code, message: known.message, ...(known.fix === undefined ? {} : { fix: known.fix }) },
    };
    if (response.headersSent) response.end(`${JSON.stringify(body)}\n`);
    else sendJson(response, STATUS[known.code], body);
  }

  /** What an operator finds of what they were told: a reason, never the text that was refused. */
  #refused({ url }: IncomingMessage, { code, message }: OperatingError): void {
    const second = Math.floor(performance.now() / 1000);
    if (second !== this.#refusals.second) this.#refusals = { second, count: 0 };
    this.#refusals.count += 1;
    if (this.#refusals.count <= CONTROL_REFUSALS_LOGGED_MAX)
      this.#log.info('control.refused', { url: url?.slice(0, 80), code, reason: message });
  }
}

function sendJson(response: ServerResponse, status: number, body: object): void {
  const text = `${JSON.stringify(body)}\n`;
  // With its length, head and body leave in one write.
  response.writeHead(status, { 'content-type': 'application/json', 'content-length': Buffer.byteLength(text) });
  response.end(text);
}

async function readJson(request: IncomingMessage): Promise<unknown> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  const read = Promise.withResolvers<void>();
  // Events, not an iterator: it costs a message two turns of the loop.
  request.on('data', (chunk: Buffer) => {
    bytes += chunk.length;
    if (bytes <= CONTROL_BODY_BYTES_MAX) chunks.push(chunk);
    else read.reject(new OperatingError('usage', `a request has at most ${CONTROL_BODY_BYTES_MAX / 1024 ** 2} MiB`));
  });
  request.on('end', read.resolve);
  request.on('close', () => {
    // Every request closes, and an error costs a message its stack.
    if (!request.complete) read.reject(new OperatingError('usage', 'the request ended early'));
  });
  request.on('error', read.reject);
  await read.promise;
  if (bytes === 0) return {};
  try {
    return JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(Buffer.concat(chunks)));
  } catch {
    throw new OperatingError('usage', 'the request is not JSON in UTF-8');
  }
}
