import type { Clock } from '../base/clock.ts';
import { unreachable } from '../base/errors.ts';
import { MESSAGE_TEXT_BYTES_MAX, REACTION_BYTES_MAX } from '../base/limits/messages.ts';
import type { Changed, IncomingDeletion, IncomingEdit, IncomingReaction } from '../channels/channel.ts';
import { cancelUnseen, insertChange, isUnseen, replaceText } from '../ledger/changes.ts';
import { chatByPlatformId } from '../ledger/chats.ts';
import type { Db } from '../ledger/db.ts';
import { recordEvent } from '../ledger/events.ts';
import { filesOf } from '../ledger/files.ts';
import { inboundOf, type MessageRow, messageById, messageInChat } from '../ledger/messages.ts';
import { isForUs, parseCommand } from './commands.ts';
import { isPairingCode, wordsOf } from './words.ts';

/**
 * What people do to a message after it came, in one transaction each. Turns begin in transactions of their own, so a message
 * is either still unseen when its edit comes, or it is not: there is nothing between.
 */
export type Change =
  | ({ kind: 'edited' } & IncomingEdit)
  | ({ kind: 'deleted' } & IncomingDeletion)
  | ({ kind: 'reacted' } & IncomingReaction);

export function applyChange(db: Db, clock: Clock, channel: string, change: Change): Changed {
  const { kind, dedupe_key } = change;
  const message = messageOf(db, channel, change);
  if (!insertChange(db, clock.now(), { kind, dedupe_key, message_id: message?.id ?? null }))
    return { outcome: 'repeated' };
  if (message === undefined) return refuse(db, clock, kind, undefined, 'unknown message');
  switch (kind) {
    case 'edited': {
      const refusal = judgeEdit(db, message, change);
      if (refusal !== null) return refuse(db, clock, kind, message.id, refusal);
      if (!isUnseen(db, message.id)) return late(db, clock, kind, message.id);
      replaceText(db, message, change.text, change.sent_ms, dedupe_key);
      const data = { bytes: Buffer.byteLength(change.text) };
      recordEvent(db, clock, 'message.edited', { message: message.id }, data);
      return { outcome: 'done' };
    }
    case 'deleted': {
      const cancelled = cancelUnseen(db, clock.now(), message.id, 'the message was deleted');
      if (cancelled === 0) return late(db, clock, kind, message.id);
      recordEvent(db, clock, 'message.deleted', { message: message.id }, { cancelled });
      return { outcome: 'done' };
    }
    case 'reacted': {
      const { emoji, removed, sender } = change;
      if (Buffer.byteLength(emoji) > REACTION_BYTES_MAX)
        return refuse(db, clock, kind, message.id, 'too long for a reaction');
      recordEvent(db, clock, 'message.reacted', { message: message.id }, { emoji, by: sender.handle, removed });
      return { outcome: 'recorded' };
    }
    default:
      return unreachable(kind);
  }
}

/** Reactions go under texts of ours too: then it is about what that text answered. */
function messageOf(db: Db, channel: string, { kind, chat, platform_id }: Change): MessageRow | undefined {
  const known = chatByPlatformId(db, channel, chat.platform_id);
  const id = known === undefined ? undefined : messageInChat(db, known.id, undefined, platform_id);
  const message = id === undefined ? undefined : messageById(db, id);
  if (message === undefined || kind === 'reacted') return message;
  return message.platform_id === platform_id && message.origin === 'platform' ? message : undefined;
}

/** Why an edit changes nothing; null: it may. */
function judgeEdit(db: Db, message: MessageRow, { sender, text, sent_ms }: IncomingEdit): string | null {
  const isAuthor = (sender.kind ?? 'person') === 'person' && message.handle !== '' && sender.handle === message.handle;
  if (!isAuthor) return 'not by its author';
  // Whoever decides has been shown a text: that one is let in, and no other.
  if (inboundOf(db, message.id).some(({ state }) => state === 'held')) return 'it waits for a decision';
  if (sent_ms < message.edited_ms) return 'an older edit';
  if (text.trim() === '' && filesOf(db, message.id).length === 0) return 'empty';
  if (Buffer.byteLength(text) > MESSAGE_TEXT_BYTES_MAX) return 'too long';
  return isForTheHost(text, message.addressed === 1) ? 'an edit is no command' : null;
}

/** What would have been done if it had come as a message. It is not kept either: a code is nobody's to read. */
function isForTheHost(text: string, addressed: boolean): boolean {
  const words = wordsOf(text, addressed);
  if (words !== null) return words.kind !== 'pair' || isPairingCode(words.code);
  const command = parseCommand(text);
  return command !== null && isForUs(command, addressed);
}

function late(db: Db, clock: Clock, change: Change['kind'], message: number): Changed {
  recordEvent(db, clock, 'message.change_late', { message }, { change });
  return { outcome: 'late' };
}

function refuse(db: Db, clock: Clock, change: Change['kind'], message: number | undefined, rule: string): Changed {
  recordEvent(db, clock, 'message.change_refused', message === undefined ? {} : { message }, { change, rule });
  return { outcome: 'refused' };
}
