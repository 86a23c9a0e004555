import { once } from 'node:events';
import type { Channel } from '../../../src/channels/channel.ts';
import type { DriverParts } from '../../../src/channels/kind.ts';
import { open } from '../../../src/channels/teams/driver.ts';
import { teams } from '../../../src/channels/teams/kind.ts';
import type {
  Account,
  ChannelUnderTest,
  Faults,
  People,
  Place,
  PlaceName,
  Saying,
  SendFault,
  Sent,
} from '../../kits/channel_scene.ts';
import { shownOf } from '../teams/markdown.ts';
import { FakeService, PASSWORD, TENANT } from '../teams/service.ts';
import { APP, claimsFor } from '../teams/signer.ts';
import { Door } from './door.ts';
import { Emulator } from './emulator.ts';
import { type Answered, type Asked, Relay } from './relay.ts';

/**
 * Teams as Microsoft's own playground makes it: activities, the service that we call, and what a person's window is told over a
 * WebSocket. It signs nothing and gives no tokens: both are a fake's. One person can speak in it.
 */

const ALONE = 'one person alone speaks in the playground';
const MENTIONS = 'in a group the playground tells of mentions alone';
const SIGNS = 'the playground signs nothing';
const REFUSES = 'the playground refuses no text and no token, and counts no calls';
const CALLS_ONCE = 'the playground calls once, answered or not';
const NO_ONEDRIVE = 'the playground has no OneDrive that a file could go to';
const NO_CHANGES = 'in the playground people change nothing that they said';

export const emulatedTeams: ChannelUnderTest = {
  title: 'Teams against its playground',
  kind: teams,
  lacks: {
    'a card shows its title, its text and its fields, in their order': 'the emulator keeps cards, and shows none',
    'who is addressed is told by a mention and by a reply to us': MENTIONS,
    'of a thousand messages none is lost, and each chat keeps its order': MENTIONS,
    'no program is taken for a person, and we are not taken for another': ALONE,
    'files come in whole': 'people attach no files in the playground',
    'a file that is too large is left out, and the text says so': 'people attach no files in the playground',
    'a file goes out whole, with its text': NO_ONEDRIVE,
    'a file goes out with a text of any length, and without one': NO_ONEDRIVE,
    'an edit comes in, after its message': NO_CHANGES,
    'a deletion comes in': NO_CHANGES,
    'a reaction comes in, and that it was taken back': 'there are no reactions in the playground',
    'a host that dies before the commit is told again, under the same key': CALLS_ONCE,
    'after a long cut nothing is lost, and nothing is twice': CALLS_ONCE,
    'markup is shown as what it says': 'a window reads the markup, and the playground passes it on',
    'a person’s direct chat can be opened':
      'the playground knows people by their id in chats, not by that of their account',
    'the menu shows our commands': 'the menu of a bot stands in its app package',
    'too many messages: the driver says when to come back, and does not come back itself': REFUSES,
    'too many messages, and the platform names no time': REFUSES,
    'a platform that is broken is tried again later, by others': REFUSES,
    'a text that the platform refuses is refused for good': REFUSES,
    'a chat where nobody is any more is gone': REFUSES,
    'a token that counts no more is said to be so, and is named nowhere': REFUSES,
    'a second program on our token is said to be so; once it has ended, messages come in again':
      'Teams calls one address',
    'a webhook is believed by its signature alone': SIGNS,
    'a webhook that is replayed says nothing new': SIGNS,
    'a webhook is answered after the commit': SIGNS,
    'the declared capabilities are true': 'the playground takes a text of any length',
  },
  start: () => EmulatedTeams.start(),
};

const DIRECT = 'a:1direct-chat-of-ann';
const GROUP = '19:00fake00group00@thread.v2';
const CHANNEL = '19:00fake00channel00@thread.tacv2';
const PERSON = { id: '29:1ann', aadObjectId: 'aaaaaaaa-0000-0000-0000-000000000001', name: 'Ann Example' };
const US = { id: `28:${APP}`, name: 'Glass' };
const AT = `<at>${US.name}</at>`;

function userOf(id: string, name: string, aadObjectId: string): object {
  const email = `${name.split(' ')[0]}@example.com`;
  return { id, name, aadObjectId, userPrincipleName: email, givenName: name, surname: name, email };
}

