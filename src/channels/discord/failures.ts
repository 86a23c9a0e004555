import { DiscordAPIError, HTTPError, RateLimitError } from '@discordjs/rest';
import { systemCodeOf } from '../../base/errors.ts';
import type { SendErrorClass } from '../channel.ts';

/** Why a call came to nothing. `reason`: one sentence, without tokens and addresses. */
export interface Failure {
  class: SendErrorClass;
  reason: string;
  after_ms?: number;
  /** Discord's own number for it, 0 where it gave none. */
  code: number;
}

export const REVOKED =
  'Discord does not know this token (any more): press "Reset Token" under "Bot" of the application, and set it as the secret of this channel';

export const NOT_UNDERSTOOD: Failure = {
  class: 'ambiguous',
  reason: 'the answer of Discord was not understood',
  code: 0,
};

/** The request never left. */
const UNSENT = new Set([
  ...['ECONNREFUSED', 'ENOTFOUND', 'EAI_AGAIN', 'EHOSTUNREACH', 'ENETUNREACH', 'ENETDOWN', 'UND_ERR_CONNECT_TIMEOUT'],
  ...['CERT_HAS_EXPIRED', 'DEPTH_ZERO_SELF_SIGNED_CERT', 'SELF_SIGNED_CERT_IN_CHAIN', 'ERR_TLS_CERT_ALTNAME_INVALID'],
  'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
]);

const CODES: Record<number, [as: SendErrorClass, reason: string]> = {
  10003: ['gone', 'there is no such channel any more'],
  10008: ['gone', 'the message is not there any more'],
  10013: ['gone', 'there is no such person'],
  10014: ['unsupported', 'Discord has no such emoji'],
  40005: ['too_large', 'Discord takes nothing so large'],
  50001: ['gone', 'the bot may not see this channel'],
  50007: ['gone', 'this person takes no messages of the bot'],
  50013: ['permanent', 'the bot lacks a permission in this channel'],
  50083: ['gone', 'the thread is archived'],
  50278: ['gone', 'this person shares no server with the bot'],
  90001: ['permanent', 'this person has blocked the bot'],
  160005: ['gone', 'the thread is locked'],
};

/** What a thrown value of the REST client says. Its own texts hold addresses: none is passed on. */
export function failureOf(error: unknown): Failure {
  if (error instanceof RateLimitError) {
    const after = error.retryAfter > 0 ? { after_ms: Math.ceil(error.retryAfter) } : {};
    return { class: 'rate_limited', reason: 'Discord takes no more for now', code: 0, ...after };
  }
  if (error instanceof DiscordAPIError) return refusal(error.status, Number(error.code) || 0);
  // Somebody between us and Discord gave up waiting.
  if (error instanceof HTTPError)
    return {
      class: error.status === 504 ? 'ambiguous' : 'retryable',
      reason: `Discord answered ${error.status}`,
      code: 0,
    };
  if (error instanceof SyntaxError) return NOT_UNDERSTOOD;
  const code = systemCodeOf(error) ?? systemCodeOf((error as { cause?: unknown } | null)?.cause) ?? '';
  if (UNSENT.has(code)) return { class: 'retryable', reason: 'Discord cannot be reached', code: 0 };
  const late = error instanceof Error && /^(TimeoutError|AbortError)$/.test(error.name);
  const reason = late ? 'Discord did not answer in time' : 'the connection to Discord was cut';
  return { class: 'ambiguous', reason, code: 0 };
}

function refusal(status: number, code: number): Failure {
  if (status === 401) return { class: 'auth', reason: REVOKED, code };
  const known = CODES[code];
  if (known !== undefined) return { class: known[0], reason: known[1], code };
  if (status === 413) return { class: 'too_large', reason: 'Discord takes nothing so large', code };
  if (status === 404) return { class: 'gone', reason: `Discord does not have it (${code})`, code };
  return { class: 'permanent', reason: `Discord refused it (${status}, ${code})`, code };
}
