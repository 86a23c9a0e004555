import { DisconnectReason } from '@whiskeysockets/baileys';
import type { SendErrorClass, SendResult } from '../channel.ts';

export type Refusal = Extract<SendResult, { ok: false; class: SendErrorClass }>;

export function no(as: SendErrorClass, reason: string): Refusal {
  return { ok: false, class: as, reason };
}

/** Why a connection ended, and what follows from it. */
export type Ending =
  /** It belongs to linking: connect again at once. */
  | 'restart'
  /** The phone has unlinked us, or WhatsApp has: the keys are worth nothing. */
  | 'unlinked'
  | 'banned'
  | 'replaced'
  /** WhatsApp does not speak with a client as old as this one. */
  | 'outdated'
  /** Nobody has linked us while the pictures or the code were good. */
  | 'unscanned'
  | 'cut';

export function endingOf(status: number | undefined, linked: boolean, asked: boolean): Ending {
  switch (status) {
    case DisconnectReason.restartRequired:
      return 'restart';
    case DisconnectReason.loggedOut:
      return 'unlinked';
    case DisconnectReason.forbidden:
      return 'banned';
    case DisconnectReason.connectionReplaced:
      return 'replaced';
    case 405:
    case 409:
    case DisconnectReason.multideviceMismatch:
      return 'outdated';
    case DisconnectReason.timedOut:
      return !linked && asked ? 'unscanned' : 'cut';
    default:
      return 'cut';
  }
}

/** The HTTP-like code in what Baileys throws. */
export function statusOf(error: unknown): number | undefined {
  const output = (error as { output?: { statusCode?: unknown } } | null | undefined)?.output;
  return typeof output?.statusCode === 'number' ? output.statusCode : undefined;
}

/** What WhatsApp answers to a message or to a question that belongs to it. Its words are not passed on. */
export function refusalOf(code: number): Refusal {
  switch (code) {
    case 429:
      return no('rate_limited', 'WhatsApp takes no more of this account for now');
    case 463:
      return no('permanent', 'WhatsApp does not let this account write to people who have not written to it');
    case 401:
    case 403:
    case 404:
    case 410:
      return no('gone', `WhatsApp knows no such chat, or we are not in it any more (${code})`);
    default:
      if (code >= 500) return no('retryable', `WhatsApp fails (${code})`);
      return no('permanent', `WhatsApp does not take this message (${code})`);
  }
}

/** What sending threw: the message was not written out, or Baileys does not know. */
export function thrownOf(error: unknown): Refusal {
  const status = statusOf(error);
  switch (status) {
    case undefined:
    case DisconnectReason.timedOut:
      return no('ambiguous', 'it is not known whether WhatsApp has got it');
    case DisconnectReason.connectionClosed:
      return no('retryable', 'the connection to WhatsApp ended before it was sent');
    default:
      return refusalOf(status);
  }
}
