import { setTimeout as sleep } from 'node:timers/promises';
import type { Channel, WebhookRequest } from '../../../src/channels/channel.ts';
import type { DriverParts } from '../../../src/channels/kind.ts';
import { open } from '../../../src/channels/teams/driver.ts';
import { teams } from '../../../src/channels/teams/kind.ts';
import { emojiOf } from '../../../src/channels/teams/text.ts';
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
import { Calls } from './calls.ts';
import { shownOf } from './markdown.ts';
import { ASKS, type FakeMessage, FakeService, PASSWORD, SHOWS, TENANT } from './service.ts';
import { APP, claimsFor, unsigned } from './signer.ts';

const LACKS = {
  'the menu shows our commands': 'the menu of a bot stands in its app package',
  'a file goes out with a text of any length, and without one':
    'Teams takes files of bots in direct chats alone: test/e2e/channel_teams_own.test.ts',
  'a second program on our token is said to be so; once it has ended, messages come in again':
    'Teams calls one address',
};

export const teamsSubject: ChannelUnderTest = {
  title: 'Teams',
  kind: teams,
  lacks: LACKS,
  start: () => TeamsAccount.start(),
};

export const DIRECT = 'a:1direct-chat-of-ann';
export const GROUP = '19:00fake00group00@thread.tacv2';
export const THREAD = '1700000000001';
const TEAM = '19:00fake00team000@thread.tacv2';

const PEOPLE: Record<Speaker, { id: string; aadObjectId?: string; name: string }> = {
  person: { id: '29:1ann', aadObjectId: 'aaaaaaaa-0000-0000-0000-000000000001', name: 'Ann Example' },
  other: { id: '29:1bob', aadObjectId: 'aaaaaaaa-0000-0000-0000-000000000002', name: 'Bob Example' },
  bot: { id: '28:99999999-0000-0000-0000-000000000009', name: 'beeper' },
  self: { id: `28:${APP}`, name: 'Glass' },
};

type Activity = Record<string, unknown> & { type: string };

/** One bot in a fake Teams, and the people there. */
export class TeamsAccount implements Account {
  readonly teams = new FakeService();
  readonly calls = new Calls();
  readonly threadsOfMessages = 'answers';
  /** Where each message was said. */
  readonly #said = new Map<string, string>();
  readonly #agreed = new Set<string>();
  #pressed = 0;
  #isInstalled = false;

  static async start(): Promise<TeamsAccount> {
    const account = new TeamsAccount();
    account.teams.chats.add(DIRECT).add(GROUP);
    for (const id of [PEOPLE.person.id, PEOPLE.person.aadObjectId!]) account.teams.direct.set(id, DIRECT);
    await account.teams.listen();
    return account;
  }

  get parts(): Pick<DriverParts, 'name' | 'settings' | 'secrets'> {
    const { login, openid, address } = this.teams;
    const settings = {
      ...{ app_id: APP, tenant: TENANT, login, openid },
      ...{ service: `${address}/teams`, services: ['127.0.0.1'] },
    };
    return { name: 'work', settings, secrets: { password: PASSWORD } };
  }

