import { createHash } from 'node:crypto';
import type { TLSSocket } from 'node:tls';
import { openTunnel, type TunnelOptions } from './tunnel.ts';
import type { Received, Upgrade } from './upstream.ts';

/** WebSockets by hand (RFC 6455), right and wrong, at both ends: what a library would refuse to send is what tests need. */

export interface FrameOptions {
  opcode?: number;
  final?: boolean;
  reserved?: number;
  masked?: boolean;
}

const MASK = Buffer.from('mask');
export const KEY = Buffer.from('sixteen bytes ok').toString('base64');

/** One frame; as an agent sends it unless told otherwise. */
export function frame(payload: string | Buffer, options: FrameOptions = {}): Buffer {
  const { opcode = 1, final = true, reserved = 0, masked = true } = options;
  const bytes = Buffer.from(payload);
  const head = [(final ? 0x80 : 0) | (reserved << 4) | opcode];
  const sign = masked ? 0x80 : 0;
  const long = Buffer.alloc(8);
  if (bytes.length < 126) head.push(sign | bytes.length);
  else if (bytes.length < 0x1_0000) head.push(sign | 126, bytes.length >> 8, bytes.length & 0xff);
  else {
    long.writeBigUInt64BE(BigInt(bytes.length));
    head.push(sign | 127, ...long);
  }
  if (!masked) return Buffer.concat([Buffer.from(head), bytes]);
  return Buffer.concat([Buffer.from(head), MASK, unmask(bytes, MASK)]);
}

function unmask(bytes: Buffer, mask: Buffer): Buffer {
  return Buffer.from(bytes.map((byte, at) => byte ^ mask[at % 4]!));
}

export interface Frame {
  opcode: number;
  final: boolean;
  payload: Buffer;
}

/** The whole frames at the beginning of `bytes`, and what is left. */
export function framesIn(bytes: Buffer): { frames: Frame[]; rest: Buffer } {
  const frames: Frame[] = [];
  let rest = bytes;
  while (rest.length >= 2) {
    const short = rest[1]! & 0x7f;
    const extra = short < 126 ? 0 : short === 126 ? 2 : 8;
    if (rest.length < 2 + extra) break;
    const length = extra === 0 ? short : extra === 2 ? rest.readUInt16BE(2) : Number(rest.readBigUInt64BE(2));
    const masked = rest[1]! >= 0x80;
    const begin = 2 + extra + (masked ? 4 : 0);
    if (rest.length < begin + length) break;
    const payload = rest.subarray(begin, begin + length);
    frames.push({
      opcode: rest[0]! & 0x0f,
      final: rest[0]! >= 0x80,
      payload: masked ? unmask(payload, rest.subarray(begin - 4, begin)) : payload,
    });
    rest = rest.subarray(begin + length);
  }
  return { frames, rest };
}

/** The head of a handshake; `more`: further header lines. */
export function handshake(place: string, target: string, more = ''): string {
  return (
    `GET ${target} HTTP/1.1\r\nHost: ${place}\r\nConnection: keep-alive, Upgrade\r\nUpgrade: WebSocket\r\n` +
    `Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: ${KEY}\r\n${more}\r\n`
  );
}

function acceptOf({ rawHeaders }: Received): string {
  const at = rawHeaders.findIndex((name) => name.toLowerCase() === 'sec-websocket-key');
  const text = `${rawHeaders[at + 1]}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`;
  return createHash('sha1').update(text).digest('base64');
}

/** A 101 that is right, but for what is given. */
export function accepted(received: Received, { upgrade = 'websocket', accept = acceptOf(received), more = '' } = {}) {
  return (
    `HTTP/1.1 101 Switching Protocols\r\nUpgrade: ${upgrade}\r\nConnection: Upgrade\r\n` +
    `Sec-WebSocket-Accept: ${accept}\r\n${more}\r\n`
  );
}

