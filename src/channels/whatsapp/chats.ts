import { z } from 'zod';
import type { Sink } from '../channel.ts';
import { CHATS_MAX, HEARD_CHATS_MAX, HEARD_SAVE_MS, WINDOW_MS } from './limits.ts';

interface Heard {
  message: string | null;
  at_ms: number;
  /** They may have written so much later than is known. */
  late_ms: number;
  /** WhatsApp has said that only a template reaches them. */
  closed: boolean;
}

/** By chat: when its person wrote; as a negative number where it is closed. */
const saved = z.array(z.tuple([z.string(), z.int()]));

/**
 * What is known of its chats: the latest of them. When a person last wrote is known after a restart too, for WhatsApp takes what is
 * too late and says so only afterwards. It is in cursors of the channel, `heard:<last two digits>`, so that there are at most a hundred.
 */
export class Chats {
  readonly #last = new Map<string, Heard>();
  /** By cursor: what it says of whom. */
  readonly #saved = new Map<string, Map<string, number>>();
  /** By person and message: the platform does not say which reaction was taken back. */
  readonly #reactions = new Map<string, string>();
  #sink: Pick<Sink, 'saveCursor'> | null = null;

  begin(sink: Pick<Sink, 'saveCursor'>, cursors: ReadonlyMap<string, string>): void {
    this.#sink = sink;
    for (const [name, value] of cursors) {
      const { data } = saved.safeParse(name.startsWith(HEARD) ? parsed(value) : null);
      if (data === undefined) continue;
      this.#saved.set(name, new Map(data));
      for (const [chat, at_ms] of data)
        put(this.#last, chat, { message: null, at_ms: Math.abs(at_ms), late_ms: HEARD_SAVE_MS, closed: at_ms < 0 });
    }
  }

  /** The person wrote, at that time of the platform. Messages that come late change nothing. Rejects when it should be kept and was not. */
  async heard(chat: string, message: string, at_ms: number): Promise<void> {
    const before = this.#last.get(chat);
    if ((before?.at_ms ?? 0) > at_ms) return;
    const closed = before?.closed === true && Date.now() - at_ms >= WINDOW_MS;
    put(this.#last, chat, { message, at_ms, late_ms: 0, closed });
    await this.#save(chat, closed ? -at_ms : at_ms);
  }

  /** Their last message, as far as it is known. */
  lastOf(chat: string): string | null {
    return this.#last.get(chat)?.message ?? null;
  }

  /** Until they write. */
  close(chat: string): void {
    const before = this.#last.get(chat) ?? { message: null, at_ms: 1, late_ms: 0 };
    put(this.#last, chat, { ...before, closed: true });
    // Lost, it is said again by the next refusal.
    this.#save(chat, -before.at_ms).catch(() => {});
  }

  /** Whether it is known that only a template reaches them. */
  isClosed(chat: string, now_ms: number): boolean {
    const last = this.#last.get(chat);
    return last !== undefined && (last.closed || now_ms - last.at_ms > WINDOW_MS + last.late_ms);
  }

  /** Null: it was taken back. To be called once that is committed. */
  reacted(person: string, message: string, emoji: string | null): void {
    if (emoji === null) this.#reactions.delete(`${person} ${message}`);
    else put(this.#reactions, `${person} ${message}`, emoji);
  }

  /** '' when nobody remembers. */
  reactionOf(person: string, message: string): string {
    return this.#reactions.get(`${person} ${message}`) ?? '';
  }

  /** Not each message: a commit more for each would be felt. */
  async #save(chat: string, at_ms: number): Promise<void> {
    const name = `${HEARD}${chat.slice(-2)}`;
    const known = this.#saved.get(name) ?? new Map<string, number>();
    const before = known.get(chat) ?? 0;
    if (before * at_ms > 0 && Math.abs(at_ms - before) < HEARD_SAVE_MS) return;
    put(known, chat, at_ms, HEARD_CHATS_MAX);
    this.#saved.set(name, known);
    try {
      await this.#sink?.saveCursor(name, JSON.stringify([...known]));
    } catch (error) {
      known.delete(chat);
      throw error;
    }
  }
}

const HEARD = 'heard:';

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

/** Puts it last, and lets go of the first when there are too many. */
function put<T>(map: Map<string, T>, key: string, value: T, max = CHATS_MAX): void {
  map.delete(key);
  map.set(key, value);
  if (map.size > max) map.delete(map.keys().next().value!);
}
