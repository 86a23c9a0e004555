import { GrammyError, HttpError } from 'grammy';
import { systemCodeOf } from '../../base/errors.ts';
import type { SendErrorClass, SendResult } from '../channel.ts';

export type Refusal = Extract<SendResult, { ok: false; class: SendErrorClass }>;

/** The connection was never made: nothing of ours was read. */
const NEVER_ASKED = ['ECONNREFUSED', 'ENOTFOUND', 'EAI_AGAIN', 'EHOSTUNREACH', 'ENETUNREACH'];

export const REVOKED =
  'Telegram does not know this token (any more): ask @BotFather for the token of the bot, and set it as the secret of this channel';
export const CONFLICT =
  'another program reads the messages of this bot with the same token: stop it, or get a new token from @BotFather';

/** What a failed call means. Messages of the HTTP client hold the URL, and so the token: none of them is passed on. */
export function refusalOf(error: unknown): Refusal {
  if (error instanceof GrammyError) return ofAnswer(error);
  if (!(error instanceof HttpError)) throw error;
  const code = systemCodeOf(error.error) ?? 'no answer';
  if (NEVER_ASKED.includes(code)) return no('retryable', `Telegram cannot be reached (${code})`);
  return no('ambiguous', `the connection to Telegram ended without an answer (${code})`);
}

function ofAnswer({ error_code, description, parameters }: GrammyError): Refusal {
  const said = `Telegram said: ${description}`;
  switch (error_code) {
    case 400:
      return no(classOfBad(description), said);
    case 401:
    case 404: // what it answers to a token that has not even the form of one
      return no('auth', REVOKED);
    case 403:
      return no('gone', said);
    case 409:
      return no('retryable', CONFLICT);
    case 413:
      return no('too_large', said);
    case 429: {
      const { retry_after } = parameters;
      const refusal = no('rate_limited', said);
      return retry_after === undefined ? refusal : { ...refusal, after_ms: retry_after * 1000 };
    }
    case 504: // somebody between us and the server gave up waiting
      return no('ambiguous', said);
    default:
      return no(error_code >= 500 ? 'retryable' : 'permanent', said);
  }
}

const BAD: readonly [says: RegExp, as: SendErrorClass][] = [
  [/chat not found|user not found|PEER_ID_INVALID|USER_IS_BLOCKED|CHAT_WRITE_FORBIDDEN/i, 'gone'],
  [/message (to edit|to react|thread) not found|TOPIC_(DELETED|CLOSED)|MESSAGE_ID_INVALID/i, 'gone'],
  [/is too long|too big|MEDIA_CAPTION_TOO_LONG/i, 'too_large'],
  [/REACTION_INVALID|REACTIONS_TOO_MANY|can't be edited|there is no text in the message/i, 'unsupported'],
];

function classOfBad(description: string): SendErrorClass {
  return BAD.find(([says]) => says.test(description))?.[1] ?? 'permanent';
}

/** The text or its keyboard is what it was: an edit that says the same. */
export function isUnchanged(error: unknown): boolean {
  return error instanceof GrammyError && error.description.includes('message is not modified');
}

/** The picture is none that can be shown as one; as a file it can be sent. Nothing was sent. */
export function isNoPhoto(error: unknown): boolean {
  return error instanceof GrammyError && /PHOTO_|IMAGE_PROCESS_FAILED|wrong file type/i.test(error.description);
}

/** Where a group went that has become a supergroup. */
export function movedTo(error: unknown): number | undefined {
  return error instanceof GrammyError ? error.parameters.migrate_to_chat_id : undefined;
}

function no(as: SendErrorClass, reason: string): Refusal {
  return { ok: false, class: as, reason };
}
