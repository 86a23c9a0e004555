import type { IncomingDeletion, IncomingEdit, IncomingMessage, IncomingReaction } from '../channel.ts';
import type { Api } from './api.ts';
import { fetchFiles } from './files.ts';
import type { Guilds, Spot } from './guilds.ts';
import * as payloads from './payloads.ts';
import { msOf } from './snowflakes.ts';
import { readable } from './text.ts';
import type { Threads } from './threads.ts';

/** An event, read and not yet looked into. `at`: what tells it from others of its kind about the same message. */
export type Happening = { channel: string; guild: string | undefined; id: string } & (
  | { kind: 'message'; message: payloads.Message }
  | { kind: 'edit'; message: payloads.Message; at: string }
  | { kind: 'deletion' }
  | { kind: 'reaction'; user: string; emoji: string; removed: boolean; at: string }
);

type Read<K extends Happening['kind']> = Extract<Happening, { kind: K }>;

/** Null: it cannot be read. Empty: nothing for anybody here. `key`: of the event. */
export function happeningsOf(type: string, data: unknown, key: string): Happening[] | null {
  switch (type) {
    case 'MESSAGE_CREATE': {
      const read = payloads.message.safeParse(data);
      return read.success ? [{ kind: 'message', ...placeOf(read.data), message: read.data }] : null;
    }
    case 'MESSAGE_UPDATE': {
      // Discord has unfolded a link, or somebody has pinned it.
      if ((data as { edited_timestamp?: unknown } | null)?.edited_timestamp == null) return [];
      const read = payloads.message.safeParse(data);
      if (!read.success) return null;
      return [{ kind: 'edit', ...placeOf(read.data), message: read.data, at: read.data.edited_timestamp! }];
    }
    case 'MESSAGE_DELETE': {
      const read = payloads.deleted.safeParse(data);
      return read.success ? [{ kind: 'deletion', ...placeOf(read.data) }] : null;
    }
    case 'MESSAGE_DELETE_BULK': {
      const read = payloads.deletedMany.safeParse(data);
      if (!read.success) return null;
      return read.data.ids.map((id) => ({ kind: 'deletion', ...placeOf({ ...read.data, id }) }));
    }
    case 'MESSAGE_REACTION_ADD':
    case 'MESSAGE_REACTION_REMOVE': {
      const read = payloads.reaction.safeParse(data);
      if (!read.success) return null;
      const { user_id: user, emoji, message_id: id } = read.data;
      const name = emoji.id ? `:${emoji.name ?? emoji.id}:` : (emoji.name ?? '');
      if (name === '') return [];
      const removed = type === 'MESSAGE_REACTION_REMOVE';
      return [{ kind: 'reaction', ...placeOf({ ...read.data, id }), user, emoji: name, removed, at: key }];
    }
    default:
      return [];
  }
}

function placeOf({ id, channel_id, guild_id }: { id: string; channel_id: string; guild_id?: string | undefined }) {
  return { id, channel: channel_id, guild: guild_id };
}

const DEFAULT = 0;
const REPLY = 19;
const FORWARD = 1;

/** Everything else is Discord's own talk: who joined, what was pinned. */
export function isWritten({ type }: payloads.Message): boolean {
  return type === DEFAULT || type === REPLY;
}

export function keyOf(id: string): string {
  return `discord:${id}`;
}

/** Makes of a happening what the host is told, with names and files. Rejects where Discord cannot be asked now. */
export class Reader {
  readonly #api: Api;
  readonly #guilds: Guilds;
  readonly #threads: Threads;

  constructor(api: Api, guilds: Guilds, threads: Threads) {
    this.#api = api;
    this.#guilds = guilds;
    this.#threads = threads;
  }

  async message({ channel, guild, message }: Read<'message'>, self: string): Promise<IncomingMessage> {
    const { id, message_reference, referenced_message } = message;
    const sender = this.#sender(message, self);
    const spot = await this.#guilds.spot(channel, guild, sender.name);
    const { files, notes } = await fetchFiles(this.#api, message.attachments);
    const answers = message_reference?.type !== FORWARD ? message_reference?.message_id : undefined;
    const mine = message.mention_roles.some((role) => this.#guilds.isRoleOf(role, self));
    const mentioned = mine || message.mentions.some((each) => each.id === self);
    const stickers = message.sticker_items.map(({ name }) => `[sticker: ${name}]`);
    const forwarded = message.message_snapshots.map((each) => `[forwarded] ${each.message.content}`);
    const words = [this.#words(message, self), ...forwarded, ...stickers, ...notes];
    const text = words.filter((each) => each !== '').join('\n');
    const answersUs = referenced_message?.author.id === self;
    // Commands, and answers to what we have said in the channel, are answered there.
    const begins = mentioned && !answersUs && !text.startsWith('/');
    return {
      dedupe_key: keyOf(id),
      ...whereOf(begins ? { ...spot, thread: this.#threads.of(spot, id, text) } : spot),
      sender,
      ...(forwarded.length > 0 && { forwarded: true }),
      addressed: spot.direct || mentioned || answersUs,
      platform_id: id,
      ...(answers === undefined ? {} : { reply_to: answers }),
      text,
      files,
      sent_ms: msOf(id),
    };
  }

  async edit({ channel, guild, message, at }: Read<'edit'>, self: string): Promise<IncomingEdit> {
    const sender = this.#sender(message, self);
    const spot = await this.#guilds.spot(channel, guild, sender.name);
    const change = changeOf(spot, message.id, `edited:${at}`, Date.parse(at) || msOf(message.id));
    return { ...change, sender, text: this.#words(message, self) };
  }

  /** Discord does not say when. */
  async deletion({ channel, guild, id }: Read<'deletion'>): Promise<IncomingDeletion> {
    return changeOf(await this.#guilds.spot(channel, guild, channel), id, 'deleted', Date.now());
  }

  /** Nor here, nor which of several it is: the event's own number tells. */
  async reaction({ channel, guild, id, user, emoji, removed, at }: Read<'reaction'>): Promise<IncomingReaction> {
    const { name, bot } = this.#guilds.person(user);
    const spot = await this.#guilds.spot(channel, guild, name);
    const sender = { handle: user, name, ...(bot ? { kind: 'bot' as const } : {}) };
    return { ...changeOf(spot, id, `reacted:${at}`, Date.now()), sender, emoji, removed };
  }

  #sender({ author, member, webhook_id }: payloads.Message, self: string): IncomingMessage['sender'] {
    const { name, bot } = this.#guilds.meet(author, member?.nick);
    if (author.id === self) return { handle: author.id, name, kind: 'self' };
    return { handle: author.id, name, ...(bot || webhook_id ? { kind: 'bot' as const } : {}) };
  }

  #words({ content, mentions, mention_roles }: payloads.Message, self: string): string {
    const people = new Map(mentions.map((each) => [each.id, this.#guilds.meet(each, each.member?.nick).name]));
    const ours = mention_roles.filter((role) => this.#guilds.isRoleOf(role, self));
    return readable(content, [self, ...ours], {
      person: (id) => people.get(id),
      channel: (id) => this.#guilds.nameOf(id),
    });
  }
}

export function whereOf({ chat, thread, title, direct }: Spot): Pick<IncomingMessage, 'chat' | 'thread'> {
  return { chat: { platform_id: chat, title, ...(direct ? { direct } : {}) }, thread };
}

function changeOf(spot: Spot, id: string, what: string, sent_ms: number): IncomingDeletion {
  return { dedupe_key: `${keyOf(id)}:${what}`, chat: whereOf(spot).chat, platform_id: id, sent_ms };
}
