import type { IncomingMessage } from 'node:http';
import type { Readable } from 'node:stream';
import { OperatingError, systemCodeOf } from '../base/errors.ts';
import { request } from '../base/http.ts';
import { ENGINE_ANSWER_BYTES_MAX, ENGINE_QUESTION_MS } from '../base/limits/sandbox.ts';
import { type Dialect, DOCKER } from './dialect.ts';

/**
 * A client of the Docker Engine API on its unix socket. Podman's service speaks the same. A CLI process attached to
 * each sandbox would cost 24 MB; a connection costs nothing.
 */

/** Docker 20.10, the oldest engine that current distributions ship. */
const API = '/v1.41';

export interface EngineAnswer {
  status: number;
  /** Parsed JSON, or null when the body is empty or something else. */
  body: unknown;
}

/** Docker's socket: the one that `DOCKER_HOST` names, the usual one without it, or null for an address that is not a unix socket. */
export function engineSocket(env: NodeJS.ProcessEnv): string | null {
  const given = env['DOCKER_HOST'];
  if (given === undefined || given === '') return '/var/run/docker.sock';
  return given.startsWith('unix://') ? given.slice('unix://'.length) : null;
}

/** Podman's socket: the one that `CONTAINER_HOST` names, else that of its root service, or of the user `uid`'s; null as above. */
export function podmanSocket(env: NodeJS.ProcessEnv, uid: number): string | null {
  const given = env['CONTAINER_HOST'];
  if (given !== undefined && given !== '') return given.startsWith('unix://') ? given.slice('unix://'.length) : null;
  return uid === 0 ? '/run/podman/podman.sock' : `${env['XDG_RUNTIME_DIR'] ?? `/run/user/${uid}`}/podman/podman.sock`;
}

export class Engine {
  readonly dialect: Dialect;
  readonly #socket: string;
  readonly #question_ms: number;

  constructor(socket: string, dialect: Dialect = DOCKER, question_ms = ENGINE_QUESTION_MS) {
    this.dialect = dialect;
    this.#socket = socket;
    this.#question_ms = question_ms;
  }

  /**
   * One call and its JSON answer, whatever the status. Throws `OperatingError('unavailable')` when nobody answers, or an
   * engine that hangs says no word to a question (GET): a start of the host waited for ever. What is to be done may last; who asks bounds that.
   */
  async call(method: string, path: string, body?: unknown): Promise<EngineAnswer> {
    const payload = body === undefined ? null : Buffer.from(JSON.stringify(body));
    const silent_ms = method === 'GET' ? this.#question_ms : 0;
    const response = await this.#send(method, path, payload, 'application/json', silent_ms);
    const answer = await collect(response).catch((error) => Promise.reject(this.#unavailable(error)));
    return { status: response.statusCode!, body: parse(answer) };
  }

  /** As `call`, but anything except 2xx and the statuses of `also` throws `OperatingError('unavailable')`. */
  async expect(method: string, path: string, body?: unknown, also: number[] = []): Promise<EngineAnswer> {
    const answer = await this.call(method, path, body);
    if (isGood(answer.status) || also.includes(answer.status)) return answer;
    throw new OperatingError('unavailable', `The container engine refused: ${messageIn(answer)}`);
  }

  /** A call whose answer is a stream; resolves with its head. Throws `OperatingError('unavailable')` on a refusal. */
  async stream(method: string, path: string, payload: Readable | Buffer | null = null): Promise<IncomingMessage> {
    const response = await this.#send(method, path, payload, 'application/x-tar');
    if (isGood(response.statusCode!)) return response;
    const body = parse(await collect(response));
    throw new OperatingError(
      'unavailable',
      `The container engine refused: ${messageIn({ status: response.statusCode!, body })}`,
    );
  }

  #send(method: string, path: string, payload: Readable | Buffer | null, type: string, silent_ms = 0) {
    return new Promise<IncomingMessage>((resolve, reject) => {
      const call = request({
        socketPath: this.#socket,
        method,
        path: API + path,
        // No keep-alive: a stream's connection is never free again, and calls are few.
        agent: false,
        headers: { host: 'engine', ...(payload === null ? {} : { 'content-type': type }) },
      });
      call.setTimeout(silent_ms, () => call.destroy(new Error(`no word of it for ${silent_ms / 1000} s`)));
      call.once('response', resolve);
      call.once('error', (error) => reject(this.#unavailable(error)));
      if (payload === null || Buffer.isBuffer(payload)) call.end(payload ?? undefined);
      else payload.once('error', (error) => call.destroy(error)).pipe(call);
    });
  }

  #unavailable(error: Error): OperatingError {
    if (error instanceof OperatingError) return error;
    switch (systemCodeOf(error)) {
      case 'ENOENT':
        return new OperatingError('unavailable', `No container engine at ${this.#socket}`, this.dialect.fix, error);
      case 'ECONNREFUSED':
        return new OperatingError('unavailable', `Nobody listens on ${this.#socket}`, 'start the container engine');
      case 'EACCES':
        return new OperatingError(
          'unavailable',
          `${this.#socket} is closed to this user`,
          this.dialect.name === 'docker' ? 'add the user to the group docker' : 'run as root',
          error,
        );
      default:
        return new OperatingError(
          'unavailable',
          `The container engine does not answer (${error.message})`,
          undefined,
          error,
        );
    }
  }
}

/**
 * Splits an attached stream into its payloads: frames of `[stream, 0, 0, 0, length32]`. Returns a function that takes
 * chunks as they come; it never keeps more than one unfinished header.
 */
export function demultiplexer(onPayload: (chunk: Buffer) => void): (chunk: Buffer) => void {
  let header = Buffer.alloc(0);
  let left = 0;
  return (chunk) => {
    let rest = chunk;
    while (rest.length > 0) {
      if (left === 0) {
        const taken = rest.subarray(0, 8 - header.length);
        header = Buffer.concat([header, taken]);
        rest = rest.subarray(taken.length);
        if (header.length < 8) return;
        left = header.readUInt32BE(4);
        header = Buffer.alloc(0);
        continue;
      }
      const payload = rest.subarray(0, left);
      left -= payload.length;
      rest = rest.subarray(payload.length);
      onPayload(payload);
    }
  };
}

export function messageIn(answer: EngineAnswer): string {
  const { body } = answer;
  const given = typeof body === 'object' && body !== null && 'message' in body ? String(body.message) : '';
  return given === '' ? `status ${answer.status}` : given;
}

function isGood(status: number): boolean {
  return status >= 200 && status < 300;
}

async function collect(response: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of response) {
    bytes += chunk.length;
    if (bytes > ENGINE_ANSWER_BYTES_MAX)
      throw new OperatingError('unavailable', "The container engine's answer is too long");
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

function parse(bytes: Buffer): unknown {
  try {
    return JSON.parse(bytes.toString('utf8'));
  } catch {
    return null;
  }
}
