import { CHATS_MAX, WINDOW_MS } from './limits.ts';

/** What this life of the driver knows of its chats: the latest of them, in memory. What it does not know it asks WhatsApp. */
export class Chats {
  readonly #last = new Map<string, { message: string; at_ms: number }>();
  /** Chats that WhatsApp has said are closed, until their person writes. */
  readonly #closed = new Map<string, true>();
  /** By person and message: the platform does not say which reaction was taken back. */
  readonly #reactions = new Map<string, string>();

  /** The person wrote, at that time of the platform. Messages that come late change nothing. */
  heard(chat: string, message: string, at_ms: number): void {
    if ((this.#last.get(chat)?.at_ms ?? 0) > at_ms) return;
    put(this.#last, chat, { message, at_ms });
    if (Date.now() - at_ms < WINDOW_MS) this.#closed.delete(chat);
  }

  /** Their last message, as far as it is known. */
  lastOf(chat: string): string | null {
    return this.#last.get(chat)?.message ?? null;
  }

  close(chat: string): void {
    put(this.#closed, chat, true);
  }

  /** Whether it is known that only a template reaches them. */
  isClosed(chat: string, now_ms: number): boolean {
    const last = this.#last.get(chat);
    return this.#closed.has(chat) || (last !== undefined && now_ms - last.at_ms > WINDOW_MS);
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
}

/** Puts it last, and lets go of the first when there are too many. */
function put<T>(map: Map<string, T>, key: string, value: T): void {
  map.delete(key);
  map.set(key, value);
  if (map.size > CHATS_MAX) map.delete(map.keys().next().value!);
}
