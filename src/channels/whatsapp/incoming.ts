import type { Sink } from '../channel.ts';
import type { DriverParts } from '../kind.ts';
import { Unreadable } from '../unreadable.ts';
import type { Chats } from './chats.ts';
import { lateReason, WINDOW_CLOSED } from './errors.ts';
import { fetchMedia } from './files.ts';
import type { Graph } from './graph.ts';
import { TAKEN_AT_ONCE } from './limits.ts';
import * as payloads from './payloads.ts';
import { type Read, read } from './reading.ts';

export interface IncomingParts {
  graph: Graph;
  chats: Chats;
  sink: Sink;
  log: DriverParts['log'];
  /** The id of our number. */
  number: string;
  /** Our number itself, in digits, once it is known. */
  self(): string | null;
  /** The receipt of the send that made a message of ours. */
  textOf(id: string): string;
  /** WhatsApp has taken a message of ours and could not deliver it; null: one has arrived since. */
  undelivered(reason: string | null): void;
}

type Act = () => Promise<void>;

interface Item {
  message: payloads.WaMessage;
  contacts: payloads.WaChange['contacts'];
}

/**
 * A webhook's body becomes what the host is told. `take` resolves when all of it is committed, and rejects when some is not:
 * then the body is to come again. Each chat keeps the order in which bodies arrive, and does not wait for another; behind what
 * was not committed nothing of the body is. What we do not know is passed over; what we cannot read is kept as it came.
 */
export class Incoming {
  readonly #parts: IncomingParts;
  /** By chat: what was taken last. */
  readonly #lanes = new Map<string, Promise<void>>();
  readonly #waiting: (() => void)[] = [];
  #free = TAKEN_AT_ONCE;
  readonly #unreadable: Unreadable;
  #isStopped = false;

  constructor(parts: IncomingParts) {
    this.#parts = parts;
    this.#unreadable = new Unreadable(parts.sink, parts.log, 'whatsapp.broken');
  }

  stop(): void {
    this.#isStopped = true;
  }

