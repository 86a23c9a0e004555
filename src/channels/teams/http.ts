import { systemCodeOf } from '../../base/errors.ts';
import type { SendErrorClass } from '../channel.ts';

/** Why a call came to nothing. */
export interface Failure {
  class: SendErrorClass;
  /** One sentence, without tokens and addresses. */
  reason: string;
  after_ms?: number;
}

export type Called<T> = { ok: true; value: T } | { ok: false; failure: Failure };

/** The request never left. */
const UNSENT = new Set([
  ...['ECONNREFUSED', 'ENOTFOUND', 'EAI_AGAIN', 'EHOSTUNREACH', 'ENETUNREACH', 'ENETDOWN', 'UND_ERR_CONNECT_TIMEOUT'],
  ...['CERT_HAS_EXPIRED', 'DEPTH_ZERO_SELF_SIGNED_CERT', 'SELF_SIGNED_CERT_IN_CHAIN', 'ERR_TLS_CERT_ALTNAME_INVALID'],
  'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
]);

/** Of a `fetch` that was rejected. Its own words hold the address. */
export function failureOf(error: unknown): Failure {
  const code = systemCodeOf((error as { cause?: unknown } | null)?.cause) ?? '';
  if (UNSENT.has(code)) return { class: 'retryable', reason: `Microsoft cannot be reached (${code})` };
  const late = error instanceof Error && (error.name === 'TimeoutError' || error.name === 'AbortError');
  return { class: 'ambiguous', reason: late ? 'Teams did not answer in time' : 'the connection to Teams was cut' };
}

/** Milliseconds, of the header that names seconds or a time. */
export function retryAfter(response: Response): number | undefined {
  const given = response.headers.get('retry-after') ?? '';
  if (/^\d{1,6}$/.test(given)) return Number(given) * 1000;
  const until = Date.parse(given);
  return Number.isNaN(until) ? undefined : Math.max(0, until - Date.now());
}

/** The body, or null when there is more of it. */
export async function bytesOf(response: Response, max: number): Promise<Buffer | null> {
  const parts: Uint8Array[] = [];
  let bytes = 0;
  for await (const part of response.body ?? []) {
    bytes += part.length;
    if (bytes > max) return null;
    parts.push(part);
  }
  return Buffer.concat(parts);
}

/** Undefined: it is not JSON, or too much. */
export async function jsonOf(response: Response, max: number): Promise<unknown> {
  return parsed((await bytesOf(response, max)) ?? Buffer.alloc(0));
}

export function parsed(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(Buffer.from(bytes).toString('utf8'));
  } catch {
    return undefined;
  }
}
