import type { ClientRequest, IncomingMessage } from 'node:http';
import { type ErrorCode, OperatingError, systemCodeOf } from '../base/errors.ts';
import { HttpAgent, request } from '../base/http.ts';

/** The asking side of `control.sock`, for the CLI, the terminal chat and the bench. */
export class ControlClient {
  readonly #path: string;
  readonly #agent = new HttpAgent({ keepAlive: true, maxSockets: 64 });

  constructor(controlSocket: string) {
    this.#path = controlSocket;
  }

  /** Rejects with the host's own error, or `unavailable` when no host listens. */
  async call<T>(operation: string, input: object = {}): Promise<T> {
    const body = await this.#text(operation, input);
    return JSON.parse(body) as T;
  }

  /** Calls `onRow` for each line until the stream ends or `signal` aborts. */
  stream(
    operation: string,
    input: object,
    onRow: (row: Record<string, unknown>) => void,
    signal?: AbortSignal,
  ): Promise<void> {
    return new Promise((resolve, reject) => {
      const sent = this.#request(operation, input, signal, (response) => {
        response.setEncoding('utf8');
        if (response.statusCode !== 200) return void collect(response).then((body) => reject(errorOf(body)));
        let rest = '';
        response.on('data', (chunk: string) => {
          const lines = (rest + chunk).split('\n');
          rest = lines.pop()!;
          for (const line of lines) onRow(JSON.parse(line));
        });
        response.on('end', resolve);
        response.on('error', () => resolve());
        response.on('close', resolve);
      });
      sent.on('error', (error) => (signal?.aborted ? resolve() : reject(unreachableHost(error))));
    });
  }

  close(): void {
    this.#agent.destroy();
  }

  #text(operation: string, input: object): Promise<string> {
    return new Promise((resolve, reject) => {
      const sent = this.#request(operation, input, undefined, (response) => {
        response.setEncoding('utf8');
        collect(response).then((body) => (response.statusCode === 200 ? resolve(body) : reject(errorOf(body))), reject);
      });
      sent.on('error', (error) => reject(unreachableHost(error)));
    });
  }

  #request(
    operation: string,
    input: object,
    signal: AbortSignal | undefined,
    onResponse: (response: IncomingMessage) => void,
  ): ClientRequest {
    const body = JSON.stringify(input);
    const sent = request(
      {
        socketPath: this.#path,
        agent: this.#agent,
        method: 'POST',
        path: `/v1/${operation}`,
        headers: { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) },
        ...(signal === undefined ? {} : { signal }),
      },
      onResponse,
    );
    sent.end(body);
    return sent;
  }
}

async function collect(response: AsyncIterable<string>): Promise<string> {
  let body = '';
  for await (const chunk of response) body += chunk;
  return body;
}

function errorOf(body: string): OperatingError {
  try {
    const { error } = JSON.parse(body) as { error: { code: ErrorCode; message: string; fix?: string } };
    return new OperatingError(error.code, error.message, error.fix);
  } catch {
    return new OperatingError('internal', 'the host answered something unreadable');
  }
}

const NOT_RUNNING = 'GlassClaw is not running';

/** Nobody has heard what was asked. */
export function isNotRunning(error: OperatingError): boolean {
  return error.message === NOT_RUNNING;
}

function unreachableHost(error: unknown): OperatingError {
  const code = systemCodeOf(error);
  if (code === 'ENOENT' || code === 'ECONNREFUSED')
    return new OperatingError('unavailable', NOT_RUNNING, 'start it: ./glass up, or systemctl start glassclaw');
  if (code === 'EACCES')
    return new OperatingError(
      'refused',
      'this GlassClaw belongs to another user',
      'use sudo, or join the group glassclaw-operators',
    );
  return new OperatingError('unavailable', `the host went away (${code ?? 'connection lost'})`);
}