  async take(body: unknown): Promise<void> {
    const { data } = payloads.envelope.safeParse(body);
    if (data === undefined) return this.#broken('body', body);
    const chats = new Map<string, Item[]>();
    const besides: Act[] = [];
    for (const { field, value } of data.entry.flatMap(({ changes }) => changes))
      for (const item of this.#changed(field, value, besides)) {
        const items = chats.get(item.message.from) ?? [];
        chats.set(item.message.from, [...items, item]);
      }
    const works = [...chats].map(([chat, items]) => this.#inLane(chat, () => this.#all(items)));
    const ends = await Promise.allSettled([...works, ...besides.map((act) => this.#inTurn(act))]);
    const failed = ends.find((end) => end.status === 'rejected');
    if (failed !== undefined) throw failed.reason;
  }

  /** The messages of a change; what else is to be kept of it goes to `besides`. */
  #changed(field: string, value: unknown, besides: Act[]): Item[] {
    if (field !== 'messages') return this.#passed(field, '');
    const { data: change } = payloads.change.safeParse(value);
    if (change === undefined) {
      besides.push(() => this.#broken('change', value));
      return [];
    }
    // An app has one address for all of its numbers.
    if (change.metadata.phone_number_id !== this.#parts.number) return this.#passed('other number', '');
    for (const given of change.statuses) besides.push(() => this.#status(given));
    return change.messages.flatMap((given) => {
      const { data: message } = payloads.message.safeParse(given);
      if (message !== undefined) return [{ message, contacts: change.contacts }];
      besides.push(() => this.#broken(payloads.named.safeParse(given).data?.type ?? '', given));
      return [];
    });
  }

  #passed(kind: string, id: string): [] {
    this.#parts.log('info', 'whatsapp.unknown', { kind: kind.slice(0, 40), id: id.slice(0, 200) });
    return [];
  }

  #broken(kind: string, given: unknown): Promise<void> {
    return this.#unreadable.keep(kind, given, { id: (payloads.named.safeParse(given).data?.id ?? '').slice(0, 200) });
  }

  /** What became of a message of ours. That WhatsApp has it we know from its answer. */
  async #status(given: unknown): Promise<void> {
    const { data: status } = payloads.status.safeParse(given);
    if (status === undefined) return this.#broken('status', given);
    const { undelivered, sink, textOf } = this.#parts;
    const said = { message: textOf(status.id), at_ms: Number(status.timestamp ?? 0) * 1000 };
    switch (status.status) {
      case 'delivered':
        undelivered(null);
        return sink.receipt({ ...said, state: 'delivered' });
      case 'read':
        return sink.receipt({ ...said, state: 'read' });
      case 'failed':
        return sink.receipt({ ...said, state: 'failed', reason: this.#failed(status) });
      default:
        return;
    }
  }

  /** Why. */
  #failed({ id, recipient_id, errors }: payloads.WaStatus): string {
    const { code, title } = errors?.[0] ?? { code: -1, title: 'no reason given' };
    if (code === WINDOW_CLOSED && recipient_id !== undefined) this.#parts.chats.close(recipient_id);
    this.#parts.log('warn', 'whatsapp.not_delivered', { id, code });
    const reason = lateReason(code, title);
    this.#parts.undelivered(reason);
    return reason;
  }

  #inLane(chat: string, work: () => Promise<void>): Promise<void> {
    const done = (this.#lanes.get(chat) ?? Promise.resolve()).then(work);
    const settled = done.catch(() => {});
    this.#lanes.set(chat, settled);
    void settled.then(() => this.#lanes.get(chat) === settled && this.#lanes.delete(chat));
    return done;
  }

  async #all(items: Item[]): Promise<void> {
    for (const item of items) await this.#inTurn(() => this.#one(item, read(item.message)));
  }

  /** The host takes so much at once; a body may bring messages of a thousand chats. */
  async #inTurn(act: Act): Promise<void> {
    if (this.#free > 0) this.#free -= 1;
    else await new Promise<void>((resolve) => this.#waiting.push(resolve));
    try {
      if (this.#isStopped) throw new Error('the channel has stopped');
      await act();
    } finally {
      const next = this.#waiting.shift();
      if (next === undefined) this.#free += 1;
      else next();
    }
  }

  async #one({ message, contacts }: Item, said: Read): Promise<void> {
    if (said.kind === 'nothing') return void this.#passed(message.type, message.id);
    const { sink, chats, number } = this.#parts;
    const { from, id } = message;
    const sent_ms = Number(message.timestamp) * 1000;
    const sender = this.#senderOf(from, contacts);
    const chat = { platform_id: from, title: sender.name, direct: true };
    const event = { dedupe_key: `wa:${number}:${id}`, chat, sender, sent_ms };
    if (said.kind === 'message' || said.kind === 'press') await chats.heard(from, id, sent_ms);
    switch (said.kind) {
      case 'message':
        return this.#message(message, event, said);
      case 'press':
        return void (await sink.pressed({ ...event, thread: '', token: said.token, platform_id: said.message }));
      case 'reaction': {
        const emoji = said.emoji ?? chats.reactionOf(from, said.message);
        await sink.reacted({ ...event, platform_id: said.message, emoji, removed: said.emoji === null });
        return chats.reacted(from, said.message, said.emoji);
      }
      case 'edit':
        return void (await sink.edited({ ...event, platform_id: said.message, text: said.text }));
      case 'deletion':
        return void (await sink.deleted({ ...event, platform_id: said.message }));
      default:
        return said satisfies never;
    }
  }

  async #message(
    { id, context }: payloads.WaMessage,
    event: Pick<Parameters<Sink['accept']>[0], 'dedupe_key' | 'chat' | 'sender' | 'sent_ms'>,
    { text, media }: Extract<Read, { kind: 'message' }>,
  ): Promise<void> {
    const { files, left } = media === null ? { files: [], left: '' } : await fetchMedia(this.#parts.graph, media);
    await this.#parts.sink.accept({
      ...event,
      thread: '',
      addressed: true,
      platform_id: id,
      ...(context?.id === undefined ? {} : { reply_to: context.id }),
      text: [text, left].filter((line) => line !== '').join('\n'),
      files,
    });
  }

  #senderOf(from: string, contacts: Item['contacts']): Parameters<Sink['accept']>[0]['sender'] {
    const name = contacts.find(({ wa_id }) => wa_id === from)?.profile?.name ?? '';
    return {
      handle: from,
      name: name === '' ? `+${from}` : name,
      ...(from === this.#parts.self() && { kind: 'self' }),
    };
  }
}
