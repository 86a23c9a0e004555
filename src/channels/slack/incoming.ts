import type { IncomingDeletion, IncomingEdit, IncomingMessage, IncomingReaction } from '../channel.ts';
import type { Api } from './api.ts';
import { emojiOf } from './emoji.ts';
import { fetchFiles } from './files.ts';
import { MENTIONS_MAX } from './limits.ts';
import type { Names } from './names.ts';
import * as payloads from './payloads.ts';
import { mentionsOf, readable } from './text.ts';

/** Who we are in the workspace. */
export interface Self {
  team: string;
  user: string;
  bot: string;
  name: string;
  workspace: string;
}

/** An event, read and not yet looked into. */
export type Happening =
  | { kind: 'message'; chat: string; message: payloads.SlackMessage }
  | { kind: 'edit'; chat: string; message: payloads.SlackMessage; at: string }
  | { kind: 'deletion'; chat: string; ts: string; at: string }
  | { kind: 'reaction'; chat: string; ts: string; at: string; user: string; emoji: string; removed: boolean }
  /** Nothing for anybody here. */
  | { kind: 'nothing' }
  | { kind: 'unreadable' };

type Read<K extends Happening['kind']> = Extract<Happening, { kind: K }>;

const NOTHING: Happening = { kind: 'nothing' };
const UNREADABLE: Happening = { kind: 'unreadable' };

/** What people write comes under these; everything else is Slack's own talk: who joined, what was pinned. */
const WRITTEN = new Set([undefined, 'file_share', 'thread_broadcast', 'me_message', 'bot_message']);

export function happeningOf(event: { type: string; subtype?: string | undefined }): Happening {
  switch (event.type) {
    case 'message':
      return messageHappening(event);
    case 'app_mention': {
      const read = payloads.messageEvent.safeParse(event);
      return read.success ? { kind: 'message', chat: read.data.channel, message: read.data } : UNREADABLE;
    }
    case 'reaction_added':
    case 'reaction_removed': {
      const read = payloads.reactionEvent.safeParse(event);
      if (!read.success) return UNREADABLE;
      const { item, user, reaction, event_ts: at } = read.data;
      if (item.channel === undefined || item.ts === undefined) return NOTHING; // to a file
      const removed = event.type === 'reaction_removed';
      return { kind: 'reaction', chat: item.channel, ts: item.ts, at, user, emoji: emojiOf(reaction), removed };
    }
    default:
      return NOTHING;
  }
}

function messageHappening(event: { subtype?: string | undefined }): Happening {
  switch (event.subtype) {
    case 'message_changed': {
      const read = payloads.changedEvent.safeParse(event);
      if (!read.success) return UNREADABLE;
      const { channel: chat, message, previous_message: before, ts } = read.data;
      // What has answers is not taken away: only its words are.
      if (message.subtype === 'tombstone') return { kind: 'deletion', chat, ts: message.ts, at: ts };
      // Slack has unfolded a link, or counted an answer.
      if (before !== undefined && before.text === message.text) return NOTHING;
      return { kind: 'edit', chat, message, at: message.edited?.ts ?? ts };
    }
    case 'message_deleted': {
      const read = payloads.deletedEvent.safeParse(event);
      if (!read.success) return UNREADABLE;
      return { kind: 'deletion', chat: read.data.channel, ts: read.data.deleted_ts, at: read.data.ts };
    }
    default: {
      const read = payloads.messageEvent.safeParse(event);
      if (!read.success) return UNREADABLE;
      return isWritten(read.data) ? { kind: 'message', chat: read.data.channel, message: read.data } : NOTHING;
    }
  }
}

export function isWritten(message: payloads.SlackMessage): boolean {
  return WRITTEN.has(message.subtype);
}

export function isOurs(message: payloads.SlackMessage, self: Self): boolean {
  return message.user === self.user || (self.bot !== '' && message.bot_id === self.bot);
}

/** In a chat with one person there are no threads of ours: an answer in one is an answer to its first message. */
function isDirect(chat: string): boolean {
  return chat.startsWith('D');
}

export function keyOf(self: Self, chat: string, ts: string): string {
  return `slack:${self.team}:${chat}:${ts}`;
}

