import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { CHECK_CHAT, CHECK_GROUP } from '../../evidence/check/names.ts';
import type { Trace } from '../../evidence/trace.ts';
import type { Scene } from './scene.ts';

/** The far end of a chat of a check, as a terminal is one: it shows each message once, by its key, and comes back when the host does. */
const AGAIN_MS = 100;
/** A second copy of an answer would come right behind it. */
const SECOND_COPY_MS = 500;

export class Chat {
  readonly name: string;
  readonly #scene: Scene;
  /** Texts by the key that a terminal knows them by. */
  readonly #heard = new Map<string, string>();

  private constructor(scene: Scene, name: string) {
    this.#scene = scene;
    this.name = name;
  }

  /** A chat in the throw-away group, with a session of its own. Resolves when it is open. */
  static async open(scene: Scene, purpose: string): Promise<Chat> {
    const chat = new Chat(scene, `${CHECK_CHAT}${scene.tag}-${purpose}`);
    await scene.client.call('wiring_set', { chat: `local:${chat.name}`, group: CHECK_GROUP });
    const opened = Promise.withResolvers<void>();
    void chat.#listen(opened.resolve, opened.reject);
    await opened.promise;
    return chat;
  }

  async #listen(opened: () => void, failed: (error: unknown) => void): Promise<void> {
    let client = '';
    const row = (line: Record<string, unknown>): void => {
      if (line['t'] === 'open') {
        client = String(line['client']);
        opened();
      }
      if (line['t'] !== 'message') return;
      this.#heard.set(String(line['key']), String(line['body']));
      this.#scene.client.call('shown', { client, key: line['key'] }).catch(() => {});
    };
    while (!this.#scene.ended.aborted) {
      await this.#scene.client.stream('chat', { chat: this.name }, row, this.#scene.ended).catch(failed);
      await sleep(AGAIN_MS);
    }
  }

  /** Resolves with the id of the message once it is on disk, under one key however often it is tried. */
  say(text: string): Promise<string> {
    const said = { chat: this.name, text, key: `check-${randomUUID()}` };
    return this.#scene.until('a message is accepted', async () => {
      return (await this.#scene.client.call<{ message: string }>('say', said)).message;
    });
  }

  /** How many messages here have this word. */
  count(word: string): number {
    return [...this.#heard.values()].join('\n').split(word).length - 1;
  }

  /** Resolves when all words were heard; rejects when one was heard twice, or not at all. */
  async hearsOnce(words: readonly string[]): Promise<void> {
    await this.#scene.until('every message is answered', () => words.every((word) => this.count(word) > 0) || null);
    await sleep(SECOND_COPY_MS);
    const twice = words.find((word) => this.count(word) > 1);
    if (twice !== undefined) throw new Error(`a message was answered ${this.count(twice)} times`);
  }

  /** The trace of a message, once its answer is sent. Rejects with the reason when it failed. */
  async answered(message: string): Promise<Trace> {
    const trace = await this.#scene.until(`${message} is answered, and the answer is sent`, async () => {
      const found = await this.#scene.trace(message);
      const isOver = found.steps.some(({ kind }) => kind === 'delivery.sent');
      return isOver || failureOf(found) !== null ? found : null;
    });
    const failure = failureOf(trace);
    if (failure !== null) throw new Error(`${message} failed: ${failure}`);
    return trace;
  }
}

function failureOf({ handled }: Trace): string | null {
  return handled.find(({ state }) => state === 'failed')?.reason ?? null;
}

/** A word that nothing else has. */
export function word(): string {
  return `w${randomUUID().slice(0, 8)}`;
}
