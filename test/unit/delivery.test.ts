import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SEND_ATTEMPTS_MAX } from '../../src/base/limits/messages.ts';
import { conservation } from '../../src/ledger/conservation.ts';
import { holdUnsent } from '../../src/ledger/outbound.ts';
import { takeStop } from '../../src/ledger/stops.ts';
import { unseenNotices } from '../../src/ledger/transcript.ts';
import { accepted, delivered, pause, type Send, settled, states, until, world } from '../fakes/delivery_world.ts';
import { queueOutbound, seedChat } from '../fakes/ledger_kit.ts';

/** A lane a chat: order, tries, waiting, stopping. */

test('a chat gets its rows in order, one at a time, each with its receipt', async (context) => {
  let running = 0;
  const { ledger, channel, delivery, session } = await world(context, async (operation) => {
    running += 1;
    assert.equal(running, 1, 'never two at once');
    await pause(operation.body === 'm0' ? 30 : 1);
    running -= 1;
    return { ok: true, receipt: operation.body };
  });
  const bodies = Array.from({ length: 8 }, (_, i) => `m${i}`);
  queueOutbound(ledger.db, session.chat_id, bodies.slice(0, 5));
  delivery.wake(session.chat_id);
  delivery.wake(session.chat_id);
  queueOutbound(ledger.db, session.chat_id, bodies.slice(5));
  delivery.wake(session.chat_id);
  await until(() => settled(ledger)() && channel.asked.length === 8);
  assert.deepEqual(channel.bodies(), bodies);
  assert.equal(new Set(channel.asked.map((operation) => operation.key)).size, 8);
  assert.deepEqual(conservation(ledger.db, 0).violations, []);
});

test('a row is marked before its channel is asked', async (context) => {
  const seen: string[] = [];
  const { ledger, delivery, session } = await world(context, async () => {
    seen.push(...states(ledger));
    return { ok: true, receipt: 'r' };
  });
  queueOutbound(ledger.db, session.chat_id, ['x']);
  delivery.wake(session.chat_id);
  await until(settled(ledger));
  assert.deepEqual(seen, ['sending']);
});

test('a row that was claimed by the transaction that wrote it is sent once, even while delivery stops', async (context) => {
  const { ledger, channel, delivery, session } = await world(context);
  queueOutbound(ledger.db, session.chat_id, ['x', 'y']);
  const claimed = await ledger.write('test', (db) => delivery.claim(db, session.chat_id));
  assert.deepEqual(states(ledger), ['sending', 'queued']);
  delivery.wake(session.chat_id); // by somebody else: it is not his
  await delivery.stop(0);
  delivery.wake(session.chat_id, claimed);
  await until(() => states(ledger)[0] === 'sent');
  assert.deepEqual(channel.bodies(), ['x']);
  assert.equal(await ledger.write('test', (db) => delivery.claim(db, session.chat_id)), null, 'stopped');
});

test('nothing is claimed while another row of the chat is on its way, or waits for its time', async (context) => {
  const { ledger, channel, delivery, session } = await world(context, async () => {
    await pause(30);
    return { ok: false, class: 'retryable', reason: 'busy', after_ms: 60_000 };
  });
  const claim = () => ledger.write('test', (db) => delivery.claim(db, session.chat_id));
  queueOutbound(ledger.db, session.chat_id, ['x']);
  delivery.wake(session.chat_id);
  await until(() => channel.asked.length === 1);
  queueOutbound(ledger.db, session.chat_id, ['y']);
  assert.equal(await claim(), null, 'x is on its way');
  await until(() => states(ledger)[0] === 'retry');
  assert.equal(await claim(), null, 'x waits');
  assert.deepEqual(states(ledger), ['retry', 'queued']);
});

test('with nobody there a row waits, uncounted, and goes first when somebody is', async (context) => {
  const nobody: Send = async () => ({ ok: false, class: 'waiting', reason: 'nobody is there' });
  const { ledger, channel, delivery, session, alerts } = await world(context, nobody);
  queueOutbound(ledger.db, session.chat_id, ['first', 'second']);
  for (let i = 0; i < SEND_ATTEMPTS_MAX + 2; i += 1) {
    delivery.wake(session.chat_id);
    await until(() => channel.asked.length === i + 1 && states(ledger)[0] === 'queued');
  }
  assert.equal(new Set(channel.bodies()).size, 1, 'the second does not overtake');
  assert.deepEqual(delivery.forgotten(), []);
  assert.deepEqual(alerts, []);
  channel.answer = accepted;
  delivery.wake(session.chat_id);
  await until(settled(ledger));
  assert.deepEqual(channel.bodies().slice(-2), ['first', 'second']);
  assert.deepEqual(states(ledger), ['sent', 'sent']);
});

test('a chat that must wait holds its own rows and nobody else’s', async (context) => {
  const { ledger, channel, delivery, session } = await world(context, async ({ chat, key }) =>
    chat === 'main' && channel.asked.filter((asked) => asked.chat === 'main').length === 1
      ? { ok: false, class: 'rate_limited', reason: 'slow down', after_ms: 300 }
      : { ok: true, receipt: key },
  );
  const other = seedChat(ledger.db, 'local', 'other');
  queueOutbound(ledger.db, session.chat_id, ['held', 'behind']);
  queueOutbound(ledger.db, other.chat_id, ['free']);
  const began = performance.now();
  delivery.wake(session.chat_id);
  delivery.wake(other.chat_id);
  await until(() => states(ledger)[2] === 'sent');
  assert.deepEqual(states(ledger), ['retry', 'queued', 'sent']);
  assert.deepEqual(delivery.forgotten(), []);
  delivery.wake(session.chat_id); // a wake-up does not shorten the platform's wait
  await until(settled(ledger));
  assert.ok(performance.now() - began >= 290, 'it waited as long as it was told to');
  assert.deepEqual(
    channel.asked.filter((asked) => asked.chat === 'main').map((asked) => asked.body),
    ['held', 'held', 'behind'],
  );
});

