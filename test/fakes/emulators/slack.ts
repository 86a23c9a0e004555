import { setTimeout as sleep } from 'node:timers/promises';
import type { Channel, WebhookRequest } from '../../../src/channels/channel.ts';
import type { DriverParts } from '../../../src/channels/kind.ts';
import { open } from '../../../src/channels/slack/driver.ts';
import { emojiOf } from '../../../src/channels/slack/emoji.ts';
import { slack } from '../../../src/channels/slack/kind.ts';
import type {
  Account,
  ChannelUnderTest,
  Faults,
  LateHook,
  People,
  Place,
  PlaceName,
  Saying,
  SendFault,
  Sent,
  Speaker,
} from '../../kits/channel_scene.ts';
import { SIGNING } from '../slack/hook.ts';
import { BOT_ID, BOT_USER, escaped, shownOf } from '../slack/workspace.ts';
import { Door } from './door.ts';
import { Emulator } from './emulator.ts';
import { type Answered, type Asked, Relay } from './relay.ts';

/**
 * Slack as `emulate` makes it, over HTTP: what people do are calls with their own tokens, and what we are told is what it signs
 * and sends. The relay adds the header that names the scopes of a token, which Slack sends with each answer, and asks for
 * `conversations.list` where the driver asks for `users.conversations`, which the emulator does not know.
 */

const REFUSES = 'the emulator refuses no text and no token, and counts no calls';
const UNDATED = 'the emulator tells of reactions without event_ts';

export const emulatedSlack: ChannelUnderTest = {
  title: 'Slack against emulate',
  kind: slack,
  lacks: {
    'the menu shows our commands': 'Slack has slash commands, which are the app’s own and begin at once',
    'an address leads to our direct chat, with a code': 'no address of Slack carries a text',
    'who is addressed is told by a mention and by a reply to us': 'the emulator names no parent_user_id in threads',
    'a reaction comes in, and that it was taken back': UNDATED,
    'a press is answered at once, and comes in': 'nobody can press a button in the emulator',
    'what is broken is kept before it is acknowledged': 'the emulator sends nothing broken',
    'what is unknown or broken blocks nothing, and what is broken is kept and logged':
      'the emulator sends nothing broken',
    'a card shows its title, its text and its fields, in their order': 'the emulator shows no cards',
    'markup is shown as what it says': 'the emulator reads no markup',
    'too many messages: the driver says when to come back, and does not come back itself': REFUSES,
    'too many messages, and the platform names no time': REFUSES,
    'a platform that is broken is tried again later, by others': REFUSES,
    'a text that the platform refuses is refused for good': REFUSES,
    'a chat where nobody is any more is gone': 'a direct chat cannot be archived in the emulator',
    'a token that counts no more is said to be so, and is named nowhere': REFUSES,
    'a second program on our token is said to be so; once it has ended, messages come in again':
      'over HTTP Slack calls one address',
    'after a long cut nothing is lost, and nothing is twice': 'the emulator calls once, answered or not',
    'the declared capabilities are true': 'the emulator takes ten times the text',
  },
  start: () => EmulatedSlack.start(),
};

const TOKENS: Record<Speaker, string> = {
  person: 'xoxp-fake-ann',
  other: 'xoxp-fake-bob',
  bot: 'xoxb-fake-beeper',
  self: 'xoxb-fake-glass',
};
const BEEPER = 'U0BEEP001';
const SCOPES = [
  ...['app_mentions:read', 'channels:history', 'groups:history', 'im:history', 'mpim:history', 'channels:read'],
  ...['groups:read', 'im:read', 'mpim:read', 'im:write', 'users:read', 'chat:write', 'reactions:read'],
  ...['reactions:write', 'files:read', 'files:write', 'metadata.message:read'],
];

