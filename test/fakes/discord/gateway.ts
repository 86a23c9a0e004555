import { createHash, randomUUID } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import { frame, framesIn } from '../websocket.ts';
import { APPLICATION, BOT, GUILD, TOKEN } from './world.ts';

/** Discord's own is forty seconds; tests look at what a beat says. */
const HEARTBEAT_MS = 150;
const MESSAGE_CONTENT = 1 << 15;

interface Session {
  id: string;
  /** Its events, the first of them number 1. */
  events: { t: string; d: unknown; about: string }[];
  /** What its client says that it has. */
  acked: number;
  connection: Connection | null;
}

interface Connection {
  socket: Duplex;
  session: Session | null;
}

interface Said {
  op: number;
  d: { token?: string; intents?: number; session_id?: string; seq?: number } | number | null;
}

/** The gateway, Discord's end: greeting, sessions with numbered events, replays, and closes with a code. */
export class FakeGateway {
  readonly sessions: Session[] = [];
  readonly #connections = new Set<Connection>();
  readonly #guild: () => object;
  readonly #url: () => string;
  isRevoked = false;
  /** Switched off by a person, under "Privileged Gateway Intents". */
  forbidsContent = false;
  /** Happens as soon as a session has begun. */
  afterReady: (() => void) | null = null;
  identified = 0;
  resumed = 0;
  beats = 0;

  constructor(url: () => string, guild: () => object) {
    this.#url = url;
    this.#guild = guild;
  }

  accept(request: IncomingMessage, socket: Duplex): void {
    const key = `${request.headers['sec-websocket-key']}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`;
    const accept = createHash('sha1').update(key).digest('base64');
    socket.write(
      `HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ${accept}\r\n\r\n`,
    );
    const connection: Connection = { socket, session: null };
    this.#connections.add(connection);
    let rest: Buffer = Buffer.alloc(0);
    socket.on('data', (bytes: Buffer) => {
      const read = framesIn(Buffer.concat([rest, bytes]));
      rest = Buffer.from(read.rest);
      for (const { opcode, payload } of read.frames) this.#frame(connection, opcode, payload);
    });
    socket.on('error', () => socket.destroy());
    socket.on('close', () => this.#closed(connection));
    this.#write(connection, { op: 10, d: { heartbeat_interval: HEARTBEAT_MS } });
  }

  /** To every session, also to one that has no connection now. `about`: the message. */
  emit(t: string, d: unknown, about = ''): void {
    for (const session of this.sessions) this.#dispatch(session, t, d, about);
  }

  acknowledged(message: string): boolean {
    const with_ = this.sessions.filter(({ events }) => events.some(({ about }) => about === message));
    return with_.some(({ events, acked }) => acked > events.findIndex(({ about }) => about === message));
  }

  drop(): void {
    for (const { socket } of this.#connections) socket.destroy();
  }

  /** No session can be resumed any more. */
  forget(): void {
    this.sessions.length = 0;
  }

  /** Closes all connections with a code. */
  close(code: number): void {
    for (const connection of this.#connections) this.#close(connection, code);
  }

  /** Something as it is, to everybody: a request to come again, for instance. */
  say(message: object): void {
    for (const connection of this.#connections) this.#write(connection, message);
  }

  #frame(connection: Connection, opcode: number, payload: Buffer): void {
    if (opcode === 9) connection.socket.write(frame(payload, { opcode: 10, masked: false }));
    if (opcode === 8) {
      // A normal close ends the session.
      const code = payload.length >= 2 ? payload.readUInt16BE(0) : 1005;
      const at = connection.session === null ? -1 : this.sessions.indexOf(connection.session);
      if ((code === 1000 || code === 1001) && at >= 0) this.sessions.splice(at, 1);
      connection.socket.end(frame(payload, { opcode: 8, masked: false }));
    }
    if (opcode === 1) this.#said(connection, JSON.parse(payload.toString('utf8')) as Said);
  }

  #said(connection: Connection, { op, d }: Said): void {
    switch (op) {
      case 1:
        this.beats += 1;
        if (connection.session !== null && typeof d === 'number') connection.session.acked = d;
        return this.#write(connection, { op: 11 });
      case 2:
        return this.#identify(connection, d as Exclude<Said['d'], number | null>);
      case 6:
        return this.#resume(connection, d as Exclude<Said['d'], number | null>);
      default:
        return this.#close(connection, 4001);
    }
  }

  #identify(connection: Connection, { token, intents = 0 }: { token?: string; intents?: number }): void {
    if (token !== TOKEN || this.isRevoked) return this.#close(connection, 4004);
    if (this.forbidsContent && (intents & MESSAGE_CONTENT) !== 0) return this.#close(connection, 4014);
    this.identified += 1;
    const session: Session = { id: randomUUID(), events: [], acked: 0, connection };
    connection.session = session;
    this.sessions.push(session);
    this.#dispatch(session, 'READY', {
      ...{ v: 10, user: BOT, guilds: [{ id: GUILD, unavailable: true }], session_id: session.id },
      ...{ resume_gateway_url: this.#url(), application: { id: APPLICATION, flags: 0 }, shard: [0, 1] },
    });
    this.#dispatch(session, 'GUILD_CREATE', this.#guild());
    this.afterReady?.();
  }

  #resume(
    connection: Connection,
    { token, session_id, seq = 0 }: { token?: string; session_id?: string; seq?: number },
  ): void {
    if (token !== TOKEN || this.isRevoked) return this.#close(connection, 4004);
    const session = this.sessions.find(({ id }) => id === session_id);
    if (session === undefined) return this.#write(connection, { op: 9, d: false });
    if (seq > session.events.length) return this.#close(connection, 4007);
    this.resumed += 1;
    session.acked = seq;
    session.connection = connection;
    connection.session = session;
    for (const [at, { t, d }] of session.events.entries())
      if (at >= seq) this.#write(connection, { op: 0, t, d, s: at + 1 });
    this.#dispatch(session, 'RESUMED', {});
  }

  #dispatch(session: Session, t: string, d: unknown, about = ''): void {
    const copy: unknown = structuredClone(d);
    session.events.push({ t, d: copy, about });
    if (session.connection !== null) this.#write(session.connection, { op: 0, t, d: copy, s: session.events.length });
  }

  #close(connection: Connection, code: number): void {
    const payload = Buffer.alloc(2);
    payload.writeUInt16BE(code);
    connection.socket.end(frame(payload, { opcode: 8, masked: false }));
    this.#closed(connection);
  }

  #closed(connection: Connection): void {
    this.#connections.delete(connection);
    if (connection.session?.connection === connection) connection.session.connection = null;
  }

  #write({ socket }: Connection, message: object): void {
    if (socket.writable) socket.write(frame(JSON.stringify(message), { masked: false }));
  }
}
