import { type Api, InputFile } from 'grammy';
import type { EditOperation, OutgoingFile, ReactOperation, SendOperation, SendResult } from '../channel.ts';
import { type Chats, readMessage, showMessage } from './chats.ts';
import { isNoPhoto, isUnchanged, movedTo, type Refusal, refusalOf } from './errors.ts';
import { CAPTION_CHARS_MAX, HALVES_MAX, PHOTO_BYTES_MAX, UPLOAD_BYTES_MAX } from './limits.ts';

/** What we say, as calls. Each is made once; what became of it is a value. */
export class Outgoing {
  readonly #api: Api;
  readonly #chats: Chats;
  readonly #moved: (from: number, to: number) => void;
  /** By the key of their send: texts that are there while their file is not yet. */
  readonly #halves = new Map<string, string>();

  /** `moved`: a group has another id now. */
  constructor(api: Api, chats: Chats, moved: (from: number, to: number) => void) {
    this.#api = api;
    this.#chats = chats;
    this.#moved = moved;
  }

  async send(operation: SendOperation): Promise<SendResult> {
    const { file, body } = operation;
    if (file === null) return this.#text(operation);
    if (file.bytes > UPLOAD_BYTES_MAX)
      return {
        ok: false,
        class: 'too_large',
        reason: `Telegram takes files up to ${UPLOAD_BYTES_MAX / 1e6} MB of a bot`,
      };
    return body.length > CAPTION_CHARS_MAX ? this.#textThenFile(operation, file) : this.#file(operation, file);
  }

  /** Delivery repeats what it may repeat as a whole: the text then has arrived already. */
  async #textThenFile(operation: SendOperation, file: OutgoingFile): Promise<SendResult> {
    const half = this.#halves.get(operation.key);
    const text: SendResult = half === undefined ? await this.#text(operation) : { ok: true, receipt: half };
    if (!text.ok) return text;
    this.#halves.set(operation.key, text.receipt);
    if (this.#halves.size > HALVES_MAX) this.#halves.delete(this.#halves.keys().next().value!);
    const sent = await this.#file({ ...operation, body: '', buttons: [], reply_to: null }, file);
    if (!sent.ok) return { ...sent, reason: `the text has arrived, its file has not: ${sent.reason}` };
    this.#halves.delete(operation.key);
    return text;
  }

  #text(operation: SendOperation): Promise<SendResult> {
    return this.#said(operation.chat, (chat) =>
      this.#api.sendMessage(chat, operation.body, { parse_mode: 'HTML', ...besides(operation, chat) }),
    );
  }

  /** A picture is shown as one where the platform takes it as one. */
  #file(operation: SendOperation, file: OutgoingFile): Promise<SendResult> {
    const caption = operation.body === '' ? {} : { caption: operation.body, parse_mode: 'HTML' as const };
    return this.#said(operation.chat, async (chat) => {
      const more = { ...caption, ...besides(operation, chat) };
      if (/^image\/(png|jpeg)$/.test(file.type) && file.bytes <= PHOTO_BYTES_MAX) {
        try {
          return await this.#api.sendPhoto(chat, uploadOf(file), more);
        } catch (error) {
          if (!isNoPhoto(error)) throw error;
        }
      }
      return this.#api.sendDocument(chat, uploadOf(file), { ...more, disable_content_type_detection: true });
    });
  }

  async edit({ message, body }: EditOperation): Promise<SendResult> {
    const place = readMessage(message);
    if (place === null) return NO_SUCH;
    try {
      await this.#api.editMessageText(place.chat, place.message, body, { parse_mode: 'HTML' });
    } catch (error) {
      if (!isUnchanged(error)) return refusalOf(error);
    }
    return { ok: true, receipt: message };
  }

  /** Of a bot's reactions on a message there is one. The platform writes hearts and their like without a selector. */
  async react({ message, emoji }: ReactOperation): Promise<SendResult> {
    const place = readMessage(message);
    if (place === null) return NO_SUCH;
    const reaction = { type: 'emoji', emoji: emoji.replaceAll('\ufe0f', '') } as Parameters<
      Api['setMessageReaction']
    >[2][number];
    try {
      await this.#api.setMessageReaction(place.chat, place.message, [reaction]);
    } catch (error) {
      return refusalOf(error);
    }
    return { ok: true, receipt: message };
  }

  async typing(chat: string, thread: string): Promise<void> {
    await this.#api.sendChatAction(this.#chats.nowOf(chat), 'typing', inThread(thread));
  }

  /** A group that has moved refuses everything and names its new id: nothing was said yet, so it is said there. */
  async #said(first: string, say: (chat: number) => Promise<{ message_id: number }>): Promise<SendResult> {
    const chat = this.#chats.nowOf(first);
    try {
      try {
        return sent(chat, await say(chat));
      } catch (error) {
        const to = movedTo(error);
        if (to === undefined) throw error;
        this.#moved(chat, to);
        return sent(to, await say(to));
      }
    } catch (error) {
      return refusalOf(error);
    }
  }
}

const NO_SUCH: Refusal = { ok: false, class: 'gone', reason: 'there is no such message on Telegram' };

function sent(chat: number, { message_id }: { message_id: number }): SendResult {
  return { ok: true, receipt: showMessage(chat, message_id) };
}

/** What a text, a picture and a document have in common. */
function besides({ thread, reply_to, buttons = [] }: SendOperation, chat: number) {
  const quoted = reply_to === null ? null : readMessage(reply_to);
  // What was said before a group moved has a number that means another message now.
  const quotes = quoted?.chat === chat ? { message_id: quoted.message, allow_sending_without_reply: true } : undefined;
  const inline_keyboard = buttons.map(({ token, label }) => [{ text: label, callback_data: token }]);
  return {
    ...inThread(thread),
    ...(quotes === undefined ? {} : { reply_parameters: quotes }),
    ...(buttons.length === 0 ? {} : { reply_markup: { inline_keyboard } }),
  };
}

function inThread(thread: string): { message_thread_id?: number } {
  return thread === '' ? {} : { message_thread_id: Number(thread) };
}

/** The library writes the name without quotes, so signs that end it there are another sign. */
function uploadOf({ path, name }: OutgoingFile): InputFile {
  return new InputFile(path, name.replace(/[";\\\r\n]/g, '_'));
}