test('what can be tried again is, under the same key, and then given up', async (context) => {
  const { ledger, channel, delivery, session, alerts } = await world(context, async () => ({
    ok: false,
    class: 'retryable',
    reason: 'busy',
    after_ms: 1,
  }));
  queueOutbound(ledger.db, session.chat_id, ['x'], { session: session.id });
  delivery.wake(session.chat_id);
  await until(settled(ledger));
  assert.deepEqual(states(ledger), ['rejected']);
  assert.equal(channel.asked.length, SEND_ATTEMPTS_MAX);
  assert.equal(new Set(channel.asked.map((operation) => operation.key)).size, 1);
  assert.equal(alerts.length, 1);
});

for (const kind of ['permanent', 'auth', 'gone', 'unsupported', 'too_large'] as const) {
  test(`a refusal "${kind}" is final: agent and owner are told, and the next row goes`, async (context) => {
    const { ledger, channel, delivery, session, alerts } = await world(context, async ({ body, key }) =>
      body === 'bad' ? { ok: false, class: kind, reason: 'the platform says no' } : { ok: true, receipt: key },
    );
    queueOutbound(ledger.db, session.chat_id, ['bad'], { session: session.id });
    queueOutbound(ledger.db, session.chat_id, ['good']);
    delivery.wake(session.chat_id);
    await until(settled(ledger));
    assert.deepEqual(states(ledger), ['rejected', 'sent']);
    assert.deepEqual(channel.bodies(), ['bad', 'good']);
    assert.deepEqual(
      unseenNotices(ledger.db, session.id).map((notice) => notice.text),
      ['Your message to main was not delivered: the platform says no'],
    );
    assert.deepEqual(alerts, ['delivery.rejected o1: A message to main was not delivered: the platform says no']);
  });
}

test('a row whose driver is not configured stays where it is', async (context) => {
  const { ledger, delivery } = await world(context);
  const elsewhere = seedChat(ledger.db, 'nowhere', 'main');
  queueOutbound(ledger.db, elsewhere.chat_id, ['x']);
  await delivery.recover();
  delivery.wake(elsewhere.chat_id);
  await pause(30);
  assert.deepEqual(states(ledger), ['queued']);
});

test('the sweep finds a row that nobody woke, and only that', async (context) => {
  const { ledger, delivery, session } = await world(context);
  queueOutbound(ledger.db, session.chat_id, ['x']);
  assert.deepEqual(delivery.forgotten(), [session.chat_id]);
  delivery.wake(session.chat_id);
  assert.deepEqual(delivery.forgotten(), []);
  await until(settled(ledger));
  assert.deepEqual(delivery.forgotten(), []);
});

test('stop starts no new send and waits for the one that runs', async (context) => {
  const { promise, resolve } = Promise.withResolvers<void>();
  const { ledger, channel, delivery, session } = await world(context, async (operation) => {
    await promise;
    return { ok: true, receipt: operation.key };
  });
  queueOutbound(ledger.db, session.chat_id, ['running', 'waiting']);
  delivery.wake(session.chat_id);
  await until(() => channel.asked.length === 1);
  const stopped = delivery.stop(5000);
  resolve();
  await stopped;
  assert.deepEqual(states(ledger), ['sent', 'queued']);
  delivery.wake(session.chat_id);
  await pause(20);
  assert.equal(channel.asked.length, 1);
});

test('a row that a person has held in the same commit is not sent, and the next one is', async (context) => {
  const { ledger, channel, delivery, session } = await world(context);
  queueOutbound(ledger.db, session.chat_id, ['held back'], { session: session.id, kind: 'send' });
  queueOutbound(ledger.db, session.chat_id, ['told']);
  const held = ledger.write('test', (db) => holdUnsent(db, 0, session.id, 'stopped'));
  delivery.wake(session.chat_id);
  assert.equal(await held, 1);
  await until(() => states(ledger)[1] === 'sent');
  assert.deepEqual(states(ledger), ['held', 'sent']);
  assert.deepEqual(channel.bodies(), ['told']);
});

test('a row that bears its mark when its group is stopped is not sent, and the next one is', async (context) => {
  const { ledger, channel, delivery, session } = await world(context);
  const [own] = queueOutbound(ledger.db, session.chat_id, ['of the group'], { session: session.id, kind: 'send' });
  const claimed = await ledger.write('test', (db) => {
    const row = delivery.claim(db, session.chat_id);
    takeStop(db, 1, 'assistant', 'olga');
    queueOutbound(db, session.chat_id, ['of the host']);
    return row;
  });
  assert.equal(claimed?.id, own);
  delivery.wake(session.chat_id, claimed);
  await delivered(ledger, 'of the host');
  assert.deepEqual(channel.bodies(), ['of the host']);
  const row = ledger.db.get<{ state: string; attempts: number }>(
    'SELECT state, attempts FROM outbound WHERE id = ?',
    own!,
  )!;
  assert.deepEqual({ ...row }, { state: 'held', attempts: 0 });
});
