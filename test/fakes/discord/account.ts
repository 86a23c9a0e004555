import { setTimeout as sleep } from 'node:timers/promises';
import type { MenuCommand } from '../../../src/channels/channel.ts';
import { open } from '../../../src/channels/discord/driver.ts';
import { discord } from '../../../src/channels/discord/kind.ts';
import type { DriverParts } from '../../../src/channels/kind.ts';
import type {
  Account,
  ChannelUnderTest,
  Faults,
  People,
  Place,
  PlaceName,
  Saying,
  Sent,
  Speaker,
} from '../../kits/channel_scene.ts';
import { shownOf } from './markdown.ts';
import { FakeDiscord } from './server.ts';
import {
  APPLICATION,
  BEEPER,
  BOT,
  DIRECT,
  type FakeEmbed,
  type FakeMessage,
  type FakeUser,
  GROUP,
  GUILD,
  MEMBER,
  OTHER,
  PERSON,
  THREAD,
  TOKEN,
} from './world.ts';

export const discordGateway: ChannelUnderTest = {
  title: 'Discord',
  kind: discord,
  lacks: {
    'an address leads to our direct chat, with a code': 'no address of Discord carries a text',
    'a second program on our token is said to be so; once it has ended, messages come in again':
      'Discord gives each connection everything, and tells neither of the other',
  },
  start: () => DiscordAccount.start(),
};

const SPEAKERS: Record<Speaker, FakeUser> = { person: PERSON, other: OTHER, bot: BEEPER, self: BOT };

/** One bot on the fake server, and the people there. */
export class DiscordAccount implements Account {
  readonly discord = new FakeDiscord();
  readonly threadsOfMessages = 'mentions';
  /** What our account said from elsewhere. */
  readonly #echoes = new Set<string>();

  static async start(): Promise<DiscordAccount> {
    const account = new DiscordAccount();
    await account.discord.listen();
    return account;
  }

  get parts(): Pick<DriverParts, 'name' | 'settings' | 'secrets'> {
    return { name: 'club', settings: { api: `${this.discord.address}/api` }, secrets: { token: TOKEN } };
  }

  readonly open = open;

  place(name: PlaceName): Place {
    if (name === 'direct') return { chat: DIRECT, thread: '' };
    return { chat: GROUP, thread: name === 'thread' ? THREAD : '' };
  }

  handle(speaker: Speaker): string {
    return SPEAKERS[speaker].id;
  }

