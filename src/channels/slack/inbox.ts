import { setTimeout as sleep } from 'node:timers/promises';
import { Slots } from '../../base/slots.ts';
import type { Sink } from '../channel.ts';
import type { DriverParts } from '../kind.ts';
import { Lanes } from '../lanes.ts';
import { Unreadable } from '../unreadable.ts';
import type { Api } from './api.ts';
import { missedIn, patiently } from './history.ts';
import { type Happening, happeningOf, isOurs, isWritten, keyOf, type Reader, type Self } from './incoming.ts';
import {
  BACKOFF_MAX_MS,
  BACKOFF_MS,
  HISTORY_CHATS_AT_ONCE,
  HISTORY_CHATS_MAX,
  KEEP_AGAIN_MS,
  SINCE_OVERLAP_MS,
} from './limits.ts';
import * as payloads from './payloads.ts';
import { later, Place, tsOfMs } from './places.ts';

/** The cursor for chats that have none of their own yet: everything before it is either in one or older than we are. */
const SINCE = 'since';

/** What is being handed over. */
interface Handing {
  /** Rejects when the first try kept nothing. */
  first: Promise<void>;
  /** Resolves with the commit, however many tries it takes; rejects when we stop. */
  done: Promise<void>;
}

const NOTHING: Handing = { first: Promise.resolve(), done: Promise.resolve() };

/**
 * From events and from the history to the host. In each chat one thing at a time, in order: what could not be committed is
 * tried again before anything that follows, and what was missed comes before what is new.
 */
export class Inbox {
  readonly #api: Api;
  readonly #reader: Reader;
  readonly #sink: Sink;
  readonly #log: DriverParts['log'];
  readonly #unreadable: Unreadable;
  readonly #places = new Map<string, Place>();
  readonly #lanes = new Lanes();
  readonly #handing = new Map<string, Handing>();
  readonly #stop = new AbortController();
  #since: string;
  /** Resolved once everything that was missed is ahead of what comes now. */
  #gate: Promise<void> = Promise.resolve();
  #again: NodeJS.Timeout | undefined;
  #failures = 0;

  constructor(api: Api, reader: Reader, sink: Sink, cursors: ReadonlyMap<string, string>, log: DriverParts['log']) {
    this.#api = api;
    this.#reader = reader;
    this.#sink = sink;
    this.#log = log;
    this.#unreadable = new Unreadable(sink, log, 'slack.unreadable');
    this.#since = cursors.get(SINCE) ?? '';
    for (const [chat, cursor] of cursors) if (chat !== SINCE) this.#places.set(chat, new Place(cursor));
  }

