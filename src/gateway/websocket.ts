import type { Duplex } from 'node:stream';
import { WEBSOCKET_AGE_MS, WEBSOCKET_BYTES_MAX, WEBSOCKET_CLOSE_MS } from '../base/limits/gateway.ts';
import { FrameReader, type Piece } from './frames.ts';
import type { Redactor } from './redact.ts';
import type { Refusal } from './route.ts';

/**
 * A WebSocket after its handshake: bytes both ways, as slowly as the slower side takes them. From the agent only whole frames'
 * headers leave, and each frame of a message costs what a request does. What a service sends is searched for the secret within
 * each frame, so that nothing of a frame waits for the next one. Any end is the end of both sides.
 */
export interface WebSocketInput {
  agent: Duplex;
  upstream: Duplex;
  /** Null: there is nothing to mask. */
  redactor: Redactor | null;
  idle_ms: number;
  /** Counts one frame of a message; why there may be no more, or null. Must not throw. */
  count: () => Refusal | null;
  /** Called once. `why` null: one of the two has closed it; else it was cut, for the row's rule. Must not throw. */
  ended: (why: string | null) => void;
}

export class WebSocketRelay {
  readonly #input: WebSocketInput;
  readonly #sent = new FrameReader(true);
  readonly #received = new FrameReader(false);
  readonly #idle: NodeJS.Timeout;
  readonly #age: NodeJS.Timeout;
  bytesUp = 0;
  bytesDown = 0;
  #done = false;

  constructor(input: WebSocketInput) {
    this.#input = input;
    this.#idle = setTimeout(() => this.#cut('websocket: idle'), input.idle_ms);
    this.#age = setTimeout(() => this.#cut('websocket: age'), WEBSOCKET_AGE_MS);
    this.#pipe(input.agent, input.upstream, (chunk) => this.#fromAgent(chunk));
    this.#pipe(input.upstream, input.agent, (chunk) => this.#fromUpstream(chunk));
  }

  /** `read`: what goes on, or why nothing more does. */
  #pipe(from: Duplex, to: Duplex, read: (chunk: Buffer) => Buffer | string): void {
    from.on('data', (chunk: Buffer) => {
      if (this.#done) return;
      this.#idle.refresh();
      const out = read(chunk);
      if (typeof out === 'string') return this.#cut(out);
      if (out.length === 0 || to.write(out)) return;
      from.pause();
      to.once('drain', () => from.resume());
    });
    from.on('error', () => from.destroy());
    from.on('end', () => this.#end());
    from.on('close', () => {
      this.#end();
      if (!from.readableEnded) to.destroy();
    });
  }

  #fromAgent(chunk: Buffer): Buffer | string {
    this.bytesUp += chunk.length;
    if (this.bytesUp > WEBSOCKET_BYTES_MAX) return 'websocket: bytes';
    const pieces = this.#sent.read(chunk);
    if (typeof pieces === 'string') return `websocket: ${pieces}`;
    for (const { part, data } of pieces) {
      const why = part === 'head' && data ? this.#input.count() : null;
      if (why !== null) return why.rule;
    }
    return Buffer.concat(pieces.map(({ bytes }) => bytes));
  }

  #fromUpstream(chunk: Buffer): Buffer | string {
    this.bytesDown += chunk.length;
    if (this.bytesDown > WEBSOCKET_BYTES_MAX) return 'upstream websocket: bytes';
    const pieces = this.#received.read(chunk);
    if (typeof pieces === 'string') return `upstream websocket: ${pieces}`;
    return Buffer.concat(pieces.flatMap((piece) => this.#masked(piece)));
  }

  /** Headers go on as they are: what a service writes into a length, it could tell in any other way. */
  #masked({ bytes, part, last }: Piece): Buffer[] {
    const { redactor } = this.#input;
    if (redactor === null || part === 'head') return [bytes];
    return last ? [redactor.push(bytes), redactor.end()] : [redactor.push(bytes)];
  }

  /** Nothing more is read; what was written may still arrive. */
  #end(): void {
    if (!this.#finish(null)) return;
    for (const socket of [this.#input.agent, this.#input.upstream]) {
      const late = setTimeout(() => socket.destroy(), WEBSOCKET_CLOSE_MS);
      socket.on('close', () => clearTimeout(late));
      socket.end(() => socket.destroy());
    }
  }

  #cut(why: string): void {
    if (!this.#finish(why)) return;
    this.#input.agent.destroy();
    this.#input.upstream.destroy();
  }

  #finish(why: string | null): boolean {
    if (this.#done) return false;
    this.#done = true;
    clearTimeout(this.#idle);
    clearTimeout(this.#age);
    this.#input.ended(why);
    return true;
  }
}
