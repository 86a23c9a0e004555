import type { EditOperation, SendOperation, SendResult } from '../channel.ts';
import { plainOf } from '../dialects/teams.ts';
import { attachmentsOf } from './cards.ts';
import type { Connector } from './connector.ts';
import type { Failure } from './http.ts';
import { conversationOf } from './incoming.ts';
import type { TeamsSettings } from './kind.ts';
import type { Memory } from './memory.ts';
import * as payloads from './payloads.ts';

/** What we say. Nothing is repeated here, and nothing that was sent can be found again: Teams keeps no key of ours. */
export class Outgoing {
  readonly #connector: Connector;
  readonly #settings: TeamsSettings;
  readonly #memory: Memory;

  constructor(connector: Connector, settings: TeamsSettings, memory: Memory) {
    this.#connector = connector;
    this.#settings = settings;
    this.#memory = memory;
  }

  async send({ chat, thread, body, file, card, buttons }: SendOperation): Promise<SendResult> {
    if (file !== null)
      return {
        ok: false,
        class: 'unsupported',
        reason: 'a bot cannot send files in Teams without being asked for each',
      };
    const service = this.#memory.serviceOf(chat);
    if (service === undefined) return UNKNOWN;
    const text = plainOf(body);
    const attachments = attachmentsOf(card, buttons, text);
    const message = {
      ...{ type: 'message', textFormat: 'markdown' },
      // Teams makes two messages of a text and a card, and names neither: the card says all of it, a notification its title.
      ...(attachments.length === 0 ? { text: body } : { summary: card?.title ?? text.split('\n', 1)[0], attachments }),
    };
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

function activities(chat: string, thread: string): string {
  return `/v3/conversations/${encodeURIComponent(conversationOf(chat, thread))}/activities`;
}

function refused({ class: kind, reason, after_ms }: Failure): SendResult {
  return { ok: false, class: kind, reason, ...(after_ms === undefined ? {} : { after_ms }) };
}
