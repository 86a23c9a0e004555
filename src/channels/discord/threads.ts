import type { SendOperation } from '../channel.ts';
import type { Api, Called } from './api.ts';
import type { Failure } from './failures.ts';
import { type Guilds, remember, type Spot } from './guilds.ts';
import { BEGUN_MAX, THREAD_IDLE_MINUTES, THREAD_NAME_CHARS_MAX } from './limits.ts';
import * as payloads from './payloads.ts';

const HAS_A_THREAD = 160_004;
/** What is wrong with the channel, and not with one message. */
const CLOSED = new Set([50_001, 50_013, 50_024]);
const PUBLIC_THREAD = 11;

type Where = Pick<SendOperation, 'chat' | 'thread'>;

/**
 * A mention in a channel is answered in a thread that begins with it. Such a thread has the id of its message, so a mention has its thread
 * before anybody has made it; the first send does. Where none can be made, what is said goes into the channel.
 */
export class Threads {
  readonly #api: Api;
  readonly #guilds: Guilds;
  /** `false`: mentions are answered in the channel. */
  readonly #begins: boolean;
  readonly #ourName: () => string;
  /** By their ids, those that were not there yet: what was said. Null: none can be made. */
  readonly #begun = new Map<string, string | null>();
  /** Channels in which none can be made, as far as was tried. */
  readonly #closed = new Set<string>();

  constructor(api: Api, guilds: Guilds, begins: boolean, ourName: () => string) {
    this.#api = api;
    this.#guilds = guilds;
    this.#begins = begins;
    this.#ourName = ourName;
  }

  /** The thread of a message that calls us. */
  of({ chat, thread, direct }: Spot, message: string, text: string): string {
    const begins = this.#begins && !direct && thread === '' && this.#guilds.hasThreads(chat);
    if (!begins || this.#closed.has(chat)) return thread;
    remember(this.#begun, message, text, BEGUN_MAX);
    return message;
  }

  /** What we may do has changed. */
  permitted(): void {
    this.#closed.clear();
  }

  /** The message that a thread begins with stands in the channel; of a board, in the thread. */
  isFirst({ chat, thread }: Where, message: string | null): boolean {
    return message === thread && !this.#guilds.isBoard(chat);
  }

  /** The channel that this is sent to. */
  async open(operation: SendOperation): Promise<Called<string>> {
    const { chat, thread } = operation;
    const known = this.#known(operation);
    if (known !== null) return at(known);
    const body = {
      name: nameOf(this.#begun.get(thread) ?? '') || this.#ourName(),
      auto_archive_duration: THREAD_IDLE_MINUTES,
    };
    const route = `/channels/${chat}/messages/${thread}/threads` as const;
    const made = await this.#api.call('POST', route, payloads.posted, { body });
    if (!made.ok && made.failure.code !== HAS_A_THREAD)
      return isRefusal(made.failure) ? this.#without(operation, made.failure.code) : unsent(made.failure);
    this.#guilds.add([{ id: thread, type: PUBLIC_THREAD, parent_id: chat }]);
    return at(thread);
  }

  /** The channel where what was said in it is. */
  async find(where: Where): Promise<Called<string>> {
    const known = this.#known(where);
    if (known !== null) return at(known);
    const found = await this.#guilds.find(where.thread);
    return found.ok ? at(found.value === null ? where.chat : where.thread) : unsent(found.failure);
  }

  #known({ chat, thread }: Where): string | null {
    if (thread === '') return chat;
    if (this.#guilds.isThread(thread)) return thread;
    return this.#begun.get(thread) === null ? chat : null;
  }

  /** It is one that nobody has told us of, or a mention that is answered where it stands. */
  async #without({ chat, thread, reply_to }: SendOperation, code: number): Promise<Called<string>> {
    const found = await this.#guilds.find(thread);
    if (!found.ok) return unsent(found.failure);
    if (found.value !== null) return at(thread);
    // A thread that we do not see is not for everybody in the channel: what is wrong with it, Discord says to the send.
    if (reply_to !== thread) {
      const begun = await this.#api.call('GET', `/channels/${chat}/messages/${thread}`, payloads.posted);
      if (!begun.ok) return isRefusal(begun.failure) ? at(thread) : unsent(begun.failure);
    }
    remember(this.#begun, thread, null, BEGUN_MAX);
    if (CLOSED.has(code)) this.#closed.add(chat);
    return at(chat);
  }
}

function at(channel: string): Called<string> {
  return { ok: true, value: channel };
}

function isRefusal({ class: kind }: Failure): boolean {
  return kind === 'gone' || kind === 'permanent';
}

/** Whatever became of that call, nothing was said. */
function unsent(failure: Failure): Called<string> {
  return { ok: false, failure: failure.class === 'ambiguous' ? { ...failure, class: 'retryable' } : failure };
}

function nameOf(text: string): string {
  const [line = ''] = text.split('\n', 1);
  return [...line.replace(/\s+/g, ' ').trim()].slice(0, THREAD_NAME_CHARS_MAX).join('');
}