/** What becomes of a handshake, by its path; anything else is a service that sends back what it gets. */
const ANSWERS: Record<string, (received: Received) => string | Buffer | null> = {
  '/ws/refused': () => 'HTTP/1.1 401 Unauthorized\r\nContent-Length: 2\r\n\r\nno',
  '/ws/plain': () => 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok',
  '/ws/foo': (received) => accepted(received, { upgrade: 'foo' }),
  '/ws/bare': () => 'HTTP/1.1 101 Switching Protocols\r\n\r\n',
  '/ws/other': (received) => accepted(received, { accept: 'b3RoZXI=' }),
  '/ws/noise': (received) => `${accepted(received)}HTTP/1.1 200 OK\r\n\r\n`,
  '/ws/masked': (received) => Buffer.concat([Buffer.from(accepted(received)), frame('masked')]),
  '/ws/deflate': (received) =>
    Buffer.concat([
      Buffer.from(accepted(received, { more: 'Sec-WebSocket-Extensions: permessage-deflate\r\n' })),
      frame('compressed', { masked: false, reserved: 4 }),
    ]),
  '/ws/silent': () => null,
};

/** `authorization` as a message gets the header of that name back; the bodies of messages are the body of what was received. */
export const echoUpgrade: Upgrade = (received, socket) => {
  const answer = ANSWERS[received.target]?.(received);
  if (answer === null) return;
  socket.write(answer ?? accepted(received, { more: 'Sec-WebSocket-Extensions: permessage-deflate\r\nX-Kept: a\r\n' }));
  let rest: Buffer = Buffer.alloc(0);
  socket.on('data', (part: Buffer) => {
    const found = framesIn(Buffer.concat([rest, part]));
    rest = found.rest;
    for (const one of found.frames) answerFrame(one, received, socket);
  });
};

function answerFrame({ opcode, final, payload }: Frame, received: Received, socket: TLSSocket): void {
  if (opcode <= 2) received.body = Buffer.concat([received.body, payload]);
  const authorization = received.rawHeaders[received.rawHeaders.indexOf('authorization') + 1] ?? '';
  const asked = opcode === 1 && payload.toString() === 'authorization';
  const out = frame(asked ? authorization : payload, { opcode: opcode === 9 ? 10 : opcode, final, masked: false });
  if (opcode === 8) socket.end(out);
  else socket.write(out);
}

/** An agent whose handshake was answered; frames come one by one. */
export class AgentSocket {
  readonly tls: TLSSocket;
  readonly head: string;
  readonly closed: Promise<void>;
  #rest: Buffer;
  readonly #waiting: { frames: number; done: () => void }[] = [];
  readonly frames: Frame[] = [];

  constructor(tls: TLSSocket, head: string, rest: Buffer) {
    this.tls = tls;
    this.head = head;
    this.#rest = rest;
    this.closed = new Promise((resolve) => tls.on('close', () => resolve()));
    this.#read(Buffer.alloc(0));
    tls.on('data', (part) => this.#read(part));
    tls.on('error', () => {});
  }

  /** Asks for a WebSocket in a tunnel of its own. `before`: bytes that go first. */
  static async open(path: string, options: TunnelOptions, target: string, more = ''): Promise<AgentSocket> {
    const tls = await openTunnel(path, options);
    tls.write(handshake(options.place, target, more));
    return AgentSocket.on(tls);
  }

  /** Waits for the answer to a handshake that was sent. */
  static on(tls: TLSSocket): Promise<AgentSocket> {
    return new Promise((resolve, reject) => {
      let seen = Buffer.alloc(0);
      const read = (part: Buffer): void => {
        seen = Buffer.concat([seen, part]);
        const end = seen.indexOf('\r\n\r\n');
        if (end === -1) return;
        tls.off('data', read);
        resolve(new AgentSocket(tls, seen.subarray(0, end).toString('latin1'), seen.subarray(end + 4)));
      };
      tls.on('data', read);
      tls.on('close', () => reject(new Error('closed')));
    });
  }

  send(payload: string | Buffer, options: FrameOptions = {}): void {
    this.tls.write(frame(payload, options));
  }

  /** Resolves with all frames when there are as many, or rejects when it is closed before. */
  async take(count: number): Promise<string[]> {
    if (this.frames.length < count) {
      const enough = new Promise<void>((done) => this.#waiting.push({ frames: count, done }));
      await Promise.race([enough, this.closed]);
    }
    return this.frames.map(({ payload }) => payload.toString());
  }

  #read(part: Buffer): void {
    const { frames, rest } = framesIn(Buffer.concat([this.#rest, part]));
    this.#rest = rest;
    this.frames.push(...frames);
    for (const { frames: wanted, done } of this.#waiting) if (this.frames.length >= wanted) done();
  }
}
