/** What a fake Discord knows: people, a server, channels, messages. The wire is elsewhere. */

export interface FakeUser {
  id: string;
  username: string;
  global_name: string | null;
  discriminator: string;
  avatar: null;
  bot?: boolean;
}

export interface FakeMessage {
  id: string;
  channel_id: string;
  type: number;
  author: FakeUser;
  content: string;
  timestamp: string;
  edited_timestamp: string | null;
  mentions: FakeUser[];
  mention_roles: string[];
  tts: boolean;
  mention_everyone: boolean;
  pinned: boolean;
  flags: number;
  attachments: FakeAttachment[];
  embeds: FakeEmbed[];
  components: FakeRow[];
  message_reference?: { type?: number; message_id: string; channel_id: string };
  referenced_message?: FakeMessage | null;
}

export interface FakeEmbed {
  title?: string;
  description?: string;
  fields?: { name: string; value: string }[];
}

export interface FakeRow {
  type: number;
  components: { type: number; style: number; custom_id: string; label: string }[];
}

export interface FakeAttachment {
  id: string;
  filename: string;
  size: number;
  url: string;
}

export interface FakeChannel {
  id: string;
  type: number;
  guild_id?: string;
  name?: string;
  parent_id?: string;
  last_message_id: string | null;
  recipients?: FakeUser[];
}

export const TOKEN = 'fake0fake0fake0fake0fake0.fake00.fake0fake0fake0fake0fake0';
export const APPLICATION = '1000000000000000001';
export const GUILD = '1000000000000000100';
export const GROUP = '1000000000000000101';
export const THREAD = '1000000000000000102';
export const DIRECT = '1000000000000000103';
export const BOT_ROLE = '1000000000000000104';
const PLAIN = { discriminator: '0', avatar: null } as const;
/** Of somebody in the server. */
export const MEMBER = {
  nick: null,
  roles: [],
  joined_at: '2020-01-01T00:00:00.000000+00:00',
  deaf: false,
  mute: false,
};
export const BOT: FakeUser = { id: '1000000000000000002', username: 'glass', global_name: null, bot: true, ...PLAIN };
export const PERSON: FakeUser = { id: '1000000000000000003', username: 'ann', global_name: 'Ann Example', ...PLAIN };
export const OTHER: FakeUser = { id: '1000000000000000004', username: 'bob', global_name: null, ...PLAIN };
export const BEEPER: FakeUser = {
  id: '1000000000000000005',
  username: 'beeper',
  global_name: null,
  bot: true,
  ...PLAIN,
};

export class World {
  readonly channels = new Map<string, FakeChannel>([
    [GROUP, { id: GROUP, type: 0, guild_id: GUILD, name: 'general', last_message_id: null }],
    [THREAD, { id: THREAD, type: 11, guild_id: GUILD, name: 'a thread', parent_id: GROUP, last_message_id: null }],
    [DIRECT, { id: DIRECT, type: 1, recipients: [PERSON], last_message_id: null }],
  ]);
  readonly messages: FakeMessage[] = [];
  readonly files = new Map<string, { name: string; data: Buffer }>();
  readonly reactions: { channel: string; message: string; user: string; emoji: string }[] = [];
  readonly typing: string[] = [];
  commands: { name: string; description: string }[] = [];
  #last = 0n;

  /** A snowflake: each once, in order. */
  id(): string {
    const now = BigInt(Date.now() - 1_420_070_400_000) << 22n;
    this.#last = now > this.#last ? now : this.#last + 1n;
    return String(this.#last);
  }

  add(given: Partial<FakeMessage> & Pick<FakeMessage, 'channel_id' | 'author'>): FakeMessage {
    const message: FakeMessage = {
      ...{ id: this.id(), type: 0, content: '', timestamp: new Date().toISOString(), edited_timestamp: null },
      ...{ mentions: [], mention_roles: [], attachments: [], embeds: [], components: [] },
      ...{ tts: false, mention_everyone: false, pinned: false, flags: 0 },
      ...given,
    };
    const quoted = this.find(given.message_reference?.message_id ?? '');
    if (given.message_reference !== undefined) Object.assign(message, { type: 19, referenced_message: quoted ?? null });
    this.messages.push(message);
    this.channels.get(message.channel_id)!.last_message_id = message.id;
    return message;
  }

  find(id: string): FakeMessage | undefined {
    return this.messages.find((each) => each.id === id);
  }

  /** Newest first; Discord gives the nearest to the place that is asked for. */
  history(channel: string, after: string | null, before: string | null, limit: number): FakeMessage[] {
    const all = this.messages.filter((each) => each.channel_id === channel);
    if (after !== null)
      return all
        .filter(({ id }) => BigInt(id) > BigInt(after))
        .slice(0, limit)
        .reverse();
    return all
      .filter(({ id }) => before === null || BigInt(id) < BigInt(before))
      .slice(-limit)
      .reverse();
  }
}
