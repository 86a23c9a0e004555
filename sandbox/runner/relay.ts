import { connect, createServer, type Server, type Socket } from 'node:net';

/** A gateway that has died is there again within a second or two; for so long it is tried whether one listens. */
export const AWAY_MS = 10_000;
export const AWAY_STEP_MS = 100;

/** Nobody listens on the egress socket: nothing was said to anybody. */
export function isAway(error: NodeJS.ErrnoException): boolean {
  return error.code === 'ECONNREFUSED' || error.code === 'ENOENT';
}

/**
 * Offers the egress socket as `127.0.0.1:<port>`, for clients that only know TCP. Bytes pass unread; who is calling is
 * decided by the socket behind it. A connection that is made while no gateway is there waits for the next one. `port` 0: any that is free.
 */
export function startRelay(egressSocket: string, port: number): Promise<{ port: number; server: Server }> {
  const server = createServer({ allowHalfOpen: true }, (client) => {
    client.on('error', () => {}); // its end is what counts
    join(client, egressSocket, Date.now() + AWAY_MS);
  });
  server.unref();
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, '127.0.0.1', () => {
      const address = server.address();
      if (address === null || typeof address === 'string') return reject(new Error('the relay has no port'));
      resolve({ port: address.port, server });
    });
  });
}

function join(client: Socket, egressSocket: string, until_ms: number): void {
  if (client.destroyed) return; // it went while no gateway was there
  const upstream = connect({ path: egressSocket, allowHalfOpen: true });
  const leave = () => void upstream.destroy();
  client.once('close', leave);
  upstream.on('connect', () => {
    client.pipe(upstream).pipe(client);
    upstream.on('close', () => client.destroy());
  });
  upstream.on('error', (error) => {
    client.off('close', leave);
    if (!isAway(error) || Date.now() >= until_ms) return void client.destroy();
    setTimeout(() => join(client, egressSocket, until_ms), AWAY_STEP_MS);
  });
}
