import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { SEND_MS } from '../../src/base/limits/messages.ts';
import type { Reconciled } from '../../src/channels/channel.ts';
import { markSending } from '../../src/ledger/outbound.ts';
import { accepted, type Send, settled, states, until, world } from '../fakes/delivery_world.ts';
import { queueOutbound } from '../fakes/ledger_kit.ts';

/** Sends of which it is not known whether they arrived: they are asked about, and never repeated blindly. */

const AMBIGUOUS: [name: string, send: Send][] = [
  ['says that it does not know', async () => ({ ok: false, class: 'ambiguous', reason: 'connection lost' })],
  ['throws', () => Promise.reject(new Error('broken'))],
  [
    'throws at once',
    () => {
      throw new Error('broken');
    },
  ],
];

for (const [name, send] of AMBIGUOUS) {
  test(`a driver that ${name} leaves the row uncertain: told, never repeated, in nobody’s way`, async (context) => {
    const { ledger, channel, delivery, session, alerts, restart } = await world(context, send);
    queueOutbound(ledger.db, session.chat_id, ['x'], { session: session.id });
    delivery.wake(session.chat_id);
    await until(settled(ledger));
    assert.deepEqual(states(ledger), ['uncertain']);
    channel.answer = accepted;
    queueOutbound(ledger.db, session.chat_id, ['next']);
    await restart().recover();
    await until(settled(ledger));
    assert.deepEqual(channel.bodies(), ['x', 'next']);
    assert.equal(alerts.length, 1);
    assert.match(alerts[0]!, /^delivery\.uncertain o1: .* may or may not have arrived .*not repeated/);
  });
}

for (const [found, states_, bodies] of [
  [{ found: true, receipt: 'r7' }, ['sent'], ['x']],
  [{ found: false }, ['sent'], ['x', 'x']],
  [{ found: 'unknown' }, ['uncertain'], ['x']],
] as const) {
  test(`after a lost outcome the platform is asked once; it says ${JSON.stringify(found)}`, async (context) => {
    const { ledger, channel, delivery, session } = await world(context, async () => {
      channel.answer = accepted;
      return { ok: false, class: 'ambiguous', reason: 'connection lost' };
    });
    let asked = 0;
    channel.reconcile = async () => {
      asked += 1;
      return found;
    };
    queueOutbound(ledger.db, session.chat_id, ['x'], { session: session.id });
    delivery.wake(session.chat_id);
    await until(settled(ledger));
    assert.deepEqual([states(ledger), channel.bodies(), asked], [[...states_], [...bodies], 1]);
  });
}

test('a driver that hangs is given up after its time, and the next row goes', async (context) => {
  const { ledger, channel, delivery, session } = await world(context, () => new Promise(() => {}));
  queueOutbound(ledger.db, session.chat_id, ['hangs', 'next']);
  context.mock.timers.enable({ apis: ['setTimeout'] });
  delivery.wake(session.chat_id);
  await turnsOfTheLoop(() => channel.asked.length === 1);
  context.mock.timers.tick(SEND_MS - 1);
  assert.deepEqual(states(ledger), ['sending', 'queued']);
  channel.answer = accepted;
  context.mock.timers.tick(1);
  await turnsOfTheLoop(() => states(ledger)[0] !== 'sending', context);
  assert.equal(states(ledger)[0], 'uncertain');
  await turnsOfTheLoop(() => states(ledger)[1] === 'sent', context);
});

test('a driver that hangs over its history does not keep the host from starting', async (context) => {
  const { ledger, channel, session, restart } = await world(context);
  const [id] = queueOutbound(ledger.db, session.chat_id, ['x']);
  markSending(ledger.db, 1, id!);
  channel.reconcile = () => new Promise(() => {});
  context.mock.timers.enable({ apis: ['setTimeout'] });
  let recovered = false;
  void restart()
    .recover()
    .then(() => {
      recovered = true;
    });
  await turnsOfTheLoop(() => true);
  context.mock.timers.tick(SEND_MS);
  await turnsOfTheLoop(() => recovered, context);
  assert.deepEqual(states(ledger), ['uncertain']);
});

const RECONCILED: [name: string, known: (() => Promise<Reconciled>) | null, state: string, sends: number][] = [
  ['that it has it', async () => ({ found: true, receipt: 'from history' }), 'sent', 0],
  ['that it does not have it', async () => ({ found: false }), 'sent', 1],
  ['that it does not know', async () => ({ found: 'unknown' }), 'uncertain', 0],
  ['nothing, because it fails', () => Promise.reject(new Error('no connection')), 'uncertain', 0],
  ['nothing, because it cannot be asked', null, 'uncertain', 0],
];

for (const [name, known, state, sends] of RECONCILED) {
  test(`a row that was being sent when the host died, and the platform says ${name}: ${state}`, async (context) => {
    const { ledger, channel, session, alerts, restart } = await world(context);
    const [first, second] = queueOutbound(ledger.db, session.chat_id, ['first', 'second']);
    markSending(ledger.db, 1, first!);
    if (known !== null) channel.reconcile = known;
    await restart().recover();
    await until(settled(ledger));
    assert.deepEqual(states(ledger), [state, 'sent']);
    assert.equal(channel.asked.filter((operation) => operation.body === 'first').length, sends);
    assert.equal(channel.bodies().at(-1), 'second');
    assert.equal(alerts.length, state === 'uncertain' ? 1 : 0);
    assert.ok(second);
  });
}

/** Lets immediates and promises run while timers stand still; with a context, timers go on a little each time. */
async function turnsOfTheLoop(done: () => boolean, context?: TestContext): Promise<void> {
  for (let i = 0; i < 500; i += 1) {
    await new Promise((resolve) => setImmediate(resolve));
    if (i > 5 && done()) return;
    context?.mock.timers.tick(1);
  }
  assert.ok(done(), 'not within 500 turns of the loop');
}
