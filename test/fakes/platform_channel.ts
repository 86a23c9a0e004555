import { readFileSync } from 'node:fs';
import type {
  Channel,
  ChannelCapabilities,
  ChannelHealth,
  EditOperation,
  MenuCommand,
  ReactOperation,
  Reconciled,
  SendOperation,
  SendResult,
  Sink,
} from '../../src/channels/channel.ts';

import type { Markup } from '../../src/channels/dialects/dialect.ts';
import { unreadable } from '../../src/channels/unreadable.ts';
import type { Update } from './platform.ts';

/** The driver for the fake platform: long polling, acknowledgement after the commit, history by idempotency key. */
export class PlatformChannel implements Channel {
  readonly name = 'platform';
  readonly capabilities: ChannelCapabilities = {
    markup: 'markdown',
    text_max: 4000,
    file_bytes_max: 20 * 1024 * 1024,
    buttons: true,
    cards: true,
    quotes: true,
    edits: true,
    reactions: true,
    typing: true,
  };
  readonly #url: string;
  #stopped = false;
  #connected = false;

  /** `markup`: its dialect. */
  constructor(url: string, markup: Markup = 'markdown') {
    this.#url = url;
    this.capabilities.markup = markup;
  }

  async start(sink: Sink, cursors: ReadonlyMap<string, string>): Promise<void> {
    void this.#poll(sink, Number(cursors.get('updates') ?? 0));
  }

  async stop(): Promise<void> {
    this.#stopped = true;
  }

  async send(operation: SendOperation): Promise<SendResult> {
    const { chat, thread, body, key, buttons, card, reply_to } = operation;
    const file = operation.file && { name: operation.file.name, text: readFileSync(operation.file.path, 'utf8') };
    const quotes = reply_to ?? undefined;
    return this.#post('/bot/send', { chat, thread, text: body, key, buttons, card, file, quotes });
  }

  edit({ message, body }: EditOperation): Promise<SendResult> {
    return this.#post('/bot/edit', { id: Number(message.replace('platform ', '')), text: body });
  }

  react({ message, emoji }: ReactOperation): Promise<SendResult> {
    return this.#post('/bot/react', { message, emoji });
  }

  async menu(commands: readonly MenuCommand[]): Promise<void> {
    await this.#post('/bot/menu', { commands });
  }

  async typing(chat: string, thread: string): Promise<void> {
    await this.#post('/bot/typing', { chat, thread });
  }

  async #post(path: string, body: object): Promise<SendResult> {
    try {
      const response = await fetch(`${this.#url}${path}`, { method: 'POST', body: JSON.stringify(body) });
      if (response.status === 400) return { ok: false, class: 'permanent', reason: 'the platform refused the text' };
      if (response.status === 404) return { ok: false, class: 'gone', reason: 'there is no such message' };
      const { id } = (await response.json()) as { id?: number };
      return { ok: true, receipt: id === undefined ? 'done' : `platform ${id}` };
    } catch (error) {
      return { ok: false, class: 'ambiguous', reason: String(error) };
    }
  }

  async reconcile(operation: SendOperation): Promise<Reconciled> {
    const response = await fetch(`${this.#url}/bot/sent?key=${operation.key}`);
    if (response.status === 404) return { found: false };
    const { id } = (await response.json()) as { id: number };
    return { found: true, receipt: `platform ${id}` };
  }

  async openDm(handle: string): Promise<{ platform_id: string; title: string } | null> {
    const response = await fetch(`${this.#url}/bot/open`, { method: 'POST', body: JSON.stringify({ handle }) });
    if (response.status === 404) return null;
    const { chat } = (await response.json()) as { chat: string };
    return { platform_id: chat, title: chat };
  }

  deepLink(code: string): string {
    return `${this.#url}/start?code=${code}`;
  }

  health(): ChannelHealth {
    return { state: this.#connected ? 'connected' : 'starting', detail: this.#url };
  }

  /** One batch at a time, each update committed before the next poll acknowledges it. */
  async #poll(sink: Sink, after: number): Promise<void> {
    let cursor = after;
    while (!this.#stopped) {
      try {
        const response = await fetch(`${this.#url}/bot/updates?after=${cursor}`);
        const { updates } = (await response.json()) as { updates: Update[] };
        this.#connected = true;
        for (const update of updates) {
          await take(sink, update);
          await sink.saveCursor('updates', String(update.id));
          cursor = update.id;
        }
      } catch {
        await new Promise((resolve) => setTimeout(resolve, 100));
      }
    }
  }
}

/** A channel whose platform refuses its token. */
export class DeafChannel implements Channel {
  readonly name = 'deaf';
  readonly capabilities: ChannelCapabilities = { markup: 'plain', text_max: 4000, file_bytes_max: 0 };

  async start(): Promise<void> {
    throw new Error('the platform refused the token');
  }

  async stop(): Promise<void> {}

  async send(): Promise<SendResult> {
    return { ok: false, class: 'auth', reason: 'the platform refused the token' };
  }

  health(): ChannelHealth {
    return { state: 'failed', detail: 'the platform refused the token' };
  }
}

async function take(sink: Sink, update: Update): Promise<void> {
  const common = {
    dedupe_key: `platform:${update.id}`,
    chat: { platform_id: update.chat, title: update.chat, direct: update.chat.startsWith('dm-') },
    thread: update.thread ?? '',
    sender: { handle: update.from, name: update.name ?? update.from, ...(update.kind ? { kind: update.kind } : {}) },
    platform_id: String(update.id),
    sent_ms: Date.now(),
  };
  const change = { ...common, platform_id: String(update.message), sent_ms: update.at ?? common.sent_ms };
  if (update.broken === true) await sink.unreadable(unreadable('message', update));
  else if (update.receipt !== undefined) {
    const reason = update.receipt === 'failed' ? { reason: 'their phone is away' } : {};
    const at_ms = update.at ?? common.sent_ms;
    await sink.receipt({ message: `platform ${update.message}`, state: update.receipt, at_ms, ...reason });
  } else if (update.edit !== undefined) await sink.edited({ ...change, text: update.edit });
  else if (update.deleted === true) await sink.deleted(change);
  else if (update.emoji !== undefined)
    await sink.reacted({ ...change, emoji: update.emoji, removed: update.removed === true });
  else if (update.token !== undefined) await sink.pressed({ ...common, token: update.token });
  else {
    const files = (update.files ?? []).map(({ name, data }) => ({ name, data: Buffer.from(data, 'base64') }));
    await sink.accept({ ...common, ...more(update), text: update.text, files });
  }
}

function more({ mention, reply_to, forwarded }: Update): {
  addressed: boolean;
  reply_to?: string;
  forwarded?: boolean;
} {
  return {
    ...(forwarded === true && { forwarded }),
    addressed: mention !== false,
    ...(reply_to === undefined ? {} : { reply_to: `platform ${reply_to}` }),
  };
}
