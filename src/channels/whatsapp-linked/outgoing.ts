import { createHash } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import type { AnyMessageContent, MiscMessageGenerationOptions, WAMessageKey, WAProto } from '@whiskeysockets/baileys';
import { randomToken } from '../../base/ids.ts';
import { showBytes } from '../../base/text.ts';
import type { EditOperation, OutgoingFile, ReactOperation, SendOperation, SendResult } from '../channel.ts';
import { Latest } from '../latest.ts';
import type { Socket } from './connect.ts';
import { no, type Refusal, refusalOf, thrownOf } from './errors.ts';
import { jidOf, readMessage, showMessage } from './jids.ts';
import {
  CAPTION_CHARS_MAX,
  FILE_MS,
  HALVES_MAX,
  RESENDABLE_MAX,
  TEXT_CHARS_MAX,
  TEXT_MS,
  UPLOAD_BYTES_MAX,
  UPLOAD_MS,
} from './limits.ts';
import type { Quotable } from './quotable.ts';

export interface OutgoingParts {
  quotable: Quotable;
  /** The connection, or why there is none. */
  socket(): Promise<Socket | Refusal>;
}

/**
 * What we say. Baileys' own word for "sent" is that it was written out; here it is the acknowledgement of WhatsApp's server. The
 * id of a message is made of the key of its send, so that the same send has the same one, also after a restart.
 */
export class Outgoing {
  readonly #parts: OutgoingParts;
  /** By the key of their send: texts that are there while their file is not yet. */
  readonly #halves = new Latest<string, string>(HALVES_MAX);
  readonly #sent = new Latest<string, WAProto.IMessage>(RESENDABLE_MAX);

  constructor(parts: OutgoingParts) {
    this.#parts = parts;
  }

  /** A device that could not read it asks for it again. */
  sentBefore({ id }: WAMessageKey): WAProto.IMessage | undefined {
    return this.#sent.get(id ?? '');
  }

  async send(operation: SendOperation): Promise<SendResult> {
    const { file, body, key, chat } = operation;
    if (body.length > TEXT_CHARS_MAX)
      return no('too_large', `a text to WhatsApp has at most ${TEXT_CHARS_MAX} characters`);
    if (file === null) return this.#quoting(operation, idOf(key), { text: body, linkPreview: null });
    if (file.bytes > UPLOAD_BYTES_MAX)
      return no('too_large', `files to WhatsApp have at most ${showBytes(UPLOAD_BYTES_MAX)}`);
    if (body.length <= CAPTION_CHARS_MAX) return this.#quoting(operation, idOf(key), fileOf(file, body));
    // Delivery repeats what it may repeat as a whole: the text then has arrived already.
    const half = this.#halves.get(key);
    const text: SendResult =
      half === undefined
        ? await this.#quoting(operation, idOf(`${key} text`), { text: body, linkPreview: null })
        : { ok: true, receipt: half };
    if (!text.ok) return text;
    this.#halves.put(key, text.receipt);
    const sent = await this.#say(chat, idOf(key), fileOf(file, ''), {});
    if (!sent.ok) return { ...sent, reason: `the text has arrived, its file has not: ${sent.reason}` };
    this.#halves.drop(key);
    return text;
  }

  /** Each edit is a message of its own: going back to a text that was there before is another one. */
  async edit({ chat, message, body }: EditOperation): Promise<SendResult> {
    const key = readMessage(chat, message);
    if (key?.fromMe !== true) return NO_SUCH;
    const sent = await this.#say(chat, idOf(randomToken(16)), { text: body, edit: key, linkPreview: null }, {});
    return sent.ok ? { ok: true, receipt: message } : sent;
  }

  async react({ chat, message, emoji }: ReactOperation): Promise<SendResult> {
    const key = readMessage(chat, message);
    if (key === null) return NO_SUCH;
    const sent = await this.#say(chat, idOf(randomToken(16)), { react: { text: emoji, key } }, {});
    return sent.ok ? { ok: true, receipt: message } : sent;
  }

  async typing(chat: string): Promise<void> {
    const socket = await this.#parts.socket();
    if ('ok' in socket) throw new Error(socket.reason);
    await socket.sendPresenceUpdate('composing', jidOf(chat));
  }

  async #quoting({ chat, reply_to, body }: SendOperation, id: string, content: AnyMessageContent): Promise<SendResult> {
    const { quotable } = this.#parts;
    const quoted = reply_to === null ? undefined : quotable.get(chat, reply_to);
    const sent = await this.#say(chat, id, content, quoted === undefined ? {} : { quoted });
    if (sent.ok) quotable.put(chat, sent.receipt, { key: { remoteJid: jidOf(chat), id, fromMe: true } }, body);
    return sent;
  }

  async #say(
    chat: string,
    messageId: string,
    content: AnyMessageContent,
    more: MiscMessageGenerationOptions,
  ): Promise<SendResult> {
    const socket = await this.#parts.socket();
    if ('ok' in socket) return socket;
    const ms = 'image' in content || 'document' in content ? FILE_MS : TEXT_MS;
    // Asked for before it leaves: the acknowledgement may be quicker than the end of sending.
    const acknowledged = socket.waitForMessage<Acknowledgement>(messageId, ms).catch(() => undefined);
    const send = async (): Promise<Acknowledgement | undefined> => {
      const options = { messageId, mediaUploadTimeoutMs: UPLOAD_MS, ...more };
      const sent = await socket.sendMessage(jidOf(chat), content, options);
      if (sent?.message) this.#sent.put(messageId, sent.message);
      return acknowledged;
    };
    try {
      const answer = await within(ms, send());
      if (answer === undefined || answer === 'late') return LOST;
      const { error } = answer.attrs;
      if (error !== undefined) return refusalOf(Number(error));
      return { ok: true, receipt: showMessage(chat, { id: messageId, fromMe: true }) };
    } catch (error) {
      return thrownOf(error);
    }
  }
}

interface Acknowledgement {
  attrs: { error?: string };
}

const NO_SUCH = no('gone', 'there is no such message on WhatsApp');
const LOST = no('ambiguous', 'WhatsApp has not said whether it has got it');

/** As WhatsApp's web client makes them. */
function idOf(key: string): string {
  return `3EB0${createHash('sha256').update(key).digest('hex').slice(0, 18).toUpperCase()}`;
}

function fileOf({ path, name, type }: OutgoingFile, caption: string): AnyMessageContent {
  const words = caption === '' ? {} : { caption };
  // A preview, were it to be made, is made of a copy in a folder that everybody can read.
  if (type === 'image/png' || type === 'image/jpeg')
    return { image: { url: path }, mimetype: type, jpegThumbnail: '', ...words };
  return { document: { url: path }, mimetype: type, fileName: name, ...words };
}

async function within<T>(ms: number, work: Promise<T>): Promise<T | 'late'> {
  const timer = new AbortController();
  const late = sleep(ms, 'late' as const, { signal: timer.signal, ref: false }).catch(() => 'late' as const);
  return Promise.race([work, late]).finally(() => timer.abort());
}
