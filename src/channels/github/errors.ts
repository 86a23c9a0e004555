import { RequestError } from '@octokit/request-error';
import { systemCodeOf } from '../../base/errors.ts';
import type { SendErrorClass, SendResult } from '../channel.ts';
import { LIMITED_MAX_MS, LIMITED_MS, SAID_CHARS_MAX } from './limits.ts';

export type Refusal = Extract<SendResult, { ok: false; class: SendErrorClass }>;

/** The connection was never made: nothing of ours was read. */
const NEVER_ASKED = ['ECONNREFUSED', 'ENOTFOUND', 'EAI_AGAIN', 'EHOSTUNREACH', 'ENETUNREACH'];

export const REVOKED =
  'GitHub does not know this token (any more): make a new one, and set it as the secret of this channel';

/** GitHub has answered, and not with what its documents say. */
export class NoSense extends Error {}

/** What a failed call means. Only GitHub's own words are passed on: what the client says may hold more than that. */
export function refusalOf(error: unknown): Refusal {
  if (error instanceof NoSense) return no('ambiguous', 'GitHub answered with something that cannot be read');
  if (!(error instanceof RequestError)) throw error;
  if (error.response !== undefined) return ofAnswer(error.status, error.response);
  const code = codeOf(error.cause);
  if (NEVER_ASKED.includes(code)) return no('retryable', `GitHub cannot be reached (${code})`);
  return no('ambiguous', `the connection to GitHub ended without an answer (${code})`);
}

/** Whether it says what it does because of the server, which may have done what was asked for before it failed. */
export function isBroken(error: unknown): boolean {
  return error instanceof RequestError && error.response !== undefined && [500, 503].includes(error.status);
}

export function isRefused(error: unknown): error is Error {
  return error instanceof NoSense || error instanceof RequestError;
}

export function statusOf(error: unknown): number | null {
  return error instanceof RequestError && error.response !== undefined ? error.status : null;
}

/** The HTTP client keeps the reason inside of its own error. */
function codeOf(error: unknown): string {
  const inner = error instanceof Error ? error.cause : undefined;
  return systemCodeOf(inner) ?? systemCodeOf(error) ?? 'no answer';
}

type Answer = NonNullable<RequestError['response']>;

function ofAnswer(status: number, answer: Answer): Refusal {
  const said = wordsOf(answer.data);
  switch (status) {
    case 301:
    case 307:
    case 308:
      return no('gone', 'the repository has another name now: change it in the settings of this channel');
    case 401:
      return no('auth', REVOKED);
    case 403:
    case 429:
      return isLimit(status, answer, said) ? limited(answer, said) : forbidden(said);
    case 404:
    case 410:
      return no('gone', `there is no such thing on GitHub, or it is not shown to us: ${said}`);
    case 422:
      return no(/too (long|large)/i.test(said) ? 'too_large' : 'permanent', `GitHub said: ${said}`);
    case 502:
    case 504: // somebody between us and the server gave up waiting
      return no('ambiguous', `GitHub said: ${said}`);
    default:
      return no(status >= 500 ? 'retryable' : 'permanent', `GitHub said: ${said}`);
  }
}

function isLimit(status: number, { headers }: Answer, said: string): boolean {
  return (
    status === 429 ||
    headers['retry-after'] !== undefined ||
    headers['x-ratelimit-remaining'] === '0' ||
    /rate limit/i.test(said)
  );
}

function limited({ headers }: Answer, said: string): Refusal {
  const seconds = Number(headers['retry-after'] ?? Number.NaN);
  const isSpent = headers['x-ratelimit-remaining'] === '0';
  const reset = isSpent ? Number(headers['x-ratelimit-reset'] ?? Number.NaN) * 1000 - Date.now() : Number.NaN;
  const asked = [seconds * 1000, reset].find((ms) => Number.isFinite(ms) && ms > 0) ?? LIMITED_MS;
  return { ...no('rate_limited', `GitHub said: ${said}`), after_ms: Math.min(asked, LIMITED_MAX_MS) };
}

function forbidden(said: string): Refusal {
  if (/locked/i.test(said))
    return no('permanent', 'the conversation is locked: only who may write there can unlock it');
  if (/not accessible by/i.test(said))
    return no('permanent', `the token lacks a permission: it needs "Issues" and "Pull requests" (${said})`);
  return no('permanent', `GitHub said: ${said}`);
}

function wordsOf(data: unknown): string {
  const message = typeof data === 'object' && data !== null && 'message' in data ? data.message : '';
  const errors = typeof data === 'object' && data !== null && 'errors' in data ? JSON.stringify(data.errors) : '';
  const said = [message, errors].filter((each) => typeof each === 'string' && each !== '').join(' ');
  return said === '' ? 'nothing' : said.slice(0, SAID_CHARS_MAX);
}

function no(as: SendErrorClass, reason: string): Refusal {
  return { ok: false, class: as, reason };
}
