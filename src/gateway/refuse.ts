import type { ServerResponse } from 'node:http';
import type { Duplex } from 'node:stream';
import { systemCodeOf } from '../base/errors.ts';
import { STATUS_CODES } from '../base/http.ts';
import { PrivateAddressError } from './addresses.ts';
import { BodyTooLargeError } from './body.ts';
import { OneCliError } from './onecli.ts';
import type { Refusal } from './route.ts';

/** The words of every answer that the gateway gives by itself: JSON `{error, rule, reason, try}`. */

export function refusal(status: number, rule: string, reason: string, hint: string): Refusal {
  return { allow: false, status, rule, reason, try: hint };
}

/** Whether the connection must end with it: what follows on it may be anybody's idea of a request. */
export function isMalformed({ status }: Refusal): boolean {
  return status === 400 || status === 505;
}

/** Answers a request. Does nothing when an answer has begun or the agent has gone. */
export function sendRefusal(response: ServerResponse, why: Refusal): void {
  if (response.headersSent || response.destroyed) return;
  const body = bodyOf(why);
  response.writeHead(why.status, {
    'content-type': 'application/json',
    'content-length': Buffer.byteLength(body),
    ...(isMalformed(why) ? { connection: 'close' } : {}),
    'x-glass-refused': 'true', // So that a client can tell the gateway's answer from the endpoint's.
  });
  response.end(body);
}

/** Answers on a bare connection, where there is no request to answer, and ends it. */
export function endWithRefusal(socket: Duplex, why: Refusal): void {
  if (!socket.writable) {
    socket.destroy();
    return;
  }
  const body = bodyOf(why);
  socket.end(
    `HTTP/1.1 ${why.status} ${STATUS_CODES[why.status]}\r\ncontent-type: application/json\r\n` +
      `content-length: ${Buffer.byteLength(body)}\r\nconnection: close\r\n\r\n${body}`,
  );
}

function bodyOf(why: Refusal): string {
  const error = STATUS_CODES[why.status] ?? 'Refused';
  return `${JSON.stringify({ error, rule: why.rule, reason: why.reason, try: why.try })}\n`;
}

/** What an error of the connection to the model endpoint means for the agent. Names the host, never an address. */
export function upstreamRefusal(error: unknown, host: string): Refusal {
  if (error instanceof BodyTooLargeError) return refusal(413, 'body size', error.message, 'send less');
  if (error instanceof PrivateAddressError)
    return refusal(
      403,
      'private address',
      `${host} resolves to a private address`,
      'ask your operator, who may name it as private',
    );
  if (error instanceof OneCliError)
    return refusal(error.status, 'onecli', `OneCLI ${error.message}`, 'try again later, or tell your operator');
  const code = systemCodeOf(error) ?? 'no answer';
  return refusal(502, 'upstream', `${host} cannot be asked (${code})`, 'try again later');
}
