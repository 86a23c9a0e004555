import { connect, type Socket } from 'node:net';
import { HOST_FRAME_BYTES_MAX } from '../../src/base/limits/messages.ts';
import { type HostFrame, parseHostFrame, type RunnerFrame } from '../../src/protocol/frames.ts';
import { encodeFrame, frameReader } from '../../src/protocol/framing.ts';

/**
 * The sandbox's end of the hatch. Its end is the end of this process, and with it of the whole sandbox: a host that is
 * gone must leave nothing running.
 */
export class HostLink {
  readonly #socket: Socket;

  constructor(path: string, onFrame: (frame: HostFrame) => void) {
    this.#socket = connect(path);
    const read = frameReader(
      HOST_FRAME_BYTES_MAX,
      (bytes) => {
        const parsed = parseHostFrame(bytes);
        if (!parsed.ok) this.#end(parsed.reason);
        else onFrame(parsed.frame);
        return parsed.ok;
      },
      (reason) => this.#end(reason),
    );
    this.#socket.on('data', read);
    this.#socket.on('end', () => this.#end('the host closed the hatch'));
    this.#socket.on('error', (error) => this.#end(`the hatch failed: ${error.message}`));
  }

  send(frame: RunnerFrame): void {
    this.#socket.write(encodeFrame(frame));
  }

  /** Resolves when what was sent is out of this process's hands: for file chunks. */
  async drained(): Promise<void> {
    if (this.#socket.writableNeedDrain) await new Promise((resolve) => this.#socket.once('drain', resolve));
  }

  #end(reason: string): never {
    console.error(`runner: ${reason}`);
    process.exit(0);
  }
}
