import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { systemClock } from '../../src/base/clock.ts';
import { EXPORT_ALERT_MS } from '../../src/base/limits/telemetry.ts';
import { silentLog } from '../../src/base/log.ts';
import { ROOT } from '../../src/base/paths.ts';
import { Telemetry } from '../../src/evidence/telemetry/telemetry.ts';
import type { Db } from '../../src/ledger/db.ts';
import { recordEvent } from '../../src/ledger/events.ts';
import { Collector } from '../fakes/collector.ts';
import { until } from '../fakes/install.ts';
import { freshLedger, queueMessage, queueOutbound, seedChat, temporaryFolder } from '../fakes/ledger_kit.ts';

/** The host's side of the exporters, with a real ledger, a real thread and a collector on loopback. */

async function world(context: TestContext, root = ROOT) {
  const ledger = await freshLedger(context);
  const session = seedChat(ledger.db);
  const collector = new Collector();
  await collector.server.listen();
  let ahead_ms = 0;
  const alerts: string[] = [];
  const telemetry = new Telemetry({
    ...{ root, install: 'home', ledger, log: silentLog },
    clock: { ...systemClock, monotonic: () => performance.now() + ahead_ms },
    config: { otlp: { endpoint: collector.server.url, headers: { 'x-token': 'collector' } } },
    status: () => assert.fail('nobody scrapes'),
    audit: async () => [],
    release: async (name) => `value of ${name}`,
    alert: (kind, subject, text) => alerts.push(`${kind} ${subject}: ${text}`),
    clear: (kind, subject) => alerts.push(`cleared ${kind} ${subject}`),
  });
  telemetry.start();
  context.after(async () => {
    await telemetry.stop();
    await collector.server.close();
  });
  /** A message that comes, and is answered by a command: all of its life. */
  const handled = (text: string, also: (db: Db, message: number) => void = () => {}): Promise<string> =>
    ledger.write('test', (db) => {
      const { message_id } = db.get<{ message_id: number }>(
        'SELECT message_id FROM inbound WHERE id = ?',
        queueMessage(db, session, text),
      )!;
      const links = { message: message_id };
      recordEvent(db, systemClock, 'message.received', links, { channel: 'local', chat: text, sender: text, bytes: 1 });
      also(db, message_id);
      db.run("UPDATE inbound SET state = 'answered' WHERE message_id = ?", message_id);
      recordEvent(db, systemClock, 'message.answered', links, { reason: text });
      return `m${message_id}`;
    });
  /** One more step of a message that is over already. */
  const again = (message: string): Promise<void> =>
    ledger.write('test', (db) =>
      recordEvent(db, systemClock, 'message.answered', { message: Number(message.slice(1)) }, { reason: '' }),
    );
  return { ledger, session, collector, alerts, handled, again, forward: (ms: number) => (ahead_ms += ms) };
}

test('a message that is over leaves as one trace, once, with the secret header and no word of it', async (context) => {
  const { collector, handled, again } = await world(context);
  const first = await handled('canary-one');
  await until('it has come', async () => assert.ok(collector.of(first).length > 0));
  await again(first);
  const second = await handled('canary-two');
  await until('the next has come', async () => assert.ok(collector.of(second).length > 0));
  assert.equal(collector.of(first).length, 1);
  assert.equal(collector.headers[0]!['x-token'], 'value of collector');
  assert.doesNotMatch(collector.bodies.join(), /canary/);
});

test('a message that the host answers by itself is over when its answer has been delivered', async (context) => {
  const { ledger, session, collector, handled } = await world(context);
  const [outbound] = await ledger.write('test', (db) => queueOutbound(db, session.chat_id, ['the answer']));
  const message = await handled('canary', (db, id) => db.run('UPDATE outbound SET reply_to = ?', id));
  await ledger.write('test', (db) => {
    db.run("UPDATE outbound SET state = 'sent', receipt = 'r'");
    recordEvent(db, systemClock, 'delivery.sent', { outbound: outbound! }, { receipt: 'r' });
  });
  await until('it has come', async () => assert.ok(collector.of(message).length > 0));
});

test('a collector that is away for long is told of, and cleared when it is back', async (context) => {
  const { collector, alerts, handled, forward } = await world(context);
  collector.status = 400;
  await handled('one');
  await until('it was asked', async () => assert.equal(collector.bodies.length, 1));
  await handled('two');
  await until('it was asked again', async () => assert.equal(collector.bodies.length, 2));
  assert.doesNotMatch(alerts.join(), /telemetry otlp:/, 'a short trouble is nobody’s');
  forward(EXPORT_ALERT_MS + 1);
  await handled('three');
  await until('somebody is told', async () =>
    assert.match(alerts.join(), /telemetry otlp: Traces do not reach the collector \(3 failed/),
  );
  collector.status = 200;
  await handled('four');
  await until('it is cleared', async () => assert.ok(alerts.includes('cleared telemetry otlp')));
});

test('without its packages nothing is exported, and somebody is told how to get them', async (context) => {
  const { mkdirSync, cpSync } = await import('node:fs');
  const root = temporaryFolder(context);
  mkdirSync(`${root}/src/evidence/telemetry`, { recursive: true });
  cpSync(`${ROOT}/src/evidence/telemetry/package-lock.json`, `${root}/src/evidence/telemetry/package-lock.json`);
  const { alerts } = await world(context, root);
  assert.match(alerts.join(), /telemetry packages: .*\.\/glass doctor --fix/);
});
