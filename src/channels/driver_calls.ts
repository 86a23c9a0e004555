import { messageOf } from '../base/errors.ts';
import type { Channel, ChannelHealth, Linking, Sink } from './channel.ts';

/** What a driver's thread and the host say to one another: calls, each with one answer, and news that has none. */

/** What the host calls; a driver need not have all of them. */
export const DRIVER_METHODS = [
  ...(['start', 'stop', 'send', 'edit', 'react', 'typing'] as const),
  ...(['reconcile', 'openDm', 'menu', 'webhook'] as const),
] satisfies (keyof Channel)[];
export type DriverMethod = (typeof DRIVER_METHODS)[number];

export const SINK_METHODS = [
  ...([
    'accept',
    'edited',
    'deleted',
    'reacted',
    'pressed',
    'unreadable',
    'receipt',
    'reachable',
    'saveCursor',
  ] as const),
] satisfies (keyof Sink)[];

export type CallMessage =
  | { t: 'call'; id: number; method: string; args: unknown[] }
  | { t: 'done'; id: number; value: unknown }
  | { t: 'failed'; id: number; reason: string };

/** From the thread, besides calls and answers. */
export type DriverNews =
  | { t: 'opened'; methods: DriverMethod[] }
  /** The driver could not be made. */
  | { t: 'refused'; reason: string }
  /** `link`: the deep link, with `CODE_HERE` in the place of the code. */
  | { t: 'health'; health: ChannelHealth; link: string | null; linking: Linking | null }
  | { t: 'log'; level: 'info' | 'warn'; event: string; fields: Record<string, string | number> }
  | { t: 'pong' };

export const CODE_HERE = 'CODEHERE';

/** What a thread is started with. */
export interface DriverSpec {
  /** Address of the driver's file. */
  driver: string;
  name: string;
  settings: Record<string, unknown>;
  folder: string;
  secrets: Record<string, string>;
}

/** Calls over a port, both ways. Answers come in any order. */
export class CallPort {
  readonly #post: (message: CallMessage) => void;
  readonly #handle: (method: string, args: unknown[]) => Promise<unknown>;
  readonly #open = new Map<number, PromiseWithResolvers<unknown>>();
  #next = 1;
  #closed: string | null = null;

  /** `handle` answers what the other side calls. */
  constructor(post: (message: CallMessage) => void, handle: (method: string, args: unknown[]) => Promise<unknown>) {
    this.#post = post;
    this.#handle = handle;
  }

  /** Rejects with what the other side failed with, or with why it is gone. */
  call(method: string, args: unknown[]): Promise<unknown> {
    if (this.#closed !== null) return Promise.reject(new Error(this.#closed));
    const id = this.#next++;
    const waiting = Promise.withResolvers<unknown>();
    this.#open.set(id, waiting);
    this.#post({ t: 'call', id, method, args });
    return waiting.promise;
  }

  receive(message: CallMessage): void {
    if (message.t === 'call') return void this.#answer(message.id, message.method, message.args);
    const waiting = this.#open.get(message.id);
    this.#open.delete(message.id);
    if (message.t === 'done') waiting?.resolve(message.value);
    else waiting?.reject(new Error(message.reason));
  }

  /** Nobody will answer any more. */
  close(reason: string): void {
    this.#closed ??= reason;
    for (const waiting of this.#open.values()) waiting.reject(new Error(reason));
    this.#open.clear();
  }

  async #answer(id: number, method: string, args: unknown[]): Promise<void> {
    try {
      const value = await this.#handle(method, args);
      if (this.#closed === null) this.#post({ t: 'done', id, value });
    } catch (error) {
      if (this.#closed === null) this.#post({ t: 'failed', id, reason: messageOf(error) });
    }
  }
}