  sent(): Sent[] {
    return this.discord.world.messages
      .filter(({ author, id }) => author.id === BOT.id && !this.#echoes.has(id))
      .map((message) => this.#sent(message));
  }

  reactions(): { message: string; emoji: string }[] {
    return this.discord.world.reactions.map(({ message, emoji }) => ({ message, emoji }));
  }

  typing(): Place[] {
    return this.discord.world.typing.map((channel) => this.#placeOf(channel));
  }

  menu(): MenuCommand[] {
    return this.discord.world.commands.map(({ name, description }) => ({ name, summary: description }));
  }

  acknowledged(message: string): boolean {
    return this.discord.gateway.acknowledged(message);
  }

  pressesAnswered(): number {
    return this.discord.answered.length;
  }

  stop(): Promise<void> {
    return this.discord.close();
  }

  readonly people: People = {
    say: async (saying) => {
      const message = this.#add(saying);
      this.discord.announce('MESSAGE_CREATE', message);
      return message.id;
    },
    edit: async (_place, _from, id, text) => {
      const message = this.discord.world.find(id)!;
      message.content = text;
      message.edited_timestamp = new Date().toISOString();
      this.discord.announce('MESSAGE_UPDATE', message);
    },
    remove: async (_place, _from, id) => {
      const { messages } = this.discord.world;
      const message = this.discord.world.find(id)!;
      messages.splice(messages.indexOf(message), 1);
      this.#event('MESSAGE_DELETE', message.channel_id, { id });
    },
    react: async (place, from, id, emoji, removed) => {
      const type = removed ? 'MESSAGE_REACTION_REMOVE' : 'MESSAGE_REACTION_ADD';
      const more = {
        message_id: id,
        user_id: this.handle(from),
        emoji: { id: null, name: emoji },
        burst: false,
        type: 0,
      };
      const author = this.discord.world.find(id)?.author.id;
      const who = removed ? {} : { message_author_id: author, member: { ...MEMBER, user: SPEAKERS[from] } };
      this.#event(type, channelOf(this.place(place)), { ...more, ...who });
    },
    press: async (place, from, receipt, token) => {
      const message = this.discord.world.find(receipt);
      const data = { component_type: 2, custom_id: token };
      this.interact(place, from, { type: 3, data, message });
    },
    strange: async (event) => {
      if (event === 'unknown') this.discord.gateway.emit('GALAXY_UPDATE', { id: this.discord.world.id() });
      else this.discord.gateway.emit('MESSAGE_CREATE', { id: this.discord.world.id(), channel_id: DIRECT });
    },
  };

  readonly faults: Faults = {
    next: (fault) => {
      this.discord.fault = fault;
    },
    revoke: () => this.discord.revoke(),
    secondPoller: async () => {},
    drop: async () => this.discord.gateway.drop(),
    offline: async () => {
      this.discord.gateway.forget();
      await this.discord.close();
      await sleep(50); // the other ends have seen it
    },
    online: () => this.discord.listen(),
  };

  /** Of a component, or of a command of the menu. Returns its id. */
  interact(place: PlaceName, from: Speaker, more: object): string {
    const channel = this.discord.world.channels.get(channelOf(this.place(place)))!;
    const user = SPEAKERS[from];
    const id = this.discord.world.id();
    this.discord.gateway.emit('INTERACTION_CREATE', {
      ...{ id, application_id: APPLICATION, token: `interaction-${id}`, version: 1 },
      ...{ channel_id: channel.id, channel: { ...channel, permissions: '0' }, locale: 'en-GB', context: 0 },
      ...(channel.guild_id === undefined
        ? { user }
        : { guild_id: GUILD, member: { ...MEMBER, user, permissions: '0' } }),
      ...more,
    });
    return id;
  }

  #event(type: string, channel: string, more: object): void {
    const { guild_id } = this.discord.world.channels.get(channel)!;
    this.discord.gateway.emit(type, { channel_id: channel, ...(guild_id === undefined ? {} : { guild_id }), ...more });
  }

  #add({ place, from, text, mention, reply_to, files = [] }: Saying): FakeMessage {
    const channel_id = channelOf(this.place(place));
    const added = this.discord.world.add({
      ...{ channel_id, author: SPEAKERS[from], content: `${mention ? `<@${BOT.id}> ` : ''}${text}` },
      mentions: mention ? [BOT] : [],
      attachments: files.map((file) => this.discord.keep(file)),
      ...(reply_to === undefined ? {} : { message_reference: { message_id: reply_to, channel_id } }),
    });
    if (from === 'self') this.#echoes.add(added.id);
    return added;
  }

  #placeOf(channel: string): Place {
    const { parent_id } = this.discord.world.channels.get(channel)!;
    return parent_id === undefined ? { chat: channel, thread: '' } : { chat: parent_id, thread: channel };
  }

  #sent({ id, channel_id, content, embeds, components, attachments, message_reference }: FakeMessage): Sent {
    const [embed] = embeds;
    const [attached] = attachments;
    const file = attached === undefined ? undefined : this.discord.world.files.get(attached.id);
    return {
      ...this.#placeOf(channel_id),
      receipt: id,
      ...shownOf(embed === undefined ? content : `**${embed.title}**\n${embed.description}`),
      quotes: message_reference?.message_id ?? null,
      buttons: components.flatMap((row) => row.components.map(({ custom_id, label }) => ({ token: custom_id, label }))),
      file: file ?? null,
      ...(embed !== undefined && { card: cardWords(embed) }),
    };
  }
}

/** What an embed shows. */
function cardWords({ title, description, fields = [] }: FakeEmbed): string[] {
  const parts = [title, description, ...fields.flatMap(({ name, value }) => [name, value])];
  return parts.map((part) => shownOf(part ?? '').shown);
}

function channelOf({ chat, thread }: Place): string {
  return thread || chat;
}
