import type { Hook, People, Place, PlaceName, Saying, Speaker } from '../../kits/channel_scene.ts';
import { BOT, type BotApi, seconds } from './bot_api.ts';

/** People on the fake: what they do becomes the updates that the Bot API documents. */

export const DIRECT = 1001;
export const GROUP = -1_001_000_500;
export const TOPIC = 7;

const USERS: Record<Speaker, { id: number; is_bot: boolean; first_name: string; username?: string }> = {
  person: { id: DIRECT, is_bot: false, first_name: 'First' },
  other: { id: 1002, is_bot: false, first_name: 'Second' },
  bot: { id: 1003, is_bot: true, first_name: 'Beeper', username: 'beeper_bot' },
  self: BOT,
};

export const CHATS = {
  [DIRECT]: { id: DIRECT, type: 'private', first_name: 'First' },
  [GROUP]: { id: GROUP, type: 'supergroup', title: 'Garden', is_forum: true },
};

export function placeOf(name: PlaceName): Place {
  switch (name) {
    case 'direct':
      return { chat: String(DIRECT), thread: '' };
    case 'group':
      return { chat: String(GROUP), thread: '' };
    case 'thread':
      return { chat: String(GROUP), thread: String(TOPIC) };
    default:
      return name satisfies never;
  }
}

export function handleOf(speaker: Speaker): string {
  return String(USERS[speaker].id);
}

export class TelegramPeople implements People {
  readonly #api: BotApi;
  /** Numbers of updates by the message that they told of. */
  readonly #told = new Map<string, number>();
  #queries = 0;

  constructor(api: BotApi) {
    this.#api = api;
  }

  async say(saying: Saying): Promise<string> {
    const message = this.message(saying);
    const shown = `${chatOf(saying.place)}:${message['message_id']}`;
    const update = this.#api.updates.add('message', message);
    if (update !== null) this.#told.set(shown, update);
    return shown;
  }

  /** Whether the server has forgotten it. */
  acknowledged(shown: string): boolean {
    const update = this.#told.get(shown);
    return update !== undefined && !this.#api.updates.pending.some(({ update_id }) => update_id === update);
  }

  async edit(place: PlaceName, from: Speaker, shown: string, text: string): Promise<void> {
    const common = { message_id: numberOf(shown), from: USERS[from], chat: CHATS[chatOf(place)], date: seconds() };
    this.#api.updates.add('edited_message', { ...common, edit_date: seconds(), text, ...threadOf(place) });
  }

