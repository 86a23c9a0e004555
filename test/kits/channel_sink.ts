import type {
  Accepted,
  ButtonPress,
  Changed,
  IncomingDeletion,
  IncomingEdit,
  IncomingMessage,
  IncomingReaction,
  Pressed,
  Receipt,
  Sink,
  UnreadableEvent,
} from '../../src/channels/channel.ts';

/** What a driver hands to the host. */
export type Handed =
  | { t: 'message'; value: IncomingMessage }
  | { t: 'edit'; value: IncomingEdit }
  | { t: 'deletion'; value: IncomingDeletion }
  | { t: 'reaction'; value: IncomingReaction }
  | { t: 'press'; value: ButtonPress }
  | { t: 'unreadable'; value: UnreadableEvent };

/** The host's side of a driver, whose commits the test decides about. As the ledger, it knows a key that it has committed. */
export class RecordingSink implements Sink {
  /** Each call, also those that were not committed. */
  readonly calls: Handed[] = [];
  /** In the order of their commits, each key once. */
  readonly committed: Handed[] = [];
  readonly cursors = new Map<string, string>();
  readonly reached: string[] = [];
  readonly receipts: Receipt[] = [];
  #failures = 0;
  #gate: Promise<void> = Promise.resolve();
  #open: (() => void) | null = null;
  #isDead = false;

  /** From now on nothing is committed until `release`. */
  hold(): void {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#gate = promise;
    this.#open = resolve;
  }

  release(): void {
    this.#open?.();
    this.#gate = Promise.resolve();
  }

  /** The next so many commits fail. */
  failNext(count: number): void {
    this.#failures = count;
  }

  /** The host dies: what it has not committed it never will, and it says so to nobody. */
  die(): void {
    this.#isDead = true;
  }

  /** The host that comes after a death, or a planned restart: it knows what was committed, and the saved cursors. */
  successor(): RecordingSink {
    const next = new RecordingSink();
    next.committed.push(...this.committed);
    for (const [name, value] of this.cursors) next.cursors.set(name, value);
    return next;
  }

  get messages(): IncomingMessage[] {
    return this.committed.flatMap((handed) => (handed.t === 'message' ? [handed.value] : []));
  }

  get edits(): IncomingEdit[] {
    return this.committed.flatMap((handed) => (handed.t === 'edit' ? [handed.value] : []));
  }

  get deletions(): IncomingDeletion[] {
    return this.committed.flatMap((handed) => (handed.t === 'deletion' ? [handed.value] : []));
  }

  get reactions(): IncomingReaction[] {
    return this.committed.flatMap((handed) => (handed.t === 'reaction' ? [handed.value] : []));
  }

  get presses(): ButtonPress[] {
    return this.committed.flatMap((handed) => (handed.t === 'press' ? [handed.value] : []));
  }

  get unreadables(): UnreadableEvent[] {
    return this.committed.flatMap((handed) => (handed.t === 'unreadable' ? [handed.value] : []));
  }

  async accept(value: IncomingMessage): Promise<Accepted> {
    const repeated = await this.#commit({ t: 'message', value });
    return { message: this.committed.length, repeated, ignored: null };
  }

  async edited(value: IncomingEdit): Promise<Changed> {
    return { outcome: (await this.#commit({ t: 'edit', value })) ? 'repeated' : 'done' };
  }

  async deleted(value: IncomingDeletion): Promise<Changed> {
    return { outcome: (await this.#commit({ t: 'deletion', value })) ? 'repeated' : 'done' };
  }

  async reacted(value: IncomingReaction): Promise<Changed> {
    return { outcome: (await this.#commit({ t: 'reaction', value })) ? 'repeated' : 'recorded' };
  }

  async pressed(value: ButtonPress): Promise<Pressed> {
    await this.#commit({ t: 'press', value });
    return { answer: 'Done.' };
  }

  async unreadable(value: UnreadableEvent): Promise<void> {
    await this.#commit({ t: 'unreadable', value });
  }

  async receipt(value: Receipt): Promise<void> {
    await this.#gate;
    if (this.#isDead) return new Promise(() => {});
    if (this.#failures > 0) {
      this.#failures -= 1;
      throw new Error('nothing was kept');
    }
    this.receipts.push(structuredClone(value));
  }

  reachable(chat: string): void {
    this.reached.push(chat);
  }

  async saveCursor(name: string, value: string): Promise<void> {
    if (this.#isDead) return new Promise(() => {});
    this.cursors.set(name, value);
  }

  /** True: it was committed before. What is handed over must survive the way between two threads. */
  async #commit(handed: Handed): Promise<boolean> {
    const { dedupe_key } = handed.value;
    this.calls.push(structuredClone(handed));
    await this.#gate;
    if (this.#isDead) return new Promise(() => {});
    if (this.#failures > 0) {
      this.#failures -= 1;
      throw new Error('nothing was kept');
    }
    if (this.committed.some(({ value }) => value.dedupe_key === dedupe_key)) return true;
    this.committed.push(structuredClone(handed));
    return false;
  }
}
