import type { Sink } from '../channels/channel.ts';
import { chatByPlatformId } from '../ledger/chats.ts';
import type { Ledger } from '../ledger/ledger.ts';
import type { Routed, Router } from './router.ts';

/** What comes of a message, after the commit. */
export interface IntakeEffects {
  wake(session: number): void;
  deliver(chat: number): void;
  /** Somebody must be asked about it. */
  asked(question: number): void;
}

/** All of a sink that is about messages; the rest is `operations/channels.ts`'s. */
export type MessageSink = Omit<Sink, 'unreadable' | 'receipt'>;

/** What channels see of the host: each driver gets a sink of its own. Wakes sessions and chats only after the commit. */
export class Intake {
  readonly #ledger: Ledger;
  readonly #router: Router;
  readonly #effects: IntakeEffects;

  constructor(ledger: Ledger, router: Router, effects: IntakeEffects) {
    this.#ledger = ledger;
    this.#router = router;
    this.#effects = effects;
  }

  sinkOf(channel: string): MessageSink {
    return {
      accept: async (message) => {
        const routed = await this.#router.route(channel, message);
        this.#come(routed);
        return { message: routed.message, repeated: routed.repeated, ignored: routed.ignored };
      },
      pressed: async (press) => {
        const pressed = await this.#router.press(channel, press);
        this.#come(pressed);
        return { answer: pressed.answer };
      },
      edited: (edit) => this.#router.change(channel, { kind: 'edited', ...edit }),
      deleted: (deletion) => this.#router.change(channel, { kind: 'deleted', ...deletion }),
      reacted: (reaction) => this.#router.change(channel, { kind: 'reacted', ...reaction }),
      reachable: (chatPlatformId) => {
        const chat = chatByPlatformId(this.#ledger.db, channel, chatPlatformId);
        if (chat !== undefined) this.#effects.deliver(chat.id);
      },
      saveCursor: async (name, value) => {
        await this.#ledger.write('cursor', (db) => {
          db.run('INSERT OR REPLACE INTO cursors (channel, name, value) VALUES (?, ?, ?)', channel, name, value);
        });
      },
    };
  }

  #come({ chat, sessions, notices, chats, asked, after }: Routed): void {
    after?.();
    for (const session of sessions) this.#effects.wake(session);
    if (notices) this.#effects.deliver(chat);
    for (const other of chats) this.#effects.deliver(other);
    for (const question of asked) this.#effects.asked(question);
  }

  /** The places in the platform's history that a driver has saved. */
  cursorsOf(channel: string): Map<string, string> {
    const rows = this.#ledger.db.all<{ name: string; value: string }>(
      'SELECT name, value FROM cursors WHERE channel = ?',
      channel,
    );
    return new Map(rows.map((row) => [row.name, row.value]));
  }
}