export function msOf(ts: string): number {
  return Math.floor(Number(ts) * 1000);
}

/** Makes of a happening what the host is told, with names and files. Never rejects. */
export class Reader {
  readonly #api: Api;
  readonly #names: Names;

  constructor(api: Api, names: Names) {
    this.#api = api;
    this.#names = names;
  }

  /**
   * A mention in a channel is answered in its thread, which begins with it: so its thread is its own. What is said below a
   * message of ours is said to us.
   */
  async message({ chat, message }: Read<'message'>, self: Self): Promise<IncomingMessage> {
    const text = message.text ?? '';
    const direct = isDirect(chat);
    const mentioned = mentionsOf(text).includes(self.user);
    const inThread = message.thread_ts !== undefined && message.thread_ts !== message.ts;
    const toUs = inThread && message.parent_user_id === self.user;
    const { files, notes } = await fetchFiles(this.#api, message.files ?? []);
    const shared = (message.attachments ?? []).filter((each) => each.is_share === true && each.text);
    const forwarded = shared.map((each) => `[forwarded, ${each.author_name || 'somebody'} wrote] ${each.text}`);
    const words = await Promise.all([text, ...forwarded].map((each) => this.#words(each, self)));
    return {
      dedupe_key: keyOf(self, chat, message.ts),
      chat: await this.chat(chat),
      thread: direct ? '' : inThread ? message.thread_ts! : mentioned ? message.ts : '',
      sender: await this.sender(message, self),
      addressed: direct || mentioned || toUs,
      platform_id: message.ts,
      ...(inThread && (direct || toUs) ? { reply_to: message.thread_ts! } : {}),
      text: [...words, ...notes].filter((each) => each !== '').join('\n'),
      files,
      sent_ms: msOf(message.ts),
    };
  }

  async edit({ chat, message, at }: Read<'edit'>, self: Self): Promise<IncomingEdit> {
    return {
      ...(await this.#change(chat, message.ts, 'edited', at, self)),
      sender: await this.sender(message, self),
      text: await this.#words(message.text ?? '', self),
    };
  }

  async deletion({ chat, ts, at }: Read<'deletion'>, self: Self): Promise<IncomingDeletion> {
    return this.#change(chat, ts, 'deleted', at, self);
  }

  async reaction(given: Read<'reaction'>, self: Self): Promise<IncomingReaction> {
    const { chat, ts, at, user, emoji, removed } = given;
    const what = `${removed ? 'unreacted' : 'reacted'}:${user}:${emoji}`;
    const sender = await this.sender({ ts, user }, self);
    return { ...(await this.#change(chat, ts, what, at, self)), sender, emoji, removed };
  }

  async chat(id: string): Promise<IncomingMessage['chat']> {
    const title = await this.#names.chat(id);
    return isDirect(id) ? { platform_id: id, title, direct: true } : { platform_id: id, title };
  }

  async sender(message: payloads.SlackMessage, self: Self): Promise<IncomingMessage['sender']> {
    const handle = message.user ?? message.bot_id ?? 'unknown';
    if (isOurs(message, self)) return { handle, name: self.name, kind: 'self' };
    if (!message.user) return { handle, name: message.username || handle, kind: 'bot' };
    const { name, bot } = await this.#names.person(message.user);
    return bot || message.bot_id ? { handle, name, kind: 'bot' } : { handle, name };
  }

  /** `what` keeps its key apart from a message's. */
  async #change(chat: string, ts: string, what: string, at: string, self: Self): Promise<IncomingDeletion> {
    return {
      dedupe_key: `${keyOf(self, chat, ts)}:${what}:${at}`,
      chat: await this.chat(chat),
      platform_id: ts,
      sent_ms: msOf(at),
    };
  }

  async #words(text: string, self: Self): Promise<string> {
    const named = mentionsOf(text).slice(0, MENTIONS_MAX);
    const people = await Promise.all(named.map(async (id) => [id, await this.#called(id, self)] as const));
    const names = new Map(people);
    return readable(text, self.user, (id) => names.get(id));
  }

  async #called(id: string, self: Self): Promise<string> {
    return id === self.user ? self.name : (await this.#names.person(id)).name;
  }
}
