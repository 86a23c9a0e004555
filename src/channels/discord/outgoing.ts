import { createHash } from 'node:crypto';
import type { EditOperation, ReactOperation, Reconciled, SendOperation, SendResult } from '../channel.ts';
import type { Api } from './api.ts';
import { embedOf, rowsOf } from './embeds.ts';
import type { Failure } from './failures.ts';
import { uploadOf } from './files.ts';
import { lookFor } from './history.ts';
import { ECHOES_MAX, NONCE_CHARS_MAX, UPLOAD_BYTES_MAX } from './limits.ts';
import * as payloads from './payloads.ts';
import type { Threads } from './threads.ts';

/** Nobody is called by what an agent writes. */
const NOBODY = { parse: [], replied_user: false };
/** Discord opens no address of it: that alone would tell its owner something. */
const SUPPRESS_EMBEDS = 1 << 2;

/** What we say. Nothing is repeated here: each call is one try. */
export class Outgoing {
  readonly #api: Api;
  readonly #threads: Threads;
  /** By their nonces: what the gateway has told of our own messages. */
  readonly #echoes = new Map<string, string>();

  constructor(api: Api, threads: Threads) {
    this.#api = api;
    this.#threads = threads;
  }

  async send(operation: SendOperation): Promise<SendResult> {
    const { file } = operation;
    if (file !== null && file.bytes > UPLOAD_BYTES_MAX)
      return { ok: false, class: 'too_large', reason: `a file has at most ${UPLOAD_BYTES_MAX / 1024 ** 2} MiB` };
    const upload = file === null ? {} : { file: await uploadOf(file) };
    const channel = await this.#threads.open(operation);
    if (!channel.ok) return refused(channel.failure);
    // Inside of a thread nobody has to be told which message it begins with.
    const inside = channel.value !== operation.chat && this.#threads.isFirst(operation, operation.reply_to);
    const answer = await this.#api.call('POST', `/channels/${channel.value}/messages`, payloads.posted, {
      body: messageOf(inside ? { ...operation, reply_to: null } : operation),
      ...upload,
    });
    return answer.ok ? { ok: true, receipt: answer.value.id } : refused(answer.failure);
  }

  async edit(operation: EditOperation): Promise<SendResult> {
    const { message, body } = operation;
    const channel = await this.#threads.find(operation);
    if (!channel.ok) return refused(channel.failure);
    const route = `/channels/${channel.value}/messages/${message}` as const;
    const changed = { content: body, allowed_mentions: NOBODY, flags: SUPPRESS_EMBEDS, components: [], embeds: [] };
    const answer = await this.#api.call('PATCH', route, payloads.posted, { body: changed });
    return answer.ok ? { ok: true, receipt: message } : refused(answer.failure);
  }

  async react(operation: ReactOperation): Promise<SendResult> {
    const { message, emoji } = operation;
    const own = /^<a?:(\w+:\d+)>$/.exec(emoji)?.[1];
    const first = this.#threads.isFirst(operation, message);
    const channel = await this.#threads.find(first ? { ...operation, thread: '' } : operation);
    if (!channel.ok) return refused(channel.failure);
    const route = `/channels/${channel.value}/messages/${message}` as const;
    const shown = encodeURIComponent(own ?? emoji);
    const answer = await this.#api.call('PUT', `${route}/reactions/${shown}/@me`, payloads.anything);
    return answer.ok ? { ok: true, receipt: message } : refused(answer.failure);
  }

  async typing(chat: string, thread: string): Promise<void> {
    const channel = await this.#threads.find({ chat, thread });
    if (!channel.ok) throw new Error(channel.failure.reason);
    const answer = await this.#api.call('POST', `/channels/${channel.value}/typing`, payloads.anything);
    if (!answer.ok) throw new Error(answer.failure.reason);
  }

  /** Of a message of ours, as the gateway tells it. */
  echo({ id, nonce }: payloads.Message): void {
    if (nonce == null) return;
    this.#echoes.set(String(nonce), id);
    if (this.#echoes.size > ECHOES_MAX) this.#echoes.delete(this.#echoes.keys().next().value!);
  }

  /** `self`: null while it is not known who we are. */
  async reconcile(operation: SendOperation, self: string | null): Promise<Reconciled> {
    const nonce = nonceOf(operation.key);
    const echo = this.#echoes.get(nonce);
    if (echo !== undefined) return { found: true, receipt: echo };
    const channel = await this.#threads.find(operation);
    if (self === null || !channel.ok) return { found: 'unknown' };
    return lookFor(this.#api, channel.value, operation, nonce, self);
  }
}

/** For some minutes a second message with the same nonce is the first one. */
function nonceOf(key: string): string {
  return createHash('sha256').update(key).digest('base64url').slice(0, NONCE_CHARS_MAX);
}

function messageOf({ body, key, reply_to, buttons = [], card }: SendOperation): object {
  const embed = card === undefined ? null : embedOf(card);
  return {
    ...{ nonce: nonceOf(key), enforce_nonce: true, allowed_mentions: NOBODY },
    ...(embed === null ? { content: body, flags: SUPPRESS_EMBEDS } : { embeds: [embed] }),
    ...(reply_to === null ? {} : { message_reference: { message_id: reply_to, fail_if_not_exists: false } }),
    ...(buttons.length === 0 ? {} : { components: rowsOf(buttons) }),
  };
}

function refused({ class: kind, reason, after_ms }: Failure): SendResult {
  return { ok: false, class: kind, reason, ...(after_ms === undefined ? {} : { after_ms }) };
}
