import { createServer, type Server, type Socket } from 'node:net';
import { lineReader } from '../../src/protocol/lines.ts';

/** What the host can see of a gateway, without one: `gateway.sock` as lines, with answers that a test chooses. */
export interface Asked {
  id: number;
  op: string;
  session?: string;
  group?: string;
  at_ms?: number;
}

export class GatewayLines {
  readonly path: string;
  readonly asked: Asked[] = [];
  /** Null: no answer. */
  reply: (asked: Asked) => object | 'hang up' | null = ({ id, op }) => ({
    id,
    ok: true,
    ...(op === 'close' && { cut: [] }),
  });
  connections = 0;
  #server: Server | null = null;
  #sockets = new Set<Socket>();

  constructor(path: string) {
    this.path = path;
  }

  listen(): Promise<void> {
    this.#server = createServer((socket) => this.#serve(socket));
    return new Promise((resolve) => this.#server!.listen(this.path, resolve));
  }

  /** As the death of the process: every connection breaks, nobody listens. */
  async die(): Promise<void> {
    const server = this.#server;
    this.#server = null;
    const closed = new Promise<void>((resolve) => (server === null ? resolve() : server.close(() => resolve())));
    for (const socket of this.#sockets) socket.destroy();
    await closed;
  }

  write(text: string): void {
    for (const socket of this.#sockets) socket.write(text);
  }

  /** The sessions of every `open` that was asked, in order. */
  opened(): string[] {
    return this.asked.filter((asked) => asked.op === 'open').map((asked) => asked.session!);
  }

  #serve(socket: Socket): void {
    this.connections += 1;
    this.#sockets.add(socket);
    socket.on('close', () => this.#sockets.delete(socket));
    socket.on('error', () => {});
    const read = lineReader(
      1 << 20,
      (line) => {
        const asked = JSON.parse(line) as Asked;
        this.asked.push(asked);
        const answer = this.reply(asked);
        if (answer === 'hang up') socket.destroy();
        else if (answer !== null) socket.write(`${JSON.stringify(answer)}\n`);
      },
      () => {},
    );
    socket.on('data', read);
  }
}
