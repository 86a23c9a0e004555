import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { systemClock } from '../../src/base/clock.ts';
import { showId } from '../../src/base/ids.ts';
import type { Receipt } from '../../src/channels/channel.ts';
import { conservation } from '../../src/ledger/conservation.ts';
import { insertNotice } from '../../src/ledger/outbound.ts';
import { takeReceipt } from '../../src/operations/receipts.ts';
import { freshLedger, seedChat } from '../fakes/ledger_kit.ts';

const SAID: Receipt = { message: 'r1', state: 'delivered', at_ms: 5 };

/** Texts of ours on the channel `local`, the first of which was sent as `r1`. */
async function world(context: TestContext) {
  const ledger = await freshLedger(context);
  const { db } = ledger;
  const { chat_id } = seedChat(db);
  const [id] = ['one', 'two'].map((text) => insertNotice(db, 1, chat_id, '', null, text)) as [number, number];
  db.run("UPDATE outbound SET state = 'sent', receipt = 'r1', attempts = 1 WHERE id = ?", id);
  const alerts: string[] = [];
  const parts = { ledger, clock: systemClock, alert: (...alert: string[]) => void alerts.push(alert.join(' | ')) };
  const take = (receipt: Receipt, channel = 'local') => takeReceipt(parts, channel, receipt);
  const events = () =>
    db.all<{ kind: string; outbound_id: number; data: string }>(
      "SELECT kind, outbound_id, data FROM events WHERE kind GLOB 'receipt.*' ORDER BY id",
    );
  return { db, ledger, take, events, alerts, id };
}

test('what became of a text is recorded beside it, each state once, and the text stays sent', async (context) => {
  const { db, take, events, alerts, id } = await world(context);
  for (const state of ['delivered', 'delivered', 'read', 'delivered'] as const) await take({ ...SAID, state });
  assert.deepEqual(
    events().map(({ kind, outbound_id, data }) => [kind, outbound_id, data]),
    [
      ['receipt.delivered', id, '{"said_ms":5}'],
      ['receipt.read', id, '{"said_ms":5}'],
    ],
  );
  const { outbound, violations } = conservation(db, 10);
  assert.deepEqual([outbound, violations, alerts], [{ queued: 1, sent: 1 }, [], []]);
});

test('that a text did not arrive somebody is told', async (context) => {
  const { take, events, alerts, id } = await world(context);
  await take({ ...SAID, state: 'failed', reason: 'more than 24 hours' });
  assert.deepEqual(alerts, [
    `delivery.rejected | ${showId('o', id)} | A message to main was taken and did not arrive: more than 24 hours`,
  ]);
  assert.deepEqual(JSON.parse(events()[0]!.data), { said_ms: 5, reason: 'more than 24 hours' });
});

test('a text of another channel, or of nobody, is none of ours', async (context) => {
  const { take, events, alerts } = await world(context);
  await take(SAID, 'other');
  await take({ ...SAID, message: 'r2', state: 'failed' });
  assert.deepEqual([events(), alerts], [[], []]);
});

test('it may be said before the host has noted the send, and is waited for while one is under way', async (context) => {
  const { db, take, events } = await world(context);
  db.run("UPDATE outbound SET state = 'sending' WHERE state = 'queued'");
  const taken = take({ ...SAID, message: 'r2' });
  setTimeout(() => db.run("UPDATE outbound SET state = 'sent', receipt = 'r2' WHERE state = 'sending'"), 120);
  await taken;
  assert.deepEqual(
    events().map(({ kind }) => kind),
    ['receipt.delivered'],
  );
});

test('what could not be kept is rejected', async (context) => {
  const { ledger, take } = await world(context);
  ledger.write = () => Promise.reject(new Error('the disk is full'));
  await assert.rejects(take(SAID), /the disk is full/);
});
