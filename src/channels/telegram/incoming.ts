import { GrammyError, HttpError } from 'grammy';
import type { z } from 'zod';
import type { Sink } from '../channel.ts';
import type { DriverParts } from '../kind.ts';
import { Unreadable } from '../unreadable.ts';
import { type Chats, showMessage } from './chats.ts';
import type { Client } from './client.ts';
import { attachedTo, fetchFiles } from './files.ts';
import { PRESS_MS, TOAST_CHARS_MAX } from './limits.ts';
import { envelope, type TgMessage, type TgPressed, type TgReacted, update as updateSchema } from './payloads.ts';
import { answered, changesOf, chatOf, isAddressed, type Me, placeOf, senderOf, textOf, threadOf } from './reading.ts';

/**
 * An update becomes what the host is told. `take` resolves when that is committed, and rejects when it is not: then the
 * update is to come again. What we do not know is passed over, and what we cannot read is kept as it came, so that it does not block
 * what follows.
 */
export class Incoming {
  readonly #client: Client;
  readonly #chats: Chats;
  readonly #sink: Sink;
  readonly #me: Me;
  readonly #log: DriverParts['log'];
  readonly #unreadable: Unreadable;

  constructor(client: Client, chats: Chats, sink: Sink, me: Me, log: DriverParts['log']) {
    this.#client = client;
    this.#chats = chats;
    this.#sink = sink;
    this.#me = me;
    this.#log = log;
    this.#unreadable = new Unreadable(sink, log, 'telegram.broken');
  }

  async take(given: unknown): Promise<void> {
    const { data: known, error } = updateSchema.safeParse(given);
    if (error !== undefined) return this.#broken(given, error);
    const key = `tg:${this.#me.id}:${known.update_id}`;
    if (known.message !== undefined) await this.#message(key, known.message);
    else if (known.edited_message !== undefined) await this.#edited(key, known.edited_message);
    else if (known.callback_query !== undefined) await this.#pressed(key, known.callback_query);
    else if (known.message_reaction !== undefined) await this.#reacted(key, known.message_reaction);
    else this.#log('info', 'telegram.unknown', { update: known.update_id, kind: kindOf(given) });
  }

  #broken(given: unknown, error: z.ZodError): Promise<void> {
    const update = envelope.safeParse(given).data?.update_id ?? -1;
    const where = error.issues[0]?.path.join('.') ?? '';
    return this.#unreadable.keep(kindOf(given), given, { update, where });
  }

  async #message(key: string, message: TgMessage): Promise<void> {
    await this.#moved(message);
    const sender = senderOf(message.from, message.sender_chat, this.#me);
    const attached = attachedTo(message);
    const said = textOf(message, this.#me);
    // Somebody joined, a title is another one: nothing that anybody said.
    if (sender === null || (said === '' && attached.length === 0 && (message.text ?? '') === '')) return;
    const { files, left } = await fetchFiles(this.#client, attached);
    const reply = answered(message);
    await this.#sink.accept({
      ...placeOf(message, this.#chats),
      dedupe_key: key,
      thread: threadOf(message),
      sender,
      addressed: isAddressed(message, this.#me),
      ...(reply === undefined ? {} : { reply_to: showMessage(message.chat.id, reply.message_id) }),
      ...(message.forward_origin !== undefined && { forwarded: true }),
      text: [said, ...left].filter((line) => line !== '').join('\n'),
      files,
      sent_ms: message.date * 1000,
    });
  }

  /** Both chats are told of it: the old one that it has ended, the new one where it comes from. */
  async #moved({ chat, migrate_from_chat_id, migrate_to_chat_id }: TgMessage): Promise<void> {
    const from = migrate_from_chat_id ?? chat.id;
    const to = migrate_to_chat_id ?? chat.id;
    const cursor = from === to ? null : this.#chats.moved(from, to);
    if (cursor !== null) await this.#sink.saveCursor(cursor.name, cursor.value);
  }

  async #edited(key: string, message: TgMessage): Promise<void> {
    const sender = senderOf(message.from, message.sender_chat, this.#me);
    const text = textOf(message, this.#me);
    if (sender === null || text === '') return;
    const sent_ms = (message.edit_date ?? message.date) * 1000;
    await this.#sink.edited({ ...placeOf(message, this.#chats), dedupe_key: key, sender, text, sent_ms });
  }

  async #reacted(key: string, reacted: TgReacted): Promise<void> {
    const sender = senderOf(reacted.user, reacted.actor_chat, this.#me);
    if (sender === null) return;
    for (const [at, change] of changesOf(reacted).entries())
      await this.#sink.reacted({
        ...change,
        dedupe_key: at === 0 ? key : `${key}:${at}`,
        chat: chatOf(reacted.chat, this.#chats),
        platform_id: showMessage(reacted.chat.id, reacted.message_id),
        sender,
        sent_ms: reacted.date * 1000,
      });
  }

  /** The button stops turning within `PRESS_MS`, whatever the commit takes. */
  async #pressed(key: string, { id, from, data, message }: TgPressed): Promise<void> {
    const sender = senderOf(from, undefined, this.#me);
    if (message === undefined || data === undefined || sender === null) return this.#noticed(id, '');
    const done = this.#sink.pressed({
      dedupe_key: key,
      chat: chatOf(message.chat, this.#chats),
      thread: threadOf(message),
      sender,
      token: data,
      platform_id: showMessage(message.chat.id, message.message_id),
      // The platform does not say when.
      sent_ms: Date.now(),
    });
    const { promise: late, resolve } = Promise.withResolvers<string>();
    const timer = setTimeout(() => resolve(''), PRESS_MS);
    const words = done.then(
      ({ answer }) => answer,
      () => '',
    );
    void Promise.race([words, late])
      .then((text) => this.#noticed(id, text))
      .finally(() => clearTimeout(timer));
    await done;
  }

  async #noticed(id: string, text: string): Promise<void> {
    try {
      await this.#client.api.answerCallbackQuery(id, text === '' ? {} : { text: text.slice(0, TOAST_CHARS_MAX) });
    } catch (error) {
      if (!(error instanceof GrammyError || error instanceof HttpError)) throw error;
      // It was answered before, or too late: what was pressed counts all the same.
      this.#log('info', 'telegram.press_unanswered');
    }
  }
}

/** What there is beside its number. */
function kindOf(given: unknown): string {
  const names = typeof given === 'object' && given !== null ? Object.keys(given) : [];
  return names.filter((name) => name !== 'update_id').join(' ');
}