  async remove(place: PlaceName, _from: Speaker, shown: string): Promise<void> {
    const at = this.#api.messages.findIndex(
      (each) => each.chat === chatOf(place) && each.message_id === numberOf(shown),
    );
    this.#api.messages.splice(at, 1);
  }

  async react(place: PlaceName, from: Speaker, shown: string, emoji: string, removed: boolean): Promise<void> {
    const all = [{ type: 'emoji', emoji }];
    this.#api.updates.add('message_reaction', {
      chat: CHATS[chatOf(place)],
      message_id: numberOf(shown),
      user: USERS[from],
      date: seconds(),
      old_reaction: removed ? all : [],
      new_reaction: removed ? [] : all,
    });
  }

  async press(place: PlaceName, from: Speaker, receipt: string, token: string): Promise<void> {
    this.#queries += 1;
    const { text = '', buttons = [] } = this.#api.find(chatOf(place), numberOf(receipt)) ?? {};
    const shown = { from: BOT, text, reply_markup: { inline_keyboard: [buttons] } };
    const common = { message_id: numberOf(receipt), chat: CHATS[chatOf(place)], date: seconds(), ...threadOf(place) };
    const message = { ...common, ...shown };
    const query = { id: `query-${this.#queries}`, from: USERS[from], message, chat_instance: '1', data: token };
    this.#api.updates.add('callback_query', query);
  }

  async strange(event: 'unknown' | 'broken'): Promise<void> {
    // The server tells of nothing but what was asked for, and of new parts of that at any time.
    if (event === 'broken') this.#api.updates.add('message', { message_id: 1, date: seconds() });
    else
      this.#api.updates.add('message', {
        ...this.message({ place: 'group', from: 'person', text: '' }),
        newly_made: {},
      });
  }

  message({ place, from, text, mention, reply_to, files }: Saying): Record<string, unknown> {
    const chat = chatOf(place);
    const message_id = this.#api.nextId();
    const said = mention === true ? `@${BOT.username} ${text}` : text;
    const entities = mention === true ? [{ type: 'mention', offset: 0, length: BOT.username.length + 1 }] : undefined;
    this.#api.messages.push({
      ...{ chat, message_id, from: USERS[from].id, html: said, text: said, bold: [], code: [], buttons: [] },
      ...{ thread: place === 'thread' ? TOPIC : undefined, reply_to: null, file: null },
    });
    const common = { message_id, from: USERS[from], chat: CHATS[chat], date: seconds() };
    const words = files === undefined ? { text: said, entities } : { caption: said, caption_entities: entities };
    return { ...common, ...words, ...this.#answering(chat, reply_to), ...threadOf(place), ...this.#attached(files) };
  }

  /** Outside of a topic a reply has a thread id all the same: that of what it replies to. */
  #answering(chat: number, reply_to: string | undefined): object {
    const answered = reply_to === undefined ? undefined : this.#api.find(chat, numberOf(reply_to));
    if (answered === undefined) return {};
    const from = Object.values(USERS).find(({ id }) => id === answered.from);
    const reply_to_message = {
      message_id: answered.message_id,
      from,
      chat: CHATS[chat as typeof DIRECT],
      date: seconds(),
    };
    return { message_thread_id: answered.message_id, reply_to_message };
  }

  #attached(files: Saying['files']): object {
    const [file] = files ?? [];
    if (file === undefined) return {};
    const id = `documents/file_${this.#api.files.size}.bin`;
    this.#api.files.set(id, file.data);
    return { document: { file_id: id, file_unique_id: id, file_name: file.name, file_size: file.data.length } };
  }
}

function chatOf(place: PlaceName): typeof DIRECT | typeof GROUP {
  return place === 'direct' ? DIRECT : GROUP;
}

/** Whatever is said in a topic "answers" the message that began it, which may be the bot's own. */
function threadOf(place: PlaceName): object {
  if (place !== 'thread') return {};
  const root = { message_id: TOPIC, from: BOT, chat: CHATS[GROUP], date: 1, forum_topic_created: { name: 'Roses' } };
  return { message_thread_id: TOPIC, is_topic_message: true, reply_to_message: root };
}

function numberOf(shown: string): number {
  return Number(shown.split(':')[1]);
}

export class TelegramHook implements Hook {
  readonly #people: TelegramPeople;
  readonly #secret: () => string;
  #updates = 900_000;

  constructor(people: TelegramPeople, secret: () => string) {
    this.#people = people;
    this.#secret = secret;
  }

  request(saying: Saying): ReturnType<Hook['request']> {
    this.#updates += 1;
    return requestOf({ update_id: this.#updates, message: this.#people.message(saying) }, this.#secret());
  }

  forged(saying: Saying): ReturnType<Hook['forged']> {
    const good = this.request(saying);
    const { 'x-telegram-bot-api-secret-token': secret, ...headers } = good.headers;
    const named = (value: string) => ({ ...good, headers: { ...headers, 'x-telegram-bot-api-secret-token': value } });
    return [{ ...good, headers }, named(''), named(secret!.slice(1)), named(`${secret}0`), named('0'.repeat(64))];
  }
}

export function requestOf(update: object, secret: string): ReturnType<Hook['request']> {
  const headers = { 'content-type': 'application/json', 'x-telegram-bot-api-secret-token': secret };
  return { method: 'POST', path: '', query: '', headers, body: Buffer.from(JSON.stringify(update)) };
}
