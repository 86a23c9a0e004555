import { z } from 'zod';
import { systemCodeOf } from '../../base/errors.ts';
import { visible } from '../../base/text.ts';
import type { SendErrorClass, SendResult } from '../channel.ts';
import { PAIR_PAUSE_MS, SAID_CHARS_MAX } from './limits.ts';

export type Refusal = Extract<SendResult, { ok: false; class: SendErrorClass }>;

/** `code`: Meta's, where it gave one. */
export interface Failed {
  ok: false;
  refusal: Refusal;
  code: number | null;
}

/** The person has not written for 24 hours: only a template reaches them. */
export const WINDOW_CLOSED = 131047;

/** The connection was never made: nothing of ours was read. */
const NEVER_ASKED = new Set([
  ...['ECONNREFUSED', 'ENOTFOUND', 'EAI_AGAIN', 'EHOSTUNREACH', 'ENETUNREACH', 'ENETDOWN', 'UND_ERR_CONNECT_TIMEOUT'],
  ...['CERT_HAS_EXPIRED', 'DEPTH_ZERO_SELF_SIGNED_CERT', 'SELF_SIGNED_CERT_IN_CHAIN', 'ERR_TLS_CERT_ALTNAME_INVALID'],
  'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
]);

const TOKEN = 'WhatsApp refuses the token: it is wrong, expired or revoked; make a new one for the system user';
const SCOPE =
  'the token may not do this: it needs whatsapp_business_messaging, and the system user needs this WhatsApp account';
const LOCKED = 'Meta has locked this WhatsApp account: look into the Account Quality of the Business Manager';
const LATER = 'WhatsApp takes no more for now';

const CODES: Readonly<Record<number, readonly [as: SendErrorClass, reason?: string, after_ms?: number]>> = {
  0: ['auth', TOKEN],
  190: ['auth', TOKEN],
  3: ['auth', SCOPE],
  10: ['auth', SCOPE],
  200: ['auth', SCOPE],
  131005: ['auth', SCOPE],
  368: ['auth', LOCKED],
  131031: ['auth', LOCKED],
  4: ['rate_limited', LATER],
  80007: ['rate_limited', LATER],
  130429: ['rate_limited', LATER],
  131048: ['rate_limited', 'too many people have blocked or reported this number: WhatsApp lets it say little for now'],
  131056: ['rate_limited', 'too many messages to this person in a short time', PAIR_PAUSE_MS],
  131026: ['gone', 'WhatsApp cannot deliver to this number: it is not on WhatsApp, or has not taken the newest terms'],
  131030: ['gone', 'this number is not among those that a test number may write to'],
  [WINDOW_CLOSED]: [
    'permanent',
    'this person has not written for 24 hours, and WhatsApp then takes templates alone: let them write, or set a template for this channel',
  ],
  131051: ['unsupported'],
  131053: ['unsupported'],
  1: ['retryable'],
  2: ['retryable'],
  131000: ['retryable'],
  131016: ['retryable'],
  131057: ['retryable'],
};

const said = z.object({
  error: z.object({
    code: z.int(),
    message: z.string().default(''),
    error_data: z.object({ details: z.string().optional() }).optional(),
  }),
});

/** What Graph refused. What it says may hold the token: the caller takes that out. */
export function refusalOf(status: number, headers: Headers, body: unknown): Failed {
  const { data } = said.safeParse(body);
  if (data === undefined) return ofStatus(status);
  const { code, message, error_data } = data.error;
  return failed(code, status, error_data?.details ?? message, afterOf(headers));
}

/** A failure that a status names, after the message was taken. */
export function lateReason(code: number, title: string): string {
  return failed(code, 400, title, undefined).refusal.reason;
}

function failed(code: number, status: number, words: string, after_ms: number | undefined): Failed {
  const [as, reason = `WhatsApp said (${code}): ${visible(words).slice(0, SAID_CHARS_MAX)}`, pause] =
    CODES[code] ?? unknownCode(code, status);
  const wait = as === 'rate_limited' ? (after_ms ?? pause) : undefined;
  return { ok: false, code, refusal: { ok: false, class: as, reason, ...(wait !== undefined && { after_ms: wait }) } };
}

/** Codes of permissions are 200 to 299. */
function unknownCode(code: number, status: number): (typeof CODES)[number] {
  if (code > 200 && code < 300) return ['auth', SCOPE];
  return [ofStatus(status).refusal.class];
}

function ofStatus(status: number): Failed {
  const reason = `WhatsApp answered ${status}`;
  if (status === 401 || status === 403) return no('auth', TOKEN);
  if (status === 413) return no('too_large', reason);
  if (status === 429) return no('rate_limited', LATER);
  // Somebody between us and the server gave up waiting.
  if (status === 504) return no('ambiguous', reason);
  return no(status >= 500 ? 'retryable' : 'permanent', reason);
}

function afterOf(headers: Headers): number | undefined {
  const seconds = headers.get('retry-after') ?? '';
  return /^\d{1,6}$/.test(seconds) ? Number(seconds) * 1000 : undefined;
}

/** What `fetch` threw. Its words may name the address: they are not passed on. */
export function cutOf(error: unknown): Failed {
  const cause = error instanceof Error ? error.cause : undefined;
  const code = systemCodeOf(cause) ?? '';
  if (NEVER_ASKED.has(code)) return no('retryable', `WhatsApp cannot be reached (${code})`);
  const late = error instanceof Error && error.name === 'TimeoutError';
  return no('ambiguous', late ? 'WhatsApp did not answer in time' : 'the connection to WhatsApp was cut');
}

export function no(as: SendErrorClass, reason: string): Failed {
  return { ok: false, code: null, refusal: { ok: false, class: as, reason } };
}
