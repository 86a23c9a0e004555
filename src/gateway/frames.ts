import { WEBSOCKET_CONTROL_BYTES_MAX } from '../base/limits/gateway.ts';

/**
 * Takes the bytes of one direction of a WebSocket apart (RFC 6455 §5), as they come: a frame is never kept, only a header
 * that is not whole yet. Extensions are never agreed on, so that a reserved bit is always wrong. Pure.
 */

/** Bytes of one frame that may go on. */
export interface Piece {
  bytes: Buffer;
  /** What it is of a frame: its header, or what it carries. */
  part: 'head' | 'payload';
  /** Of a message, and of no control frame. */
  data: boolean;
  /** The frame ends with it. */
  last: boolean;
}

const CONTINUATION = 0;
const CLOSE = 8;
const OPCODES = new Set([CONTINUATION, 1, 2, CLOSE, 9, 10]);

export class FrameReader {
  /** The agent's frames are masked, a service's are not. */
  readonly #masked: boolean;
  #partial: Buffer = Buffer.alloc(0);
  /** Bytes of the frame that are still to come. */
  #left = 0;
  #data = false;
  /** A message has begun whose last frame has not. */
  #open = false;
  #closed = false;

  constructor(masked: boolean) {
    this.#masked = masked;
  }

  /** What `chunk` goes on with, or what is wrong with it; then nothing more may be read. */
  read(chunk: Buffer): Piece[] | string {
    let rest = this.#partial.length === 0 ? chunk : Buffer.concat([this.#partial, chunk]);
    const pieces: Piece[] = [];
    while (rest.length > 0) {
      const length = this.#left > 0 ? Math.min(this.#left, rest.length) : headLength(rest);
      if (length > rest.length) break;
      const bytes = rest.subarray(0, length);
      const part = this.#left > 0 ? 'payload' : 'head';
      if (part === 'payload') this.#left -= length;
      else {
        const problem = this.#begin(bytes);
        if (problem !== null) return problem;
      }
      pieces.push({ bytes, part, data: this.#data, last: this.#left === 0 });
      rest = rest.subarray(length);
    }
    this.#partial = rest;
    return pieces;
  }

  #begin(head: Buffer): string | null {
    const [first, second] = [head[0]!, head[1]!];
    const final = first >= 0x80;
    const opcode = first & 0x0f;
    const control = opcode >= CLOSE;
    const length = lengthOf(head);
    if (this.#closed) return 'a frame after the last one';
    if ((first & 0x70) !== 0) return 'a frame with a reserved bit';
    if (!OPCODES.has(opcode)) return 'a frame of no known kind';
    if (second >= 0x80 !== this.#masked) return this.#masked ? 'a frame without a mask' : 'a frame with a mask';
    if (length === null) return 'a frame whose length is not plain';
    if (control && (!final || length > WEBSOCKET_CONTROL_BYTES_MAX)) return 'a control frame that is too long or split';
    if (!control && this.#open !== (opcode === CONTINUATION)) return 'a frame out of order';
    if (!control) this.#open = !final;
    this.#closed = opcode === CLOSE;
    this.#data = !control;
    this.#left = length;
    return null;
  }
}

/** Bytes of the header that `bytes` begins with; more than they are: it is not whole. */
function headLength(bytes: Buffer): number {
  const second = bytes[1] ?? 0;
  return 2 + extraOf(second) + (second >= 0x80 ? 4 : 0);
}

function extraOf(second: number): number {
  const short = second & 0x7f;
  if (short < 126) return 0;
  return short === 126 ? 2 : 8;
}

/** Null: it could have been written shorter, or is more than any counts. */
function lengthOf(head: Buffer): number | null {
  const extra = extraOf(head[1]!);
  if (extra === 0) return head[1]! & 0x7f;
  if (extra === 2) return head.readUInt16BE(2) < 126 ? null : head.readUInt16BE(2);
  const length = Number(head.readBigUInt64BE(2));
  return length < 0x1_0000 || !Number.isSafeInteger(length) ? null : length;
}
