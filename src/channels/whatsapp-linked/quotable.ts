import type { WAMessage } from '@whiskeysockets/baileys';
import { Latest } from '../latest.ts';
import { jidOf } from './jids.ts';
import { QUOTABLE_MAX, QUOTED_CHARS_MAX } from './limits.ts';

/** Messages that an answer can quote: WhatsApp does not keep them, so an answer brings what it quotes. The latest, in memory. */
export class Quotable {
  readonly #messages = new Latest<string, WAMessage>(QUOTABLE_MAX);

  put(chat: string, platform_id: string, { key, messageTimestamp }: WAMessage, text: string): void {
    const conversation = text.slice(0, QUOTED_CHARS_MAX);
    // Under another name of the chat it would be shown as a quote from elsewhere.
    const message = {
      key: { ...key, remoteJid: jidOf(chat) },
      messageTimestamp: messageTimestamp ?? null,
      message: { conversation },
    };
    this.#messages.put(`${chat} ${platform_id}`, message);
  }

  get(chat: string, platform_id: string): WAMessage | undefined {
    return this.#messages.get(`${chat} ${platform_id}`);
  }

  drop(chat: string, platform_id: string): void {
    this.#messages.drop(`${chat} ${platform_id}`);
  }
}
