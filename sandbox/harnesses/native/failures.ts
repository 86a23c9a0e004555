import { APICallError, RetryError } from 'ai';
import { messageOf } from '../../../src/base/errors.ts';
import { BROKEN_OFF, noModelAnswer, statusSentence, UNREACHABLE } from '../../runner/failures.ts';

/** A stream that ended, with or without an error, before the model had finished. */
export class CutStreamError extends Error {}

/** The sentence for whatever the AI SDK threw. */
export function failureSentence(error: unknown): string {
  const cause = RetryError.isInstance(error) ? error.lastError : error;
  if (APICallError.isInstance(cause) && cause.statusCode !== undefined && cause.statusCode >= 400)
    return statusSentence(cause.statusCode, cause.responseBody ?? '');
  if (cause instanceof CutStreamError) return BROKEN_OFF;
  return isConnectionError(cause) ? UNREACHABLE : noModelAnswer(messageOf(cause));
}

/** No answer at all: `fetch` says so by a `TypeError` with a system error as its cause. */
export function isConnectionError(error: unknown): boolean {
  for (let at = error, depth = 0; at instanceof Error && depth < 5; at = at.cause, depth += 1) {
    const code = 'code' in at ? String(at.code) : '';
    if (/^(ECONN|EPIPE|ENOENT|ETIMEDOUT|ENETUNREACH|EHOSTUNREACH|UND_ERR_(CONNECT|SOCKET))/.test(code)) return true;
  }
  return false;
}
