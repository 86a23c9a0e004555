import { connect, createServer, type Server } from 'node:net';

/**
 * Offers the egress socket as `127.0.0.1:<port>`, for clients that only know TCP. Bytes pass unread; who is calling is
 * decided by the socket behind it. `port` 0: any that is free.
 */
export function startRelay(egressSocket: string, port: number): Promise<{ port: number; server: Server }> {
  const server = createServer({ allowHalfOpen: true }, (client) => {
    const upstream = connect({ path: egressSocket, allowHalfOpen: true });
    client.pipe(upstream).pipe(client);
    client.on('error', () => upstream.destroy());
    upstream.on('error', () => client.destroy());
    client.on('close', () => upstream.destroy());
    upstream.on('close', () => client.destroy());
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
