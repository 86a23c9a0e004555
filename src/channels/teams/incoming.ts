import type { IncomingMessage } from '../channel.ts';
import * as payloads from './payloads.ts';
import { emojiOf, quotedIn, wordsOf } from './text.ts';

/** What an activity says, in the host's words: pure, but for the files, which are still to come. */

/** A conversation, as the host knows it. */
export interface Place {
  chat: IncomingMessage['chat'];
  thread: string;
}

interface Change {
  dedupe_key: string;
  chat: IncomingMessage['chat'];
  platform_id: string;
  sent_ms: number;
}

type Sender = IncomingMessage['sender'];

/** An activity, read. */
export type Happening =
  | { kind: 'message'; message: Omit<IncomingMessage, 'files'>; attachments: unknown[] }
  | { kind: 'press'; press: Change & { thread: string; sender: Sender; token: string }; isInvoked: boolean }
  | { kind: 'edit'; edit: Change & { sender: Sender; text: string } }
  | { kind: 'deletion'; deletion: Change }
  | { kind: 'reactions'; reactions: (Change & { sender: Sender; emoji: string; removed: boolean })[] }
  /** We are in this chat, from now on or again. */
  | { kind: 'joined' }
  /** Nothing for anybody here. */
  | { kind: 'nothing' }
  | { kind: 'unreadable' };

/** `us`: our id in chats. `isOurs`: whether we began this thread of this chat. */
export interface Reading {
  us: string;
  isOurs(chat: string, message: string): boolean;
}

const UNREADABLE: Happening = { kind: 'unreadable' };
const NOTHING: Happening = { kind: 'nothing' };

export function happeningOf(body: { type: string }, reading: Reading): Happening {
  switch (body.type) {
    case 'message': {
      const { data } = payloads.written.safeParse(body);
      return data === undefined ? UNREADABLE : messageHappening(data, reading);
    }
    case 'invoke': {
      const { data } = payloads.invoked.safeParse(body);
      if (data?.name !== 'adaptiveCard/action') return NOTHING;
      return pressHappening(data, data.value.action.data.token, true, reading);
    }
    case 'messageUpdate': {
      const { data } = payloads.written.safeParse(body);
      if (data === undefined) return UNREADABLE;
      if (data.channelData?.eventType !== 'editMessage') return NOTHING;
      const { text } = wordsOf(data.text ?? '', data.entities ?? [], reading.us);
      return { kind: 'edit', edit: { ...changeOf(data, data.id, 'edited'), sender: senderOf(data, reading.us), text } };
    }
    case 'messageDelete': {
      const { data } = payloads.written.safeParse(body);
      return data === undefined ? UNREADABLE : { kind: 'deletion', deletion: changeOf(data, data.id, 'deleted') };
    }
    case 'messageReaction': {
      const { data } = payloads.reacted.safeParse(body);
      return data === undefined ? UNREADABLE : reactionHappening(data, reading);
    }
    case 'conversationUpdate': {
      const { data } = payloads.members.safeParse(body);
      return data?.membersAdded?.some(({ id }) => id === reading.us) === true ? { kind: 'joined' } : NOTHING;
    }
    default:
      return NOTHING;
  }
}

/** A press of a button comes as a message that says nothing but what the button carries. */
function messageHappening(data: payloads.Written, { us, isOurs }: Reading): Happening {
  const press = payloads.pressed.safeParse(data.value);
  if (press.success && !data.text) return pressHappening(data, press.data.token, false, { us, isOurs });
  const entities = data.entities ?? [];
  const attachments = data.attachments ?? [];
  const { text, isToUs } = wordsOf(data.text ?? '', entities, us);
  const { chat, thread } = placeOf(data);
  const quoted = quotedIn(entities, attachments);
  const root = thread !== '' && thread !== data.id && isOurs(chat.platform_id, thread) ? thread : null;
  const answers = quoted?.message ?? root;
  const isAnswer = quoted === null ? root !== null : quoted.author === us;
  const message = {
    dedupe_key: keyOf(chat.platform_id, data.id),
    chat,
    thread,
    sender: senderOf(data, us),
    addressed: chat.direct === true || isToUs || isAnswer,
    platform_id: data.id,
    ...(answers === null ? {} : { reply_to: answers }),
    text,
    sent_ms: msOf(data),
  };
  return { kind: 'message', message, attachments };
}

function pressHappening(data: payloads.Written, token: string, isInvoked: boolean, { us }: Reading): Happening {
  const { chat, thread } = placeOf(data);
  const press = {
    dedupe_key: `${keyOf(chat.platform_id, data.id)}:pressed`,
    ...{ chat, thread, sender: senderOf(data, us), token },
    ...{ platform_id: data.replyToId ?? data.id, sent_ms: msOf(data) },
  };
  return { kind: 'press', press, isInvoked };
}

/** One activity may bring several, each with a key of its own. */
function reactionHappening(data: payloads.Reacted, { us }: Reading): Happening {
  const sender = senderOf(data, us);
  const one = (type: string, removed: boolean) => {
    const what = `${removed ? 'unreacted' : 'reacted'}:${sender.handle}:${type}:${data.id ?? ''}`;
    return { ...changeOf(data, data.replyToId, what), sender, emoji: emojiOf(type), removed };
  };
  return {
    kind: 'reactions',
    reactions: [
      ...(data.reactionsRemoved ?? []).map(({ type }) => one(type, true)),
      ...(data.reactionsAdded ?? []).map(({ type }) => one(type, false)),
    ],
  };
}

/** The thread of a channel stands in the conversation's id, named by its first message. */
export function placeOf({ conversation, from, channelData }: payloads.Activity): Place {
  const [platform_id = '', thread = ''] = conversation.id.split(';messageid=');
  switch (conversation.conversationType) {
    case 'personal':
      return { chat: { platform_id, title: from.name || 'a chat', direct: true }, thread };
    case 'channel': {
      const names = [channelData?.team?.name, channelData?.channel?.name ?? conversation.name].filter(Boolean);
      return { chat: { platform_id, title: names.join(' / ') || 'a channel' }, thread };
    }
    default:
      return { chat: { platform_id, title: conversation.name || 'a group chat' }, thread };
  }
}

/** As `placeOf` tells them apart. */
export function conversationOf(chat: string, thread: string): string {
  return thread === '' ? chat : `${chat};messageid=${thread}`;
}

/** Programs have ids that begin with 28. */
export function senderOf({ from }: payloads.Activity, us: string): Sender {
  const name = from.name || 'somebody';
  if (from.id === us) return { handle: us, name, kind: 'self' };
  if (from.id.startsWith('28:') || (from.role ?? 'user') !== 'user') return { handle: from.id, name, kind: 'bot' };
  return { handle: from.aadObjectId ?? from.id, name };
}

function changeOf(data: payloads.Activity, message: string, what: string): Change {
  const { chat } = placeOf(data);
  const dedupe_key = `${keyOf(chat.platform_id, message)}:${what}:${data.timestamp ?? ''}`;
  return { dedupe_key, chat, platform_id: message, sent_ms: msOf(data) };
}

function keyOf(chat: string, message: string): string {
  return `teams:${chat}:${message}`;
}

function msOf({ timestamp = '' }: payloads.Activity): number {
  const ms = Date.parse(timestamp);
  return Number.isNaN(ms) ? Date.now() : ms;
}
