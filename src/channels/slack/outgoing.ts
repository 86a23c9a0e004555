import { FILE_BYTES_MAX } from '../../base/limits/messages.ts';
import type { EditOperation, ReactOperation, Reconciled, SendOperation, SendResult } from '../channel.ts';
import type { Api } from './api.ts';
import { blocksOf } from './blocks.ts';
import { nameOfEmoji } from './emoji.ts';
import type { Failure } from './failures.ts';
import { upload } from './files.ts';
import { METADATA, reconcile } from './history.ts';
import * as payloads from './payloads.ts';

/** What we say. Nothing is repeated here: each call is one try. */
export class Outgoing {
  readonly #api: Api;
  readonly #seesMetadata: () => boolean;

  constructor(api: Api, seesMetadata: () => boolean) {
    this.#api = api;
    this.#seesMetadata = seesMetadata;
  }

  async send(operation: SendOperation): Promise<SendResult> {
    const { chat, thread, body, key, file, card, buttons } = operation;
    if (file !== null) return this.#share(operation, file);
    const blocks = blocksOf(body, card, buttons);
    const answer = await this.#api.call(
      'chat.postMessage',
      {
        ...{ channel: chat, text: body, ...HARMLESS, mrkdwn: true },
        ...(thread === '' ? {} : { thread_ts: thread }),
        ...(blocks === undefined ? {} : { blocks }),
        metadata: { event_type: METADATA, event_payload: { key } },
      },
      payloads.posted,
    );
    if (answer.ok) return { ok: true, receipt: answer.value.ts };
    return answer.failure.unsure === true ? this.#looked(operation, answer.failure) : refused(answer.failure);
  }

  async edit({ chat, message, body }: EditOperation): Promise<SendResult> {
    // Without any blocks those that it had would stay.
    const args = { channel: chat, ts: message, text: body, parse: 'none', link_names: false, blocks: [] };
    const answer = await this.#api.call('chat.update', args, payloads.posted);
    return answer.ok ? { ok: true, receipt: answer.value.ts } : refused(answer.failure);
  }

  async react({ chat, message, emoji }: ReactOperation): Promise<SendResult> {
    const name = nameOfEmoji(emoji);
    if (name === null) return { ok: false, class: 'unsupported', reason: 'Slack has no name for this emoji' };
    const args = { channel: chat, timestamp: message, name };
    const answer = await this.#api.call('reactions.add', args, payloads.anything);
    if (answer.ok || answer.failure.code === 'already_reacted') return { ok: true, receipt: 'reacted' };
    return refused(answer.failure);
  }

  reconcile(operation: SendOperation): Promise<Reconciled> {
    return reconcile(this.#api, operation, this.#seesMetadata());
  }

  async #share(operation: SendOperation, file: NonNullable<SendOperation['file']>): Promise<SendResult> {
    const { chat, thread, body, buttons, card } = operation;
    if (buttons !== undefined || card !== undefined)
      return { ok: false, class: 'unsupported', reason: 'a file of Slack has neither buttons nor a card' };
    if (file.bytes > FILE_BYTES_MAX)
      return { ok: false, class: 'too_large', reason: `a file has at most ${FILE_BYTES_MAX / 1024 ** 2} MiB` };
    const put = await upload(this.#api, file);
    if (!put.ok) return refused(put.failure);
    const answer = await this.#api.call(
      'files.completeUploadExternal',
      {
        ...{ files: [{ id: put.value, title: file.name }], channel_id: chat },
        ...(thread === '' ? {} : { thread_ts: thread }),
        ...(body === '' ? {} : { initial_comment: body }),
      },
      payloads.anything,
    );
    // Slack tells the message of a file only later.
    return answer.ok ? { ok: true, receipt: put.value } : refused(unsureAsAmbiguous(answer.failure));
  }

  /** Slack says that it failed, and that some of it may have been done: whether it is there can be seen. */
  async #looked(operation: SendOperation, failure: Failure): Promise<SendResult> {
    const known = await this.reconcile(operation);
    if (known.found === true) return { ok: true, receipt: known.receipt };
    return refused(known.found === 'unknown' ? unsureAsAmbiguous(failure) : failure);
  }
}

/** Nobody is called by what an agent writes, and Slack opens no address of it: that alone would tell its owner something. */
const HARMLESS = { parse: 'none', link_names: false, unfurl_links: false, unfurl_media: false };

function unsureAsAmbiguous(failure: Failure): Failure {
  return failure.unsure === true ? { ...failure, class: 'ambiguous' } : failure;
}

function refused({ class: kind, reason, after_ms }: Failure): SendResult {
  return { ok: false, class: kind, reason, ...(after_ms === undefined ? {} : { after_ms }) };
}
