import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { type Clock, systemClock } from '../../src/base/clock.ts';
import { CHANNEL_PROOF_AGAIN_MS, CHANNEL_PROOF_MS } from '../../src/base/limits/alerts.ts';
import type { Channel, ChannelHealth } from '../../src/channels/channel.ts';
import { channelProof } from '../../src/ledger/channel_proofs.ts';
import { ensurePerson } from '../../src/ledger/people.ts';
import { ChannelProofs } from '../../src/operations/channel_proofs.ts';
import { freshLedger } from '../fakes/ledger_kit.ts';

/** The daily proof of a channel: by what, when, and what becomes of one that fails. */

const CAN = { markup: 'markdown', text_max: 100, file_bytes_max: 0, typing: true } as const;

async function world(context: TestContext, names: string[], daily = true) {
  const ledger = await freshLedger(context);
  let now = Date.UTC(2026, 5, 15, 12);
  const clock: Clock = { ...systemClock, now: () => now };
  const [calls, told]: [string[], string[]] = [[], []];
  const state: { health: ChannelHealth; failure: string | null } = {
    health: { state: 'connected', detail: 'as a bot' },
    failure: null,
  };
  const call = (name: string) => async (): Promise<never> => {
    calls.push(name);
    if (state.failure !== null) throw new Error(state.failure);
    return { found: false } as never;
  };
  const channels = new Map<string, Channel>();
  for (const name of [...names, 'local']) {
    await ledger.write('seed', (db) => ensurePerson(db, now, name, 'olga', 'Olga', 'owner'));
    channels.set(name, {
      ...{ name, capabilities: CAN, start: async () => {}, stop: async () => {}, health: () => state.health },
      send: async () => assert.fail('nobody is written to'),
      openDm: async (handle) => ({ platform_id: `dm-${handle}`, title: '' }),
      ...{ typing: call('typing'), reconcile: call('history'), menu: call('menu') },
    });
  }
  const proofs = new ChannelProofs({
    ...{ ledger, clock, install: 'x', channels, without: ['local'], daily },
    alert: (kind, subject, text) => told.push(`${kind} ${subject}: ${text}`),
    clear: (kind, subject) => told.push(`over: ${kind} ${subject}`),
  });
  /** Looks once in each minute of so many hours. */
  const pass = async (hours: number): Promise<number> => {
    const before = calls.length;
    for (let minute = 0; minute < hours * 60; minute += 1) {
      now += 60_000;
      await proofs.look();
    }
    return calls.length - before;
  };
  const jump = (ms: number): void => {
    now += ms;
  };
  return { ledger, proofs, channels, calls, told, state, pass, jump };
}

const HOUR = 3_600_000;

test('a channel is proven once a day, at a time of its own, over restarts; nobody is written to', async (context) => {
  const { pass, calls, ledger, told } = await world(context, ['chat']);
  assert.equal(await pass(24), 1);
  const first = channelProof(ledger.db, 'chat')!;
  assert.deepEqual([first.ok, first.how, first.detail, calls], [1, 'typing', 'as a bot', ['typing']]);
  assert.equal(await pass(24 * 5), 5);
  assert.equal((channelProof(ledger.db, 'chat')!.at_ms - first.at_ms) % CHANNEL_PROOF_MS, 0);
  assert.ok(told.every((words) => words === 'over: channel.unproven chat'));
});

test('several channels have several times of day', async (context) => {
  const { pass, ledger } = await world(context, ['a', 'b', 'c', 'd']);
  await pass(48);
  const times = ['a', 'b', 'c', 'd'].map((name) => channelProof(ledger.db, name)!.at_ms % CHANNEL_PROOF_MS);
  assert.equal(new Set(times).size, 4);
});

test('after a week without a host each is proven once, one with each look', async (context) => {
  const { pass, proofs, calls, jump } = await world(context, ['a', 'b', 'c']);
  await pass(48);
  calls.length = 0;
  jump(7 * 24 * HOUR);
  await proofs.look();
  assert.equal(calls.length, 1);
  await proofs.look();
  await proofs.look();
  await proofs.look();
  assert.equal(calls.length, 3);
});

test('one that fails is told of, and proven again after an hour; one that is not connected is told of elsewhere', async (context) => {
  const { proofs, state, told, pass, ledger } = await world(context, ['chat']);
  state.failure = 'the token is revoked';
  await proofs.prove('chat');
  assert.deepEqual(told, [
    'channel.unproven chat: The channel chat is connected, and fails its proof (typing): the token is revoked',
  ]);
  assert.equal(await pass(CHANNEL_PROOF_AGAIN_MS / HOUR - 0.1), 0);
  state.failure = null;
  assert.equal(await pass(0.2), 1);
  assert.equal(told.at(-1), 'over: channel.unproven chat');
  state.health = { state: 'failed', detail: 'away' };
  told.length = 0;
  const { ok, how, detail } = await proofs.prove('chat');
  assert.deepEqual([ok, how, detail, told], [0, 'connection', 'away', []]);
  assert.equal(channelProof(ledger.db, 'chat')!.ok, 0);
});

test('what a driver has decides how it is proven', async (context) => {
  const { proofs, channels } = await world(context, ['chat']);
  const channel = channels.get('chat')!;
  const how = async (): Promise<string> => (await proofs.prove('chat')).how;
  assert.equal(await how(), 'typing');
  channels.set('chat', { ...channel, capabilities: { ...CAN, typing: false } });
  assert.equal(await how(), 'history');
  const { reconcile: _, ...lacking } = { ...channel, capabilities: { ...CAN, typing: false } };
  channels.set('chat', lacking);
  assert.equal(await how(), 'menu');
  const { menu: __, ...bare } = lacking;
  channels.set('chat', bare);
  assert.equal(await how(), 'connection');
});

test('with synthetic: false nothing is proven unless somebody asks', async (context) => {
  const { pass, proofs } = await world(context, ['chat'], false);
  assert.equal(await pass(48), 0);
  assert.equal((await proofs.prove('chat')).ok, 1);
});
