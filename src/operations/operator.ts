import { userInfo } from 'node:os';
import type { Clock } from '../base/clock.ts';
import type { Accepted, IncomingMessage, Sink } from '../channels/channel.ts';
import { ensureChat, ensureGroup, rewire, type UidRange, wire, wiringsOf } from '../ledger/chats.ts';
import type { Db } from '../ledger/db.ts';
import type { Ledger } from '../ledger/ledger.ts';
import { ensurePerson, personOf } from '../ledger/people.ts';

/**
 * Whoever can open the control socket: the first person, and the owner. Their main chat on `local` belongs to the
 * install's default group, every other one to the group that was the default when it began.
 */
const CHANNEL = 'local';
const HANDLE = 'operator';
const MAIN_CHAT = 'main';

export class Operator {
  readonly #ledger: Ledger;
  readonly #clock: Clock;
  readonly #group: string;
  readonly #sink: Pick<Sink, 'accept'>;
  readonly #name = accountName();
  readonly #wired = new Set([MAIN_CHAT]);

  constructor(ledger: Ledger, clock: Clock, group: string, sink: Pick<Sink, 'accept'>) {
    this.#ledger = ledger;
    this.#clock = clock;
    this.#group = group;
    this.#sink = sink;
  }

  /** Key of the person. */
  get person(): number {
    return personOf(this.#ledger.db, CHANNEL, HANDLE)!;
  }

  /** A message typed by the operator. The same `key` is the same message. */
  async say(chat: string, said: Pick<IncomingMessage, 'text' | 'files' | 'reply_to'>, key: string): Promise<Accepted> {
    if (!this.#wired.has(chat)) {
      await this.#ledger.write('local_chat', (db) => {
        const id = ensureChat(db, this.#clock.now(), CHANNEL, chat, chat);
        if (wiringsOf(db, id).length === 0) wire(db, id, this.#group, 'always');
      });
      this.#wired.add(chat);
    }
    return this.#sink.accept({
      dedupe_key: `${CHANNEL}:${key}`,
      chat: { platform_id: chat, title: chat },
      thread: '',
      sender: { handle: HANDLE, name: this.#name },
      addressed: true,
      platform_id: key,
      ...said,
      sent_ms: this.#clock.now(),
    });
  }
}

/** What the ledger holds from the first start on: the groups, the operator, and the operator's chat, whose key it returns. */
export function prepareLedger(db: Db, now: number, groups: string[], defaultGroup: string, uids: UidRange): number {
  const range = process.getuid?.() === 0 ? uids : null;
  for (const name of groups) ensureGroup(db, now, name, range);
  ensurePerson(db, now, CHANNEL, HANDLE, accountName(), 'owner');
  const chat = ensureChat(db, now, CHANNEL, MAIN_CHAT, MAIN_CHAT);
  rewire(db, chat, defaultGroup, 'always');
  return chat;
}

/** What the operator is called. An account may have no name: a container's, or one that a supervisor made up. */
export function accountName(): string {
  try {
    return userInfo().username;
  } catch {
    return `uid ${process.getuid!()}`;
  }
}
