import { generateKeyPairSync, sign } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Channel, WebhookRequest } from '../../../src/channels/channel.ts';
import { open } from '../../../src/channels/github/driver.ts';
import { github } from '../../../src/channels/github/kind.ts';
import type { DriverParts } from '../../../src/channels/kind.ts';
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
import { shownOf } from '../github/markdown.ts';
import { Door } from './door.ts';
import { Emulator } from './emulator.ts';
import { type Answered, type Asked, Relay } from './relay.ts';

/**
 * GitHub as `emulate` makes it: one repository with two issues. People and the other program act by calls with their own
 * tokens; calls to us are signed there. The emulator counts thousandths where GitHub has whole seconds, and compares times as
 * text: the relay asks it so that the whole of a second counts.
 */

const REFUSES = 'the emulator refuses no text and no token';
const NO_REACTIONS = 'the emulator has no reactions';

const LACKS = {
  'a thread is told apart, both ways': 'the emulator has no answers to review comments',
  'who is addressed is told by a mention and by a reply to us': 'a comment on GitHub answers no other one',
  'a reaction comes in, and that it was taken back': 'GitHub tells nobody of reactions',
  'our reaction is put, and put again without harm': NO_REACTIONS,
  'what is broken is kept before it is acknowledged': 'the emulator sends nothing broken',
  'what is unknown or broken blocks nothing, and what is broken is kept and logged':
    'the emulator lists nothing broken',
  'markup is shown as what it says': 'the emulator reads no markup',
  'the menu shows our commands': 'GitHub has no menu of commands',
  'too many messages: the driver says when to come back, and does not come back itself': REFUSES,
  'too many messages, and the platform names no time': REFUSES,
  'a platform that is broken is tried again later, by others': REFUSES,
  'a text that the platform refuses is refused for good': REFUSES,
  'a chat where nobody is any more is gone': REFUSES,
  'a token that counts no more is said to be so, and is named nowhere': REFUSES,
  'a second program on our token is said to be so; once it has ended, messages come in again':
    'any number of programs may read with a token, and none of them takes anything away',
  'the declared capabilities are true': 'the emulator takes a text of any length',
};

export const emulatedGitHub: ChannelUnderTest = {
  title: 'GitHub against emulate',
  kind: github,
  lacks: {
    ...LACKS,
    'a deletion comes in': 'a list does not say what is no more in it',
    'a message is acknowledged after its commit': 'GitHub is not told what was read',
  },
  start: () => EmulatedGitHub.start(false),
};

export const emulatedGitHubApp: ChannelUnderTest = {
  title: 'GitHub as an app with a webhook, against emulate',
  kind: github,
  lacks: { ...LACKS, 'after a long cut nothing is lost, and nothing is twice': 'the next round comes in an hour' },
  start: () => EmulatedGitHub.start(true),
};

const OWNER = 'ann';
const REPO = `${OWNER}/garden`;
const APPS = { self: { id: 7001, slug: 'glass' }, bot: { id: 7002, slug: 'beeper' } };
const TOKENS = {
  person: 'github_pat_FAKEfakeFAKEfakeFAKEfakeANN',
  other: 'github_pat_FAKEfakeFAKEfakeFAKEfakeBOB',
  account: 'github_pat_FAKEfakeFAKEfakeFAKEfakeBOT',
};
const HOOK_SECRET = 'fake-secret-of-a-webhook';
/** Of both apps. */
const KEY = generateKeyPairSync('rsa', {
  modulusLength: 2048,
  publicKeyEncoding: { type: 'spki', format: 'pem' },
  privateKeyEncoding: { type: 'pkcs1', format: 'pem' },
}).privateKey;

const SEED = JSON.stringify({
  tokens: {
    [TOKENS.person]: { login: OWNER },
    [TOKENS.other]: { login: 'bob' },
    [TOKENS.account]: { login: 'glass-account' },
  },
  github: {
    users: [{ login: OWNER }, { login: 'bob' }, { login: 'glass-account' }],
    repos: [{ owner: OWNER, name: 'garden' }],
    apps: Object.values(APPS).map(({ id, slug }) => ({
      ...{ app_id: id, slug, name: slug, private_key: KEY },
      permissions: { issues: 'write', pull_requests: 'write', metadata: 'read' },
      installations: [{ installation_id: id * 10, account: OWNER, repository_selection: 'all' }],
    })),
  },
});