  /** Once the bot is there, Teams says that it was added to its chats. */
  open(parts: DriverParts): Channel {
    const channel = open(parts);
    const { start, stop } = channel;
    return Object.assign(channel, {
      start: async (...given: Parameters<Channel['start']>) => {
        await start.apply(channel, given);
        if (!this.#isInstalled) for (const chat of [DIRECT, GROUP]) await channel.webhook!(this.added(chat));
        this.#isInstalled = true;
        this.calls.comes(channel);
      },
      stop: async () => {
        this.calls.goes();
        await stop.apply(channel);
      },
    });
  }

  place(name: PlaceName): Place {
    if (name === 'direct') return { chat: DIRECT, thread: '' };
    return { chat: GROUP, thread: name === 'thread' ? THREAD : '' };
  }

  handle(speaker: Speaker): string {
    const { aadObjectId, id } = PEOPLE[speaker];
    return aadObjectId ?? id;
  }

  sent(): Sent[] {
    return this.teams.messages.map((message) => this.#sentOf(message));
  }

  /** The person has seen what they were asked, and says yes to each file that is not there yet. */
  async agree(): Promise<void> {
    for (const message of this.teams.messages)
      for (const { contentType, name = '', content } of message.attachments)
        if (contentType === ASKS && !this.#agreed.has(message.id)) {
          this.#agreed.add(message.id);
          const { status } = await this.calls.channel!.webhook!(
            this.consent(message.conversation, name, content.acceptContext!),
          );
          if (status !== 200) throw new Error(`a yes to a file was answered ${status}`);
        }
  }

  /** What a person says to a file; `no`: that it is not to come. `at`: where it is to be put, if not where Microsoft would say. */
  consent(chat: string, name: string, context: object, how: { no?: true; at?: string } = {}): WebhookRequest {
    const place = `p${this.teams.places.size}`;
    if (how.no === undefined) this.teams.places.set(place, null);
    const uploadUrl = how.at ?? `${this.teams.address}/places/${place}`;
    const contentUrl = `https://contoso.sharepoint.com/personal/ann/Documents/Applications/${place}`;
    const uploadInfo = { contentUrl, name, uploadUrl, uniqueId: place, fileType: 'bin', etag: '1' };
    const value = {
      ...{ type: 'fileUpload', action: how.no ? 'decline' : 'accept', context },
      ...(how.no === undefined && { uploadInfo }),
    };
    return this.signed({
      ...this.#common('invoke', chat, 'person'),
      ...{ name: 'fileConsent/invoke', locale: 'en-GB', id: `f:${this.teams.id()}`, replyToId: THREAD },
      value,
    });
  }

  #sentOf({ conversation, id, text, attachments }: FakeMessage): Sent {
    const elements = attachments.flatMap(({ content }) => content.body ?? []);
    const actions = elements.flatMap((element) => element.actions ?? []);
    // What is not a run of text Teams reads as Markdown, or not at all.
    const runs = elements.filter(({ type }) => type === 'RichTextBlock');
    const words = runs.map(({ inlines = [] }) =>
      inlines.map((run) => (run.type === 'TextRun' ? run.text : '')).join(''),
    );
    const isCard = runs[0]?.inlines?.[0]?.size !== undefined;
    const shown = attachments.find(({ contentType }) => contentType === SHOWS);
    const data = this.teams.places.get(shown?.content.uniqueId ?? '');
    return {
      ...placeOf(conversation),
      ...{ receipt: id, quotes: null, file: data ? { name: shown?.name ?? '', data } : null },
      ...(text === '' ? { shown: words.join('\n'), bold: [], code: [] } : shownOf(text)),
      buttons: actions.map(({ title, data: pressed }) => ({ token: pressed.token, label: title })),
      // Of the words above buttons none is larger.
      ...(isCard && { card: words }),
    };
  }

  reactions(): never[] {
    return [];
  }

  typing(): Place[] {
    return this.teams.typing.map(placeOf);
  }

  menu(): never[] {
    return [];
  }

  acknowledged(message: string): boolean {
    return this.calls.acked.has(message) && !this.calls.waits(message);
  }

  pressesAnswered(): number {
    return this.#pressed;
  }

  async stop(): Promise<void> {
    this.calls.forget();
    await this.teams.close();
  }

  readonly people: People = {
    say: async (saying) => {
      const activity = this.activity(saying);
      this.#bring(activity, String(activity['id']));
      return String(activity['id']);
    },
    edit: async (place, from, id, text) => {
      const conversation = this.#conversation(place, id);
      const common = this.#common('messageUpdate', conversation, from, 'editMessage');
      this.#bring({ ...common, id, text: escaped(text) }, id);
    },
    remove: async (place, from, id) => {
      const conversation = this.#conversation(place, id);
      this.#bring({ ...this.#common('messageDelete', conversation, from, 'softDeleteMessage'), id }, id);
    },
    react: async (place, from, id, emoji, removed) => {
      const type = ['like', 'heart', 'laugh'].find((name) => emojiOf(name) === emoji)!;
      const what = { [removed ? 'reactionsRemoved' : 'reactionsAdded']: [{ type }] };
      const common = this.#common('messageReaction', this.#conversation(place, id), from);
      this.#bring({ ...common, id: this.teams.id(), replyToId: id, ...what }, id);
    },
    press: async (place, from, receipt, token) => {
      const common = this.#common('message', this.#conversation(place, receipt), from);
      const press = { id: this.teams.id(), replyToId: receipt, value: { token } };
      const { status } = await this.calls.channel!.webhook!(this.signed({ ...common, ...press }));
      if (status === 200) this.#pressed += 1;
    },
    strange: async (event) => {
      const { from, ...common } = this.#common('message', DIRECT, 'person');
      const id = this.teams.id();
      const strange = event === 'unknown' ? { ...common, type: 'galaxyChanged', from, id } : { ...common, id };
      this.#bring(strange, id);
    },
  };

  readonly faults: Faults = {
    next: (fault) => {
      this.teams.fault = fault;
    },
    revoke: () => {
      this.teams.isRevoked = true;
    },
    secondPoller: async () => {},
    drop: async () => this.teams.drop(),
    offline: async () => {
      this.calls.isOffline = true;
      await this.teams.close();
      await sleep(50); // the other ends have seen it
    },
    online: async () => {
      await this.teams.listen();
      this.calls.isOffline = false;
      this.calls.again();
    },
  };

  readonly hook: Hook = {
    request: (saying) => this.signed(this.activity(saying)),
    forged: (saying) => this.#forged(saying),
  };

  /** As Teams signs it, or with another `authorization`. */
  signed(activity: Activity, authorization?: string): WebhookRequest {
    const token = authorization ?? `Bearer ${this.teams.signer.token(claimsFor(this.teams.service))}`;
    const headers = { 'content-type': 'application/json', authorization: token };
    return { method: 'POST', path: '', query: '', headers, body: Buffer.from(JSON.stringify(activity)) };
  }

  /** The bot is in this chat now. */
  added(chat: string): WebhookRequest {
    const common = this.#common('conversationUpdate', chat, 'person', chat === DIRECT ? undefined : 'teamMemberAdded');
    return this.signed({ ...common, membersAdded: [{ id: PEOPLE.self.id }] });
  }

  /** A press of a button of the newer kind in a direct chat. */
  invoked(replyToId: string, data: object): WebhookRequest {
    const value = { action: { type: 'Action.Execute', id: 'press', verb: 'press', data }, trigger: 'manual' };
    const what = { name: 'adaptiveCard/action', id: `f:${this.teams.id()}`, replyToId, value };
    return this.signed({ ...this.#common('invoke', DIRECT, 'person'), ...what });
  }

  activity({ place, from, text, mention, reply_to, files = [] }: Saying): Activity {
    const id = this.teams.id();
    const conversation = this.#conversation(place, reply_to ?? id);
    this.#said.set(id, conversation);
    const ours = { type: 'mention', mentioned: PEOPLE.self, text: '<at>Glass</at>' };
    return {
      ...this.#common('message', conversation, from),
      ...{ id, textFormat: 'plain', text: `${mention ? '<at>Glass</at>&nbsp;' : ''}${escaped(text)}` },
      entities: [
        { type: 'clientInfo', locale: 'en-GB', country: 'GB', platform: 'Windows' },
        ...(mention ? [ours] : []),
      ],
      attachments: [
        { contentType: 'text/html', content: `<div>${escaped(text)}</div>` },
        ...files.map((file) => this.#file(file)),
      ],
    };
  }

  #file({ name, data }: { name: string; data: Buffer }): object {
    const id = `f${this.teams.files.size}`;
    this.teams.files.set(id, data);
    const content = { downloadUrl: `${this.teams.address}/files/${id}`, uniqueId: id, fileType: 'bin', etag: '1' };
    const contentUrl = `https://contoso.sharepoint.com/personal/ann/Documents/${id}`;
    return { contentType: 'application/vnd.microsoft.teams.file.download.info', contentUrl, name, content };
  }

  /** A new message of a channel begins a thread of its own; a message that is answered has one already. */
  #conversation(place: PlaceName, message: string): string {
    if (place === 'direct') return DIRECT;
    if (place === 'thread') return `${GROUP};messageid=${THREAD}`;
    const ours = this.teams.messages.find(({ id }) => id === message)?.conversation;
    const known = this.#said.get(message) ?? ours;
    return known?.includes(';messageid=') === true ? known : `${GROUP};messageid=${message}`;
  }

  #common(type: string, id: string, from: Speaker, eventType?: string) {
    const now = new Date().toISOString();
    const kind = id === DIRECT ? 'personal' : 'channel';
    return {
      ...{ type, channelId: 'msteams', serviceUrl: this.teams.service, timestamp: now, localTimestamp: now },
      ...{ from: PEOPLE[from], recipient: PEOPLE.self },
      conversation: { id, conversationType: kind, tenantId: TENANT, ...(kind === 'channel' ? { isGroup: true } : {}) },
      channelData: {
        ...(kind === 'channel' && { teamsChannelId: GROUP, teamsTeamId: TEAM }),
        ...(kind === 'channel' && { channel: { id: GROUP }, team: { id: TEAM, name: 'Makers' } }),
        ...{ tenant: { id: TENANT }, ...(eventType && { eventType }) },
      },
    };
  }

  #bring(activity: Activity, message: string): void {
    this.calls.bring(this.signed(activity), message);
  }

