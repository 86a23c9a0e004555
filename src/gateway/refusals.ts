import type { Clock } from '../base/clock.ts';
import { messageOf } from '../base/errors.ts';
import { SESSION_REFUSALS_PER_MINUTE } from '../base/limits/gateway.ts';
import type { Log } from '../base/log.ts';
import type { Asked, Audit } from './audit.ts';
import type { Refusal } from './route.ts';

/** The refusals of one session on record, up to a number a minute: an agent in a loop must not fill the disk. */

const MINUTE_MS = 60_000;

export interface RefusalContext {
  audit: Audit;
  clock: Clock;
  log: Log;
  /** Something the operator should see. */
  alert: (kind: string, subject: string, text: string) => void;
}

export class Refusals {
  readonly #context: RefusalContext;
  readonly #session: string;
  #count = 0;
  #since_ms = 0;

  constructor(context: RefusalContext, session: string) {
    this.#context = context;
    this.#session = session;
  }

  record(asked: Asked, why: Refusal): void {
    const now_ms = this.#context.clock.monotonic();
    if (now_ms - this.#since_ms > MINUTE_MS) {
      this.#since_ms = now_ms;
      this.#count = 0;
    }
    this.#count += 1;
    if (this.#count > SESSION_REFUSALS_PER_MINUTE) {
      const text = 'so many requests are refused that the rest of the minute goes unrecorded';
      if (this.#count === SESSION_REFUSALS_PER_MINUTE + 1) this.#context.alert('refusals', this.#session, text);
      return;
    }
    try {
      this.#context.audit.refused({ ...asked, rule: why.rule }, why.status);
    } catch (error) {
      this.storageFailed(error);
    }
  }

  storageFailed(error: unknown): void {
    const reason = messageOf(error);
    this.#context.log.error('storage failed', { session: this.#session, reason });
    this.#context.alert('storage', this.#session, `the gateway cannot read or write its databases: ${reason}`);
  }
}
