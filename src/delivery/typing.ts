import type { Clock } from '../base/clock.ts';
import { TYPING_CALL_MS, TYPING_DELAY_MS, TYPING_EVERY_MS } from '../base/limits/messages.ts';
import type { Channel } from '../channels/channel.ts';
import { chatById } from '../ledger/chats.ts';
import type { Ledger } from '../ledger/ledger.ts';

export interface TypingPlace {
  chat_id: number;
  thread: string;
}

interface Shown extends TypingPlace {
  channel: Channel;
  platform_id: string;
  /** Turns that run for it. */
  turns: number;
  /** When it is shown next, on the monotonic clock. */
  due: number;
  /** The call that is under way may be taken for lost after this; 0: there is none. */
  lost: number;
}

/**
 * Where people see that an agent is busy: in chats that can show it, while a turn runs for them. One timer for all of them, none
 * while nothing runs. What a driver makes of it is nobody's business: it delays nothing and is recorded nowhere.
 */
export class Typing {
  readonly #ledger: Ledger;
  readonly #clock: Clock;
  readonly #channels: ReadonlyMap<string, Channel>;
  readonly #shown = new Map<string, Shown>();
  #timer: NodeJS.Timeout | null = null;

  constructor(ledger: Ledger, clock: Clock, channels: ReadonlyMap<string, Channel>) {
    this.#ledger = ledger;
    this.#clock = clock;
    this.#channels = channels;
  }

  /** A turn begins. A quick one ends before anything is shown. */
  begin(place: TypingPlace): void {
    const key = keyOf(place);
    const known = this.#shown.get(key);
    if (known !== undefined) {
      known.turns += 1;
      return;
    }
    const chat = chatById(this.#ledger.db, place.chat_id);
    const channel = chat === undefined ? undefined : this.#channels.get(chat.channel);
    if (chat === undefined || channel?.capabilities.typing !== true || channel.typing === undefined) return;
    const due = this.#clock.monotonic() + TYPING_DELAY_MS;
    this.#shown.set(key, { ...place, channel, platform_id: chat.platform_id, turns: 1, due, lost: 0 });
    this.#arm();
  }

  /** As often as `begin`. */
  end(place: TypingPlace): void {
    const shown = this.#shown.get(keyOf(place));
    if (shown === undefined) return;
    shown.turns -= 1;
    if (shown.turns > 0) return;
    this.#shown.delete(keyOf(place));
    if (this.#shown.size === 0) this.stop();
  }

  stop(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
  }

  #arm(): void {
    if (this.#timer !== null || this.#shown.size === 0) return;
    const first = Math.min(...[...this.#shown.values()].map(({ due }) => due));
    this.#timer = setTimeout(() => this.#tick(), Math.max(0, first - this.#clock.monotonic()));
    this.#timer.unref();
  }

  #tick(): void {
    this.#timer = null;
    const now = this.#clock.monotonic();
    for (const shown of this.#shown.values()) {
      if (shown.due > now) continue;
      shown.due = now + TYPING_EVERY_MS;
      // A driver that hangs has one call of each chat, and another one only when that is given up.
      if (now >= shown.lost) void this.#show(shown, now);
    }
    this.#arm();
  }

  async #show(shown: Shown, now: number): Promise<void> {
    const lost = now + TYPING_CALL_MS;
    shown.lost = lost;
    try {
      await shown.channel.typing?.(shown.platform_id, shown.thread);
    } catch {
      // The next one may go through.
    }
    if (shown.lost === lost) shown.lost = 0;
  }
}

function keyOf({ chat_id, thread }: TypingPlace): string {
  return `${chat_id}:${thread}`;
}
