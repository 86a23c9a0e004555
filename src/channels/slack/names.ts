import type { Api } from './api.ts';
import { NAME_MS, NAMES_MAX, NO_NAME_MS } from './limits.ts';
import * as payloads from './payloads.ts';

/** What people and chats are called. Slack tells ids; a name that cannot be had is its id for a minute. */
export class Names {
  readonly #api: Api;
  readonly #people = new Remembered<Person>();
  readonly #chats = new Remembered<string>();

  constructor(api: Api) {
    this.#api = api;
  }

  person(id: string): Promise<Person> {
    return this.#people.get(id, async () => {
      const answer = await this.#api.call('users.info', { user: id }, payloads.person);
      if (!answer.ok) return { value: { name: id, bot: false }, known: false };
      const { profile, real_name, name, is_bot } = answer.value.user;
      const shown = [profile?.display_name, profile?.real_name, real_name, name].find((each) => each) ?? id;
      return { value: { name: shown, bot: is_bot === true }, known: true };
    });
  }

  chat(id: string): Promise<string> {
    return this.#chats.get(id, async () => {
      const answer = await this.#api.call('conversations.info', { channel: id }, payloads.chat);
      if (!answer.ok) return { value: id, known: false };
      const { name, is_im, user } = answer.value.channel;
      if (is_im === true && user) return { value: (await this.person(user)).name, known: true };
      return { value: name ? `#${name}` : id, known: true };
    });
  }
}

export interface Person {
  name: string;
  bot: boolean;
}

/** The oldest are forgotten first; who asks while one is looked up waits for the same answer. */
class Remembered<T> {
  readonly #values = new Map<string, { value: Promise<T>; until_ms: number }>();

  get(id: string, look: () => Promise<{ value: T; known: boolean }>): Promise<T> {
    const found = this.#values.get(id);
    if (found !== undefined && found.until_ms > performance.now()) return found.value;
    const entry = { value: undefined as unknown as Promise<T>, until_ms: performance.now() + NAME_MS };
    entry.value = look().then(({ value, known }) => {
      if (!known) entry.until_ms = performance.now() + NO_NAME_MS;
      return value;
    });
    this.#values.delete(id);
    this.#values.set(id, entry);
    if (this.#values.size > NAMES_MAX) this.#values.delete(this.#values.keys().next().value!);
    return entry.value;
  }
}
