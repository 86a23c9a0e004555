import type { Duplex } from 'node:stream';
import { WEBSOCKET_AGE_MS, WEBSOCKET_BYTES_MAX, WEBSOCKET_CLOSE_MS } from '../base/limits.ts';
import type { Outcome } from './audit.ts';
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
  /** Called once. `rule` null: it was closed. Must not throw. */
  ended: (decision: Outcome['decision'], rule: string | null) => void;
}

/** Why it is cut. */
interface Cut {
  decision: Outcome['decision'];
  rule: string;
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
    const late = (rule: string) => (): void => this.#cut({ decision: 'error', rule });
    this.#idle = setTimeout(late('websocket: idle'), input.idle_ms);
    this.#age = setTimeout(late('websocket: age'), WEBSOCKET_AGE_MS);
    this.#pipe(input.agent, input.upstream, (chunk) => this.#fromAgent(chunk));
    this.#pipe(input.upstream, input.agent, (chunk) => this.#fromUpstream(chunk));
  }

  #pipe(from: Duplex, to: Duplex, read: (chunk: Buffer) => Buffer | Cut): void {
    from.on('data', (chunk: Buffer) => {
      if (this.#done) return;
      this.#idle.refresh();
      const out = read(chunk);
      if (!Buffer.isBuffer(out)) return this.#cut(out);
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

  #fromAgent(chunk: Buffer): Buffer | Cut {
    this.bytesUp += chunk.length;
    if (this.bytesUp > WEBSOCKET_BYTES_MAX) return { decision: 'deny', rule: 'websocket: bytes' };
    const pieces = this.#sent.read(chunk);
    if (typeof pieces === 'string') return { decision: 'deny', rule: `websocket: ${pieces}` };
    for (const { part, data } of pieces) {
      const why = part === 'head' && data ? this.#input.count() : null;
      if (why !== null) return { decision: 'deny', rule: why.rule };
    }
    return Buffer.concat(pieces.map(({ bytes }) => bytes));
  }

  #fromUpstream(chunk: Buffer): Buffer | Cut {
    this.bytesDown += chunk.length;
    if (this.bytesDown > WEBSOCKET_BYTES_MAX) return { decision: 'error', rule: 'websocket: bytes' };
    const pieces = this.#received.read(chunk);
    if (typeof pieces === 'string') return { decision: 'error', rule: `upstream websocket: ${pieces}` };
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
    if (!this.#finish('allow', null)) return;
    for (const socket of [this.#input.agent, this.#input.upstream]) {
      const late = setTimeout(() => socket.destroy(), WEBSOCKET_CLOSE_MS);
      socket.on('close', () => clearTimeout(late));
      socket.end(() => socket.destroy());
    }
  }

  #cut({ decision, rule }: Cut): void {
    if (!this.#finish(decision, rule)) return;
    this.#input.agent.destroy();
    this.#input.upstream.destroy();
  }

  #finish(decision: Outcome['decision'], rule: string | null): boolean {
    if (this.#done) return false;
    this.#done = true;
    clearTimeout(this.#idle);
    clearTimeout(this.#age);
    this.#input.ended(decision, rule);
    return true;
  }
}
