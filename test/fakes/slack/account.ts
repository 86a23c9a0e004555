import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Channel } from '../../../src/channels/channel.ts';
import type { DriverParts } from '../../../src/channels/kind.ts';
import { open } from '../../../src/channels/slack/driver.ts';
import { emojiOf, nameOfEmoji } from '../../../src/channels/slack/emoji.ts';
import { slack } from '../../../src/channels/slack/kind.ts';
import type {
  Account,
  ChannelUnderTest,
  Faults,
  Hook,
  People,
  Place,
  PlaceName,
  Saying,
  Sent,
  Speaker,
} from '../../kits/channel_scene.ts';
import { EventCalls, pressRequest, SIGNING, signed } from './hook.ts';
import { APP_TOKEN, BOT_TOKEN, FakeSlack } from './server.ts';
import {
  BOT_ID,
  BOT_USER,
  DIRECT,
  escaped,
  type FakeBlock,
  type FakeMessage,
  GROUP,
  inner,
  OTHER,
  OTHER_BOT,
  PERSON,
  shownOf,
  TEAM,
} from './workspace.ts';

const LACKS = {
  'the menu shows our commands': 'Slack has slash commands, which are the app’s own and begin at once',
  'an address leads to our direct chat, with a code': 'no address of Slack carries a text',
};

export const slackSocket: ChannelUnderTest = {
  title: 'Slack over a socket',
  kind: slack,
  lacks: LACKS,
  start: () => SlackAccount.start('socket'),
};

export const slackEvents: ChannelUnderTest = {
  title: 'Slack over HTTP',
  kind: slack,
  lacks: {
    ...LACKS,
    'a second program on our token is said to be so; once it has ended, messages come in again':
      'over HTTP Slack calls one address',
  },
  start: () => SlackAccount.start('events'),
};

/** A day ago, so that nothing takes it for new. */
const THREAD = `${Math.floor(Date.now() / 1000) - 86_400}.000100`;

/** One app in the fake workspace, and the people there. */
export class SlackAccount implements Account {
  readonly slack = new FakeSlack();
  readonly calls = new EventCalls();
  readonly threadsOfMessages = 'answers';
  readonly hook?: Hook;
  readonly #mode: 'socket' | 'events';
  readonly #others: WebSocket[] = [];
  /** What our account said from elsewhere. */
  readonly #echoes = new Set<string>();
  #pressed = 0;

  static async start(mode: 'socket' | 'events'): Promise<SlackAccount> {
    const account = new SlackAccount(mode);
    account.slack.workspace.messages.push({ channel: GROUP, ts: THREAD, user: OTHER, text: 'a thread' });
    await account.slack.listen();
    return account;
  }

