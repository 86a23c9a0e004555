import type { IncomingMessage, ServerResponse } from 'node:http';
import { Readable } from 'node:stream';
import { SMALL_BODY_BYTES } from '../base/limits/gateway.ts';

/** The reason that a body was cut off. */
export class BodyTooLargeError extends Error {}

/**
 * Reads a body whole before its request leaves. Rejects with `BodyTooLargeError`, or when the agent goes away; what comes
 * after that is dropped, so that the agent can finish sending and read the answer.
 */
export function wholeBody(source: IncomingMessage, bytesMax: number): Promise<Buffer> {
  const { promise, resolve, reject } = Promise.withResolvers<Buffer>();
  const parts: Buffer[] = [];
  let bytes = 0;
  source.on('data', (part: Buffer) => {
    bytes += part.length;
    if (bytes <= bytesMax) parts.push(part);
    else reject(new BodyTooLargeError('the request body is too large'));
  });
  source.on('end', () => resolve(parts.length === 1 ? parts[0]! : Buffer.concat(parts)));
  source.on('error', reject);
  return promise;
}

/** As `wholeBody`, of an agent's request, which is told to go on first where it asks; `gone`: the agent is. Never rejects. */
export async function askedBody(
  request: IncomingMessage,
  response: ServerResponse,
  bytesMax: number,
): Promise<Buffer | 'too large' | 'gone'> {
  if (request.headers.expect !== undefined) response.writeContinue();
  try {
    return await wholeBody(request, bytesMax);
  } catch (error) {
    return error instanceof BodyTooLargeError ? 'too large' : 'gone';
  }
}

/** Whether a request says that a body follows. */
export function hasBody(request: IncomingMessage): boolean {
  const length = request.headers['content-length'];
  return request.headers['transfer-encoding'] !== undefined || (length !== undefined && length !== '0');
}

/** Whether all of a body fits into memory without a thought: read at once it costs a third less than as a stream. */
export function isSmall(request: IncomingMessage): boolean {
  const length = request.headers['content-length'];
  return length !== undefined && Number(length) <= SMALL_BODY_BYTES;
}

/**
 * A request's body on its way up: streamed, counted, cut at a size. It stands between the two because undici destroys
 * the stream it is given when a request fails, and the agent's connection must live on to get its answer.
 */
export class CappedBody extends Readable {
  readonly #source: IncomingMessage;
  readonly #bytesMax: number;
  bytes = 0;

  constructor(source: IncomingMessage, bytesMax: number) {
    super();
    this.#source = source;
    this.#bytesMax = bytesMax;
    source.on('data', this.#onData);
    source.on('end', this.#onEnd);
    source.on('error', this.#onError);
  }

  override _read(): void {
    this.#source.resume();
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    this.#source.off('data', this.#onData);
    this.#source.off('end', this.#onEnd);
    // What still comes is read and dropped, so that the agent can finish sending and read the answer; the listener
    // for errors stays, because one without a listener would end the process.
    this.#source.resume();
    done(error);
  }

  readonly #onData = (chunk: Buffer): void => {
    this.bytes += chunk.length;
    if (this.bytes > this.#bytesMax) this.destroy(new BodyTooLargeError('the request body is too large'));
    else if (!this.push(chunk)) this.#source.pause();
  };

  readonly #onEnd = (): void => {
    this.push(null);
  };

  readonly #onError = (error: Error): void => {
    this.destroy(error);
  };
}
