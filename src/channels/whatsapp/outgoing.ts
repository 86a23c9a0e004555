import { openAsBlob } from 'node:fs';
import { OperatingError } from '../../base/errors.ts';
import type { OutgoingFile, ReactOperation, SendOperation, SendResult } from '../channel.ts';
import { Latest } from '../latest.ts';
import type { Chats } from './chats.ts';
import { type Failed, no, WINDOW_CLOSED } from './errors.ts';
import {
  buttonsOf,
  type Form,
  fileForm,
  isTooLarge,
  parameterOf,
  templateForm,
  textForm,
  uploadType,
} from './forms.ts';
import type { Called, Graph } from './graph.ts';
import {
  CAPTION_CHARS_MAX,
  HALVES_MAX,
  PARAMETER_CHARS_MAX,
  PARTS_MAX,
  UPLOAD_BYTES_MAX,
  UPLOAD_MS,
} from './limits.ts';
import * as payloads from './payloads.ts';

interface Template {
  name: string;
  language: string;
}

/** What we say, as calls. Each is made once; what became of it is a value. */
export class Outgoing {
  readonly #graph: Graph;
  readonly #number: string;
  readonly #template: Template | undefined;
  readonly #chats: Chats;
  /** By the key of their send: texts that are there while their file is not yet. */
  readonly #halves = new Map<string, string>();
  /** By a file's id: the text that went before it. */
  readonly #texts = new Latest<string, string>(PARTS_MAX);

  constructor(graph: Graph, number: string, template: Template | undefined, chats: Chats) {
    this.#graph = graph;
    this.#number = number;
    this.#template = template;
    this.#chats = chats;
  }

  /** The receipt of the send that made this message. */
  textOf(id: string): string {
    return this.#texts.get(id) ?? id;
  }

  async send(operation: SendOperation): Promise<SendResult> {
    const { file, body } = operation;
    if (file === null) return this.#text(operation);
    const type = uploadType(file);
    if (isTooLarge(file, UPLOAD_BYTES_MAX))
      return no('too_large', 'WhatsApp takes pictures up to 5 MB, and other files up to 50 MiB').refusal;
    if (type === null) return UNKNOWN_TYPE;
    const apart = body.length > CAPTION_CHARS_MAX || buttonsOf(operation) !== null;
    return apart ? this.#textThenFile(operation, file, type) : this.#file(operation, file, type);
  }

  /** Of ours there is one on a message; the same again changes nothing. */
  async react({ chat, message, emoji }: ReactOperation): Promise<SendResult> {
    const sent = await this.#post(chat, null, { type: 'reaction', reaction: { message_id: message, emoji } });
    return sent.ok ? { ok: true, receipt: message } : sent.refusal;
  }

  /** Shown below the person's last message, which counts as read then; where none is known, nothing can be shown. */
  async typing(chat: string): Promise<void> {
    const message_id = this.#chats.lastOf(chat);
    if (message_id === null) return;
    const shown = { messaging_product: 'whatsapp', status: 'read', message_id, typing_indicator: { type: 'text' } };
    const answer = await this.#graph.post(`${this.#number}/messages`, shown, payloads.done);
    if (!answer.ok) throw new OperatingError('unavailable', answer.refusal.reason);
  }

  /** In a chat that is known to be closed a template is the first try, else what follows the refusal. */
  async #text(operation: SendOperation): Promise<SendResult> {
    const { chat, body, reply_to } = operation;
    const template = this.#template;
    if (template !== undefined && this.#chats.isClosed(chat, Date.now())) return this.#outside(chat, body, template);
    const sent = await this.#post(chat, reply_to, textForm(operation));
    if (sent.ok) return received(sent);
    const isClosed = sent.code === WINDOW_CLOSED;
    return isClosed && template !== undefined ? this.#outside(chat, body, template) : sent.refusal;
  }

  async #outside(chat: string, body: string, template: Template): Promise<SendResult> {
    if (parameterOf(body).length > PARAMETER_CHARS_MAX) return TOO_LONG_OUTSIDE;
    return received(await this.#post(chat, null, templateForm(template, body)));
  }

  /** Delivery repeats what it may repeat as a whole: the text then has arrived already. */
  async #textThenFile(operation: SendOperation, file: OutgoingFile, type: string): Promise<SendResult> {
    const half = this.#halves.get(operation.key);
    const text: SendResult = half === undefined ? await this.#text(operation) : { ok: true, receipt: half };
    if (!text.ok) return text;
    this.#halves.set(operation.key, text.receipt);
    if (this.#halves.size > HALVES_MAX) this.#halves.delete(this.#halves.keys().next().value!);
    const sent = await this.#file({ ...operation, body: '', reply_to: null }, file, type);
    if (!sent.ok) return { ...sent, reason: `the text has arrived, its file has not: ${sent.reason}` };
    this.#halves.delete(operation.key);
    this.#texts.put(sent.receipt, text.receipt);
    return text;
  }

  async #file({ chat, body, reply_to }: SendOperation, file: OutgoingFile, type: string): Promise<SendResult> {
    const media = await this.#upload(file, type);
    if (!media.ok) return media.refusal;
    return received(await this.#post(chat, reply_to, fileForm(media.value.id, file, body)));
  }

  /** Nobody sees an upload: whatever became of it, it may be begun again. */
  async #upload(file: OutgoingFile, type: string): Promise<Called<{ id: string }>> {
    const form = new FormData();
    form.set('messaging_product', 'whatsapp');
    form.set('type', type);
    form.set('file', await openAsBlob(file.path, { type }), file.name);
    const media = await this.#graph.upload(`${this.#number}/media`, form, UPLOAD_MS, payloads.uploaded);
    if (media.ok || media.refusal.class !== 'ambiguous') return media;
    return no('retryable', `the file could not be uploaded: ${media.refusal.reason}`);
  }

  async #post(chat: string, reply_to: string | null, form: Form): Promise<Called<string>> {
    const quoted = reply_to === null ? {} : { context: { message_id: reply_to } };
    const to = { messaging_product: 'whatsapp', recipient_type: 'individual', to: chat };
    const answer = await this.#graph.post(`${this.#number}/messages`, { ...to, ...quoted, ...form }, payloads.sent);
    if (answer.ok) return { ok: true, value: answer.value.messages[0].id };
    if (answer.code === WINDOW_CLOSED) this.#chats.close(chat);
    return answer;
  }
}

function received(sent: Called<string>): SendResult {
  return sent.ok ? { ok: true, receipt: sent.value } : sent.refusal;
}

const UNKNOWN_TYPE: Failed['refusal'] = no(
  'unsupported',
  'WhatsApp takes PNG, JPEG, PDF, text and Office files: put it into one of these',
).refusal;

const TOO_LONG_OUTSIDE: Failed['refusal'] = no(
  'too_large',
  `this person has not written for 24 hours, and a template carries ${PARAMETER_CHARS_MAX} characters: say it shorter, or wait until they write`,
).refusal;