  stop(): void {
    this.#stop.abort(new Error('the channel has stopped'));
    clearTimeout(this.#again);
  }

  /** Of an event, as it came. */
  take(body: unknown, self: Self): Handing {
    const read = payloads.eventCallback.safeParse(body);
    if (!read.success) return this.keep('event', body);
    const { event, event_id: id = '', team_id, authorizations } = read.data;
    const teams = authorizations?.map((each) => each.team_id) ?? [team_id];
    // An app may be in several workspaces: this one's token is no key to the others.
    if (teams.some((team) => typeof team === 'string') && !teams.includes(self.team)) return NOTHING;
    const happening = happeningOf(event);
    if (happening.kind === 'unreadable') return this.keep(event.type, body, id);
    return this.#hand(happening, self);
  }

  /** What nobody here can read, as it came. */
  keep(kind: string, given: unknown, id = ''): Handing {
    const first = Promise.withResolvers<void>();
    const done = this.#insist(() => this.#unreadable.keep(kind, given, { id }), first);
    const handing = { first: first.promise, done };
    handing.first.catch(() => {});
    handing.done.catch(() => {});
    return handing;
  }

  /** After a connection: reads what was said since the cursors, ahead of everything that comes from now on. */
  catchUp(self: Self): void {
    clearTimeout(this.#again);
    this.#gate = this.#queueHistory(self);
  }

  #hand(happening: Exclude<Happening, { kind: 'unreadable' }>, self: Self): Handing {
    if (happening.kind === 'nothing') return NOTHING;
    if ('message' in happening && isOurs(happening.message, self)) return NOTHING;
    if (happening.kind === 'reaction' && happening.user === self.user) return NOTHING;
    const { chat } = happening;
    const key = nameOf(happening, self);
    const known = this.#handing.get(key);
    if (known !== undefined) return known;
    const first = Promise.withResolvers<void>();
    if (happening.kind === 'message') this.#place(chat).begin(happening.message.ts);
    const done = this.#gate
      .then(() => this.#lanes.run(chat, () => this.#insist(() => this.#tell(happening, self), first)))
      .then(() => this.#committed(happening))
      .finally(() => this.#handing.delete(key));
    const handing = { first: first.promise, done };
    handing.first.catch(() => {});
    handing.done.catch(() => {});
    this.#handing.set(key, handing);
    return handing;
  }

  async #tell(happening: Exclude<Happening, { kind: 'nothing' | 'unreadable' }>, self: Self): Promise<unknown> {
    switch (happening.kind) {
      case 'message':
        return this.#sink.accept(await this.#reader.message(happening, self));
      case 'edit':
        return this.#sink.edited(await this.#reader.edit(happening, self));
      case 'deletion':
        return this.#sink.deleted(await this.#reader.deletion(happening, self));
      case 'reaction':
        return this.#sink.reacted(await this.#reader.reaction(happening, self));
      default:
        return happening satisfies never;
    }
  }

  /** Until it is committed: what follows in its chat waits. */
  async #insist(act: () => Promise<unknown>, first?: PromiseWithResolvers<void>): Promise<void> {
    for (let wait = KEEP_AGAIN_MS; ; wait = Math.min(wait * 2, BACKOFF_MAX_MS)) {
      this.#stop.signal.throwIfAborted();
      try {
        await act();
        first?.resolve();
        return;
      } catch {
        first?.reject(new Error('nothing was kept'));
        this.#log('warn', 'slack.not_kept', { again_ms: wait });
        await sleep(wait, undefined, { signal: this.#stop.signal });
      }
    }
  }

  #committed(happening: Happening): void {
    if (happening.kind === 'message')
      this.#save(happening.chat, this.#place(happening.chat).commit(happening.message.ts));
  }

  #place(chat: string): Place {
    const known = this.#places.get(chat) ?? new Place('');
    this.#places.set(chat, known);
    return known;
  }

  #save(name: string, value: string | null): void {
    if (value !== null && !this.#stop.signal.aborted) void this.#sink.saveCursor(name, value).catch(() => {});
  }

  async #queueHistory(self: Self): Promise<void> {
    const begun = tsOfMs(Date.now() - SINCE_OVERLAP_MS);
    if (this.#since === '' && this.#places.size === 0) return this.#saveSince(tsOfMs(Date.now()));
    for (const place of this.#places.values()) place.hold();
    const listed = await this.#chats();
    const chats = [...new Set([...this.#places.keys(), ...(listed ?? [])])];
    if (chats.length > HISTORY_CHATS_MAX) this.#log('warn', 'slack.history_cut', { chats: chats.length });
    const slots = new Slots(HISTORY_CHATS_AT_ONCE);
    const reads = chats.slice(0, HISTORY_CHATS_MAX).map((chat) => {
      const place = this.#place(chat);
      place.hold();
      return this.#lanes.run(chat, () => slots.run(() => this.#readHistory(chat, place, self)));
    });
    void Promise.all(reads).then(
      (read) => this.#caughtUp(listed !== null && read.every((each) => each), begun, self),
      () => {}, // we have stopped
    );
  }

  #caughtUp(whole: boolean, begun: string, self: Self): void {
    if (this.#stop.signal.aborted) return;
    this.#failures = whole ? 0 : this.#failures + 1;
    if (whole) return this.#saveSince(begun);
    const wait = Math.min(BACKOFF_MS * 2 ** this.#failures, BACKOFF_MAX_MS);
    this.#again = setTimeout(() => this.catchUp(self), wait);
  }

  /** It never goes back: what was said before our first start is nobody's to answer. */
  #saveSince(ts: string): void {
    if (!later(ts, this.#since)) return;
    this.#since = ts;
    this.#save(SINCE, ts);
  }

  /** False: it could not be read, and what was missed may still be. */
  async #readHistory(chat: string, place: Place, self: Self): Promise<boolean> {
    const after = place.cursor || this.#since;
    // Nothing is known of a time before.
    if (after === '') return true;
    const missed = await missedIn(this.#api, chat, after, this.#stop.signal);
    if (missed === null) {
      this.#log('warn', 'slack.history_unread', { chat });
      return false;
    }
    const { messages, cut, strange } = missed;
    if (cut) this.#log('warn', 'slack.history_cut', { chat, messages: messages.length });
    for (const each of strange) await this.keep('history', each, chat).done;
    for (const message of messages.filter((each) => isWritten(each) && !isOurs(each, self))) {
      place.begin(message.ts);
      await this.#insist(() => this.#tell({ kind: 'message', chat, message }, self));
      place.commit(message.ts);
    }
    this.#save(chat, place.release());
    return true;
  }

  /** Those that we are in, direct ones first. Null: it could not be had. */
  async #chats(): Promise<string[] | null> {
    const chats: string[] = [];
    let cursor = '';
    do {
      const args = { types: 'im,mpim,private_channel,public_channel', exclude_archived: true, limit: 200, cursor };
      const answer = await patiently(this.#stop.signal, () =>
        this.#api.call('users.conversations', args, payloads.chats),
      );
      if (!answer.ok) return null;
      chats.push(...answer.value.channels.map(({ id }) => id));
      cursor = answer.value.response_metadata?.next_cursor ?? '';
    } while (cursor !== '' && chats.length <= HISTORY_CHATS_MAX);
    return chats.sort((a, b) => Number(b.startsWith('D')) - Number(a.startsWith('D')));
  }
}

/** A name for it that an event which comes again has too. */
function nameOf(happening: Exclude<Happening, { kind: 'nothing' | 'unreadable' }>, self: Self): string {
  const { kind, chat } = happening;
  const ts = 'message' in happening ? happening.message.ts : happening.ts;
  const at = 'at' in happening ? happening.at : '';
  const who = happening.kind === 'reaction' ? `${happening.user}:${happening.emoji}:${happening.removed}` : '';
  return `${kind}:${keyOf(self, chat, ts)}:${at}:${who}`;
}