function seedOf(events: string): string {
  const app = (name: string, more: object): object => ({
    ...{ client_id: name, client_secret: 'fake', name, redirect_uris: [], bot_name: name, scopes: SCOPES },
    ...more,
  });
  const tokens = [
    { token: TOKENS.person, user: 'ann' },
    { token: TOKENS.other, user: 'bob' },
    { token: TOKENS.bot, type: 'bot', user_id: BEEPER, bot_id: 'B0BEEP001', bot_user_id: BEEPER },
    { token: TOKENS.self, type: 'bot', user_id: BOT_USER, bot_id: BOT_ID, bot_user_id: BOT_USER },
  ];
  const workspace = {
    users: [
      { name: 'ann', real_name: 'Ann Example' },
      { name: 'bob', real_name: 'Bob Example' },
    ],
    oauth_apps: [
      app('glass', { app_id: 'A0GLASS01', bot_id: BOT_ID, bot_user_id: BOT_USER }),
      app('beeper', { app_id: 'A0BEEP001', bot_id: 'B0BEEP001', bot_user_id: BEEPER }),
    ],
    tokens: tokens.map((token) => ({ ...token, scopes: SCOPES })),
    signing_secret: SIGNING,
  };
  return JSON.stringify({ events, slack: workspace });
}

/** A message of Slack's, as far as it is read here. */
interface Message {
  ts: string;
  user: string;
  text: string;
  thread_ts?: string;
}

type SlackEvent = Partial<Message> & {
  type: string;
  subtype?: string;
  deleted_ts?: string;
  message?: Partial<Message>;
};

interface Workspace {
  direct: string;
  group: string;
  thread: string;
  users: Record<Speaker, string>;
}

type Kept = Message & {
  chat: string;
  blocks?: { type: string; text?: { text: string }; elements?: { value: string; text: { text: string } }[] }[];
  files?: { id: string; name: string; url_private: string }[];
  reactions?: { name: string; users: string[] }[];
};

