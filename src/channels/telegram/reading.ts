import type { IncomingMessage } from '../channel.ts';
import { type Chats, showMessage } from './chats.ts';
import type { TgChat, TgEntity, TgMessage, TgReacted, TgUser } from './payloads.ts';

/** What an update says, in the host's words: pure. */

export interface Me {
  id: number;
  username: string;
}

type Sender = IncomingMessage['sender'];

export function chatOf(chat: TgChat, chats: Chats): IncomingMessage['chat'] {
  const direct = chat.type === 'private';
  const title = chat.title ?? [chat.first_name, chat.last_name].filter(Boolean).join(' ');
  return { platform_id: chats.firstOf(chat.id), title, ...(direct ? { direct } : {}) };
}

/** Outside of a forum a chain of replies has a thread id too; it is no thread that anybody sees. */
export function threadOf(message: Pick<TgMessage, 'message_thread_id' | 'is_topic_message'>): string {
  return message.is_topic_message === true ? String(message.message_thread_id ?? '') : '';
}

/** Null: nobody is named. A chat that speaks hides which person it was: nobody who could be given a role. */
export function senderOf(from: TgUser | undefined, speaks: TgChat | undefined, me: Me): Sender | null {
  if (from?.id === me.id) return { handle: String(me.id), name: from.first_name, kind: 'self' };
  if (speaks !== undefined) return { handle: `chat${speaks.id}`, name: speaks.title ?? 'a chat', kind: 'bot' };
  if (from === undefined) return null;
  const name = [from.first_name, from.last_name].filter(Boolean).join(' ');
  return { handle: String(from.id), name, ...(from.is_bot ? { kind: 'bot' } : {}) };
}

/** The message that it answers. Each message of a topic "answers" the one that began it: that one says nothing. */
export function answered(message: TgMessage): TgMessage['reply_to_message'] {
  const { reply_to_message, is_topic_message, message_thread_id } = message;
  return is_topic_message === true && reply_to_message?.message_id === message_thread_id ? undefined : reply_to_message;
}

export function isAddressed(message: TgMessage, me: Me): boolean {
  if (message.chat.type === 'private' || answered(message)?.from?.id === me.id) return true;
  const { text, entities } = wordsOf(message);
  return entities.some((entity) => namesUs(text, entity, me));
}

function wordsOf({ text, caption, entities, caption_entities }: TgMessage): { text: string; entities: TgEntity[] } {
  return { text: text ?? caption ?? '', entities: entities ?? caption_entities ?? [] };
}

function namesUs(text: string, { type, offset, length, user }: TgEntity, me: Me): boolean {
  const name = `@${me.username}`.toLowerCase();
  const words = text.slice(offset, offset + length).toLowerCase();
  switch (type) {
    case 'mention':
      return words === name;
    case 'text_mention':
      return user?.id === me.id;
    case 'bot_command':
      return words.endsWith(name);
    default:
      return false;
  }
}

/** What it says, with the addresses behind its words, and what is there instead of words. Our name that it begins with is no word. */
export function textOf(message: TgMessage, me: Me): string {
  const { sticker, location, contact } = message;
  const { text, entities } = wordsOf(message);
  const calls = entities.find((each) => each.offset === 0 && each.type !== 'bot_command' && namesUs(text, each, me));
  const linked = withLinks(text, entities);
  const said = calls === undefined ? linked : linked.slice(calls.length).replace(/^[\s,:]+/, '');
  const shown = [
    said,
    sticker && `[sticker ${sticker.emoji ?? ''}]`,
    location && `[location ${location.latitude}, ${location.longitude}]`,
    contact && `[contact ${contact.first_name}, ${contact.phone_number}]`,
  ];
  return shown.filter(Boolean).join('\n');
}

function withLinks(text: string, entities: TgEntity[]): string {
  const links = entities.filter(({ type, url }) => type === 'text_link' && url !== undefined);
  return links
    .toSorted((a, b) => b.offset - a.offset)
    .reduce((so, { offset, length, url }) => {
      const end = offset + length;
      return `${so.slice(0, end)} (${url})${so.slice(end)}`;
    }, text);
}

export interface Reacted {
  emoji: string;
  removed: boolean;
}

/** The platform says what there was and what there is. */
export function changesOf({ old_reaction, new_reaction }: TgReacted): Reacted[] {
  const before = old_reaction.map(emojiOf);
  const now = new_reaction.map(emojiOf);
  return [
    ...before.filter((emoji) => !now.includes(emoji)).map((emoji) => ({ emoji, removed: true })),
    ...now.filter((emoji) => !before.includes(emoji)).map((emoji) => ({ emoji, removed: false })),
  ];
}

function emojiOf(reaction: TgReacted['old_reaction'][number]): string {
  return reaction.emoji ?? `${reaction.type}:${reaction.custom_emoji_id ?? ''}`;
}

/** What a message and a change of it have in common. */
export function placeOf(message: TgMessage, chats: Chats) {
  return {
    chat: chatOf(message.chat, chats),
    platform_id: showMessage(message.chat.id, message.message_id),
  };
}
