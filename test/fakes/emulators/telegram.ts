import type { Channel, MenuCommand } from '../../../src/channels/channel.ts';
import type { DriverParts } from '../../../src/channels/kind.ts';
import { open } from '../../../src/channels/telegram/driver.ts';
import { telegram } from '../../../src/channels/telegram/kind.ts';
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
  Speaker,
} from '../../kits/channel_scene.ts';
import { parseHtml } from '../telegram/html.ts';
import { CHATS, placeOf, TOPIC } from '../telegram/people.ts';
import { Emulator } from './emulator.ts';
import { type Answered, type Asked, jsonAnswer, Relay } from './relay.ts';

/**
 * Telegram as `telegram-test-api` makes it. It answers a poll at once, so the relay holds one until somebody has said
 * something; it has no `getWebhookInfo`, which the relay answers. What people say is written here, as its own client does.
 */

const FORGETS = 'the emulator forgets an update once it is handed over, whatever the offset';
const REFUSES = 'the emulator refuses nothing';
const NO_FILES = 'the emulator has no files';

export const emulatedTelegram: ChannelUnderTest = {
  title: 'telegram against telegram-test-api',
  kind: telegram,
  lacks: {
    'files come in whole': NO_FILES,
    'a file that is too large is left out, and the text says so': NO_FILES,
    'a file goes out whole, with its text': NO_FILES,
    'a file goes out with a text of any length, and without one': NO_FILES,
    'an edit comes in, after its message': 'people cannot edit in the emulator',
    'a deletion comes in': 'Telegram tells bots of no deletion',
    'a reaction comes in, and that it was taken back': 'the emulator has no reactions',
    'our reaction is put, and put again without harm': 'the emulator has no reactions',
    'a message is acknowledged after its commit': FORGETS,
    'what could not be committed is delivered again, in its place': FORGETS,
    'a host that dies before the commit is told again, under the same key': FORGETS,
    'of a thousand messages none is lost, and each chat keeps its order': FORGETS,
    'what is broken is kept before it is acknowledged': FORGETS,
    'markup is shown as what it says': 'the emulator reads no markup',
    'an answer to what is gone is sent without a quote': 'the emulator does not look at what is quoted',
    'that we are busy is shown where we are': 'the emulator has no sendChatAction',
    'the menu shows our commands': 'the emulator has no setMyCommands',
    'a person’s direct chat can be opened': 'the emulator has no getChat',
    'too many messages: the driver says when to come back, and does not come back itself': REFUSES,
    'too many messages, and the platform names no time': REFUSES,
    'a platform that is broken is tried again later, by others': REFUSES,
    'a text that the platform refuses is refused for good': REFUSES,
    'a chat where nobody is any more is gone': REFUSES,
    'a token that counts no more is said to be so, and is named nowhere': REFUSES,
    'a second program on our token is said to be so; once it has ended, messages come in again': REFUSES,
    'the declared capabilities are true': 'the emulator takes a text of any length',
  },
  start: () => EmulatedTelegram.start(),
};

/** Looks like a token, and is none. */
const TOKEN = '66600:FAKE-token-of-the-emulators-bot-0123456789';

/** As the emulator answers `getMe`. */
const BOT = { id: 666, is_bot: true, first_name: 'Test First name', username: 'TestNameBot' };

const USERS: Record<Speaker, { id: number; is_bot: boolean; first_name: string; username?: string }> = {
  person: { id: 1001, is_bot: false, first_name: 'First' },
  other: { id: 1002, is_bot: false, first_name: 'Second' },
  bot: { id: 1003, is_bot: true, first_name: 'Beeper', username: 'beeper_bot' },
  self: BOT,
};

/** A message of ours, as the emulator keeps it. */
interface Kept {
  messageId: number;
  message: {
    chat_id: number | string;
    text: string;
    message_thread_id?: number;
    reply_parameters?: { message_id: number };
    reply_markup?: { inline_keyboard: { text: string; callback_data: string }[][] };
  };
}

