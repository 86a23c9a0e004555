import { createHash } from 'node:crypto';
import type { IncomingHttpHeaders, IncomingMessage } from 'node:http';
import { hasBody } from './body.ts';

/** The two ends of a WebSocket's handshake (RFC 6455 §4), each of which is one form and no other. Pure. */

const ACCEPT_SALT = '258EAFA5-E914-47DA-95CA-C5AB0DC85B11';
/** Sixteen bytes. */
const KEY = /^[A-Za-z0-9+/]{21}[AQgw]==$/;
/** Browsers have no other header of their own, so that some services take a credential as the name of a protocol. */
const CREDENTIAL = /key|token|bearer|auth|secret/i;

/** Whether a request asks for a WebSocket. Headers that stand twice are joined by Node, and fit no form here. */
export function isHandshake(request: IncomingMessage): boolean {
  const { method, httpVersion, headers } = request;
  return (
    method === 'GET' &&
    httpVersion === '1.1' &&
    isUpgrade(headers) &&
    headers['sec-websocket-version'] === '13' &&
    KEY.test(headers['sec-websocket-key'] ?? '') &&
    !CREDENTIAL.test(headers['sec-websocket-protocol'] ?? '') &&
    !hasBody(request)
  );
}

/** Whether `headers` of a 101 answer exactly the request that had `key`. */
export function isAccepted(headers: IncomingHttpHeaders, key: string): boolean {
  const accept = createHash('sha1').update(`${key}${ACCEPT_SALT}`).digest('base64');
  return isUpgrade(headers) && headers['sec-websocket-accept'] === accept;
}

function isUpgrade({ upgrade, connection = '' }: IncomingHttpHeaders): boolean {
  return upgrade?.toLowerCase() === 'websocket' && /(?:^|,)\s*upgrade\s*(?:,|$)/i.test(connection);
}
