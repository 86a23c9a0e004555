import { setTimeout as sleep } from 'node:timers/promises';
import { jidNormalizedUser, type WAMessage, type WAMessageKey } from '@whiskeysockets/baileys';
import { Slots } from '../../base/slots.ts';
import type { IncomingMessage, Sink } from '../channel.ts';
import type { DriverParts } from '../kind.ts';
import { Lanes } from '../lanes.ts';
import { Latest } from '../latest.ts';
import { Unreadable } from '../unreadable.ts';
import { type Fetch, fetchMedia } from './files.ts';
import { type Inbox, nameOf } from './inbox.ts';
import { isGroup, showMessage } from './jids.ts';
import { REMEMBERED_MAX, TAKEN_AT_ONCE, type Waits } from './limits.ts';
import { type People, shownOf } from './people.ts';
import type { Quotable } from './quotable.ts';
import { type Read, read, UNDECRYPTED } from './reading.ts';

export interface IncomingParts {
  sink: Sink;
  people: People;
  inbox: Inbox;
  quotable: Quotable;
  fetch: Fetch;
  waits: Waits;
  log: DriverParts['log'];
  /** Our number in digits. */
  number(): string;
}

type Key = WAMessageKey & { remoteJid: string; id: string };
type Event = Pick<IncomingMessage, 'dedupe_key' | 'chat' | 'sender' | 'sent_ms'>;

/**
 * What was said becomes what the host is told. Each chat keeps its order and does not wait for another. What the ledger does not
 * take is tried again, in its place, until it does; it stays in the inbox meanwhile.
 */
export class Incoming {
  readonly #parts: IncomingParts;
  readonly #lanes = new Lanes();
  readonly #slots = new Slots(TAKEN_AT_ONCE);
  readonly #ended = new AbortController();
  /** Messages that are on their way to the ledger. */
  readonly #taking = new Set<string>();
  /** By person and message: WhatsApp does not say which reaction was taken back. */
  readonly #reactions = new Latest<string, string>(REMEMBERED_MAX);

  readonly #unreadable: Unreadable;

  constructor(parts: IncomingParts) {
    this.#parts = parts;
    this.#unreadable = new Unreadable(parts.sink, parts.log, 'whatsapp-linked.broken');
  }

  stop(): void {
    this.#ended.abort();
  }

