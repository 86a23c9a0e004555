import type { Api, Called } from './api.ts';
import { CHANNELS_MAX, NAMES_MAX } from './limits.ts';
import * as payloads from './payloads.ts';

/** Where a message was said. `thread`: '' outside of threads. */
export interface Spot {
  chat: string;
  thread: string;
  title: string;
  direct: boolean;
}

const DM = 1;
const THREADS = [10, 11, 12];
/** Channels in which a thread may begin with a message. */
const TEXTS = [0, 5];
/** Boards of threads: each begins with its post. */
const BOARDS = [15, 16];
/** And categories: nobody writes into them. */
const SILENT = [4, ...BOARDS];

/** What the gateway and messages have told of servers, their channels, and people; a channel that is not known is asked for. */
export class Guilds {
  readonly #api: Api;
  readonly #channels = new Map<string, payloads.Channel>();
  /** Roles that are a bot's alone, by their ids. */
  readonly #roles = new Map<string, string>();
  readonly #people = new Map<string, { name: string; bot: boolean }>();

  constructor(api: Api) {
    this.#api = api;
  }

  /** Takes what it can read; returns the channels that may have messages. */
  add(given: unknown[]): payloads.Channel[] {
    const read = given.flatMap((each) => payloads.channel.safeParse(each).data ?? []);
    for (const channel of read) remember(this.#channels, channel.id, channel, CHANNELS_MAX);
    return read.filter(({ type }) => !SILENT.includes(type));
  }

  remove(channel: string): void {
    this.#channels.delete(channel);
  }

  addRole(given: unknown): void {
    const read = payloads.role.safeParse(given);
    const bot = read.data?.tags?.bot_id;
    if (read.success && bot) this.#roles.set(read.data.id, bot);
  }

  /** Whether it is that bot's own role: to mention it is to mention the bot. */
  isRoleOf(role: string, bot: string): boolean {
    return this.#roles.get(role) === bot;
  }

  meet(user: payloads.User, nick: string | null | undefined): { name: string; bot: boolean } {
    const person = { name: nick || user.global_name || user.username || user.id, bot: user.bot === true };
    remember(this.#people, user.id, person, NAMES_MAX);
    return person;
  }

  person(id: string): { name: string; bot: boolean } {
    return this.#people.get(id) ?? { name: id, bot: false };
  }

  nameOf(channel: string): string | undefined {
    return this.#channels.get(channel)?.name ?? undefined;
  }

  isThread(channel: string): boolean {
    return this.#is(channel, THREADS);
  }

  isBoard(channel: string): boolean {
    return this.#is(channel, BOARDS);
  }

  hasThreads(channel: string): boolean {
    return this.#is(channel, TEXTS);
  }

  /** What is told in order with it: a thread's chat. */
  chatOf(channel: string): string {
    return (this.isThread(channel) ? this.#channels.get(channel)?.parent_id : null) ?? channel;
  }

  /** `guild`: absent in direct chats, which Discord tells nothing else of. Rejects where it cannot be known now. */
  async spot(channel: string, guild: string | undefined, person: string): Promise<Spot> {
    if (guild === undefined) return { chat: channel, thread: '', title: person, direct: true };
    const known = await this.#channel(channel);
    if (known === null) return { chat: channel, thread: '', title: channel, direct: false };
    const { type, name, parent_id } = known;
    if (type === DM) return { chat: channel, thread: '', title: person, direct: true };
    const title = name ? `#${name}` : channel;
    if (!THREADS.includes(type) || !parent_id) return { chat: channel, thread: '', title, direct: false };
    const parent = await this.#channel(parent_id);
    return { chat: parent_id, thread: channel, title: parent?.name ? `#${parent.name}` : parent_id, direct: false };
  }

  /** Null: we may not see it. */
  async find(id: string): Promise<Called<payloads.Channel | null>> {
    const known = this.#channels.get(id);
    if (known !== undefined) return { ok: true, value: known };
    const answer: Called<payloads.Channel> = await this.#api.call('GET', `/channels/${id}`, payloads.channel);
    if (answer.ok) this.add([answer.value]);
    return answer.ok || answer.failure.class !== 'gone' ? answer : { ok: true, value: null };
  }

  async #channel(id: string): Promise<payloads.Channel | null> {
    const found = await this.find(id);
    if (!found.ok) throw new Error(found.failure.reason);
    return found.value;
  }

  #is(channel: string, types: number[]): boolean {
    return types.includes(this.#channels.get(channel)?.type ?? -1);
  }
}

/** The oldest are forgotten first. */
export function remember<T>(map: Map<string, T>, key: string, value: T, max: number): void {
  map.delete(key);
  map.set(key, value);
  if (map.size > max) map.delete(map.keys().next().value!);
}