class EmulatedTelegram implements Account, Faults {
  readonly faults: Faults = this;
  readonly showsNoMarkup = true;
  readonly people: People;
  readonly #relay = new Relay({
    instead: (asked, gone) => this.#instead(asked, gone),
    passed: (asked) => this.#passed(asked),
    writes: ({ path }) => path.endsWith('/sendMessage'),
  });
  readonly #emulator: Emulator;
  readonly #said = new Map<number, Speaker>();
  #ours: Kept[] = [];
  #answered = 0;
  /** Something was said that no poll has asked for since. */
  #news = Promise.withResolvers<void>();

  private constructor(emulator: Emulator) {
    this.#emulator = emulator;
    this.#relay.target = emulator.url;
    const never = (): never => {
      throw new Error('the emulator has nothing of the kind');
    };
    this.people = {
      say: (saying) => this.#say(saying),
      press: (place, from, receipt, token) => this.#press(place, from, receipt, token),
      strange: (event) => this.#strange(event),
      edit: async () => never(),
      remove: async () => never(),
      react: async () => never(),
    };
  }

  static async start(): Promise<EmulatedTelegram> {
    const account = new EmulatedTelegram(await Emulator.start('emulators/telegram'));
    await account.#relay.listen();
    return account;
  }

  get parts(): Pick<DriverParts, 'name' | 'settings' | 'secrets'> {
    return { name: 'telegram', settings: { api: this.#relay.url }, secrets: { token: TOKEN } };
  }

  open(parts: DriverParts): Channel {
    return open(parts);
  }

  place(name: PlaceName): Place {
    return placeOf(name);
  }

  handle(speaker: Speaker): string {
    return String(USERS[speaker].id);
  }

  sent(): Sent[] {
    return this.#ours.map(({ messageId, message }) => ({
      receipt: `${message.chat_id}:${messageId}`,
      chat: String(message.chat_id),
      thread: String(message.message_thread_id ?? ''),
      shown: parseHtml(message.text)?.text ?? message.text,
      bold: [],
      code: [],
      quotes:
        message.reply_parameters === undefined ? null : `${message.chat_id}:${message.reply_parameters.message_id}`,
      buttons: (message.reply_markup?.inline_keyboard ?? [])
        .flat()
        .map(({ text, callback_data }) => ({ token: callback_data, label: text })),
      file: null,
    }));
  }

  reactions(): never[] {
    return [];
  }

  typing(): never[] {
    return [];
  }

  menu(): MenuCommand[] {
    return [];
  }

  acknowledged(): boolean {
    return false;
  }

  pressesAnswered(): number {
    return this.#answered;
  }

  next(fault: SendFault): void {
    if (fault !== 'cut') throw new Error(`the emulator has no fault ${fault}`);
    this.#relay.cutNext();
  }

  revoke(): void {
    throw new Error('the emulator takes any token');
  }

  async secondPoller(): Promise<void> {
    throw new Error('the emulator answers any number of polls');
  }

  async drop(): Promise<void> {
    this.#relay.drop();
  }

  offline(): Promise<void> {
    return this.#relay.close();
  }

  online(): Promise<void> {
    return this.#relay.listen();
  }

  async stop(): Promise<void> {
    await this.#relay.close();
    await this.#emulator.stop();
  }

  async #instead({ path, body }: Asked, gone: AbortSignal): Promise<Answered | null> {
    if (path.endsWith('/getWebhookInfo')) return jsonAnswer({ ok: true, result: { url: '' } });
    if (!path.endsWith('/getUpdates')) return null;
    const { timeout = 0 } = JSON.parse(body.toString()) as { timeout?: number };
    const ended = new Promise((resolve) => gone.addEventListener('abort', resolve));
    if (timeout > 0) await Promise.race([this.#news.promise, ended]);
    if (gone.aborted) return jsonAnswer({}, 502);
    this.#news = Promise.withResolvers();
    return null;
  }

  async #passed({ path }: Asked): Promise<undefined> {
    if (path.endsWith('/answerCallbackQuery')) this.#answered += 1;
    if (/\/(sendMessage|editMessageText)$/.test(path))
      this.#ours = (await this.#history()).filter((each) => 'chat_id' in each.message);
  }

  /** Of both sides, the oldest first. */
  async #history(): Promise<Kept[]> {
    const { result } = (await this.#ask('getUpdatesHistory', { token: TOKEN })) as { result: Partial<Kept>[] };
    return result.filter((each): each is Kept => each.message !== undefined);
  }

  async #ask(path: string, value: object): Promise<unknown> {
    const headers = { 'content-type': 'application/json' };
    const url = `${this.#emulator.url}/${path}`;
    const response = await fetch(url, { method: 'POST', headers, body: JSON.stringify(value) });
    return response.json();
  }

  async #say(saying: Saying): Promise<string> {
    await this.#ask('sendMessage', { botToken: TOKEN, date: seconds(), ...this.#message(saying) });
    const { messageId } = (await this.#history()).findLast((each) => !('chat_id' in each.message))!;
    this.#said.set(messageId, saying.from);
    this.#news.resolve();
    return `${placeOf(saying.place).chat}:${messageId}`;
  }

  #message({ place, from, text, mention, reply_to }: Saying): object {
    const name = `@${BOT.username}`;
    return {
      from: USERS[from],
      chat: chatOf(place),
      text: mention === true ? `${name} ${text}` : text,
      ...(mention === true ? { entities: [{ type: 'mention', offset: 0, length: name.length }] } : {}),
      ...(reply_to === undefined ? {} : { reply_to_message: this.#quoted(place, reply_to) }),
      ...inThread(place),
    };
  }

  #quoted(place: PlaceName, shown: string): object {
    const message_id = numberOf(shown);
    return { message_id, from: USERS[this.#said.get(message_id) ?? 'self'], chat: chatOf(place), date: seconds() };
  }

  async #press(place: PlaceName, from: Speaker, receipt: string, token: string): Promise<void> {
    const message = { message_id: numberOf(receipt), chat: chatOf(place), date: seconds(), ...inThread(place) };
    await this.#ask('sendCallback', { botToken: TOKEN, date: seconds(), from: USERS[from], message, data: token });
    this.#news.resolve();
  }

  async #strange(event: 'unknown' | 'broken'): Promise<void> {
    const unknown = { ...this.#message({ place: 'group', from: 'person', text: '' }), newly_made: {} };
    await this.#ask('sendMessage', { botToken: TOKEN, date: seconds(), ...(event === 'unknown' ? unknown : {}) });
    this.#news.resolve();
  }
}

function chatOf(place: PlaceName): object {
  return CHATS[Number(placeOf(place).chat) as keyof typeof CHATS];
}

function inThread(place: PlaceName): object {
  if (place !== 'thread') return {};
  const root = { message_id: TOPIC, from: BOT, chat: chatOf(place), date: 1 };
  return { message_thread_id: TOPIC, is_topic_message: true, reply_to_message: root };
}

function numberOf(shown: string): number {
  return Number(shown.split(':')[1]);
}

function seconds(): number {
  return Math.floor(Date.now() / 1000);
}
