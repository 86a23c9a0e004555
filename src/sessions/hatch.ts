import { chmodSync, rmSync } from 'node:fs';
import { createServer, type Server, type Socket } from 'node:net';
import {
  FRAMES_PER_SECOND_MAX,
  HATCH_BACKLOG_BYTES_MAX,
  HATCH_BYTES_PER_SECOND_MAX,
  HATCH_REFUSALS_MAX,
  HELLO_MS,
  RUNNER_FRAME_BYTES_MAX,
} from '../base/limits/messages.ts';
import { paced } from '../base/paced.ts';
import { HATCH_VERSION, type HostFrame, parseRunnerFrame, type RunnerFrame } from '../protocol/frames.ts';
import { encodeFrame, frameReader } from '../protocol/framing.ts';

/**
 * The host's end of one session's hatch: one listening socket, one connection, one sandbox. Whoever is connected speaks
 * as this session and nothing else. A frame that is garbage, too large, too many, unknown or out of place ends it, with
 * the reason; it never reaches another session. Bytes beyond a rate wait in the sandbox: they are the host's time.
 */
export interface HatchHandlers {
  /** A checked frame after `hello`. Returns the reason when it is out of place; then the hatch ends. */
  onFrame(frame: RunnerFrame): string | null;
  /** Once: the connection is gone, by whomever. */
  onEnd(reason: string): void;
  /** A second connection was refused. */
  onRefused(reason: string): void;
}

export class Hatch {
  readonly #path: string;
  readonly #handlers: HatchHandlers;
  readonly #server: Server;
  readonly #welcome: HostFrame;
  #socket: Socket | null = null;
  #refused = 0;
  #greeted = false;
  #ended = false;
  #windowStart = 0;
  #windowFrames = 0;

  constructor(path: string, welcome: HostFrame, handlers: HatchHandlers) {
    this.#path = path;
    this.#welcome = welcome;
    this.#handlers = handlers;
    this.#server = createServer((socket) => this.#accept(socket));
  }

  /** Rejects when the socket cannot be made. */
  listen(): Promise<void> {
    rmSync(this.#path, { force: true });
    return new Promise((resolve, reject) => {
      this.#server.once('error', reject);
      this.#server.listen(this.#path, () => {
        // The sandbox's uid is another one; only its own mount leads to this folder.
        chmodSync(this.#path, 0o666);
        resolve();
      });
    });
  }

  send(frame: HostFrame): void {
    if (this.#ended || this.#socket === null) return;
    this.#socket.write(encodeFrame(frame));
    if (this.#socket.writableLength > HATCH_BACKLOG_BYTES_MAX) this.end('the sandbox does not read its hatch');
  }

  /** Ends the connection; the runner takes that as its own end. `onEnd` is called, once. */
  end(reason: string): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#server.close();
    this.#socket?.destroy();
    rmSync(this.#path, { force: true });
    this.#handlers.onEnd(reason);
  }

  #accept(socket: Socket): void {
    socket.on('error', () => socket.destroy());
    if (this.#socket !== null || this.#ended) {
      socket.destroy();
      this.#refused += 1;
      // An agent that connects in a loop must not fill the ledger: the path itself ends, the first connection goes on.
      if (this.#refused === HATCH_REFUSALS_MAX) this.#server.close();
      if (this.#refused <= HATCH_REFUSALS_MAX) this.#handlers.onRefused('a second connection to the hatch');
      return;
    }
    this.#socket = socket;
    const hello = setTimeout(() => this.end('no hello in time'), HELLO_MS);
    const read = frameReader(
      RUNNER_FRAME_BYTES_MAX,
      (bytes) => this.#receive(bytes),
      (reason) => this.end(reason),
    );
    paced(socket, HATCH_BYTES_PER_SECOND_MAX, read);
    socket.on('close', () => {
      clearTimeout(hello);
      this.end('the sandbox closed the hatch');
    });
    this.#onGreeted = () => clearTimeout(hello);
  }

  #onGreeted = (): void => {};

  #receive(bytes: Buffer): boolean {
    if (this.#ended) return false;
    const problem = this.#tooMany() ?? this.#judge(bytes);
    if (problem !== null) this.end(problem);
    return problem === null;
  }

  #judge(bytes: Buffer): string | null {
    const parsed = parseRunnerFrame(bytes);
    if (!parsed.ok) return parsed.reason;
    const frame = parsed.frame;
    if (this.#greeted) return frame.t === 'hello' ? 'a second hello' : this.#handlers.onFrame(frame);
    if (frame.t !== 'hello') return `a frame "${frame.t}" before hello`;
    if (frame.v !== HATCH_VERSION) return `hatch version ${frame.v}, this host speaks ${HATCH_VERSION}`;
    this.#greeted = true;
    this.#onGreeted();
    this.send(this.#welcome);
    return null;
  }

  #tooMany(): string | null {
    const now = performance.now();
    if (now - this.#windowStart > 1000) {
      this.#windowStart = now;
      this.#windowFrames = 0;
    }
    this.#windowFrames += 1;
    return this.#windowFrames > FRAMES_PER_SECOND_MAX ? `more than ${FRAMES_PER_SECOND_MAX} frames a second` : null;
  }
}
