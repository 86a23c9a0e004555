import type { Clock } from '../base/clock.ts';
import { ALERT_KEPT_MS, ALERT_RETRY_MAX_MS, ALERT_RETRY_MS, ALERT_TRIES_MAX } from '../base/limits/alerts.ts';
import {
  endTell,
  lastTell,
  nextTell,
  type OuterWay,
  retryTell,
  type TellRow,
  tellsAgain,
  waitingTells,
} from '../ledger/alert_tells.ts';
import { alertById } from '../ledger/alerts.ts';
import type { Ledger } from '../ledger/ledger.ts';
import { alertBody } from './alert_words.ts';

/**
 * A way by which alerts get out besides chats: one after the other, tried again with growing waits, given up in the end. One that
 * waits holds up no other, but what is told of the same alert later. It stands in rows, so that a host that dies goes on with it.
 */
export interface WayParts {
  name: OuterWay;
  ledger: Ledger;
  clock: Clock;
  /** Resolves with why it failed, or null. Never rejects. */
  send(body: string): Promise<string | null>;
  /** It fails again and again (why), or works (null). */
  works(name: string, failure: string | null): void;
}

/** How a way is. Times in milliseconds since the epoch. */
export interface WayShown {
  way: string;
  last_ok_ms: number | null;
  waiting: number;
  /** Why the newest did not get out; null: it did. */
  error: string | null;
}

export class Way {
  readonly name: OuterWay;
  readonly #parts: WayParts;
  #timer: NodeJS.Timeout | undefined;
  #busy = false;
  #stopped = false;
  #error: string | null = null;

  constructor(parts: WayParts) {
    this.#parts = parts;
    this.name = parts.name;
  }

  /** Something waits for it. Returns at once. */
  wake(): void {
    if (this.#busy || this.#stopped) return;
    this.#busy = true;
    clearTimeout(this.#timer);
    void this.#run();
  }

  /** What it goes by is back: what waits is tried at once. Returns at once. */
  again(): void {
    const { ledger, clock } = this.#parts;
    if (waitingTells(ledger.db, this.name) === 0) return;
    const now = clock.now();
    ledger
      .insist('alert_again', (db) => tellsAgain(db, now, this.name))
      .then(
        () => this.wake(),
        () => {}, // A closed ledger: the next host tries again.
      );
  }

  /** What no row could be written for. */
  direct(body: string): void {
    void this.#parts.send(body);
  }

  stop(): void {
    this.#stopped = true;
    clearTimeout(this.#timer);
  }

  shown(): WayShown {
    const { db } = this.#parts.ledger;
    const given_up = lastTell(db, this.name, 'failed');
    const sent = lastTell(db, this.name, 'sent');
    const left = given_up !== undefined && given_up.id > (sent?.id ?? 0) ? given_up.error : null;
    const waiting = waitingTells(db, this.name);
    return { way: this.name, last_ok_ms: sent?.updated_ms ?? null, waiting, error: this.#error ?? left };
  }

  async #run(): Promise<void> {
    const { ledger, clock } = this.#parts;
    while (!this.#stopped) {
      const tell = nextTell(ledger.db, this.name);
      const wait = tell === undefined ? null : tell.not_before_ms - clock.now();
      if (wait !== null && wait > 0) this.#timer = setTimeout(() => this.wake(), Math.min(wait, ALERT_RETRY_MAX_MS));
      if (tell === undefined || wait! > 0) break;
      await this.#try(tell);
    }
    // At once, not in a promise's turn: who wakes it meanwhile would not be heard.
    this.#busy = false;
  }

  async #try(tell: TellRow): Promise<void> {
    const { ledger, clock, send, works } = this.#parts;
    this.#error = await send(alertBody(alertById(ledger.db, tell.alert_id)!, tell.what));
    const error = this.#error;
    const tries = tell.attempts + 1;
    // A closed ledger: the next host tries again.
    await ledger
      .insist('alert_tried', (db) => {
        const now = clock.now();
        if (error === null || tries >= ALERT_TRIES_MAX || now - tell.created_ms > ALERT_KEPT_MS)
          endTell(db, now, tell.id, error);
        else retryTell(db, now, tell.id, error, now + Math.min(ALERT_RETRY_MS * 2 ** (tries - 1), ALERT_RETRY_MAX_MS));
      })
      .catch(() => {});
    if (error === null || tries >= TOLD_AFTER) works(this.name, error);
  }
}

/** Tries that failed before somebody is told that a way does not work. */
const TOLD_AFTER = 3;
