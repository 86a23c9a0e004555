import { type AddressInfo, createConnection, createServer, type Server, type Socket } from 'node:net';

/** A way to a service that breaks with a TCP reset: at once, or after so many bytes of the service. */
export class ResettingWay {
  /** Bytes of the service that still get through on each connection; null: all of them, and no reset. */
  bytes: number | null = null;
  readonly #server: Server;
  readonly #open = new Set<Socket>();

  constructor(port: () => number) {
    this.#server = createServer((client) => {
      this.#open.add(client);
      client.on('error', () => {}).on('close', () => this.#open.delete(client));
      if (this.bytes === 0) return void client.resetAndDestroy();
      const service = createConnection({ host: '127.0.0.1', port: port() });
      let left = this.bytes;
      client.pipe(service);
      service.on('data', (part) => {
        client.write(left === null ? part : part.subarray(0, left));
        if (left === null) return;
        left -= part.length;
        // After what it was written before: a reset takes back what was not sent.
        if (left <= 0) setImmediate(() => client.resetAndDestroy());
      });
      service.on('error', () => {}).on('close', () => client.destroy());
      client.on('close', () => service.destroy());
    });
  }

  listen(): Promise<void> {
    return new Promise((resolve) => this.#server.listen(0, '127.0.0.1', resolve));
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  close(): Promise<void> {
    for (const socket of this.#open) socket.destroy();
    return new Promise((resolve) => this.#server.close(() => resolve()));
  }
}
