import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { TLSSocket } from 'node:tls';
import type { CertificateAuthority } from './ca.ts';
import { refusal } from './refuse.ts';
import type { Refusal } from './route.ts';
import type { Place } from './service_request.ts';

/**
 * The agent's end of a tunnel: after CONNECT its TLS ends here, with a certificate for the host that it named there. A client
 * that asks for another name by SNI gets the same certificate, which it will not take, and if it does, a refusal.
 */
export interface TunnelHandlers {
  /** HTTP may begin on it. */
  open(tls: TLSSocket): void;
  /** It did not come to that. With `tls`: the handshake is done, and an answer can be given. */
  refused(why: Refusal, tls: TLSSocket | null): void;
}

/** Accepts CONNECT on `socket`; `head` is what came behind it. */
export function openTunnel(
  { socket, head, place, tls_ms }: { socket: Duplex; head: Buffer; place: Place; tls_ms: number },
  authority: CertificateAuthority,
  handlers: TunnelHandlers,
): void {
  const secureContext = authority.contextFor(place.host);
  socket.write('HTTP/1.1 200 Connection Established\r\n\r\n');
  if (head.length > 0) socket.unshift(head);
  let settled = false;
  let otherName = false;
  const tls = new TLSSocket(socket as Socket, {
    isServer: true,
    secureContext,
    ALPNProtocols: ['http/1.1'],
    SNICallback: (name, done) => {
      otherName ||= name.toLowerCase() !== place.host;
      done(null, secureContext);
    },
  });
  const settle = (act: () => void): void => {
    if (settled) return;
    settled = true;
    clearTimeout(timer);
    act();
  };
  const fail = (reason: string): void =>
    settle(() => {
      tls.destroy();
      const why = otherName ? OTHER_NAME : refusal(400, 'tls', reason, 'trust the certificate in SSL_CERT_FILE');
      handlers.refused(why, null);
    });
  const timer = setTimeout(() => fail('the TLS handshake took too long'), tls_ms);
  tls.on('secure', () => settle(() => (otherName ? handlers.refused(OTHER_NAME, tls) : handlers.open(tls))));
  tls.on('error', (error: NodeJS.ErrnoException) => fail(`the TLS handshake failed (${error.code ?? 'broken'})`));
  const ended = (): void => fail('the connection ended before the TLS handshake');
  tls.on('end', ended); // Half open: it does not close by itself.
  tls.on('close', () => {
    ended();
    socket.destroy();
  });
}

const OTHER_NAME = refusal(421, 'authority', 'TLS names another host than CONNECT', 'send the same in both');
