import { setTimeout as sleep } from 'node:timers/promises';
import { Slots } from '../../base/slots.ts';
import type { Sink } from '../channel.ts';
import type { DriverParts } from '../kind.ts';
import { Lanes } from '../lanes.ts';
import { Unreadable } from '../unreadable.ts';
import type { Api } from './api.ts';
import type { Guilds } from './guilds.ts';
import { missedIn } from './history.ts';
import { type Happening, isWritten, keyOf, Reader } from './incoming.ts';
import { BACKOFF_MAX_MS, HISTORY_BACK_MS, HISTORY_CHATS_AT_ONCE, HISTORY_CHATS_MAX, KEEP_AGAIN_MS } from './limits.ts';
import type * as payloads from './payloads.ts';
import { Place } from './places.ts';
import { idAt, later } from './snowflakes.ts';
import type { Threads } from './threads.ts';

/** The cursor for channels that have none of their own: everything before it is older than we are. */
const SINCE = 'since';
/** Direct chats have a mark before their id: Discord does not list them. */
const DIRECT = 'dm:';

/** Where a channel is: '' and undefined of a direct chat. */
interface Server {
  guild: string | undefined;
  joined: string;
}

/**
 * From events and from the history to the host. In each chat one thing at a time, in order, its threads too: what could not be committed is
 * tried again before anything that follows, and what was missed comes before what is new.
 */
export class Inbox {
  readonly #api: Api;
  readonly #guilds: Guilds;
  readonly #reader: Reader;
  readonly #sink: Sink;
  readonly #log: DriverParts['log'];
  readonly #unreadable: Unreadable;
  readonly #places = new Map<string, Place>();
  readonly #directs = new Set<string>();
  readonly #lanes = new Lanes();
  readonly #slots = new Slots(HISTORY_CHATS_AT_ONCE);
  readonly #handing = new Map<string, Promise<void>>();
  readonly #stop = new AbortController();
  readonly #since: string;

  constructor(
    { api, guilds, threads }: { api: Api; guilds: Guilds; threads: Threads },
    sink: Sink,
    cursors: ReadonlyMap<string, string>,
    log: DriverParts['log'],
  ) {
    this.#api = api;
    this.#guilds = guilds;
    this.#reader = new Reader(api, guilds, threads);
    this.#sink = sink;
    this.#log = log;
    this.#unreadable = new Unreadable(sink, log, 'discord.unreadable');
    this.#since = cursors.get(SINCE) ?? idAt(Date.now());
    if (!cursors.has(SINCE)) this.#save(SINCE, this.#since);
    for (const [name, cursor] of cursors) {
      if (name === SINCE) continue;
      const channel = name.replace(DIRECT, '');
      if (name.startsWith(DIRECT)) this.#directs.add(channel);
      this.#places.set(channel, new Place(cursor));
    }
  }

  stop(): void {
    this.#stop.abort(new Error('the channel has stopped'));
  }

  /** Resolves with the commit, however many tries it takes; rejects when we stop. */
  take(happening: Happening, self: string): Promise<void> {
    const { channel, guild, id } = happening;
    if (guild === undefined) this.#directs.add(channel);
    if (happening.kind !== 'message') return this.#hand(happening, self);
    const place = this.#place(channel);
    this.#saveFor(channel, place.begin(id));
    return this.#hand(happening, self).then(() => this.#saveFor(channel, place.commit(id)));
  }

  /** A direct chat that we begin: what is answered there while we are away is read later. */
  expect(channel: string): void {
    this.#directs.add(channel);
    this.#begin(channel, idAt(Date.now()));
  }

  /** In the line of its chat until `act` succeeds. */
  insist(channel: string, act: () => Promise<unknown>): Promise<void> {
    return this.#lanes.run(this.#guilds.chatOf(channel), () => this.#insist(act));
  }

  /** What nobody here can read, as it came. As `take`. */
  keep(kind: string, given: unknown, id: string): Promise<void> {
    return this.#insist(() => this.#unreadable.keep(kind, given, { id }));
  }

