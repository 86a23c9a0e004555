import type { Clock } from '../base/clock.ts';
import { ALERT_TEST_MS } from '../base/limits/alerts.ts';
import { insertTell, type TellRow, tellsOf } from '../ledger/alert_tells.ts';
import { type AlertRow, ackAlert, alertById, raiseAlert } from '../ledger/alerts.ts';
import type { Db } from '../ledger/db.ts';
import type { Ledger } from '../ledger/ledger.ts';
import { headOfChat, insertNotice, outboundById } from '../ledger/outbound.ts';
import { identitiesOf, ownersOf } from '../ledger/people.ts';
import type { Way } from './alert_way.ts';
import { alertWords } from './alert_words.ts';
import { type Alerts, LOCAL, type OwnersPlace } from './alerts.ts';
import type { Heartbeat } from './heartbeat.ts';

/** `glass alert test`: one alert by every way there is, and which of them it got out by. */
export interface AlertTestRow {
  /** `local:main`, `telegram:12345`, `command`, `webhook`, `heartbeat`. */
  way: string;
  state: 'arrived' | 'waits' | 'failed';
  ms: number;
  detail: string;
}

export interface AlertTestParts {
  ledger: Ledger;
  clock: Clock;
  alerts: Alerts;
  ways: readonly Way[];
  heartbeat: Heartbeat;
  operatorChat: number;
  channels: { has(name: string): boolean };
  deliver(chat: number): void;
}

const TEXT = 'This is a test of the alerts of GlassClaw.';

/** Each way is told when it is known. `gone` ends it early. */
export async function testAlerts(
  parts: AlertTestParts,
  tell: (row: AlertTestRow) => void,
  gone: Promise<void>,
): Promise<void> {
  const { ledger, clock, alerts, ways, operatorChat, heartbeat } = parts;
  const began = clock.monotonic();
  const places = await placesOf(parts);
  const { id, chats } = await ledger.write('alert_test', (db) => {
    const alert = testAlert(db, clock);
    const now = clock.now();
    const outbound_id = insertNotice(db, now, operatorChat, '', null, alertWords(alert, 'test'));
    insertTell(db, now, {
      alert_id: alert.id,
      what: 'test',
      way: 'chat',
      person_id: null,
      channel: LOCAL,
      outbound_id,
    });
    for (const { name } of ways) alerts.outer(db, alert, 'test', name);
    return { id: alert.id, chats: [operatorChat, ...places.map((place) => alerts.inChat(db, alert, 'test', place))] };
  });
  for (const chat of chats) parts.deliver(chat);
  for (const way of ways) way.wake();
  const told = new Set<number>();
  const ms = (): number => Math.round(clock.monotonic() - began);
  const look = (): boolean => {
    for (const row of tellsOf(ledger.db, id)) {
      const found = told.has(row.id) ? null : outcome(ledger.db, row);
      if (found === null) continue;
      told.add(row.id);
      tell({ way: nameOf(ledger.db, row), ms: ms(), ...found });
    }
    return told.size === tellsOf(ledger.db, id).length;
  };
  const beaten = heartbeat.ping === null ? null : await heartbeat.ping();
  if (heartbeat.ping !== null)
    tell({
      way: 'heartbeat',
      state: beaten === null ? 'arrived' : 'failed',
      ms: ms(),
      detail: beaten ?? 'it was taken',
    });
  await until(ledger, look, gone);
  for (const row of tellsOf(ledger.db, id).filter((row) => !told.has(row.id)))
    tell({ way: nameOf(ledger.db, row), state: 'failed', ms: ms(), detail: row.error ?? 'nothing was heard of it' });
}

/** Every direct chat of every owner, and not only the one that an alert would go to. */
async function placesOf({ ledger, alerts, channels }: AlertTestParts): Promise<OwnersPlace[]> {
  const places: OwnersPlace[] = [];
  for (const person of ownersOf(ledger.db)) {
    const on = new Set(identitiesOf(ledger.db, person).map(({ channel }) => channel));
    for (const channel of on) {
      if (channel === LOCAL || !channels.has(channel)) continue;
      const place = await alerts.placeOn(person, channel);
      if (place !== null) places.push(place);
    }
  }
  return places;
}

/** Over as soon as it begins: nobody has to look for it. */
function testAlert(db: Db, clock: Clock): AlertRow {
  const subject = `${clock.now()}`;
  raiseAlert(db, clock, 'test', subject, TEXT);
  const { id } = db.get<{ id: number }>("SELECT max(id) AS id FROM alerts WHERE kind = 'test'")!;
  ackAlert(db, clock, alertById(db, id)!, false);
  return alertById(db, id)!;
}

function outcome(db: Db, row: TellRow): Pick<AlertTestRow, 'state' | 'detail'> | null {
  if (row.outbound_id === null) {
    if (row.state === 'queued') return row.attempts === 0 ? null : { state: 'failed', detail: row.error! };
    return row.state === 'sent'
      ? { state: 'arrived', detail: 'it was taken' }
      : { state: 'failed', detail: row.error! };
  }
  const { state, receipt, error, chat_id } = outboundById(db, row.outbound_id)!;
  if (state === 'sent') return { state: 'arrived', detail: `the platform has taken it as ${receipt}` };
  if (state === 'rejected' || state === 'uncertain') return { state: 'failed', detail: error ?? state };
  // Nobody has a terminal open: it is there, behind what waits there too, when somebody does.
  const waits = headOfChat(db, chat_id)?.error ?? null;
  return state === 'queued' && waits !== null ? { state: 'waits', detail: waits } : null;
}

function nameOf(db: Db, { way, channel, outbound_id }: TellRow): string {
  if (way !== 'chat') return way;
  const sql = 'SELECT c.platform_id FROM outbound o JOIN chats c ON c.id = o.chat_id WHERE o.id = ?';
  return `${channel}:${db.get<{ platform_id: string }>(sql, outbound_id)!.platform_id}`;
}

/** After each commit, until all is known, nobody listens any more, or the time is over. */
async function until(ledger: Ledger, look: () => boolean, gone: Promise<void>): Promise<void> {
  const all = Promise.withResolvers<void>();
  const check = (): void => {
    if (look()) all.resolve();
  };
  const stop = ledger.onCommit(check);
  const timer = setTimeout(all.resolve, ALERT_TEST_MS);
  void gone.then(all.resolve);
  check();
  await all.promise;
  stop();
  clearTimeout(timer);
}
