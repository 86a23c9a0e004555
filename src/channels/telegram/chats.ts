/**
 * A group that becomes a supergroup has another id from then on. For the host it stays the chat that it was: under its first
 * id, and both are remembered among the channel's cursors.
 */
export class Chats {
  readonly #now = new Map<string, string>();
  readonly #first = new Map<string, string>();

  constructor(cursors: ReadonlyMap<string, string>) {
    for (const [name, first] of cursors) if (name.startsWith(PREFIX)) this.#learn(first, name.slice(PREFIX.length));
  }

  /** The cursor to save, or null when this was known. */
  moved(from: number, to: number): { name: string; value: string } | null {
    const first = this.firstOf(from);
    if (this.#first.get(String(to)) === first) return null;
    this.#learn(first, String(to));
    return { name: `${PREFIX}${to}`, value: first };
  }

  /** As the host knows it. */
  firstOf(platform: number): string {
    return this.#first.get(String(platform)) ?? String(platform);
  }

  /** As the platform knows it now. */
  nowOf(first: string): number {
    return Number(this.#now.get(first) ?? first);
  }

  #learn(first: string, now: string): void {
    this.#now.set(first, now);
    this.#first.set(now, first);
  }
}

const PREFIX = 'moved:';

/** A message's number counts within its chat alone, and begins anew where a group moved to. */
export function showMessage(chat: number, message: number): string {
  return `${chat}:${message}`;
}

export function readMessage(shown: string): { chat: number; message: number } | null {
  const [, chat, message] = /^(-?\d{1,16}):(\d{1,15})$/.exec(shown) ?? [];
  return message === undefined ? null : { chat: Number(chat), message: Number(message) };
}