class EmulatedSlack implements Account {
  readonly threadsOfMessages = 'answers';
  readonly #door = new Door<{ event: SlackEvent }>(({ event }) => (event.type === 'message' ? event.ts : undefined));
  readonly #relay = new Relay({
    as: (path) => path.replace(/users\.conversations$/, 'conversations.list'),
    passed: (asked, answered) => this.#passed(asked, answered),
    writes: ({ path }) => path.endsWith('/chat.postMessage'),
  });
  #emulator!: Emulator;
  #workspace!: Workspace;
  #kept: Kept[] = [];
  /** Bytes of files, by id. */
  readonly #files = new Map<string, Buffer>();
  readonly #echoes = new Set<string>();
  /** Times count within a second there, and not from its beginning: what is said later is later from the next second on. */
  #settled_ms = 0;

  static async start(): Promise<EmulatedSlack> {
    const account = new EmulatedSlack();
    await account.#relay.listen();
    await account.#door.listen();
    account.#emulator = await Emulator.start(
      'emulators/slack_github',
      ['slack', account.#relay.url],
      seedOf(account.#door.url),
    );
    account.#relay.target = account.#emulator.url;
    await account.#furnish();
    return account;
  }

  get parts(): Pick<DriverParts, 'name' | 'settings' | 'secrets'> {
    const settings = { mode: 'events', api: `${this.#relay.url}/api/` };
    return { name: 'work', settings, secrets: { bot: TOKENS.self, signing: SIGNING } };
  }

  open(parts: DriverParts): Channel {
    this.#settled_ms = 0;
    return this.#door.leadsTo(open(parts));
  }

  place(name: PlaceName): Place {
    const { direct, group, thread } = this.#workspace;
    if (name === 'direct') return { chat: direct, thread: '' };
    return { chat: group, thread: name === 'thread' ? thread : '' };
  }

  handle(speaker: Speaker): string {
    return this.#workspace.users[speaker];
  }

  sent(): Sent[] {
    return this.#kept
      .filter(({ user, ts }) => user === BOT_USER && !this.#echoes.has(ts))
      .map(({ chat, ts, thread_ts = '', text, blocks = [], files = [] }) => {
        const written = blocks.flatMap(({ type, text }) => (type === 'section' && text ? [text.text] : []));
        const [file] = files;
        return {
          ...{ chat, thread: thread_ts, receipt: ts, quotes: null },
          ...shownOf(written.length === 0 ? text : written.join('\n')),
          buttons: blocks.flatMap(({ elements = [] }) =>
            elements.map((each) => ({ token: each.value, label: each.text.text })),
          ),
          file: file === undefined ? null : { name: file.name, data: this.#files.get(file.id)! },
        };
      });
  }

  reactions(): { message: string; emoji: string }[] {
    return this.#kept.flatMap(({ ts, reactions = [] }) =>
      reactions
        .filter(({ users }) => users.includes(BOT_USER))
        .map(({ name }) => ({ message: ts, emoji: emojiOf(name) })),
    );
  }

  typing(): Place[] {
    return [];
  }

  menu(): never[] {
    return [];
  }

  acknowledged(message: string): boolean {
    return this.#door.acked.has(message);
  }

  pressesAnswered(): number {
    return 0;
  }

  async stop(): Promise<void> {
    await this.#relay.close();
    await this.#emulator.stop();
    await this.#door.close();
  }

  readonly people: People = {
    say: async (saying) => (await this.#said(saying)).ts,
    edit: async (place, from, ts, text) => {
      const heard = this.#door.next(({ event }) => event.subtype === 'message_changed' && event.message?.ts === ts);
      await this.#act(from, 'chat.update', { channel: this.place(place).chat, ts, text: escaped(text) }, heard);
    },
    remove: async (place, from, ts) => {
      const heard = this.#door.next(({ event }) => event.deleted_ts === ts);
      await this.#act(from, 'chat.delete', { channel: this.place(place).chat, ts }, heard);
    },
    react: async () => lacking(),
    press: async () => lacking(),
    strange: async () => lacking(),
  };

  readonly faults: Faults = {
    next: (fault: SendFault) => {
      if (fault !== 'cut') lacking();
      this.#relay.cutNext();
    },
    revoke: lacking,
    secondPoller: async () => lacking(),
    drop: async () => this.#relay.drop(),
    offline: () => this.#relay.close(),
    online: () => this.#relay.listen(),
  };

  readonly hook: LateHook = {
    request: (saying) => this.#door.captured(() => this.#said(saying)),
    forged: async (saying) => forgedOf(await this.#door.captured(() => this.#said(saying))),
  };

  /** The ids that it has made, and a thread that is older than the driver. */
  async #furnish(): Promise<void> {
    const { members } = (await this.#call('self', 'users.list', {})) as { members: { id: string; name: string }[] };
    const idOf = (name: string): string => members.find((each) => each.name === name)!.id;
    const users = { person: idOf('ann'), other: idOf('bob'), bot: BEEPER, self: BOT_USER };
    const { channels } = (await this.#call('self', 'conversations.list', {})) as {
      channels: { id: string; name: string }[];
    };
    const group = channels.find(({ name }) => name === 'general')!.id;
    const { channel } = (await this.#call('self', 'conversations.open', { users: users.person })) as {
      channel: { id: string };
    };
    const root = (await this.#call('other', 'chat.postMessage', { channel: group, text: 'a thread' })) as {
      ts: string;
    };
    this.#workspace = { direct: channel.id, group, thread: root.ts, users };
  }

  async #said(saying: Saying): Promise<Message> {
    await this.#settle();
    const { place, from, text, mention, reply_to, files = [] } = saying;
    const { chat: channel, thread } = this.place(place);
    const words = `${mention ? `<@${BOT_USER}> ` : ''}${escaped(text)}`;
    const thread_ts = reply_to ?? thread;
    const where = thread_ts === '' ? {} : { thread_ts };
    const heard = this.#door.next(({ event }) => event.user === this.handle(from) && event.text === words);
    if (files.length === 0) await this.#act(from, 'chat.postMessage', { channel, text: words, ...where }, heard);
    else {
      const ids = await Promise.all(files.map((file) => this.#upload(from, file)));
      const shared = { files: JSON.stringify(ids.map((id) => ({ id }))), channel_id: channel, initial_comment: words };
      await this.#act(from, 'files.completeUploadExternal', { ...shared, ...where }, heard);
    }
    const { event: message } = await heard;
    if (from === 'self') this.#echoes.add(message.ts!);
    return message as Message;
  }

  async #settle(): Promise<void> {
    const now = Date.now();
    if (this.#settled_ms === 0) this.#settled_ms = Math.ceil((now + 1) / 1000) * 1000;
    if (now < this.#settled_ms) await sleep(this.#settled_ms - now);
  }

  /** It answers once its event was, which may be held: who acts has done so when the event is here. */
  async #act(from: Speaker, method: string, args: Record<string, string>, heard: Promise<unknown>): Promise<void> {
    await Promise.race([this.#call(from, method, args), heard]);
    await heard;
  }

  async #upload(from: Speaker, { name, data }: { name: string; data: Buffer }): Promise<string> {
    const asked = { filename: name, length: String(data.length) };
    const place = (await this.#call(from, 'files.getUploadURLExternal', asked)) as {
      upload_url: string;
      file_id: string;
    };
    await fetch(this.#here(place.upload_url), { method: 'POST', body: new Uint8Array(data) });
    return place.file_id;
  }

  /** Not by way of the relay. */
  async #call(from: Speaker, method: string, args: Record<string, string>): Promise<unknown> {
    const headers = { authorization: `Bearer ${TOKENS[from]}` };
    const url = `${this.#emulator.url}/api/${method}`;
    const response = await fetch(url, { method: 'POST', headers, body: new URLSearchParams(args) });
    const answer = (await response.json()) as { ok: boolean; error?: string };
    if (!answer.ok) throw new Error(`the emulator refuses ${method}: ${answer.error}`);
    return answer;
  }

  #here(address: string): string {
    return address.replace(this.#relay.url, this.#emulator.url);
  }

  async #passed({ path }: Asked, answered: Answered): Promise<Answered> {
    if (/\/(chat\.postMessage|chat\.update|files\.completeUploadExternal|reactions\.add)$/.test(path))
      await this.#look();
    return { ...answered, headers: { ...answered.headers, 'x-oauth-scopes': SCOPES.join(',') } };
  }

  async #look(): Promise<void> {
    const { direct, group, thread } = this.#workspace;
    const ask = async (method: string, chat: string, more: object): Promise<Kept[]> => {
      const args = { channel: chat, limit: '1000', ...more };
      const { messages } = (await this.#call('self', method, args)) as { messages: Kept[] };
      return messages.map((message) => ({ ...message, chat }));
    };
    const all = [
      ...(await ask('conversations.history', direct, {})),
      ...(await ask('conversations.history', group, {})),
      ...(await ask('conversations.replies', group, { ts: thread })).filter(({ ts }) => ts !== thread),
    ];
    this.#kept = all.sort((a, b) => Number(a.ts) - Number(b.ts));
    for (const { id, url_private } of this.#kept.flatMap(({ files = [] }) => files)) {
      if (this.#files.has(id)) continue;
      const headers = { authorization: `Bearer ${TOKENS.self}` };
      const response = await fetch(this.#here(url_private), { headers });
      this.#files.set(id, Buffer.from(await response.arrayBuffer()));
    }
  }
}

function lacking(): never {
  throw new Error('the emulator has nothing of the kind');
}

function forgedOf(good: WebhookRequest): WebhookRequest[] {
  const { 'x-slack-signature': signature = '', ...unsigned } = good.headers;
  const named = (more: Record<string, string>): WebhookRequest => ({ ...good, headers: { ...good.headers, ...more } });
  const stamp = Number(good.headers['x-slack-request-timestamp']);
  return [
    { ...good, headers: unsigned },
    named({ 'x-slack-signature': '' }),
    named({ 'x-slack-signature': signature.slice(0, -2) }),
    named({ 'x-slack-signature': signature.replace('v0=', 'v1=') }),
    named({ 'x-slack-request-timestamp': String(stamp - 1) }),
    { ...good, body: Buffer.from(good.body.toString('utf8').replace('hello', 'hullo')) },
  ];
}