  #forged(saying: Saying): WebhookRequest[] {
    const { signer, service } = this.teams;
    const activity = this.activity(saying);
    const now = Math.floor(Date.now() / 1000);
    const bearer = (more: Record<string, unknown>, how?: Parameters<typeof signer.token>[1]) =>
      this.signed(activity, `Bearer ${signer.token(claimsFor(service, more), how)}`);
    const right = this.signed(activity);
    const { authorization: _, ...bare } = right.headers;
    const foreign = 'https://smba.trafficmanager.example/teams/';
    return [
      { ...right, headers: bare },
      this.signed(activity, ''),
      this.signed(activity, right.headers['authorization']!.slice('Bearer '.length)),
      this.signed(activity, right.headers['authorization']!.slice(0, -8)),
      this.signed(activity, `Bearer ${unsigned(claimsFor(service))}`),
      this.signed(activity, `Bearer ${signer.tokenByPublicKey(claimsFor(service))}`),
      bearer({ iss: 'https://sts.windows.net/' }),
      bearer({ aud: '00000000-0000-0000-0000-000000000000' }),
      bearer({ exp: now - 301 }),
      bearer({ exp: undefined }),
      bearer({ nbf: now + 400 }),
      bearer({ serviceurl: undefined }),
      bearer({ serviceurl: `${service}elsewhere` }),
      bearer({}, { kid: 'for-others' }),
      bearer({}, { by: 'for-others' }),
      bearer({}, { kid: 'unknown', by: 'first' }),
      this.signed({ ...activity, serviceUrl: foreign }, `Bearer ${signer.token(claimsFor(foreign))}`),
      this.signed({ ...activity, serviceUrl: undefined }),
    ];
  }
}

function placeOf(conversation: string): Place {
  const [chat = '', thread = ''] = conversation.split(';messageid=');
  return { chat, thread };
}

/** As Teams writes what a person types. */
function escaped(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
}
