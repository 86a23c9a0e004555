import type { IncomingHttpHeaders } from 'node:http';
import type { Refusal } from './route.ts';

/** Which headers pass, in both directions. Pure. */

/** Names under which services take a credential, the agent's own among them: never forwarded. */
const CREDENTIAL =
  /(?:^|-)(?:authorization|auth|cookie2?|token|secret|password|signature|(?:api|app|application|access|auth|subscription|functions)-?key)$/;

/** Claims of identity, and of another method than the one that was judged. */
const CLAIMS = new Set([
  'forwarded',
  'x-real-ip',
  'x-group-id',
  'x-http-method',
  'x-http-method-override',
  'x-method-override',
]);

/** Between two neighbours only (RFC 9110 §7.6.1), and what the HTTP client sets by itself. */
const HOP_BY_HOP = new Set([
  'connection',
  'keep-alive',
  'proxy-connection',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
  'http2-settings',
  'host',
  'expect', // undici 8 hangs every later request to a cold origin after one with it
  'content-length', // set again from the value that Node's parser has checked
  'accept-encoding', // a compressed reply could not be searched for the secret
  'sec-websocket-extensions', // nor a compressed frame
]);

const REPLY_DROPPED = new Set([
  ...HOP_BY_HOP,
  'set-cookie',
  'proxy-authenticate',
  'alt-svc',
  'x-glass-refused', // the gateway's own word
  'x-onecli-connections', // accounts, by the names of their owners
]);
REPLY_DROPPED.delete('content-length');

/**
 * The request's headers as forwarded: names and values in turn. `credentialed`: a secret is added, and what would let an agent
 * ask for single bytes of an answer that echoes it goes too.
 */
export function requestHeaders(raw: readonly string[], named: string | undefined, credentialed: boolean): string[] {
  const dropped = namesIn(named);
  const kept: string[] = [];
  for (let at = 0; at < raw.length; at += 2) {
    const name = raw[at]!.toLowerCase();
    if (CREDENTIAL.test(name) || CLAIMS.has(name) || HOP_BY_HOP.has(name)) continue;
    if (name.startsWith('x-forwarded-') || dropped?.has(name)) continue;
    // What an OneCLI gateway obeys: which of its accounts a request is given.
    if (name.startsWith('x-onecli-')) continue;
    if (credentialed && (name === 'range' || name === 'if-range')) continue;
    kept.push(name, raw[at + 1]!);
  }
  kept.push('accept-encoding', 'identity');
  return kept;
}

/** What a connection header names: between neighbours only, too. Null: it names nothing. */
function namesIn(connection: string | undefined): Set<string> | null {
  return connection === undefined
    ? null
    : new Set(
        connection
          .trim()
          .toLowerCase()
          .split(/\s*,\s*/),
      );
}

/** The reply's headers as sent to the agent: names and values in turn. */
export function replyHeaders(headers: IncomingHttpHeaders): string[] {
  const dropped = namesIn(headers.connection);
  const kept: string[] = [];
  for (const name in headers) {
    if (REPLY_DROPPED.has(name) || dropped?.has(name)) continue;
    const value = headers[name];
    if (value === undefined) continue;
    for (const one of Array.isArray(value) ? value : [value]) kept.push(name, one);
  }
  return kept;
}

/** True when a reply came compressed although `identity` was asked for. */
export function isEncoded(headers: IncomingHttpHeaders): boolean {
  const encoding = headers['content-encoding'];
  return encoding !== undefined && encoding !== '' && encoding.toLowerCase() !== 'identity';
}

/**
 * What makes a request suspect before its route is even looked at, or null. `compressed`: whether its body may be, which
 * then nobody looks into. `upgrade`: whether it asks for a WebSocket that its service opens.
 */
export function headerProblem(raw: readonly string[], compressed = false, upgrade = false): Refusal | null {
  let hosts = 0;
  for (let at = 0; at < raw.length; at += 2) {
    const name = raw[at]!.toLowerCase();
    if (name === 'host') hosts += 1;
    if (!upgrade && name === 'upgrade') {
      return refuse(
        403,
        'default deny',
        'no upgrade goes through but a plain WebSocket to a service that has ws: true',
        'send a plain HTTP/1.1 request',
      );
    }
    // Node decodes exactly one `chunked`; anything else is an attempt to make two parsers disagree.
    if (name === 'transfer-encoding' && raw[at + 1]!.toLowerCase() !== 'chunked')
      return refuse(400, 'malformed request', 'this transfer encoding is not accepted', 'send a content-length');
    if (!compressed && name === 'content-encoding' && raw[at + 1]!.toLowerCase() !== 'identity')
      return refuse(403, 'default deny', 'compressed requests are not accepted', 'send the body uncompressed');
  }
  return hosts === 1 ? null : refuse(400, 'malformed request', `${hosts} host headers`, 'send exactly one');
}

function refuse(status: number, rule: string, reason: string, hint: string): Refusal {
  return { allow: false, status, rule, reason, try: hint };
}
