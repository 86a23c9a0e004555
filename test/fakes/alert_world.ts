import type { TestContext } from 'node:test';
import { type Clock, systemClock } from '../../src/base/clock.ts';
import { noFaults } from '../../src/base/faults.ts';
import { type LogFields, silentLog } from '../../src/base/log.ts';
import type { Channel, SendOperation } from '../../src/channels/channel.ts';
import { Delivery } from '../../src/delivery/delivery.ts';
import { Way } from '../../src/evidence/alert_way.ts';
import { Alerts } from '../../src/evidence/alerts.ts';
import { ensureChat } from '../../src/ledger/chats.ts';
import type { Ledger } from '../../src/ledger/ledger.ts';
import { ensurePerson, link } from '../../src/ledger/people.ts';
import { freshLedger } from './ledger_kit.ts';

/** Alerts on a real ledger with real delivery; `mail` and `chat` are two platforms, on both of which the owner olga is. */
export interface AlertWorld {
  ledger: Ledger;
  alerts: Alerts;
  clock: Clock;
  /** By `channel:chat`, what was sent there. */
  sent: Map<string, string[]>;
  heard(place: string): string[];
  /** What each way was given; `failing` has why one fails. */
  outer: { command: string[]; webhook: string[] };
  failing: Partial<Record<'command' | 'webhook', string>>;
  works: string[];
  logged: { event: string; fields: LogFields | undefined }[];
  /** How the channels are: `away` does not send, `gone` is not connected either. */
  state: Record<string, 'well' | 'away' | 'gone'>;
  later(ms: number): void;
  /** What a way goes by is back. */
  again(way: 'command' | 'webhook'): void;
  /** Until what was begun is through. */
  settle(): Promise<void>;
  restart(): void;
}

export async function alertWorld(context: TestContext): Promise<AlertWorld> {
  const ledger = await freshLedger(context);
  let offset = 0;
  const clock: Clock = { ...systemClock, now: () => systemClock.now() + offset };
  const operatorChat = await ledger.write('seed', (db) => {
    const olga = ensurePerson(db, clock.now(), 'chat', 'olga', 'Olga', 'owner');
    link(db, 'mail', 'olga', olga);
    ensurePerson(db, clock.now(), 'chat', 'bob', 'Bob', 'member');
    ensurePerson(db, clock.now(), 'local', 'operator', 'operator', 'owner');
    return ensureChat(db, clock.now(), 'local', 'main', 'main');
  });
  const state: AlertWorld['state'] = { chat: 'well', mail: 'well', local: 'well' };
  const sent: AlertWorld['sent'] = new Map();
  const channels = new Map(['chat', 'mail', 'local'].map((name) => [name, channelOf(name, state, sent)]));
  const delivery = new Delivery(ledger, '', clock, channels, noFaults, {
    ...{ alert: () => {}, rejected: () => {} },
  });
  const [outer, failing, works, logged] = [{ command: [], webhook: [] } as AlertWorld['outer'], {}, [], []] as [
    AlertWorld['outer'],
    AlertWorld['failing'],
    string[],
    AlertWorld['logged'],
  ];
  const ways = (['command', 'webhook'] as const).map(
    (name) =>
      new Way({
        ...{ name, ledger, clock },
        works: (way, failure) => works.push(`${way} ${failure ?? 'works'}`),
        send: async (body) => {
          outer[name].push(body);
          return failing[name] ?? null;
        },
      }),
  );
  const error = (event: string, fields?: LogFields): void => void logged.push({ event, fields });
  const parts = { ledger, clock, log: { ...silentLog, error }, channels, operatorChat, ways };
  const make = (): Alerts => new Alerts({ ...parts, deliver: (chat) => delivery.wake(chat) });
  context.after(async () => {
    world.alerts.stop();
    await delivery.stop(1000);
  });
  const world: AlertWorld = {
    ...{ ledger, clock, sent, outer, failing, works, logged, state, alerts: make() },
    heard: (place) => sent.get(place) ?? [],
    later: (ms) => {
      offset += ms;
    },
    again: (way) => ways.find(({ name }) => name === way)!.again(),
    settle: async () => {
      for (let round = 0; round < 20; round += 1) await ledger.write('wait', () => {});
    },
    restart: () => {
      world.alerts = make();
    },
  };
  return world;
}

function channelOf(name: string, state: AlertWorld['state'], sent: AlertWorld['sent']): Channel {
  const send = async ({ chat, body }: SendOperation) => {
    if (state[name] !== 'well') return { ok: false as const, class: 'waiting' as const, reason: 'it is away' };
    sent.set(`${name}:${chat}`, [...(sent.get(`${name}:${chat}`) ?? []), body]);
    return { ok: true as const, receipt: 'sent' };
  };
  return {
    ...{ name, capabilities: { markup: 'markdown', text_max: 4000, file_bytes_max: 0 }, send },
    start: async () => {},
    stop: async () => {},
    openDm: async (handle) => ({ platform_id: `dm-${handle}`, title: '' }),
    health: () => ({ state: state[name] === 'gone' ? 'failed' : 'connected', detail: '' }),
  };
}
