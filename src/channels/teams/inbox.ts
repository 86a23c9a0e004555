import { setTimeout as sleep } from 'node:timers/promises';
import type { Sink } from '../channel.ts';
import type { DriverParts } from '../kind.ts';
import { Unreadable } from '../unreadable.ts';
import type { Connector } from './connector.ts';
import { attachedIn, fetchFiles } from './files.ts';
import { type Happening, happeningOf, placeOf, senderOf } from './incoming.ts';
import { KEEP_AGAIN_MAX_MS, KEEP_AGAIN_MS, KEEP_MS } from './limits.ts';
import type { Memory } from './memory.ts';
import * as payloads from './payloads.ts';

type Handed = Exclude<Happening, { kind: 'nothing' | 'unreadable' }>;

interface Taken {
  happening: Happening;
  first: Promise<void>;
  done: Promise<void>;
}

interface Parts {
  connector: Connector;
  hosts: readonly string[];
  memory: Memory;
  sink: Sink;
  us: string;
  log: DriverParts['log'];
}

/**
 * From activities to the host. In each chat one thing at a time, in order. What could not be committed Teams is told of, and
 * it is tried again before what follows: whether Teams calls again nobody promises.
 */
export class Inbox {
  readonly #parts: Parts;
  readonly #lanes = new Map<string, Promise<void>>();
  readonly #stop = new AbortController();
  readonly #unreadable: Unreadable;

  constructor(parts: Parts) {
    this.#parts = parts;
    this.#unreadable = new Unreadable(parts.sink, parts.log, 'teams.unreadable');
  }

  stop(): void {
    this.#stop.abort(new Error('the channel has stopped'));
  }

  /**
   * Of a request that is Microsoft's. `first` resolves when it is committed, as it came where it cannot be read; rejects when
   * the first try kept nothing. `done` is about all tries.
   */
  take(body: { type: string; id?: string | undefined }): Taken {
    const { memory, us, log } = this.#parts;
    const isOurs = memory.isOurs.bind(memory);
    const { data: activity } = payloads.activity.safeParse(body);
    const happening: Happening = activity ? happeningOf(body, { us, isOurs }) : { kind: 'unreadable' };
    if (happening.kind === 'nothing') log('info', 'teams.passed_over', { kind: body.type, id: body.id ?? '' });
    const first = Promise.withResolvers<void>();
    const unread = activity === undefined || happening.kind === 'unreadable';
    const done = unread
      ? this.#insist(() => this.#unreadable.keep(body.type, body, { id: body.id ?? '' }), first)
      : this.#inLane(placeOf(activity).chat.platform_id, () =>
          this.#insist(() => this.#tell(activity, happening), first),
        );
    done.catch((error: unknown) => first.reject(error));
    first.promise.catch(() => {});
    return { happening, first: first.promise, done };
  }

  #inLane(chat: string, act: () => Promise<void>): Promise<void> {
    const done = (this.#lanes.get(chat) ?? Promise.resolve()).then(act);
    const end = done
      .catch(() => {})
      .then(() => {
        if (this.#lanes.get(chat) === end) this.#lanes.delete(chat);
      });
    this.#lanes.set(chat, end);
    return done;
  }

  async #insist(act: () => Promise<void>, first: PromiseWithResolvers<void>): Promise<void> {
    const until = performance.now() + KEEP_MS;
    for (let wait = KEEP_AGAIN_MS; ; wait = Math.min(wait * 2, KEEP_AGAIN_MAX_MS)) {
      this.#stop.signal.throwIfAborted();
      try {
        await act();
        return first.resolve();
      } catch (error) {
        first.reject(error);
        this.#parts.log('warn', 'teams.not_kept', { again_ms: wait });
        if (performance.now() + wait > until) throw error;
        await sleep(wait, undefined, { signal: this.#stop.signal });
      }
    }
  }

  /** Where the chat is to be answered is known before the message is. */
  async #tell(activity: payloads.Activity, happening: Handed | { kind: 'nothing' }): Promise<void> {
    const { memory, us, sink } = this.#parts;
    const { chat } = placeOf(activity);
    await memory.learnService(chat.platform_id, activity.serviceUrl);
    const { handle, name, kind } = senderOf(activity, us);
    if (kind === undefined && activity.type === 'message')
      await memory.learnPerson(handle, { id: activity.from.id, name });
    switch (happening.kind) {
      case 'message':
        return void (await sink.accept(await this.#whole(happening)));
      case 'press':
        return void (await sink.pressed(happening.press));
      case 'edit':
        return void (await sink.edited(happening.edit));
      case 'deletion':
        return void (await sink.deleted(happening.deletion));
      case 'reactions':
        for (const reaction of happening.reactions) await sink.reacted(reaction);
        return;
      case 'joined':
        return sink.reachable(chat.platform_id);
      case 'nothing':
        return;
      default:
        return happening satisfies never;
    }
  }

  async #whole({ message, attachments }: Extract<Happening, { kind: 'message' }>) {
    const { connector, hosts } = this.#parts;
    const { files, notes } = await fetchFiles(connector, hosts, attachedIn(attachments));
    return { ...message, text: [message.text, ...notes].filter((each) => each !== '').join('\n'), files };
  }
}