interface Comment {
  id: number;
  body: string;
  issue_url: string;
  user: { id: number; login: string };
}

interface Told {
  action?: string;
  comment?: { id: number };
}

class EmulatedGitHub implements Account {
  readonly hook?: LateHook;
  readonly #isApp: boolean;
  readonly #relay = new Relay({
    as: (path) => path.replace(/([?&]since=[^&.]*)Z/, '$1.000Z'),
    passed: (asked, answered) => this.#passed(asked, answered),
    writes: ({ method, path }) => method === 'POST' && path.endsWith('/comments'),
  });
  readonly #door = new Door<Told>(({ comment }) => (comment === undefined ? undefined : `comment:${comment.id}`));
  readonly #tokens: Record<Speaker, string> = { ...TOKENS, self: TOKENS.account, bot: '' };
  readonly #ids: Partial<Record<Speaker, number>> = {};
  readonly #echoes = new Set<number>();
  /** What the driver was shown in a list. */
  readonly #listed = new Set<number>();
  #emulator!: Emulator;
  #ours: Comment[] = [];

  private constructor(isApp: boolean) {
    this.#isApp = isApp;
    if (!isApp) return;
    const made = (saying: Saying): Promise<WebhookRequest> => this.#door.captured(() => this.#said(saying));
    this.hook = { request: made, forged: async (saying) => forgedOf(await this.#deletion(saying)) };
  }

  static async start(isApp: boolean): Promise<EmulatedGitHub> {
    const account = new EmulatedGitHub(isApp);
    await account.#relay.listen();
    await account.#door.listen();
    account.#emulator = await Emulator.start('emulators/slack_github', ['github', account.#relay.url], SEED);
    account.#relay.target = account.#emulator.url;
    await account.#furnish();
    return account;
  }

  get parts(): Pick<DriverParts, 'name' | 'settings' | 'secrets'> {
    const common = { repos: [REPO], api: this.#relay.url, public: false, webhook: this.#isApp };
    if (!this.#isApp)
      return { name: 'code', settings: { ...common, poll_s: 0.05 }, secrets: { token: TOKENS.account } };
    const app = { app_id: APPS.self.id, installation_id: APPS.self.id * 10, poll_s: 3000 };
    return { name: 'code', settings: { ...common, ...app }, secrets: { key: KEY, webhook: HOOK_SECRET } };
  }

  open(parts: DriverParts): Channel {
    return this.#isApp ? this.#door.leadsTo(open(parts)) : open(parts);
  }

  place(name: PlaceName): Place {
    return { chat: `${REPO}#${issueOf(name)}`, thread: '' };
  }

  handle(speaker: Speaker): string {
    return String(this.#ids[speaker]);
  }

  sent(): Sent[] {
    return this.#ours.map(({ id, issue_url, body }) => ({
      ...{ chat: `${REPO}#${issue_url.split('/').at(-1)}`, thread: '', quotes: null, buttons: [], file: null },
      receipt: `comment:${id}`,
      ...shownOf(body),
    }));
  }

  reactions(): never[] {
    return [];
  }

  typing(): never[] {
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
    say: async (saying) => `comment:${(await this.#said(saying)).id}`,
    // Nobody who only looks now and then sees what was edited before.
    edit: async (_place, from, message, text) => {
      while (!this.#listed.has(numberOf(message))) await sleep(5);
      await this.#call(this.#tokens[from], 'PATCH', `/repos/${REPO}/issues/comments/${numberOf(message)}`, {
        body: text,
      });
    },
    remove: async (_place, from, message) => {
      await this.#call(this.#tokens[from], 'DELETE', `/repos/${REPO}/issues/comments/${numberOf(message)}`);
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

  /** Two issues, who may write, and where calls go: all of it a second before the driver begins. */
  async #furnish(): Promise<void> {
    const asOwner = (method: string, path: string, value?: object): Promise<unknown> =>
      this.#call(TOKENS.person, method, `/repos/${REPO}${path}`, value);
    for (const title of ['Direct', 'Group']) await asOwner('POST', '/issues', { title });
    for (const login of ['bob', 'glass-account'])
      await asOwner('PUT', `/collaborators/${login}`, { permission: 'admin' });
    for (const [speaker, login] of [['person', OWNER] as const, ['other', 'bob'] as const]) {
      const { id } = (await this.#call(TOKENS.person, 'GET', `/users/${login}`)) as { id: number };
      this.#ids[speaker] = id;
    }
    this.#tokens.bot = await this.#tokenOf(APPS.bot.id);
    if (this.#isApp) {
      this.#tokens.self = await this.#tokenOf(APPS.self.id);
      const config = { url: this.#door.url, content_type: 'json', secret: HOOK_SECRET };
      await asOwner('POST', '/hooks', { name: 'web', events: ['issue_comment'], config });
    }
    await sleep(1000 - (Date.now() % 1000));
  }

  /** Of an app's one installation. */
  async #tokenOf(app: number): Promise<string> {
    const now = Math.floor(Date.now() / 1000);
    const parts = [
      { alg: 'RS256', typ: 'JWT' },
      { iat: now - 60, exp: now + 300, iss: String(app) },
    ].map((part) => Buffer.from(JSON.stringify(part)).toString('base64url'));
    const proof = `${parts.join('.')}.${sign('RSA-SHA256', Buffer.from(parts.join('.')), KEY).toString('base64url')}`;
    const answer = await this.#call(proof, 'POST', `/app/installations/${app * 10}/access_tokens`, {});
    return (answer as { token: string }).token;
  }

  async #said({ place, from, text, mention }: Saying): Promise<Comment> {
    const name = this.#isApp ? APPS.self.slug : 'glass-account';
    const body = mention === true ? `@${name} ${text}` : text;
    const path = `/repos/${REPO}/issues/${issueOf(place)}/comments`;
    const said = (await this.#call(this.#tokens[from], 'POST', path, { body })) as Comment;
    if (from === 'self') this.#echoes.add(said.id);
    return said;
  }

  /** A call whose content is taken as it is. */
  async #deletion(saying: Saying): Promise<WebhookRequest> {
    let id = 0;
    await this.#door.captured(async () => {
      ({ id } = await this.#said(saying));
    });
    return this.#door.captured(() => this.people.remove(saying.place, saying.from, `comment:${id}`));
  }

  /** Not by way of the relay. */
  async #call(token: string, method: string, path: string, value?: object): Promise<unknown> {
    const headers = { authorization: `Bearer ${token}`, 'content-type': 'application/json' };
    const body = value === undefined ? {} : { body: JSON.stringify(value) };
    const response = await fetch(`${this.#emulator.url}${path}`, { method, headers, ...body });
    const text = await response.text();
    if (!response.ok) throw new Error(`the emulator refuses ${method} ${path}: ${response.status} ${text}`);
    return text === '' ? null : JSON.parse(text);
  }

  async #passed({ method, path }: Asked, { status, body }: Answered): Promise<undefined> {
    if (status >= 300) return;
    if (method === 'GET' && /\/issues\/comments\?/.test(path))
      for (const { id } of JSON.parse(body.toString()) as Comment[]) this.#listed.add(id);
    if (method !== 'GET' && /\/comments(\/\d+)?$/.test(path)) await this.#look();
  }

  async #look(): Promise<void> {
    const login = this.#isApp ? `${APPS.self.slug}[bot]` : 'glass-account';
    const path = `/repos/${REPO}/issues/comments?per_page=100&sort=created&direction=desc`;
    const all = (await this.#call(TOKENS.person, 'GET', path)) as Comment[];
    this.#ours = all.filter(({ id, user }) => user.login === login && !this.#echoes.has(id)).reverse();
  }
}

function issueOf(place: PlaceName): number {
  return place === 'direct' ? 1 : 2;
}

function numberOf(message: string): number {
  return Number(message.split(':')[1]);
}

function lacking(): never {
  throw new Error('the emulator has nothing of the kind');
}

function forgedOf(good: WebhookRequest): WebhookRequest[] {
  const { 'x-hub-signature-256': signature = '', ...unsigned } = good.headers;
  const named = (value: string): WebhookRequest => ({
    ...good,
    headers: { ...unsigned, 'x-hub-signature-256': value },
  });
  return [
    { ...good, headers: unsigned },
    named(''),
    named(signature.slice(0, -1)),
    named(`${signature}0`),
    named(signature.replace('sha256=', 'sha1=')),
    { ...good, body: Buffer.from(good.body.toString().replace('hello', 'hullo')) },
  ];
}
