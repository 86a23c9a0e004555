import { setTimeout as sleep } from 'node:timers/promises';
import { chatOfPlace, placeOf } from '../approvals/places.ts';
import type { Clock } from '../base/clock.ts';
import { CHANNEL_TEST_CONNECT_MS, CHANNEL_TEST_REPLY_MS, CHANNEL_TEST_SEND_MS } from '../base/limits/channels.ts';
import type { Channel } from '../channels/channel.ts';
import { chatByPlatformId, takeChat } from '../ledger/chats.ts';
import type { Db } from '../ledger/db.ts';
import type { Ledger } from '../ledger/ledger.ts';
import { insertNotice, outboundById } from '../ledger/outbound.ts';
import { approversOf } from '../ledger/people.ts';

/** One step of trying a channel with a person at the other end. */
export interface TestStep {
  step: 'connect' | 'send' | 'receive';
  state: 'ok' | 'failed' | 'skipped';
  ms: number;
  detail: string;
}

/** `reply`: somebody is to answer. `to`: in this chat, by its name on the platform; null: with whoever decides, where they alone read. */
export interface TestHow {
  reply: boolean;
  to: string | null;
}

export interface ChannelTestParts {
  ledger: Ledger;
  clock: Clock;
  channel: Channel;
  deliver(chat: number): void;
}

/**
 * Tries a channel for real: it is connected, a message reaches whoever decides there, or a chat, and (`reply`) one of theirs
 * comes back. Each step is told when it has ended; after one that failed there is no next. `gone` ends it early.
 */
export async function testChannel(
  parts: ChannelTestParts,
  how: TestHow,
  tell: (step: TestStep) => void,
  gone: Promise<void>,
): Promise<void> {
  const { clock } = parts;
  const timed = async (step: TestStep['step'], act: () => Promise<Omit<TestStep, 'step' | 'ms'>>): Promise<boolean> => {
    const began = clock.monotonic();
    const outcome = await act();
    tell({ step, ms: Math.round(clock.monotonic() - began), ...outcome });
    return outcome.state === 'ok';
  };
  if (!(await timed('connect', () => connected(parts.channel)))) return;
  const before = newestMessage(parts.ledger.db, parts.channel.name, how.to);
  if (!(await timed('send', () => sent(parts, how, gone)))) return;
  if (how.reply) await timed('receive', () => received(parts, how.to, before, gone));
}

async function connected(channel: Channel): Promise<Omit<TestStep, 'step' | 'ms'>> {
  const until = performance.now() + CHANNEL_TEST_CONNECT_MS;
  while (channel.health().state !== 'connected' && performance.now() < until) await sleep(100);
  const { state, detail } = channel.health();
  return { state: state === 'connected' ? 'ok' : 'failed', detail };
}

async function sent(
  { ledger, clock, channel, deliver }: ChannelTestParts,
  { reply, to }: TestHow,
  gone: Promise<void>,
): Promise<Omit<TestStep, 'step' | 'ms'>> {
  const { no_direct } = channel.capabilities;
  if (to === null && no_direct !== undefined) {
    const detail = `it has no direct chats, so name a chat: ./glass channel test ${channel.name} --to <${no_direct}>`;
    return { state: 'skipped', detail };
  }
  const reach = { channels: new Map([[channel.name, channel]]), operatorChat: 0 };
  const place = to === null ? await placeOf(ledger.db, reach, approversOf(ledger.db, []), channel.name) : null;
  if (to === null && place === null)
    return { state: 'skipped', detail: `nobody who decides is known there: ./glass pair ${channel.name}` };
  const text = `This is a test of GlassClaw.${reply ? ' Answer anything, and it is complete.' : ''}`;
  const { chat, row } = await ledger.write('channel_test', (db) => {
    const chat = place === null ? chatNamed(db, clock.now(), channel.name, to!) : chatOfPlace(db, clock.now(), place);
    return { chat, row: insertNotice(db, clock.now(), chat, '', null, text) };
  });
  deliver(chat);
  const ended = await when(ledger, CHANNEL_TEST_SEND_MS, gone, (db) => {
    const out = outboundById(db, row)!;
    return ['sent', 'rejected', 'uncertain'].includes(out.state) ? out : null;
  });
  if (ended?.state === 'sent') return { state: 'ok', detail: `the platform has taken it as ${ended.receipt}` };
  const why = ended ?? outboundById(ledger.db, row)!;
  return { state: 'failed', detail: `${why.state}: ${why.error ?? 'no answer of the platform'}` };
}

/** One that we know stays what it is: who reads in a direct chat is not for a test to say. */
function chatNamed(db: Db, now: number, channel: string, name: string): number {
  const known = chatByPlatformId(db, channel, name);
  return (known ?? takeChat(db, now, channel, { platform_id: name, title: '' })).id;
}

async function received(
  { ledger, channel }: ChannelTestParts,
  to: string | null,
  before: number,
  gone: Promise<void>,
): Promise<Omit<TestStep, 'step' | 'ms'>> {
  const came = await when(ledger, CHANNEL_TEST_REPLY_MS, gone, (db) => {
    const newest = newestMessage(db, channel.name, to);
    return newest > before ? newest : null;
  });
  if (came !== null) return { state: 'ok', detail: `m${came} has come` };
  return { state: 'failed', detail: `nothing came in ${CHANNEL_TEST_REPLY_MS / 1000} s` };
}

function newestMessage(db: Db, channel: string, chat: string | null): number {
  const sql = `SELECT coalesce(max(m.id), 0) AS newest FROM messages m JOIN chats c ON c.id = m.chat_id
    WHERE c.channel = ? AND c.platform_id = coalesce(?, c.platform_id) AND m.origin = 'platform'`;
  return db.get<{ newest: number }>(sql, channel, chat)!.newest;
}

/** What `look` finds first, now or after a commit; null when the time is over. */
async function when<T>(ledger: Ledger, ms: number, gone: Promise<void>, look: (db: Db) => T | null): Promise<T | null> {
  const found = Promise.withResolvers<T | null>();
  const check = (): void => {
    const seen = look(ledger.db);
    if (seen !== null) found.resolve(seen);
  };
  const stop = ledger.onCommit(check);
  const timer = setTimeout(() => found.resolve(null), ms);
  void gone.then(() => found.resolve(null));
  check();
  return found.promise.finally(() => {
    stop();
    clearTimeout(timer);
  });
}
