import { createConnection, type Socket } from 'node:net';
import { type ErrorCode, OperatingError, systemCodeOf } from '../base/errors.ts';
import { GATEWAY_LINE_BYTES_MAX } from '../base/limits/gateway.ts';
import { answer as answerSchema } from './gateway.ts';
import { lineReader } from './lines.ts';

/**
 * The asking side of `gateway.sock` and `vault.sock`: one JSON object a line, answers matched by id, events without id.
 * No method throws synchronously; a promise rejects only with an `OperatingError`.
 */

export interface LineClientHandlers {
  /** What the error sentences call the other side: `the gateway`. */
  peer: string;
  /** A line without id, not yet validated. */
  onEvent?: (event: unknown) => void;
  /** Once, when the connection has ended, whoever ended it; after all pending requests were rejected. */
  onClose?: () => void;
}

interface Pending {
  resolve: (answer: never) => void;
  reject: (error: OperatingError) => void;
  timer: NodeJS.Timeout;
}

export class LineClient {
  readonly #socket: Socket;
  readonly #handlers: LineClientHandlers;
  readonly #pending = new Map<number, Pending>();
  #next = 1;
  #closed = false;

  /** Rejects with `unavailable` when nobody listens at `path` within `timeout_ms`. */
  static connect(path: string, timeout_ms: number, handlers: LineClientHandlers): Promise<LineClient> {
    return new Promise((resolve, reject) => {
      const socket = createConnection({ path });
      const fail = (why: string, error?: unknown): void => {
        clearTimeout(timer);
        socket.destroy();
        reject(new OperatingError('unavailable', `${handlers.peer} is not running (${why})`, undefined, error));
      };
      const timer = setTimeout(() => fail('no connection in time'), timeout_ms);
      socket.once('error', (error) => fail(systemCodeOf(error) ?? 'connection failed', error));
      socket.once('connect', () => {
        clearTimeout(timer);
        socket.removeAllListeners('error');
        resolve(new LineClient(socket, handlers));
      });
    });
  }

  private constructor(socket: Socket, handlers: LineClientHandlers) {
    this.#socket = socket;
    this.#handlers = handlers;
    const read = lineReader(
      GATEWAY_LINE_BYTES_MAX,
      (line) => this.#line(line),
      () => socket.destroy(),
    );
    socket.on('data', read);
    socket.on('error', () => socket.destroy());
    socket.on('close', () => this.#end());
  }

  /** True from the end of the connection on. */
  get closed(): boolean {
    return this.#closed;
  }

  /**
   * Sends `{id, op, …}` and resolves with the answer's fields (its type is the caller's: see `GatewayAnswers` and
   * `VaultAnswers`). Rejects with the other side's code and sentence, or `unavailable` after `timeout_ms` or a lost
   * connection: then it is unknown whether the operation was carried out.
   */
  request<T>(fields: { op: string } & Record<string, unknown>, timeout_ms: number): Promise<T> {
    return new Promise((resolve, reject) => {
      if (this.#closed) return reject(this.#lost());
      const id = this.#next++;
      const timer = setTimeout(() => {
        this.#pending.delete(id);
        reject(new OperatingError('unavailable', `${this.#handlers.peer} did not answer "${fields.op}" in time`));
      }, timeout_ms);
      this.#pending.set(id, { resolve, reject, timer });
      this.#socket.write(`${JSON.stringify({ ...fields, id })}\n`);
    });
  }

  /** Ends the connection; pending requests are rejected. Safe to call twice. */
  close(): void {
    this.#socket.destroy();
  }

  #line(line: string): void {
    const message = parse(line);
    if (typeof message !== 'object' || message === null || !('id' in message)) {
      this.#handlers.onEvent?.(message);
      return;
    }
    const answer = answerSchema.safeParse(message);
    if (!answer.success) return void this.#socket.destroy();
    const pending = this.#pending.get(answer.data.id);
    if (pending === undefined) return;
    this.#pending.delete(answer.data.id);
    clearTimeout(pending.timer);
    if (answer.data.ok) pending.resolve(answer.data as never);
    else pending.reject(new OperatingError(codeOf(answer.data.error), String(answer.data.message)));
  }

  #end(): void {
    this.#closed = true;
    for (const pending of this.#pending.values()) {
      clearTimeout(pending.timer);
      pending.reject(this.#lost());
    }
    this.#pending.clear();
    this.#handlers.onClose?.();
  }

  #lost(): OperatingError {
    return new OperatingError('unavailable', `the connection to ${this.#handlers.peer} was lost`);
  }
}

function parse(line: string): unknown {
  try {
    return JSON.parse(line);
  } catch {
    return null;
  }
}

const CODES: Record<ErrorCode, true> = {
  usage: true,
  config: true,
  not_found: true,
  conflict: true,
  unavailable: true,
  refused: true,
  storage: true,
  internal: true,
};

function codeOf(text: string): ErrorCode {
  return Object.hasOwn(CODES, text) ? (text as ErrorCode) : 'internal';
}
