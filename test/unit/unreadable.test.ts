import assert from 'node:assert/strict';
import { test } from 'node:test';
import { UNREADABLE_BYTES_MAX, UNREADABLE_KEPT_MAX } from '../../src/base/limits/channels.ts';
import { Unreadable, unreadable } from '../../src/channels/unreadable.ts';
import { countUnreadable, keepUnreadable, pruneUnreadable, unreadableOf } from '../../src/operations/unreadable.ts';
import { freshLedger } from '../fakes/ledger_kit.ts';
import { RecordingSink } from '../kits/channel_sink.ts';

test('what could not be read is kept once a channel, as it came', async (context) => {
  const { db } = await freshLedger(context);
  const event = unreadable('message', { id: 7, text: 'x' });
  for (const [at, channel] of [[1, 'tg'] as const, [2, 'tg'] as const, [3, 'slack'] as const])
    keepUnreadable(db, at, channel, event);
  const [{ id: _, ...row }, more] = unreadableOf(db, 'tg') as [ReturnType<typeof unreadableOf>[0], undefined];
  assert.deepEqual([row, more], [{ kind: 'message', raw: '{"id":7,"text":"x"}', at_ms: 1 }, undefined]);
  assert.deepEqual([countUnreadable(db, 'slack'), countUnreadable(db, 'none')], [1, 0]);
});

test('a channel keeps the newest, and no other channel has less for it', async (context) => {
  const { db } = await freshLedger(context);
  keepUnreadable(db, 1, 'slack', unreadable('message', 'first'));
  const count = UNREADABLE_KEPT_MAX + 5;
  for (let at = 0; at < count; at += 1) keepUnreadable(db, at, 'tg', unreadable('message', `number ${at}`));
  assert.deepEqual([countUnreadable(db, 'tg'), countUnreadable(db, 'slack')], [UNREADABLE_KEPT_MAX, 1]);
  assert.equal(unreadableOf(db, 'tg')[0]!.raw, `number ${count - 1}`);
  assert.equal(db.get<{ raw: string }>("SELECT raw FROM unreadable WHERE channel = 'tg' ORDER BY id")!.raw, 'number 5');
});

test('what is old goes', async (context) => {
  const { db } = await freshLedger(context);
  for (const at of [10, 20, 30]) keepUnreadable(db, at, 'tg', unreadable('message', `at ${at}`));
  pruneUnreadable(db, 20);
  assert.deepEqual(
    unreadableOf(db, 'tg').map(({ at_ms }) => at_ms),
    [30, 20],
  );
});

test('a long event is cut, also where a driver does not', async (context) => {
  const { db } = await freshLedger(context);
  const long = 'é'.repeat(UNREADABLE_BYTES_MAX);
  assert.equal(Buffer.byteLength(unreadable('message', long).raw), UNREADABLE_BYTES_MAX);
  keepUnreadable(db, 1, 'tg', { dedupe_key: 'k', kind: 'message', raw: long });
  assert.equal(Buffer.byteLength(unreadableOf(db, 'tg')[0]!.raw), UNREADABLE_BYTES_MAX);
});

test('bytes and large numbers have a text, and what has none is no failure', () => {
  const event = unreadable('message', { key: new Uint8Array([1, 2]), at: 5n });
  assert.equal(event.raw, '{"key":"base64:AQI=","at":"5"}');
  assert.equal(unreadable('message', undefined).raw, 'undefined');
});

test('what is listed again and again is handed over and logged once, and again while it was not kept', async () => {
  const sink = new RecordingSink();
  const lines: unknown[] = [];
  const driver = new Unreadable(sink, (...line) => void lines.push(line), 'x.broken');
  sink.failNext(1);
  await assert.rejects(driver.keep('message', { id: 1 }));
  assert.deepEqual([lines, sink.unreadables], [[], []]);
  for (let time = 0; time < 3; time += 1) await driver.keep('message', { id: 1 }, { id: 1 });
  assert.equal(sink.calls.length, 2);
  assert.deepEqual(lines, [['warn', 'x.broken', { kind: 'message', id: 1, kept: 'glass channel unreadable' }]]);
});
