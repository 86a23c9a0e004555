import { createHash, randomUUID } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import { frame, framesIn } from '../websocket.ts';

/** From an envelope that nobody acknowledged to its next try; Slack's own waits are longer. */
const AGAIN_MS = 1500;

interface Pending {
  envelope_id: string;
  type: 'events_api' | 'interactive';
  payload: object;
  /** The message that it is about. */
  ts: string;
  attempt: number;
  connection: Connection | null;
  timer?: NodeJS.Timeout;
}

interface Connection {
  socket: Duplex;
}

/**
 * Socket Mode, Slack's end: hello, envelopes spread over the connections, each brought again until it is acknowledged, also
 * on the next connection. What happens while there is none is lost, as after Slack's last try.
 */
export class SocketMode {
  readonly #connections: Connection[] = [];
  readonly #pending = new Map<string, Pending>();
  readonly acked: { ts: string; type: string }[] = [];
  readonly lost: string[] = [];
  /** Sockets so far. */
  opened = 0;
  #turn = 0;

  get count(): number {
    return this.#connections.length;
  }

  waits(ts: string): boolean {
    return [...this.#pending.values()].some((each) => each.ts === ts);
  }

  accept(request: IncomingMessage, socket: Duplex): void {
    const key = `${request.headers['sec-websocket-key']}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`;
    const accept = createHash('sha1').update(key).digest('base64');
    socket.write(
      `HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ${accept}\r\n\r\n`,
    );
    const connection = { socket };
    this.#connections.push(connection);
    this.opened += 1;
    let rest: Buffer = Buffer.alloc(0);
    socket.on('data', (bytes: Buffer) => {
      const read = framesIn(Buffer.concat([rest, bytes]));
      rest = Buffer.from(read.rest);
      for (const { opcode, payload } of read.frames) this.#frame(connection, opcode, payload);
    });
    socket.on('error', () => socket.destroy());
    // Sockets of an HTTP server stay half open by themselves.
    socket.on('end', () => socket.end());
    socket.on('close', () => this.#closed(connection));
    const count = { num_connections: this.count, connection_info: { app_id: 'A0GLASS01' } };
    this.#write(connection, {
      type: 'hello',
      ...count,
      debug_info: { host: 'fake', approximate_connection_time: 18060 },
    });
    for (const each of this.#pending.values()) if (each.connection === null) this.#send(each);
  }

  bring(type: Pending['type'], ts: string, payload: object): void {
    if (this.count === 0) return void this.lost.push(ts);
    const pending: Pending = { envelope_id: randomUUID(), type, payload, ts, attempt: 0, connection: null };
    this.#pending.set(pending.envelope_id, pending);
    this.#send(pending);
  }

  /** Something as it is, to everybody. */
  say(message: object): void {
    for (const connection of this.#connections) this.#write(connection, message);
  }

  /** Slack renews its connections within hours. */
  refresh(): void {
    this.say({ type: 'disconnect', reason: 'refresh_requested', debug_info: { host: 'fake' } });
  }

  drop(): void {
    for (const { socket } of this.#connections.slice()) socket.destroy();
  }

  /** What waits to be acknowledged is not brought again. */
  forget(): void {
    for (const { timer } of this.#pending.values()) clearTimeout(timer);
    this.#pending.clear();
  }

  #send(pending: Pending): void {
    clearTimeout(pending.timer);
    const connection = this.#connections[this.#turn++ % Math.max(1, this.count)];
    pending.connection = connection ?? null;
    if (connection === undefined) return;
    const { envelope_id, type, payload, attempt } = pending;
    const more = attempt === 0 ? {} : { retry_attempt: attempt, retry_reason: 'timeout' };
    this.#write(connection, { envelope_id, type, payload, accepts_response_payload: type === 'interactive', ...more });
    pending.attempt += 1;
    // A press is never brought again.
    if (type === 'events_api') pending.timer = setTimeout(() => this.#send(pending), AGAIN_MS);
  }

  #frame(connection: Connection, opcode: number, payload: Buffer): void {
    if (opcode === 9) connection.socket.write(frame(payload, { opcode: 10, masked: false }));
    if (opcode === 8) {
      connection.socket.end(frame(payload, { opcode: 8, masked: false }));
      this.#closed(connection);
    }
    if (opcode !== 1) return;
    const { envelope_id } = JSON.parse(payload.toString('utf8')) as { envelope_id: string };
    const pending = this.#pending.get(envelope_id);
    if (pending === undefined) return;
    clearTimeout(pending.timer);
    this.#pending.delete(envelope_id);
    this.acked.push({ ts: pending.ts, type: pending.type });
  }

  #closed(connection: Connection): void {
    const at = this.#connections.indexOf(connection);
    if (at < 0) return;
    this.#connections.splice(at, 1);
    for (const each of this.#pending.values()) if (each.connection === connection) this.#send(each);
  }

  #write({ socket }: Connection, message: object): void {
    socket.write(frame(JSON.stringify(message), { masked: false }));
  }
}
