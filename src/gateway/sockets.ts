import { createServer, type Server, type Socket } from 'node:net';
import type { z } from 'zod';
import { messageOf, OperatingError } from '../base/errors.ts';
import { GATEWAY_LINE_BYTES_MAX, SOCKET_BACKLOG_BYTES_MAX, SOCKET_REQUESTS_MAX } from '../base/limits/gateway.ts';
import type { Log } from '../base/log.ts';
import { lineReader } from '../protocol/lines.ts';
import { listenUnix } from './unix.ts';

/**
 * The answering side of `gateway.sock` and `vault.sock`: one JSON object a line, validated by a schema. A line that is
 * too long, no JSON or not in the schema gets one error answer, and the connection ends: such a peer is not ours.
 */

/** One connected peer. */
export interface Peer {
  send(message: object): void;
  close(): void;
}

export interface LineService<Request extends { id: number }> {
  schema: z.ZodType<Request>;
  connectionsMax: number;
  connected?: (peer: Peer) => void;
  /** The answer's fields. A thrown `OperatingError` becomes its code and sentence; anything else `internal`. */
  handle: (request: Request, peer: Peer) => object | Promise<object>;
  /** Once per peer, however the connection ended. */
  disconnected?: (peer: Peer) => void;
  log: Log;
}

/** Rejects with `OperatingError('unavailable')` when the socket cannot be made. `mode`: who can connect. */
export async function serveLines<R extends { id: number }>(
  path: string,
  mode: number,
  service: LineService<R>,
): Promise<Server> {
  const server = createServer((socket) => new Connection(socket, service));
  server.maxConnections = service.connectionsMax;
  await listenUnix(server, path, mode);
  return server;
}

class Connection<R extends { id: number }> implements Peer {
  readonly #socket: Socket;
  readonly #service: LineService<R>;
  #running = 0;
  #ending = false;

  constructor(socket: Socket, service: LineService<R>) {
    this.#socket = socket;
    this.#service = service;
    const read = lineReader(
      GATEWAY_LINE_BYTES_MAX,
      (line) => this.#line(line),
      () => this.#reject(0, 'the line is too long'),
    );
    socket.on('data', read);
    socket.on('error', () => socket.destroy());
    socket.on('close', () => service.disconnected?.(this));
    service.connected?.(this);
  }

  send(message: object): void {
    if (this.#ending || this.#socket.destroyed) return;
    this.#socket.write(`${JSON.stringify(message)}\n`);
    if (this.#socket.writableLength > SOCKET_BACKLOG_BYTES_MAX) this.#socket.destroy();
  }

  close(): void {
    this.#socket.destroy();
  }

  #line(line: string): void {
    if (this.#ending) return;
    const json = parse(line);
    const parsed = this.#service.schema.safeParse(json);
    if (!parsed.success) {
      this.#reject(idOf(json), 'the request is not one of this socket');
      return;
    }
    if (this.#running >= SOCKET_REQUESTS_MAX) {
      this.#reject(parsed.data.id, 'too many requests at once');
      return;
    }
    void this.#answer(parsed.data);
  }

  async #answer(request: R): Promise<void> {
    this.#running += 1;
    try {
      this.send({ id: request.id, ok: true, ...(await this.#service.handle(request, this)) });
    } catch (error) {
      this.send({ id: request.id, ok: false, ...this.#failure(error) });
    } finally {
      this.#running -= 1;
    }
  }

  #failure(error: unknown): { error: string; message: string } {
    if (error instanceof OperatingError) {
      const message = error.fix === undefined ? error.message : `${error.message} (${error.fix})`;
      return { error: error.code, message };
    }
    this.#service.log.error('request failed', { reason: messageOf(error) });
    return { error: 'internal', message: 'the gateway failed to do this; its log says why' };
  }

  #reject(id: number, message: string): void {
    this.#service.log.warn('line refused', { reason: message });
    this.send({ id, ok: false, error: 'usage', message });
    this.#ending = true;
    this.#socket.end();
    this.#socket.resume();
    // A peer that goes on sending does not keep the connection.
    this.#socket.destroySoon();
  }
}

function parse(line: string): unknown {
  try {
    return JSON.parse(line);
  } catch {
    return null;
  }
}

function idOf(json: unknown): number {
  return typeof json === 'object' && json !== null && 'id' in json && Number.isSafeInteger(json.id)
    ? (json.id as number)
    : 0;
}
