import { chatOfPlace, type Place, placeOf } from '../approvals/places.ts';
import type { Clock } from '../base/clock.ts';
import { messageOf } from '../base/errors.ts';
import { parseId } from '../base/ids.ts';
import { ALERT_ARRIVES_MS, ALERT_KEPT_MS, ALERT_WINDOW_MS, ALERTS_AT_ONCE } from '../base/limits/alerts.ts';
import type { Log } from '../base/log.ts';
import { AGENTS } from '../channels/agents/agents.ts';
import type { Channel } from '../channels/channel.ts';
import {
  endTell,
  insertTell,
  isTell,
  openChatTells,
  type TellWhat,
  tellsOf,
  toldSince,
} from '../ledger/alert_tells.ts';
import {
  type AlertRow,
  ackAlert,
  alertById,
  clearAlert,
  isAlertOpen,
  openAlerts,
  raiseAlert,
  raisesSince,
  takeUntold,
  untoldAlerts,
} from '../ledger/alerts.ts';
import type { Db } from '../ledger/db.ts';
import type { Ledger } from '../ledger/ledger.ts';
import { insertNotice, outboundById } from '../ledger/outbound.ts';
import { ownersOf } from '../ledger/people.ts';
import { ruleOf } from './alert_rules.ts';
import type { Way } from './alert_way.ts';
import { alertBody, alertWords, whatToTell } from './alert_words.ts';

/**
 * What people must hear. It is raised as a row and a log line; then each owner is written to where they alone read, the operator in
 * their own chat, and the ways of `glass.yaml` are given it. The same kind and subject is told once until it is over; that it is
 * over is told in the same places.
 *
 *   raised (a row, `untold`) → told (rows on their way, in one transaction) → arrived, or told on another channel of that person
 *
 * Each step looks at rows alone: a host that dies in between goes on with it.
 */
export interface AlertParts {
  ledger: Ledger;
  clock: Clock;
  log: Log;
  channels: ReadonlyMap<string, Channel>;
  operatorChat: number;
  deliver(chatId: number): void;
  ways: readonly Way[];
}

/** An owner's place, and on which channel. */
export interface OwnersPlace {
  person: number;
  channel: string;
  place: Place;
}

/** Whose terminals are the operator's. */
export const LOCAL = 'local';

export class Alerts {
  readonly #parts: AlertParts;
  #telling: Promise<void> = Promise.resolve();
  #stopped = false;
  /** Told by the outer ways alone, because no row could be written. */
  readonly #unwritten = new Map<string, AlertRow>();
  /** They are being written. */
  #recording = false;