  /** After a new session: reads what was said in direct chats since, ahead of everything that comes from now on. */
  catchUpDirects(self: string): void {
    const known = [...this.#directs].map((channel) => ({ channel, last: this.#place(channel).cursor }));
    this.#catchUp(known, { guild: undefined, joined: '' }, self);
  }

  /** The same for the channels of a server, as far as something new is there. `joined`: nothing before it was for us. */
  catchUpGuild({ id: guild, joined_at }: payloads.Guild, channels: payloads.Channel[], self: string): void {
    const joined = idAt(Date.parse(joined_at ?? '') || 0);
    const fresh = channels
      .map(({ id, last_message_id }) => ({ channel: id, last: last_message_id ?? '' }))
      .filter(({ channel, last }) => later(last, this.#after(channel, joined)));
    // What comes now is no place to begin at.
    for (const { channel } of fresh) this.#begin(channel, this.#after(channel, joined));
    this.#catchUp(fresh, { guild, joined }, self);
  }

  /** From there on, where nothing is known. */
  #begin(channel: string, cursor: string): void {
    if (this.#place(channel).cursor !== '') return;
    this.#places.set(channel, new Place(cursor));
    this.#saveFor(channel, cursor);
  }

  #catchUp(chats: { channel: string; last: string }[], server: Server, self: string): void {
    chats.sort((a, b) => (later(a.last, b.last) ? -1 : 1));
    if (chats.length > HISTORY_CHATS_MAX) this.#log('warn', 'discord.history_cut', { chats: chats.length });
    for (const { channel } of chats.slice(0, HISTORY_CHATS_MAX)) {
      const place = this.#place(channel);
      place.hold();
      const read = () => this.#slots.run(() => this.#readHistory(channel, server, self));
      void this.#lanes.run(this.#guilds.chatOf(channel), read).then(
        () => this.#saveFor(channel, place.release()),
        () => {}, // we have stopped
      );
    }
  }

  #after(channel: string, joined: string): string {
    const known = this.#places.get(channel)?.cursor || this.#since;
    const oldest = idAt(Date.now() - HISTORY_BACK_MS);
    return [known, oldest, joined].reduce((one, other) => (later(other, one) ? other : one));
  }

  async #readHistory(channel: string, { guild, joined }: Server, self: string): Promise<void> {
    const missed = await missedIn(this.#api, channel, this.#after(channel, joined), this.#stop.signal);
    if (missed === null) return this.#log('warn', 'discord.history_unread', { channel });
    const { messages, cut, strange } = missed;
    if (cut) this.#log('warn', 'discord.history_cut', { channel, messages: messages.length });
    for (const each of strange) await this.keep('history', each, channel);
    const place = this.#place(channel);
    for (const message of messages) {
      place.begin(message.id);
      const happening = { kind: 'message', channel, guild, id: message.id, message } as const;
      await this.#insist(() => this.#tell(happening, self));
      place.commit(message.id);
    }
  }

  /** What is brought again while it is being handed over is the same. */
  #hand(happening: Happening, self: string): Promise<void> {
    const name = `${happening.kind}:${keyOf(happening.id)}:${'at' in happening ? happening.at : ''}`;
    const known = this.#handing.get(name);
    if (known !== undefined) return known;
    const done = this.insist(happening.channel, () => this.#tell(happening, self)).finally(() =>
      this.#handing.delete(name),
    );
    this.#handing.set(name, done);
    return done;
  }

  async #tell(happening: Happening, self: string): Promise<unknown> {
    switch (happening.kind) {
      case 'message': {
        const { message } = happening;
        if (message.author.id === self || !isWritten(message)) return;
        return this.#sink.accept(await this.#reader.message(happening, self));
      }
      case 'edit':
        if (happening.message.author.id === self) return;
        return this.#sink.edited(await this.#reader.edit(happening, self));
      case 'deletion':
        return this.#sink.deleted(await this.#reader.deletion(happening));
      case 'reaction':
        if (happening.user === self) return;
        return this.#sink.reacted(await this.#reader.reaction(happening));
      default:
        return happening satisfies never;
    }
  }

  async #insist(act: () => Promise<unknown>): Promise<void> {
    for (let wait = KEEP_AGAIN_MS; ; wait = Math.min(wait * 2, BACKOFF_MAX_MS)) {
      this.#stop.signal.throwIfAborted();
      try {
        await act();
        return;
      } catch {
        this.#log('warn', 'discord.not_kept', { again_ms: wait });
        await sleep(wait, undefined, { signal: this.#stop.signal });
      }
    }
  }

  #place(channel: string): Place {
    const known = this.#places.get(channel) ?? new Place('');
    this.#places.set(channel, known);
    return known;
  }

  #saveFor(channel: string, cursor: string | null): void {
    if (cursor !== null) this.#save(this.#directs.has(channel) ? `${DIRECT}${channel}` : channel, cursor);
  }

  #save(name: string, value: string): void {
    if (!this.#stop.signal.aborted) void this.#sink.saveCursor(name, value).catch(() => {});
  }
}
