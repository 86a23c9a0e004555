import { request as httpRequest, type IncomingHttpHeaders } from 'node:http';
import { createConnection, type Socket } from 'node:net';
import { type TLSSocket, connect as tlsConnect } from 'node:tls';
import type { Reply } from './gateway_process.ts';

/** A client in a sandbox: CONNECT on the egress socket, TLS with the install's authority, then HTTP. */
export interface TunnelOptions {
  /** The authority's certificate. */
  ca: string;
  /** `host:port` in CONNECT. */
  place: string;
  /** Name in TLS; absent: that of `place`. `''`: none. */
  sni?: string;
  /** Whether to take any certificate. */
  careless?: boolean;
  alpn?: string[];
}

/** Resolves with the bare connection and what the gateway said to CONNECT. */
export function connectTo(path: string, bytes: string | Buffer): Promise<{ socket: Socket; head: string }> {
  return new Promise((resolve, reject) => {
    const socket = createConnection({ path }, () => socket.write(bytes));
    let head = '';
    const read = (part: Buffer): void => {
      head += part.toString('latin1');
      if (!head.includes('\r\n\r\n')) return;
      socket.off('data', read);
      socket.pause();
      resolve({ socket, head });
    };
    socket.on('data', read);
    socket.on('error', reject);
    socket.on('close', () => reject(new Error(`closed after ${JSON.stringify(head)}`)));
  });
}

/** Resolves when TLS stands. Rejects when CONNECT is refused, or TLS. */
export async function openTunnel(path: string, options: TunnelOptions): Promise<TLSSocket> {
  const { place, ca, sni = place.split(':')[0]!, careless = false, alpn } = options;
  const { socket, head } = await connectTo(path, `CONNECT ${place} HTTP/1.1\r\nHost: ${place}\r\n\r\n`);
  if (!head.startsWith('HTTP/1.1 200')) {
    socket.destroy();
    throw new Error(head);
  }
  return new Promise((resolve, reject) => {
    const tls: TLSSocket = tlsConnect(
      {
        ...{ socket, ca, rejectUnauthorized: !careless, ...(sni === '' ? {} : { servername: sni }) },
        ...(alpn === undefined ? {} : { ALPNProtocols: alpn }),
        checkServerIdentity: (_host, certificate) =>
          careless || certificate.subjectaltname === `DNS:${sni || place.split(':')[0]}`
            ? undefined
            : new Error(`certificate for ${certificate.subjectaltname}`),
      },
      () => resolve(tls),
    );
    tls.on('error', reject);
    tls.on('close', () => reject(new Error('closed')));
  });
}

/** Raw bytes in a tunnel, raw bytes out, until the gateway ends it. */
export async function rawInTunnel(path: string, options: TunnelOptions, bytes: string | Buffer): Promise<string> {
  const tls = await openTunnel(path, options);
  return new Promise((resolve) => {
    const parts: Buffer[] = [];
    tls.on('data', (part) => parts.push(part));
    tls.on('error', () => {});
    tls.on('close', () => resolve(Buffer.concat(parts).toString('latin1')));
    tls.write(bytes);
  });
}

export interface AskOptions {
  method?: string;
  headers?: Record<string, string | string[]>;
  body?: string | Buffer;
}

/** One request in a tunnel of its own. */
export async function askService(
  path: string,
  options: TunnelOptions,
  target: string,
  ask: AskOptions = {},
): Promise<Reply> {
  const tls = await openTunnel(path, options);
  const { method = 'GET', headers = {}, body } = ask;
  try {
    return await new Promise((resolve, reject) => {
      const sent = httpRequest(
        {
          createConnection: () => tls,
          path: target,
          method,
          headers: { host: options.place, connection: 'keep-alive', ...headers },
        },
        (response) => {
          const parts: Buffer[] = [];
          response.on('data', (part) => parts.push(part));
          response.on('error', reject);
          response.on('end', () => resolve(replyOf(response.statusCode!, response.headers, parts)));
        },
      );
      sent.on('error', reject);
      sent.end(body);
    });
  } finally {
    tls.destroy();
  }
}

function replyOf(status: number, headers: IncomingHttpHeaders, parts: Buffer[]): Reply {
  return { status, headers, body: Buffer.concat(parts).toString() };
}
