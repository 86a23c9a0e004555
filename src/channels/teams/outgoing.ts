import { messageOf } from '../../base/errors.ts';
import { showBytes } from '../../base/text.ts';
import type { EditOperation, OutgoingFile, SendOperation, SendResult } from '../channel.ts';
import { plainOf } from '../dialects/teams.ts';
import { Latest } from '../latest.ts';
import { attachmentsOf } from './cards.ts';
import type { Connector } from './connector.ts';
import { offerCard } from './consent.ts';
import type { Failure } from './http.ts';
import { conversationOf } from './incoming.ts';
import type { TeamsSettings } from './kind.ts';
import { HALVES_MAX, OFFER_BYTES_MAX } from './limits.ts';
import type { Memory } from './memory.ts';
import type { Offers } from './offers.ts';
import * as payloads from './payloads.ts';

/** What we say. Nothing is repeated here, and nothing that was sent can be found again: Teams keeps no key of ours. */
export class Outgoing {
  readonly #connector: Connector;
  readonly #settings: TeamsSettings;
  readonly #memory: Memory;
  readonly #offers: Offers;
  /** By the key of their send: texts that are there while their file is not offered yet. */
  readonly #halves = new Latest<string, string>(HALVES_MAX);

  constructor(connector: Connector, settings: TeamsSettings, memory: Memory, offers: Offers) {
    this.#connector = connector;
    this.#settings = settings;
    this.#memory = memory;
    this.#offers = offers;
  }

  async send(operation: SendOperation): Promise<SendResult> {
    const { chat, thread, body, file, card, buttons } = operation;
    if (file !== null) return this.#offer(operation, file);
    const text = plainOf(body);
    const attachments = attachmentsOf(card, buttons, text);
    // Teams makes two messages of a text and a card, and names neither: the card says all of it, a notification its title.
    const said =
      attachments.length === 0 ? { text: body } : { summary: card?.title ?? text.split('\n', 1)[0], attachments };
    return this.#post(chat, thread, said);
  }

  /** That a file is there which somebody was offered. Null: it is said. */
  async show(chat: string, card: object): Promise<string | null> {
    const sent = await this.#post(chat, '', { attachments: [card] });
    return sent.ok ? null : sent.reason;
  }

  /** It has come when its person has said yes, which may be never; what is told to the host is that they were asked. */
  async #offer({ chat, thread, body, key }: SendOperation, file: OutgoingFile): Promise<SendResult> {
    if (file.bytes > OFFER_BYTES_MAX) return TOO_LARGE;
    if (!isDirect(chat)) return NOT_HERE;
    const half = this.#halves.get(key);
    const text = body === '' || half !== undefined ? null : await this.#post(chat, thread, { text: body });
    if (text?.ok === false) return text;
    const receipt = text?.receipt ?? half;
    if (receipt !== undefined) this.#halves.put(key, receipt);
    const asked = await this.#ask(chat, thread, key, file);
    if (!asked.ok)
      return receipt === undefined
        ? asked
        : { ...asked, reason: `the text has arrived, its file not: ${asked.reason}` };
    this.#halves.drop(key);
    return { ok: true, receipt: receipt ?? asked.receipt };
  }

  async #ask(chat: string, thread: string, key: string, file: OutgoingFile): Promise<SendResult> {
    try {
      const word = await this.#offers.keep(key, chat, file);
      return this.#post(chat, thread, { attachments: [offerCard(file, word)] });
    } catch (error) {
      return {
        ok: false,
        class: 'retryable',
        reason: `the file cannot be kept until it is asked for: ${messageOf(error)}`,
      };
    }
  }

  async #post(chat: string, thread: string, said: object): Promise<SendResult> {
    const service = this.#memory.serviceOf(chat);
    if (service === undefined) return UNKNOWN;
    const message = { type: 'message', textFormat: 'markdown', ...said };
    const call = { method: 'POST', path: activities(chat, thread), body: message } as const;
    const answer = await this.#connector.call(service, call, payloads.posted);
    if (!answer.ok) return refused(answer.failure);
    if (thread === '') this.#memory.began(chat, answer.value.id);
    return { ok: true, receipt: answer.value.id };
  }

  /** A card that the message had goes. */
  async edit({ chat, thread, message, body }: EditOperation): Promise<SendResult> {
    const service = this.#memory.serviceOf(chat);
    if (service === undefined) return UNKNOWN;
    const path = `${activities(chat, thread)}/${encodeURIComponent(message)}`;
    const edited = { type: 'message', id: message, text: body, textFormat: 'markdown' };
    const answer = await this.#connector.call(service, { method: 'PUT', path, body: edited }, payloads.anything);
    return answer.ok ? { ok: true, receipt: message } : refused(answer.failure);
  }

  /** Rejects when it is not shown. */
  async typing(chat: string, thread: string): Promise<void> {
    const service = this.#memory.serviceOf(chat);
    if (service === undefined) throw new Error(UNKNOWN.reason);
    const call = { method: 'POST', path: activities(chat, thread), body: { type: 'typing' } } as const;
    const answer = await this.#connector.call(service, call, payloads.anything);
    if (!answer.ok) throw new Error(answer.failure.reason);
  }

  /** Null: Teams knows no such person, or the app is not installed for them. */
  async openDm(handle: string): Promise<{ platform_id: string; title: string } | null> {
    const { app_id, tenant, service } = this.#settings;
    const person = this.#memory.personOf(handle);
    const id = person?.id ?? handle;
    if (!/^[0-9a-f-]{36}$|^29:/.test(id)) return null;
    const us = { id: `28:${app_id}` };
    const chat = {
      isGroup: false,
      bot: us,
      members: [{ id }],
      tenantId: tenant,
      channelData: { tenant: { id: tenant } },
    };
    const call = { method: 'POST', path: '/v3/conversations', body: chat } as const;
    const answer = await this.#connector.call(service, call, payloads.opened);
    if (answer.ok) {
      const { id: platform_id, serviceUrl } = answer.value;
      if (this.#memory.serviceOf(platform_id) === undefined)
        await this.#memory.learnService(platform_id, serviceUrl || service);
      return { platform_id, title: person?.name ?? handle };
    }
    if (answer.failure.class === 'gone' || answer.failure.class === 'permanent') return null;
    throw new Error(answer.failure.reason);
  }
}

const UNKNOWN = {
  ok: false,
  class: 'gone',
  reason: 'where this chat is was never heard of: somebody has to write to the bot there, or add it anew',
} as const;

const NOT_HERE = {
  ok: false,
  class: 'unsupported',
  reason: 'Teams takes files of a bot in direct chats alone',
} as const;

const TOO_LARGE = {
  ok: false,
  class: 'too_large',
  reason: `a file to Teams has at most ${showBytes(OFFER_BYTES_MAX)}`,
} as const;

/** Group chats and channels have names that begin so. */
function isDirect(chat: string): boolean {
  return !chat.startsWith('19:');
}

function activities(chat: string, thread: string): string {
  return `/v3/conversations/${encodeURIComponent(conversationOf(chat, thread))}/activities`;
}

function refused({ class: kind, reason, after_ms }: Failure): SendResult {
  return { ok: false, class: kind, reason, ...(after_ms === undefined ? {} : { after_ms }) };
}
