import type { Clock } from '../base/clock.ts';
import { messageOf } from '../base/errors.ts';
import type { Log } from '../base/log.ts';
import { clearAlert, isAlertOpen, raiseAlert } from '../ledger/alerts.ts';
import type { Ledger } from '../ledger/ledger.ts';
import { insertNotice } from '../ledger/outbound.ts';

/**
 * What an operator must hear: a row, a log line, and a message in the operator's own chat. The same kind and subject is
 * told once until it is cleared; after that it only counts.
 */
export class Alerts {
  readonly #ledger: Ledger;
  readonly #clock: Clock;
  readonly #log: Log;
  readonly #operatorChat: number;
  readonly #deliver: (chatId: number) => void;

  constructor(ledger: Ledger, clock: Clock, log: Log, operatorChat: number, deliver: (chatId: number) => void) {
    this.#ledger = ledger;
    this.#clock = clock;
    this.#log = log;
    this.#operatorChat = operatorChat;
    this.#deliver = deliver;
  }

  /** Returns at once and never throws; without a ledger the log line remains. */
  alert(kind: string, subject: string, text: string): void {
    this.#log.warn('alert', { kind, subject, text });
    this.#ledger
      .write('alert', (db) => {
        const isNew = raiseAlert(db, this.#clock, kind, subject, text);
        if (isNew) insertNotice(db, this.#clock.now(), this.#operatorChat, '', null, `⚠ ${text}`);
        return isNew;
      })
      .then((isNew) => {
        if (isNew) this.#deliver(this.#operatorChat);
      })
      .catch((error) => this.#log.error('alert.lost', { kind, subject, reason: messageOf(error) }));
  }

  /** The cause is gone. */
  clear(kind: string, subject: string): void {
    if (!isAlertOpen(this.#ledger.db, kind, subject)) return;
    this.#ledger.write('alert_clear', (db) => clearAlert(db, this.#clock, kind, subject)).catch(() => {});
  }
}
