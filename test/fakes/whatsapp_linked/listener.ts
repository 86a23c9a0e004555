import { once } from 'node:events';

/** A server of the package that Baileys connects with, which has no types. */
export interface Client {
  on(event: 'message', act: (data: Buffer) => void): void;
  on(event: 'close', act: () => void): void;
  send(data: Uint8Array): void;
  /** Without a word. */
  terminate(): void;
}

export interface Listener {
  on(event: 'connection', act: (client: Client) => void): void;
  address(): { port: number };
  close(): void;
}

const WS = '../../../src/channels/whatsapp-linked/node_modules/ws/wrapper.mjs';
const { WebSocketServer } = (await import(WS)) as { WebSocketServer: new (options: object) => Listener };

/** On a port of this machine that is free, or on that one. */
export async function listen(port = 0): Promise<Listener> {
  const listener = new WebSocketServer({ port, host: '127.0.0.1' });
  await once(listener as never, 'listening');
  return listener;
}
