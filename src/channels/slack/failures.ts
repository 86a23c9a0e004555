import { WebAPIHTTPError, WebAPIPlatformError, WebAPIRateLimitedError, WebAPIRequestError } from '@slack/web-api';
import type { SendErrorClass } from '../channel.ts';

/** Why a call came to nothing. `unsure`: Slack says that it failed, and that some of it may have been done. */
export interface Failure {
  class: SendErrorClass;
  /** One sentence, without tokens and addresses. */
  reason: string;
  after_ms?: number;
  unsure?: true;
  /** Slack's own word for it, where it gave one. */
  code?: string;
}

/** Slack has said "too many", and not for how long. The library takes that for a failure of its own. */
export class TooMany extends Error {}

/** The request never left. */
const UNSENT = new Set([
  ...['ECONNREFUSED', 'ENOTFOUND', 'EAI_AGAIN', 'EHOSTUNREACH', 'ENETUNREACH', 'ENETDOWN', 'UND_ERR_CONNECT_TIMEOUT'],
  ...['CERT_HAS_EXPIRED', 'DEPTH_ZERO_SELF_SIGNED_CERT', 'SELF_SIGNED_CERT_IN_CHAIN', 'ERR_TLS_CERT_ALTNAME_INVALID'],
  'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
]);

const AUTH: Record<string, string> = {
  invalid_auth: 'the token is not valid',
  not_authed: 'no token was given',
  token_revoked: 'the token was revoked',
  token_expired: 'the token has expired',
  account_inactive: 'the app was removed from the workspace',
  user_removed_from_team: 'the app was removed from the workspace',
  team_disabled: 'the workspace is disabled',
  not_allowed_token_type: 'this is another kind of token',
};

const GONE: Record<string, string> = {
  channel_not_found: 'there is no such chat, or the app is not in it',
  not_in_channel: 'the app is not in this channel; invite it',
  is_archived: 'the channel is archived',
  message_not_found: 'the message is not there any more',
  thread_not_found: 'the thread is not there any more',
  user_not_found: 'there is no such person',
  cannot_dm_bot: 'a bot cannot be written to',
  user_disabled: 'this person is not active any more',
};

/** What a thrown value of the Web API's client says. Whatever is not known may have been done. */
export function failureOf(error: unknown): Failure {
  if (error instanceof WebAPIRateLimitedError)
    return { class: 'rate_limited', reason: 'Slack takes no more for now', after_ms: error.retryAfter * 1000 };
  if (error instanceof WebAPIPlatformError) return refusal(error.data);
  if (error instanceof WebAPIHTTPError) return byStatus(error.statusCode);
  if (error instanceof WebAPIRequestError) {
    const { original } = error;
    if (original instanceof TooMany) return { class: 'rate_limited', reason: 'Slack takes no more for now' };
    if (UNSENT.has(codeOf(original))) return { class: 'retryable', reason: 'Slack cannot be reached' };
    const late = original.name === 'TimeoutError' || original.name === 'AbortError';
    return { class: 'ambiguous', reason: late ? 'Slack did not answer in time' : 'the connection to Slack was cut' };
  }
  return { class: 'ambiguous', reason: 'the answer of Slack was not understood' };
}

function codeOf(error: Error): string {
  const { cause } = error;
  return typeof cause === 'object' && cause !== null && 'code' in cause ? String(cause.code) : '';
}

function byStatus(status: number): Failure {
  if (status >= 500) return { class: 'retryable', reason: `Slack answered ${status}`, unsure: true };
  if (status === 413) return { class: 'too_large', reason: 'Slack takes nothing so large' };
  if (status === 401 || status === 403) return { class: 'auth', reason: `Slack answered ${status}` };
  return { class: 'permanent', reason: `Slack answered ${status}` };
}

function refusal(data: { error?: unknown; needed?: unknown }): Failure {
  const code = typeof data.error === 'string' && /^[a-z_]{1,60}$/.test(data.error) ? data.error : '';
  const { class: kind, reason, unsure } = byCode(code, data.needed);
  return { class: kind, reason, code, ...(unsure && { unsure }) };
}

function byCode(code: string, needed: unknown): Failure {
  const auth = AUTH[code];
  if (auth !== undefined) return { class: 'auth', reason: `Slack refuses the token: ${auth}` };
  const gone = GONE[code];
  if (gone !== undefined) return { class: 'gone', reason: gone };
  switch (code) {
    case '':
      return { class: 'ambiguous', reason: 'the answer of Slack was not understood' };
    case 'ratelimited':
    case 'rate_limited':
      return { class: 'rate_limited', reason: 'Slack takes no more for now' };
    case 'service_unavailable':
    case 'request_timeout':
    case 'team_added_to_org':
      return { class: 'retryable', reason: `Slack says ${code}` };
    case 'internal_error':
    case 'fatal_error':
      return { class: 'retryable', reason: `Slack says ${code}`, unsure: true };
    case 'msg_too_long':
    case 'msg_blocks_too_long':
    case 'file_upload_size_restricted':
      return { class: 'too_large', reason: `Slack says ${code}` };
    case 'missing_scope': {
      const scopes = typeof needed === 'string' && /^[a-z:._, ]{1,200}$/.test(needed) ? ` ${needed}` : '';
      return { class: 'permanent', reason: `the app lacks the scope${scopes}; add it and install the app again` };
    }
    case 'invalid_name':
      return { class: 'unsupported', reason: 'Slack has no such emoji' };
    default:
      return { class: 'permanent', reason: `Slack says ${code}` };
  }
}