  private constructor(mode: 'socket' | 'events') {
    this.#mode = mode;
    if (mode === 'socket') return;
    this.slack.listener = (payload, ts) => this.calls.bring(payload, ts);
    this.hook = {
      request: (saying) => signed(this.#payload(saying)),
      forged: (saying) => this.#forged(saying),
    };
  }

  get parts(): Pick<DriverParts, 'name' | 'settings' | 'secrets'> {
    const settings = { mode: this.#mode, api: `${this.slack.address}/api/` };
    const secrets: Record<string, string> =
      this.#mode === 'socket' ? { bot: BOT_TOKEN, app: APP_TOKEN } : { bot: BOT_TOKEN, signing: SIGNING };
    return { name: 'work', settings, secrets };
  }

  open(parts: DriverParts): Channel {
    const channel = open(parts);
    if (this.#mode === 'socket') return channel;
    const { start, stop } = channel;
    return Object.assign(channel, {
      start: async (...given: Parameters<Channel['start']>) => {
        await start.apply(channel, given);
        this.calls.channel = channel;
        this.calls.again();
      },
      stop: async () => {
        this.calls.channel = null;
        await stop.apply(channel);
      },
    });
  }

  place(name: PlaceName): Place {
    if (name === 'direct') return { chat: DIRECT, thread: '' };
    return { chat: GROUP, thread: name === 'thread' ? THREAD : '' };
  }

  handle(speaker: Speaker): string {
    return { person: PERSON, other: OTHER, bot: OTHER_BOT, self: BOT_USER }[speaker];
  }

  sent(): Sent[] {
    return this.slack.workspace.messages
      .filter(({ user, ts }) => user === BOT_USER && !this.#echoes.has(ts))
      .map((message) => this.#sent(message));
  }

  reactions(): { message: string; emoji: string }[] {
    return this.slack.workspace.reactions
      .filter(({ user }) => user === BOT_USER)
      .map(({ ts, name }) => ({ message: ts, emoji: emojiOf(name) }));
  }

  typing(): Place[] {
    return [];
  }

  menu(): never[] {
    return [];
  }

  acknowledged(message: string): boolean {
    if (this.#mode === 'events') return this.calls.acked.has(message) && !this.calls.waits(message);
    return this.slack.sockets.acked.some(({ ts }) => ts === message) && !this.slack.sockets.waits(message);
  }

  pressesAnswered(): number {
    return this.#pressed + this.slack.sockets.acked.filter(({ type }) => type === 'interactive').length;
  }

  async stop(): Promise<void> {
    for (const other of this.#others) other.close();
    this.calls.forget();
    this.slack.sockets.forget();
    await this.slack.close();
  }

  readonly people: People = {
    say: async (saying) => {
      const message = this.#add(saying);
      this.#announce(message);
      return message.ts;
    },
    edit: async (place, from, id, text) => {
      const message = this.slack.workspace.find(this.place(place).chat, id)!;
      const before = { ...message };
      message.text = escaped(text);
      message.edited = { user: this.handle(from), ts: this.slack.workspace.ts() };
      const change = { message: inner(message), previous_message: inner(before) };
      this.#change(message, 'message_changed', change);
    },
    remove: async (place, _from, id) => {
      const { messages } = this.slack.workspace;
      const message = this.slack.workspace.find(this.place(place).chat, id)!;
      messages.splice(messages.indexOf(message), 1);
      this.#change(message, 'message_deleted', { deleted_ts: id, previous_message: inner(message) });
    },
    react: async (place, from, id, emoji, removed) => {
      const item = { type: 'message', channel: this.place(place).chat, ts: id };
      const event = { type: removed ? 'reaction_removed' : 'reaction_added', user: this.handle(from), item };
      const more = { reaction: nameOfEmoji(emoji), item_user: BOT_USER, event_ts: this.slack.workspace.ts() };
      this.slack.emit({ ...event, ...more }, id);
    },
    press: async (place, from, receipt, token) => {
      const payload = this.slack.press(this.place(place).chat, receipt, this.handle(from), token);
      if (this.#mode === 'socket') return this.slack.sockets.bring('interactive', receipt, payload);
      const { status } = await this.calls.channel!.webhook!(pressRequest(payload));
      if (status === 200) this.#pressed += 1;
    },
    strange: async (event) => {
      const ts = this.slack.workspace.ts();
      if (event === 'unknown') this.slack.emit({ type: 'galaxy_changed', event_ts: ts }, ts);
      else this.slack.emit({ type: 'message', channel: DIRECT, user: PERSON, text: 'without a time' }, ts);
    },
  };

  readonly faults: Faults = {
    next: (fault) => {
      this.slack.fault = fault;
    },
    revoke: () => {
      this.slack.isRevoked = true;
    },
    secondPoller: (runs) => this.#secondSocket(runs),
    drop: async () => this.slack.sockets.drop(),
    offline: async () => {
      this.calls.isOffline = true;
      this.slack.sockets.forget();
      await this.slack.close();
      await sleep(50); // the other ends have seen it
    },
    online: async () => {
      await this.slack.listen();
      this.calls.isOffline = false;
      this.calls.again();
    },
  };

  /** Slack tells how many sockets there are when one opens; ours it renews within hours. */
  async #secondSocket(runs: boolean): Promise<void> {
    if (!runs) {
      for (const other of this.#others.splice(0)) {
        const closed = new Promise((resolve) => other.addEventListener('close', resolve));
        other.close();
        await closed;
      }
      return;
    }
    const other = new WebSocket(`${this.slack.address.replace('http', 'ws')}/link/?ticket=fake`);
    this.#others.push(other);
    await new Promise((resolve) => other.addEventListener('open', resolve));
    other.addEventListener('message', ({ data }) => {
      const { envelope_id } = JSON.parse(String(data)) as { envelope_id?: string };
      if (envelope_id !== undefined) other.send(JSON.stringify({ envelope_id }));
    });
    this.slack.sockets.refresh();
  }

  #add({ place, from, text, mention, reply_to, files = [] }: Saying): FakeMessage {
    const { chat, thread } = this.place(place);
    const root = reply_to === undefined ? undefined : this.slack.workspace.find(chat, reply_to);
    const thread_ts = root?.thread_ts ?? reply_to ?? (thread || undefined);
    const added = this.slack.workspace.add({
      channel: chat,
      ...authorOf(from),
      text: `${mention ? `<@${BOT_USER}> ` : ''}${escaped(text)}`,
      ...(thread_ts === undefined ? {} : { thread_ts }),
      ...(files.length === 0
        ? {}
        : { subtype: 'file_share', upload: true, files: files.map((file) => this.#file(file)) }),
    });
    if (from === 'self') this.#echoes.add(added.ts);
    return added;
  }

  #file({ name, data }: { name: string; data: Buffer }): object {
    const { files } = this.slack.workspace;
    const id = `F0IN${files.size}`;
    files.set(id, { id, name, data, mimetype: 'application/octet-stream' });
    const url = `${this.slack.address}/files/${id}`;
    return {
      ...{ id, name, title: name, created: Math.floor(Date.now() / 1000), mimetype: 'application/octet-stream' },
      ...{ filetype: 'binary', size: data.length, mode: 'hosted', is_external: false },
      ...{ url_private: url, url_private_download: url, permalink: url },
    };
  }

  /** A mention comes twice. */
  #announce(message: FakeMessage): void {
    const { ts, text } = message;
    const common = { ...message, team: TEAM, event_ts: ts };
    const blocks = [{ type: 'rich_text', block_id: 'x', elements: [] }];
    const typed = message.user && !message.bot_id && !message.files ? { client_msg_id: randomUUID(), blocks } : {};
    const channel_type = message.channel === DIRECT ? 'im' : 'channel';
    this.slack.emit({ type: 'message', channel_type, ...common, ...typed }, ts);
    if (message.channel === DIRECT || !text.includes(`<@${BOT_USER}>`)) return;
    const { subtype: _, parent_user_id: __, ...mention } = common;
    this.slack.emit({ type: 'app_mention', ...mention }, ts);
  }

  #change(message: FakeMessage, subtype: string, more: object): void {
    const ts = this.slack.workspace.ts();
    const event = { type: 'message', subtype, hidden: true, channel: message.channel, ts, event_ts: ts };
    this.slack.emit({ ...event, ...more }, message.ts);
  }

  #payload(saying: Saying): object {
    const { ts, ...message } = this.#add(saying);
    const event = { type: 'message', channel_type: 'im', ts, event_ts: ts, ...message };
    return { type: 'event_callback', team_id: TEAM, event_id: 'EvHook', event };
  }

  #forged(saying: Saying) {
    const now = Math.floor(Date.now() / 1000);
    const payload = this.#payload(saying);
    const right = signed(payload);
    const { 'x-slack-signature': signature = '', ...unsigned } = right.headers;
    const changed = Buffer.from(right.body.toString('utf8').replace('hello', 'hullo'));
    return [
      signed(payload, now, 'f'.repeat(32)),
      signed(payload, now - 301),
      signed(payload, now + 301),
      { ...right, headers: unsigned },
      { ...right, headers: { ...right.headers, 'x-slack-signature': '' } },
      { ...right, headers: { ...right.headers, 'x-slack-signature': signature.slice(0, -2) } },
      { ...right, headers: { ...right.headers, 'x-slack-signature': signature.replace('v0=', 'v1=') } },
      { ...right, headers: { ...right.headers, 'x-slack-request-timestamp': String(now - 1) } },
      { ...right, body: changed },
    ];
  }

  #sent(message: FakeMessage): Sent {
    const { blocks = [], files = [], text, channel, ts, thread_ts = '' } = message;
    const written = blocks.flatMap((block) => (block.type === 'section' && block.text ? [block.text.text] : []));
    const [file] = files as { id: string }[];
    const { name, data } = (file && this.slack.workspace.files.get(file.id)) ?? {};
    return {
      ...{ chat: channel, thread: thread_ts, receipt: ts, quotes: null },
      ...shownOf(written.length === 0 ? text : written.join('\n')),
      buttons: blocks.flatMap(({ elements = [] }) =>
        elements.map((each) => ({ token: each.value, label: each.text.text })),
      ),
      file: name === undefined || data === undefined ? null : { name, data },
      ...(blocks[0]?.type === 'header' && { card: blocks.flatMap(cardWords) }),
    };
  }
}

/** What a block of a card shows. */
function cardWords({ text, fields = [] }: FakeBlock): string[] {
  const parts = [...(text === undefined ? [] : [text]), ...fields];
  return parts.flatMap((part) => (part.type === 'plain_text' ? part.text : shownOf(part.text).shown).split('\n'));
}

function authorOf(speaker: Speaker): Partial<FakeMessage> {
  switch (speaker) {
    case 'person':
      return { user: PERSON };
    case 'other':
      return { user: OTHER };
    case 'bot':
      return { subtype: 'bot_message', bot_id: OTHER_BOT, username: 'beeper' };
    case 'self':
      return { user: BOT_USER, bot_id: BOT_ID };
    default:
      return speaker satisfies never;
  }
}