  constructor(parts: AlertParts) {
    this.#parts = parts;
    parts.ledger.onCommit(() => this.#recovered());
    // A message that is refused is nobody's alert else: who sent it is told, and the operator is somebody else.
    parts.ledger.onTrouble((error) => this.trouble(error));
  }

  /** Returns at once and never throws; without a ledger there are the log line and the ways besides chats. */
  alert(kind: string, subject: string, text: string): void {
    const { ledger, clock, log } = this.#parts;
    const { severity } = ruleOf(kind);
    ledger
      .write('alert', (db) => (isOfAlert(db, kind, subject) ? null : raiseAlert(db, clock, kind, subject, text)))
      .then((isNew) => {
        if (isNew === null) return;
        // A new one reaches the journal, where there is one.
        if (isNew) log.error('alert', { kind, subject, severity, text });
        else log.warn('alert', { kind, subject, severity, text });
        if (isNew) void this.#tell();
      })
      .catch((error) => this.#lost(kind, subject, text, messageOf(error)));
  }

  /** The cause is gone. */
  clear(kind: string, subject: string): void {
    const { ledger, clock } = this.#parts;
    if (!isAlertOpen(ledger.db, kind, subject)) return;
    ledger
      .write('alert_clear', (db) => clearAlert(db, clock, kind, subject))
      .then(() => this.#tell())
      .catch(() => {});
  }

  /** A storage failure of the ledger. */
  trouble(error: Error): void {
    this.#lost('ledger.trouble', 'ledger', error.message, error.message);
  }

  /** What stands without a row, because the ledger takes none: as long as there is any, nothing can be written as far as is known. */
  get unwritten(): AlertRow[] {
    return [...this.#unwritten.values()];
  }

  /** The operator has seen one, or all (null). Returns how many stood. */
  ack(id: number | null): Promise<number> {
    const { ledger, clock } = this.#parts;
    return ledger.write('alerts_seen', (db) => {
      const seen = openAlerts(db).filter((alert) => (id === null || alert.id === id) && alert.acked_ms === null);
      for (const alert of seen) ackAlert(db, clock, alert, ruleOf(alert.kind).stands);
      return seen.length;
    });
  }

  /** What is not told yet, and what did not arrive: with the sweep. */
  async look(): Promise<void> {
    for (const way of this.#parts.ways) way.wake();
    await this.#tell();
    await this.#whatDidNotArrive();
  }

  stop(): void {
    this.#stopped = true;
    for (const way of this.#parts.ways) way.stop();
  }

  #lost(kind: string, subject: string, text: string, reason: string): void {
    const key = `${kind} ${subject}`;
    if (this.#unwritten.has(key)) return;
    const { severity } = ruleOf(kind);
    this.#parts.log.error('alert', { kind, subject, severity, text, unwritten: reason });
    const now = this.#parts.clock.now();
    const times = { created_ms: now, updated_ms: now, cleared_ms: null, acked_ms: null };
    const alert: AlertRow = { id: 0, kind, subject, text, count: 1, ...times, untold: 0 };
    this.#unwritten.set(key, alert);
    // In safe mode, and while the host ends, it is in the log and the status alone.
    if (!this.#stopped) for (const way of this.#parts.ways) way.direct(alertBody(alert, 'raised'));
  }

  /**
   * The ledger may take rows again: what it did not take is in it from now on, and that the ledger fails is over. A commit that
   * changed nothing goes through on a read-only disk too, so that nothing is over before its row is there.
   */
  #recovered(): void {
    if (this.#unwritten.size === 0 || this.#recording) return;
    const { ledger, clock } = this.#parts;
    const unwritten = [...this.#unwritten];
    this.#recording = true;
    ledger
      .write('alerts_kept', (db) => {
        for (const [, { kind, subject, text }] of unwritten) raiseAlert(db, clock, kind, subject, text);
        clearAlert(db, clock, 'ledger.trouble', 'ledger');
      })
      .then(() => unwritten.forEach(([key]) => void this.#unwritten.delete(key)))
      .then(() => this.#tell())
      .catch(() => {})
      .finally(() => (this.#recording = false));
  }

  /** One after the other: each begins with what the one before has left. */
  #tell(): Promise<void> {
    this.#telling = this.#telling
      .then(() => this.#tellUntold())
      .catch((error) => this.#parts.log.error('alert.untold', { reason: messageOf(error) }));
    return this.#telling;
  }

  async #tellUntold(): Promise<void> {
    const { ledger, deliver, ways } = this.#parts;
    const untold = untoldAlerts(ledger.db, ALERTS_AT_ONCE);
    if (untold.length === 0) return;
    const owners = new Map<number, OwnersPlace[]>();
    for (const alert of untold) if (alert.untold === 1) owners.set(alert.id, await this.#placesOfOwners(alert));
    const chats = await ledger.write('alert_tell', (db) =>
      untold.flatMap((alert) => this.#put(db, alert, owners.get(alert.id) ?? [])),
    );
    for (const chat of new Set(chats)) deliver(chat);
    for (const way of ways) way.wake();
  }

  async #placesOfOwners(alert: AlertRow): Promise<OwnersPlace[]> {
    const found: OwnersPlace[] = [];
    for (const person of ownersOf(this.#parts.ledger.db)) {
      const place = await this.#placeOf(person, alert, []);
      if (place !== null) found.push(place);
    }
    return found;
  }

  /** On a channel that works and that the alert is not about; if there is none, where it waits until the channel is back. */
  async #placeOf(person: number, alert: AlertRow, tried: readonly string[]): Promise<OwnersPlace | null> {
    const { channels } = this.#parts;
    const known = [...channels.keys()].filter((name) => name !== LOCAL && name !== AGENTS && !tried.includes(name));
    const working = known.filter(
      (name) => channels.get(name)!.health().state === 'connected' && !this.#isAbout(alert, name),
    );
    for (const name of [...working, ...(tried.length === 0 ? known : [])]) {
      const place = await this.placeOn(person, name);
      if (place !== null) return place;
    }
    return null;
  }

  /** Where an owner alone reads on one channel; null: nowhere. */
  async placeOn(person: number, channel: string): Promise<OwnersPlace | null> {
    const { ledger, channels, operatorChat } = this.#parts;
    const reach = { channels: new Map([[channel, channels.get(channel)!]]), operatorChat };
    const place = await placeOf(ledger.db, reach, [person], channel);
    return place === null ? null : { person, channel, place };
  }

  #isAbout({ kind, subject }: AlertRow, channel: string): boolean {
    return kind.startsWith('channel.') && subject === channel;
  }

  /** Writes what is to be said of an alert; returns the chats to deliver to. */
  #put(db: Db, alert: AlertRow, owners: OwnersPlace[]): number[] {
    const { clock, operatorChat, ways } = this.#parts;
    if (alert.untold === 0) return [];
    const since = clock.now() - ALERT_WINDOW_MS;
    const what = whatToTell(alert.untold, raisesSince(db, alert, since), toldSince(db, alert.kind, since));
    // What still stands is told when there is room for it.
    if (what === null && alert.untold === 1 && alert.cleared_ms === null && ruleOf(alert.kind).stands) return [];
    if (!takeUntold(db, alert) || what === null) return [];
    const tells = tellsOf(db, alert.id).filter((tell) => tell.what !== 'test');
    // Nobody was told that it began.
    if (what === 'cleared' && tells.length === 0) return [];
    for (const { name } of ways)
      if (alert.kind !== 'alerts.way' || alert.subject !== name) this.outer(db, alert, what, name);
    if (what === 'cleared') {
      const told = tells.filter(({ way }) => way === 'chat');
      return told.map((tell) => {
        const chat = outboundById(db, tell.outbound_id!)!.chat_id;
        return this.#write(db, alert, what, { ...tell, chat });
      });
    }
    return [
      this.#write(db, alert, what, { person_id: null, channel: LOCAL, chat: operatorChat }),
      ...owners.map((owner) => this.inChat(db, alert, what, owner)),
    ];
  }

  /** An alert for a way besides chats, which is woken after the commit. Returns the tell. */
  outer(db: Db, alert: AlertRow, what: TellWhat, way: Way['name']): number {
    const row = { alert_id: alert.id, what, way, person_id: null, channel: '', outbound_id: null };
    return insertTell(db, this.#parts.clock.now(), row);
  }

  inChat(db: Db, alert: AlertRow, what: TellWhat, { person, channel, place }: OwnersPlace): number {
    const chat = chatOfPlace(db, this.#parts.clock.now(), place);
    return this.#write(db, alert, what, { person_id: person, channel, chat });
  }

  #write(
    db: Db,
    alert: AlertRow,
    what: TellWhat,
    { person_id, channel, chat }: { person_id: number | null; channel: string; chat: number },
  ): number {
    const now = this.#parts.clock.now();
    const outbound_id = insertNotice(db, now, chat, '', null, alertWords(alert, what));
    insertTell(db, now, { alert_id: alert.id, what, way: 'chat', person_id, channel, outbound_id });
    return chat;
  }

  /** What has not reached a person in time goes to another channel of theirs. */
  async #whatDidNotArrive(): Promise<void> {
    const { ledger, clock, deliver } = this.#parts;
    for (const tell of openChatTells(ledger.db)) {
      const { delivery } = tell;
      const refused = delivery === 'rejected' || delivery === 'uncertain';
      if (delivery !== 'sent' && !refused && clock.now() - tell.created_ms < ALERT_ARRIVES_MS) continue;
      const alert = alertById(ledger.db, tell.alert_id)!;
      const tried = tellsOf(ledger.db, alert.id)
        .filter(({ person_id, what }) => person_id === tell.person_id && what === tell.what)
        .map(({ channel }) => channel);
      const old = clock.now() - tell.created_ms > ALERT_KEPT_MS;
      const again = delivery !== 'sent' && !old && tell.what !== 'test' && tell.what !== 'cleared';
      const next = again ? await this.#placeOf(tell.person_id!, alert, tried) : null;
      // Until one of the others works, it is looked at again.
      if (again && next === null && !refused) continue;
      const chat = await ledger.write('alert_arrived', (db) => {
        endTell(db, clock.now(), tell.id, delivery === 'sent' ? null : (tell.reason ?? 'it did not arrive in time'));
        return next === null ? null : this.inChat(db, alert, tell.what, next);
      });
      if (chat !== null) deliver(chat);
    }
  }
}

/** An alert that does not arrive in a chat is no alert: another channel gets it, and the list has it. Else each would be told where it does not arrive. */
function isOfAlert(db: Db, kind: string, subject: string): boolean {
  const outbound = kind.startsWith('delivery.') ? parseId('o', subject) : undefined;
  return outbound !== undefined && isTell(db, outbound);
}
