import type { IncomingMessage } from 'node:http';
import { completes, union } from '../authority/rule_of_two.ts';
import { MARK_RECORD_MS } from '../base/limits/gateway.ts';
import type { Mark } from '../protocol/gateway.ts';
import type { SessionPolicy } from './policy.ts';
import { refusal } from './refuse.ts';
import type { Refusal } from './route.ts';

const UNMARKED = refusal(503, 'rule of two', 'the host has not recorded what this brings in', 'try again later');
const SEEN_SINCE = refusal(
  403,
  'rule of two',
  'this conversation has seen more meanwhile',
  'ask: a person is asked then',
);

/**
 * What one session has seen and done, and so what a person must see before it leaves. A request that adds to it waits until the host
 * has that on disk: else a host that dies would not know what its next sandbox remembers.
 */
export class Meter {
  readonly #enforced: boolean;
  readonly #tell: (marks: Mark[], cause: string) => void;
  #has: Mark[];
  readonly #waiting = new Set<() => void>();
  /** What requests add that wait for their record: each counts for the others. */
  readonly #pending = new Set<Mark[]>();
  /** Acts whose bytes still come from the agent. */
  readonly #acting = new Set<IncomingMessage>();

  /** `tell`: the host is to record these. */
  constructor(policy: SessionPolicy, has: readonly Mark[], tell: (marks: Mark[], cause: string) => void) {
    this.#enforced = policy.two === 'enforce';
    this.#has = union(has, policy.standing);
    this.#tell = tell;
  }

  missing(marks: readonly Mark[]): Mark[] {
    return marks.filter((mark) => !this.#has.includes(mark));
  }

  /** Whether a person is asked before what adds these leaves. */
  holds(marks: readonly Mark[]): boolean {
    return this.#enforced && completes(union(this.#has, [...this.#pending].flat()), marks);
  }

  /** Why it does not leave after all, once what it marks its session with is on record; what became known meanwhile counts. Null: it may. */
  admit(marks: readonly Mark[], cause: string): Refusal | null | Promise<Refusal | null> {
    if (this.holds(marks)) return SEEN_SINCE;
    // Nothing to wait for: what comes behind it in the same segment must not overtake it.
    return this.missing(marks).length === 0 ? null : this.#recorded(marks, cause);
  }

  async #recorded(marks: readonly Mark[], cause: string): Promise<Refusal | null> {
    const missing = this.missing(marks);
    this.#pending.add(missing);
    await this.#record(missing, cause);
    this.#pending.delete(missing);
    if (this.holds(marks)) return SEEN_SINCE;
    return this.missing(missing).length === 0 ? null : UNMARKED;
  }

  /** Resolves when the host has, when it has not in time, or when what has become known asks for a person first: then it does not. */
  async #record(missing: Mark[], cause: string): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    const look = (): void => {
      const overtaken = this.#enforced && completes(this.#has, this.missing(missing));
      if (overtaken || this.missing(missing).length === 0) resolve();
    };
    this.#waiting.add(look);
    const timer = setTimeout(resolve, MARK_RECORD_MS);
    this.#tell(missing, cause);
    await promise;
    clearTimeout(timer);
    this.#waiting.delete(look);
  }

  /** The host has these on record. An act that has begun, and would now have to be seen first, ends. */
  know(marks: readonly Mark[]): void {
    this.#has = union(this.#has, marks);
    if (this.#enforced && this.#has.includes('A') && this.#has.includes('B'))
      for (const request of this.#acting) request.socket.destroy();
    for (const look of [...this.#waiting]) look();
  }

  /** An act leaves while the agent still writes it. */
  acting(request: IncomingMessage, ws: boolean): void {
    if (!this.#enforced) return;
    this.#acting.add(request);
    const over = (): boolean => this.#acting.delete(request);
    // A connection has many requests; a WebSocket is all of its own.
    if (ws) request.socket.once('close', over);
    else request.once('close', over);
  }
}