/** It wants five others. JSON is YAML too. */
const SETTINGS = JSON.stringify({
  version: '0.1.1',
  tenantId: TENANT,
  bot: US,
  currentUser: userOf(PERSON.id, PERSON.name, PERSON.aadObjectId),
  users: [1, 2, 3, 4, 5].map((at) => userOf(`29:1bob${at}`, `Bob ${at}`, `aaaaaaaa-0000-0000-0000-00000000010${at}`)),
  personalChat: { id: DIRECT },
  groupChat: { id: GROUP, name: 'Garden' },
  team: {
    ...{ id: '19:00fake00team00@thread.tacv2', name: 'Makers', aadGroupId: 'aaaaaaaa-0000-0000-0000-000000000031' },
    channels: [{ id: CHANNEL, name: 'Announcements' }],
  },
});

interface Told {
  type: string;
  id?: string;
  text?: string;
  value?: unknown;
  conversation?: { id: string };
}

/** What the window is told. */
interface Shown {
  action: string;
  actionConversationId: string;
  message?: { messageId: string; text?: string; from: { id: string }; attachments?: { content: Card }[] };
}

interface Card {
  body: { actions?: { title: string; data: { token: string } }[] }[];
}

class EmulatedTeams implements Account {
  readonly #fake = new FakeService();
  readonly #relay = new Relay({
    passed: (asked, answered) => this.#passed(asked, answered),
    writes: ({ method, path, body }) => method === 'POST' && path.endsWith('/activities') && body.includes('"message"'),
  });
  readonly #door = new Door<Told>(
    ({ type, id }) => (type === 'message' ? id : undefined),
    () => ({ authorization: `Bearer ${this.#fake.signer.token(claimsFor(this.#service))}` }),
  );
  /** Of the bot, by id. */
  readonly #messages = new Map<string, { conversation: string; message: NonNullable<Shown['message']> }>();
  readonly #typing: string[] = [];
  #typed = 0;
  #pressed = 0;
  #thread = '';
  #isInstalled = false;
  #emulator!: Emulator;
  #window!: WebSocket;

  static async start(): Promise<EmulatedTeams> {
    const account = new EmulatedTeams();
    await account.#fake.listen();
    await account.#relay.listen();
    await account.#door.listen();
    account.#emulator = await Emulator.start('emulators/teams', [account.#door.url, account.#service], SETTINGS);
    account.#relay.target = account.#emulator.url;
    await account.#watch();
    const begun = await account.#ask(`/_conversation/v1/conversations/${CHANNEL}/messages`, {
      ...{ from: { id: PERSON.id }, text: 'a thread', textFormat: 'plain' },
    });
    account.#thread = String((begun as { messageId: string }).messageId);
    return account;
  }

  get #service(): string {
    return `${this.#relay.url}/_connector`;
  }

  get parts(): Pick<DriverParts, 'name' | 'settings' | 'secrets'> {
    const { login, openid } = this.#fake;
    const settings = {
      ...{ app_id: APP, tenant: TENANT, login, openid },
      ...{ service: this.#service, services: ['127.0.0.1'] },
    };
    return { name: 'work', settings, secrets: { password: PASSWORD } };
  }

  /** Once the bot is there, it is added to its chats. */
  open(parts: DriverParts): Channel {
    const channel = this.#door.leadsTo(open(parts));
    const { start } = channel;
    return Object.assign(channel, {
      start: async (...given: Parameters<Channel['start']>) => {
        await start.apply(channel, given);
        if (!this.#isInstalled) for (const chat of [DIRECT, GROUP, CHANNEL]) await this.#install(chat);
        this.#isInstalled = true;
      },
    });
  }

  place(name: PlaceName): Place {
    if (name === 'thread') return { chat: CHANNEL, thread: this.#thread };
    return { chat: name === 'direct' ? DIRECT : GROUP, thread: '' };
  }

  /** Whoever speaks. */
  handle(): string {
    return PERSON.aadObjectId;
  }

  sent(): Sent[] {
    return [...this.#messages.values()].map(({ conversation, message }) => {
      const elements = (message.attachments ?? []).flatMap(({ content }) => content.body);
      return {
        ...placeOf(conversation),
        ...{ receipt: message.messageId, quotes: null, file: null, ...shownOf(message.text ?? '') },
        buttons: elements.flatMap(({ actions = [] }) =>
          actions.map(({ title, data }) => ({ token: data.token, label: title })),
        ),
      };
    });
  }

  reactions(): never[] {
    return [];
  }

  typing(): Place[] {
    return this.#typing.map(placeOf);
  }

  menu(): never[] {
    return [];
  }

  acknowledged(message: string): boolean {
    return this.#door.acked.has(message);
  }

  pressesAnswered(): number {
    return this.#pressed;
  }

  async stop(): Promise<void> {
    this.#window?.close();
    await this.#relay.close();
    await this.#emulator.stop();
    await this.#door.close();
    await this.#fake.close();
  }

  readonly people: People = {
    say: (saying) => this.#say(saying),
    press: async (place, _from, replyToId, token) => {
      const answered = this.#door.next(({ value }) => value !== undefined, 'answered');
      const conversation = { id: conversationOf(this.place(place)) };
      await this.#ask('/_conversation/v1/submit', {
        conversation,
        from: { id: PERSON.id },
        replyToId,
        value: { token },
      });
      await answered;
      this.#pressed += 1;
    },
    strange: async (event) => {
      const common = {
        serviceUrl: this.#service,
        conversation: { id: DIRECT, conversationType: 'personal' },
        id: event,
      };
      const answered = this.#door.next(({ id }) => id === event, 'answered');
      const activity = event === 'unknown' ? { type: 'galaxyChanged', from: PERSON } : { type: 'message' };
      await this.#ask('/_internal/v1/customActivities', { ...common, ...activity });
      await answered;
    },
    edit: async () => lacking(),
    remove: async () => lacking(),
    react: async () => lacking(),
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

  async #say({ place, text, mention }: Saying): Promise<string> {
    const isDirect = place === 'direct';
    if (!isDirect && mention !== true) throw new Error(MENTIONS);
    const words = mention === true && !isDirect ? `${AT} ${text}` : text;
    const heard = this.#door.next((told) => told.type === 'message' && told.text === words);
    const mentions = words === text ? {} : { mentions: [{ mentioned: US, text: AT }] };
    const path = `/_conversation/v1/conversations/${conversationOf(this.place(place))}/messages`;
    await this.#ask(path, { from: { id: PERSON.id }, text: words, textFormat: 'plain', ...mentions });
    return (await heard).id!;
  }

  /** A window of the person’s, which is told of everything. */
  async #watch(): Promise<void> {
    this.#window = new WebSocket(
      `${this.#emulator.url.replace('http', 'ws')}/_ws_conversation/v1/conversations/stream`,
    );
    this.#window.addEventListener('message', ({ data }) => {
      const { action, actionConversationId: conversation, message } = JSON.parse(String(data)) as Shown;
      if (action === 'typing') this.#typing.push(conversation);
      if (message?.from.id !== US.id) return;
      const known = this.#messages.get(message.messageId)?.conversation;
      this.#messages.set(message.messageId, { conversation: known ?? conversation, message });
    });
    await once(this.#window, 'open');
  }

  async #install(chat: string): Promise<void> {
    const added = this.#door.next(({ conversation }) => conversation?.id === chat, 'answered');
    await this.#ask(`/_debug/conversation/${chat}/installation`, {});
    await added;
  }

  async #ask(path: string, value: object): Promise<unknown> {
    const headers = { 'content-type': 'application/json' };
    const url = `${this.#emulator.url}${path}`;
    const response = await fetch(url, { method: 'POST', headers, body: JSON.stringify(value) });
    const text = await response.text();
    if (!response.ok) throw new Error(`the playground refuses ${path}: ${response.status} ${text}`);
    return text.startsWith('{') ? JSON.parse(text) : null;
  }

  /** Until the window shows it. */
  async #passed({ path, body }: Asked, answered: Answered): Promise<undefined> {
    if (answered.status >= 300 || !path.includes('/activities')) return;
    const { type, text } = JSON.parse(body.toString()) as { type: string; text?: string };
    if (type === 'typing') this.#typed += 1;
    const isShown = (): boolean => {
      if (type === 'typing') return this.#typing.length >= this.#typed;
      const { id } = JSON.parse(answered.body.toString()) as { id: string };
      return this.#messages.get(id)?.message.text === text;
    };
    while (!isShown()) await once(this.#window, 'message');
  }
}

function lacking(): never {
  throw new Error('the playground has nothing of the kind');
}

function conversationOf({ chat, thread }: Place): string {
  return thread === '' ? chat : `${chat};messageid=${thread}`;
}

function placeOf(conversation: string): Place {
  const [chat = '', thread = ''] = conversation.split(';messageid=');
  return { chat, thread };
}