  /** What is in the inbox and not on its way. */
  takeLeft(): void {
    if (this.#ended.signal.aborted) return;
    for (const message of this.#parts.inbox.left()) if (!this.#taking.has(nameOf(message.key))) this.take(message);
  }

  /** Never rejects. */
  take(message: WAMessage): void {
    if (this.#ended.signal.aborted) return;
    const said = read(message);
    const { key } = message;
    if (said.kind === 'broken') return void this.#slots.run(() => this.#broken(message, said.what));
    if (said.kind === 'nothing') {
      if (said.what !== undefined) this.#passed(said.what, key);
      // Taken back before we heard of it.
      this.#parts.inbox.done(key);
      return;
    }
    this.#remember(message, key as Key, said);
    const name = nameOf(key);
    this.#taking.add(name);
    void this.#lanes
      .run(jidNormalizedUser(key.remoteJid!), () => this.#slots.run(() => this.#untilKept(message, key as Key, said)))
      .finally(() => this.#taking.delete(name));
  }

  #passed(what: string, key: WAMessageKey | null | undefined): void {
    const id = (key?.id ?? '').slice(0, 200);
    this.#parts.log('info', 'whatsapp-linked.unknown', { kind: what.slice(0, 40), id });
  }

  async #broken(message: WAMessage, what: string): Promise<void> {
    const key = message.key as WAMessageKey | null | undefined;
    const id = (key?.id ?? '').slice(0, 200);
    const isKept = await this.#insist(id, () => this.#unreadable.keep(what, message, { id }));
    // What was not decrypted may lie in the inbox from another try.
    if (isKept && key && what !== UNDECRYPTED) this.#parts.inbox.done(key);
  }

  async #untilKept(message: WAMessage, key: Key, said: Said): Promise<void> {
    if (await this.#insist(key.id.slice(0, 200), () => this.#one(message, key, said))) this.#parts.inbox.done(key);
  }

  /** False: we have stopped. */
  async #insist(id: string, act: () => Promise<void>): Promise<boolean> {
    const { waits, log } = this.#parts;
    const { signal } = this.#ended;
    for (let wait = waits.first_ms; !signal.aborted; wait = Math.min(wait * 2, waits.max_ms)) {
      try {
        await act();
        return !signal.aborted;
      } catch {
        if (signal.aborted) return false;
        log('warn', 'whatsapp-linked.not_kept', { id });
        await sleep(wait, undefined, { signal, ref: false }).catch(() => {});
      }
    }
    return false;
  }

  async #one(message: WAMessage, key: Key, said: Said): Promise<void> {
    const { sink, number } = this.#parts;
    const { remoteJid, id } = key;
    const sender = this.#senderOf(message, key);
    const chat = await this.#parts.people.chat(remoteJid, key.remoteJidAlt, key.fromMe ? '' : sender.name);
    const event: Event = {
      dedupe_key: `wa:${number()}:${chat.platform_id}:${id}`,
      ...{ chat, sender, sent_ms: Number(message.messageTimestamp) * 1000 },
    };
    switch (said.kind) {
      case 'message':
        return this.#message(key, event, said);
      case 'reaction': {
        const platform_id = showMessage(remoteJid, said.target);
        const name = `${sender.handle} ${platform_id}`;
        const emoji = said.emoji ?? this.#reactions.get(name) ?? '';
        await sink.reacted({ ...event, platform_id, emoji, removed: said.emoji === null });
        return said.emoji === null ? this.#reactions.drop(name) : this.#reactions.put(name, emoji);
      }
      case 'edit': {
        // Who wrote it is who may: under another's name there is no such message.
        const platform_id = showMessage(remoteJid, { ...key, id: said.id });
        return void (await sink.edited({ ...event, platform_id, text: said.text }));
      }
      case 'deletion': {
        const target = await this.#deleted(key, said);
        if (target === null) return;
        return void (await sink.deleted({ ...event, platform_id: showMessage(remoteJid, target) }));
      }
      default:
        return said satisfies never;
    }
  }

  async #message(key: Key, event: Event, { text, media, context }: Extract<Read, { kind: 'message' }>): Promise<void> {
    const { people, sink, fetch } = this.#parts;
    const { remoteJid } = key;
    const platform_id = showMessage(remoteJid, key);
    const { files, left } = media === null ? { files: [], left: '' } : await fetchMedia(fetch, media);
    const answersUs = people.isMe(context?.participant);
    const answered = context?.stanzaId
      ? showMessage(remoteJid, { id: context.stanzaId, fromMe: answersUs, participant: context.participant ?? null })
      : undefined;
    const names = context?.mentionedJid ?? [];
    await sink.accept({
      ...event,
      thread: '',
      addressed: !isGroup(remoteJid) || answersUs || names.some((jid) => people.isMe(jid)),
      platform_id,
      ...(answered !== undefined && { reply_to: answered }),
      ...(context?.isForwarded === true && { forwarded: true }),
      text: [text, left].filter((line) => line !== '').join('\n'),
      files,
    });
  }

  /** What can be quoted, and not any more: at once, whatever the ledger is doing. */
  #remember(message: WAMessage, key: Key, said: Said): void {
    const { people, quotable } = this.#parts;
    const chat = people.handleOf(key.remoteJid, key.remoteJidAlt);
    if (said.kind === 'message') quotable.put(chat, showMessage(key.remoteJid, key), message, said.text);
    if (said.kind === 'deletion') quotable.drop(chat, showMessage(key.remoteJid, { ...key, id: said.id }));
  }

  /** Their own, or another's as an admin of the group. Null: it was not theirs to take away. */
  async #deleted(key: Key, { id, author }: Extract<Read, { kind: 'deletion' }>): Promise<WAMessageKey | null> {
    const { people, log } = this.#parts;
    const own = { ...key, id };
    if (author === null || !isGroup(key.remoteJid)) return own;
    if (jidNormalizedUser(author) === jidNormalizedUser(key.participant ?? undefined)) return own;
    if (await people.isAdmin(key.remoteJid, key.participant ?? ''))
      return { id, fromMe: people.isMe(author), participant: author };
    log('warn', 'whatsapp-linked.not_theirs', { id: id.slice(0, 200) });
    return null;
  }

  #senderOf({ pushName }: WAMessage, key: Key): IncomingMessage['sender'] {
    const { people, number } = this.#parts;
    if (key.fromMe) return { handle: number(), name: 'this account', kind: 'self' };
    const handle = isGroup(key.remoteJid)
      ? people.handleOf(key.participant ?? '', key.participantAlt)
      : people.handleOf(key.remoteJid, key.remoteJidAlt);
    return { handle, name: pushName || shownOf(handle) };
  }
}

type Said = Exclude<Read, { kind: 'nothing' | 'broken' }>;
