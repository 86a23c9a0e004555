import assert from 'node:assert/strict';
import { test } from 'node:test';
import { systemClock } from '../../src/base/clock.ts';
import {
  ALERT_ARRIVES_MS,
  ALERT_FLAPS_MAX,
  ALERT_RETRY_MAX_MS,
  ALERT_TRIES_MAX,
  ALERT_WINDOW_MS,
  ALERTS_TOLD_MAX,
} from '../../src/base/limits/alerts.ts';
import { silentLog } from '../../src/base/log.ts';
import {
  endTell,
  insertTell,
  lastTell,
  nextTell,
  retryTell,
  tellsOf,
  waitingTells,
} from '../../src/ledger/alert_tells.ts';
import { openAlerts, raiseAlert, recentAlerts } from '../../src/ledger/alerts.ts';
import { Watch, type WatchParts } from '../../src/operations/watch.ts';
import { alertWorld } from '../fakes/alert_world.ts';
import { until } from '../fakes/install.ts';

/** Whom an alert reaches, how often, and what becomes of it where it does not arrive. */

const DM = 'chat:dm-olga';
const MAIN = 'local:main';

test('an owner hears of an alert where they alone read, the operator in their own chat, command and webhook too; a member does not', async (context) => {
  const world = await alertWorld(context);
  world.alerts.alert('model.failing', 'assistant', 'The model of assistant fails again and again: 500.');
  await world.settle();
  const words = `⚠ The model of assistant fails again and again: 500.\n→ ./glass egress log <group> shows how; look at the provider, and at the secret`;
  assert.deepEqual(
    [...world.sent],
    [
      [MAIN, [words]],
      [DM, [words]],
    ],
  );
  for (const bodies of [world.outer.command, world.outer.webhook]) {
    assert.equal(bodies.length, 1);
    const { text, state, kind, subject, severity, id } = JSON.parse(bodies[0]!);
    assert.deepEqual(
      [text, state, kind, subject, severity, id],
      [words, 'raised', 'model.failing', 'assistant', 'urgent', 'a1'],
    );
  }
  assert.deepEqual(
    world.logged.map(({ event, fields }) => [event, fields!['kind'], fields!['severity']]),
    [['alert', 'model.failing', 'urgent']],
  );
});

test('the same thing is told once until it is over, and that it is over in the same places', async (context) => {
  const world = await alertWorld(context);
  for (let i = 0; i < 5; i += 1) world.alerts.alert('disk.low', 'home', 'The disk is short.');
  await world.settle();
  assert.equal(openAlerts(world.ledger.db)[0]!.count, 5);
  world.later(60_000);
  world.alerts.clear('disk.low', 'home');
  await world.settle();
  for (const place of [MAIN, DM]) {
    const [raised, over, ...more] = world.heard(place);
    assert.match(raised!, /^⚠ The disk is short\./);
    assert.match(over!, /^✓ Over after 6\d s: The disk is short\.$/);
    assert.deepEqual(more, []);
  }
  assert.deepEqual(
    world.outer.webhook.map((body) => JSON.parse(body).state),
    ['raised', 'cleared'],
  );
});

test('what comes and goes is told so often in an hour, then once that it does, then not at all, then again', async (context) => {
  const world = await alertWorld(context);
  const flap = async (): Promise<void> => {
    world.alerts.alert('channel.deaf', 'mail', 'The channel mail hears nothing: x');
    await world.settle();
    world.alerts.clear('channel.deaf', 'mail');
    await world.settle();
  };
  for (let i = 0; i < ALERT_FLAPS_MAX; i += 1) await flap();
  assert.equal(world.heard(DM).length, 2 * ALERT_FLAPS_MAX);
  await flap();
  assert.match(world.heard(DM).at(-1)!, /It comes and goes: 4 times within an hour/);
  const told = world.heard(DM).length;
  for (let i = 0; i < 3; i += 1) await flap();
  assert.equal(world.heard(DM).length, told);
  assert.equal(world.outer.command.length, told);
  world.later(ALERT_WINDOW_MS + 1000);
  await flap();
  assert.equal(world.heard(DM).length, told + 2);
});

test('of many alerts within an hour the last one says that there are more', async (context) => {
  const world = await alertWorld(context);
  for (let i = 0; i < ALERTS_TOLD_MAX + 5; i += 1) {
    world.alerts.alert('delivery.rejected', `o${1000 + i}`, `A message to x was not delivered: ${i}`);
    await world.settle();
  }
  const heard = world.heard(DM);
  assert.equal(heard.length, ALERTS_TOLD_MAX + 1);
  assert.match(heard.at(-1)!, /More than 10 of this kind within an hour/);
  assert.equal(openAlerts(world.ledger.db).length, ALERTS_TOLD_MAX + 5, 'all of them are there');
  // Another kind is told all the same.
  world.alerts.alert('gateway.lost', 'gateway', 'The gateway is away.');
  await world.settle();
  assert.match(world.heard(DM).at(-1)!, /The gateway is away/);
});

test('what stands when there is room again is told then', async (context) => {
  const world = await alertWorld(context);
  for (let i = 0; i < ALERTS_TOLD_MAX + 3; i += 1) {
    world.alerts.alert('channel.deaf', `mail${i}`, `The channel mail${i} hears nothing.`);
    await world.settle();
  }
  assert.equal(world.heard(DM).length, ALERTS_TOLD_MAX + 1);
  world.later(ALERT_WINDOW_MS + 1000);
  await world.alerts.look();
  await world.settle();
  assert.match(world.heard(DM).at(-1)!, new RegExp(`mail${ALERTS_TOLD_MAX + 2} hears nothing`));
});

test('an alert that its receiver refuses does not hold up the next one on that way', async (context) => {
  const { db } = (await alertWorld(context)).ledger;
  raiseAlert(db, systemClock, 'storage', 'gateway', 'The gateway cannot write.');
  const told = {
    alert_id: 1,
    what: 'raised',
    way: 'webhook',
    person_id: null,
    channel: '',
    outbound_id: null,
  } as const;
  raiseAlert(db, systemClock, 'storage', 'host', 'The host cannot write.');
  const first = insertTell(db, 1, told);
  const over = insertTell(db, 1, { ...told, what: 'cleared' });
  const second = insertTell(db, 2, { ...told, alert_id: 2 });
  assert.equal(nextTell(db, 'webhook')!.id, first);
  retryTell(db, 3, first, 'it answered 400', 10_000);
  assert.equal(nextTell(db, 'webhook')!.id, second);
  endTell(db, 4, second, null);
  // That it is over is not told before that it began.
  assert.equal(nextTell(db, 'webhook')!.id, first);
  endTell(db, 5, first, null);
  assert.equal(nextTell(db, 'webhook')!.id, over);
});

test('what waits for the gateway is tried as soon as it is back', async (context) => {
  const world = await alertWorld(context);
  world.failing.webhook = 'the gateway is away';
  world.alerts.alert('gateway.lost', 'gateway', 'The gateway is away.');
  await world.settle();
  world.alerts.clear('gateway.lost', 'gateway');
  await world.settle();
  assert.equal(world.outer.webhook.length, 1);
  delete world.failing.webhook;
  world.again('webhook');
  await world.settle();
  assert.deepEqual(
    world.outer.webhook.map((body) => JSON.parse(body).told),
    ['raised', 'raised', 'cleared'],
  );
  assert.equal(waitingTells(world.ledger.db, 'webhook'), 0);
  world.again('webhook');
});

test('wake-ups that were lost are told of, with their number', async (context) => {
  const world = await alertWorld(context);
  const watch = new Watch({ alerts: world.alerts, clock: world.clock, log: silentLog } as unknown as WatchParts);
  await watch.stop(); // it looks at nothing else
  watch.look(0);
  watch.look(3);
  await world.settle();
  assert.deepEqual(
    openAlerts(world.ledger.db).map(({ kind, text }) => `${kind}: ${text.slice(0, 21)}`),
    ['wakeups.lost: 3 wake-ups were lost,'],
  );
});

test('an alert that does not arrive in a chat raises none', async (context) => {
  const world = await alertWorld(context);
  world.alerts.alert('storage', 'gateway', 'The gateway cannot write.');
  await world.settle();
  const { outbound_id } = tellsOf(world.ledger.db, 1).find(({ way }) => way === 'chat')!;
  world.alerts.alert('delivery.rejected', `o${outbound_id}`, 'A message to x was not delivered: gone');
  await world.settle();
  assert.deepEqual(
    openAlerts(world.ledger.db).map(({ kind }) => kind),
    ['storage'],
  );
});

test('an alert about a channel goes by another one, also when that is the first', async (context) => {
  const world = await alertWorld(context);
  world.alerts.alert('channel.deaf', 'chat', 'The channel chat hears nothing: x');
  await world.settle();
  assert.deepEqual([world.heard(DM).length, world.heard('mail:dm-olga').length], [0, 1]);
});

test('a channel that is not connected is passed over; where none is, the alert waits for one', async (context) => {
  const world = await alertWorld(context);
  world.state['chat'] = 'gone';
  world.alerts.alert('disk.low', 'home', 'The disk is short.');
  await world.settle();
  assert.deepEqual([world.heard(DM).length, world.heard('mail:dm-olga').length], [0, 1]);
  world.state['mail'] = 'gone';
  world.alerts.alert('disk.full', 'home', 'The disk is full.');
  await world.settle();
  const waiting = tellsOf(world.ledger.db, 2).filter(({ person_id }) => person_id !== null);
  assert.deepEqual(
    waiting.map(({ channel, state }) => [channel, state]),
    [['chat', 'queued']],
  );
  world.state['mail'] = 'well';
  world.later(ALERT_ARRIVES_MS);
  await world.alerts.look();
  await world.settle();
  assert.match(world.heard('mail:dm-olga').at(-1)!, /The disk is full/);
});

test('what has not arrived in time goes to another channel of that person, once; what has arrived does not', async (context) => {
  const world = await alertWorld(context);
  world.state['chat'] = 'away';
  world.alerts.alert('disk.low', 'home', 'The disk is short.');
  await world.settle();
  await world.alerts.look();
  await world.settle();
  assert.equal(world.heard('mail:dm-olga').length, 0, 'its time is not over');
  world.later(ALERT_ARRIVES_MS + 1);
  for (let i = 0; i < 3; i += 1) {
    await world.alerts.look();
    await world.settle();
  }
  assert.deepEqual([world.heard(DM).length, world.heard('mail:dm-olga').length], [0, 1]);
  assert.equal(tellsOf(world.ledger.db, 1).find(({ channel }) => channel === 'chat')!.state, 'failed');
  world.later(ALERT_ARRIVES_MS + 1);
  await world.alerts.look();
  assert.equal(tellsOf(world.ledger.db, 1).find(({ channel }) => channel === 'mail')!.state, 'sent');
});

test('what a host that died has raised is told by the next one, once', async (context) => {
  const world = await alertWorld(context);
  world.alerts.stop();
  await world.ledger.write('seed', (db) => raiseAlert(db, world.clock, 'pairing', 'chat', 'Somebody tries codes.'));
  world.restart();
  await world.alerts.look();
  await world.alerts.look();
  await world.settle();
  assert.equal(world.heard(DM).length, 1);
});

test('an alert that came and went before anybody was told is one message', async (context) => {
  const world = await alertWorld(context);
  await world.ledger.write('seed', (db) => {
    raiseAlert(db, world.clock, 'approval', 'h1', 'h1: ./glass approval show h1');
    db.run('UPDATE alerts SET cleared_ms = created_ms + 1000');
  });
  await world.alerts.look();
  await world.settle();
  assert.deepEqual(world.heard(DM), ['⚠ h1: ./glass approval show h1 It is over, after 1 s.']);
});

test('a way that fails is tried again with growing waits, given up in the end, and said to fail; then it goes on', async (context) => {
  const world = await alertWorld(context);
  world.failing.webhook = 'it was answered 500';
  world.alerts.alert('disk.low', 'home', 'The disk is short.');
  await world.settle();
  assert.equal(world.outer.webhook.length, 1);
  for (let tries = 2; tries <= ALERT_TRIES_MAX + 2; tries += 1) {
    await world.alerts.look();
    await world.settle();
    assert.equal(world.outer.webhook.length, Math.min(tries - 1, ALERT_TRIES_MAX), 'not before its time');
    world.later(ALERT_RETRY_MAX_MS);
    await world.alerts.look();
    await world.settle();
    assert.equal(world.outer.webhook.length, Math.min(tries, ALERT_TRIES_MAX));
  }
  assert.equal(lastTell(world.ledger.db, 'webhook', 'failed')!.error, 'it was answered 500');
  assert.ok(world.works.includes('webhook it was answered 500'));
  assert.ok(!world.works.includes('webhook works'));
  assert.equal(world.outer.command.length, 1, 'the other way is not held up');
  delete world.failing.webhook;
  world.alerts.alert('disk.full', 'home', 'The disk is full.');
  await world.settle();
  assert.equal(world.works.at(-1), 'webhook works');
});

test('that a way fails is not told by that way', async (context) => {
  const world = await alertWorld(context);
  world.alerts.alert('alerts.way', 'webhook', 'Alerts do not get out by the webhook: x.');
  await world.settle();
  assert.deepEqual([world.outer.webhook.length, world.outer.command.length, world.heard(DM).length], [0, 1, 1]);
});

test('without a ledger the log and the ways have it, once; with one again it is in a row, and over', async (context) => {
  const world = await alertWorld(context);
  const { db } = world.ledger;
  db.raw.exec('PRAGMA query_only = ON');
  for (let i = 0; i < 3; i += 1) world.alerts.trouble(new Error('the ledger cannot be written: full'));
  world.alerts.alert('disk.full', 'home', 'The disk is full.');
  await new Promise((resolve) => setTimeout(resolve, 100));
  assert.equal(world.alerts.unwritten.length, 2);
  assert.deepEqual(
    world.outer.webhook.map((body) => JSON.parse(body).kind),
    ['ledger.trouble', 'disk.full'],
  );
  assert.equal(world.logged.filter(({ event }) => event === 'alert').length, 2);
  db.raw.exec('PRAGMA query_only = OFF');
  await world.settle();
  assert.deepEqual(world.alerts.unwritten, []);
  assert.deepEqual(
    recentAlerts(db, 10).map(({ kind, cleared_ms }) => [kind, cleared_ms === null]),
    [
      ['disk.full', true],
      ['ledger.trouble', false],
    ],
  );
  assert.deepEqual(world.heard(DM).length, 2);
});

test('once it is stopped, as in safe mode, a ledger that fails is in the log and the status, and told to nobody', async (context) => {
  const { ledger, alerts, outer, logged } = await alertWorld(context);
  alerts.stop();
  ledger.db.raw.exec('PRAGMA query_only = ON');
  for (let i = 0; i < 2; i += 1) {
    const write = ledger.write('message', (db) => db.run("INSERT INTO groups (name, created_ms) VALUES ('new', 1)"));
    await assert.rejects(write, { code: 'storage' });
  }
  assert.deepEqual(
    logged.filter(({ event }) => event === 'alert').map(({ fields }) => fields?.['kind']),
    ['ledger.trouble'],
  );
  assert.deepEqual(
    alerts.unwritten.map(({ kind }) => kind),
    ['ledger.trouble'],
  );
  assert.deepEqual(outer, { command: [], webhook: [] });
});

test('a write that the ledger does not take is told, whoever had asked for it, and is not over with a commit of nothing', async (context) => {
  const { ledger, alerts, outer, settle } = await alertWorld(context);
  const { raw } = ledger.db;
  raw.exec('PRAGMA query_only = ON');
  await assert.rejects(
    ledger.write('message', () => raw.exec("INSERT INTO groups (name, created_ms) VALUES ('new', 1)")),
    { code: 'storage' },
  );
  alerts.alert('disk.full', 'home', 'The disk is full.');
  const unwritten = (): string[] => alerts.unwritten.map(({ kind }) => kind);
  await until('both are told', async () => assert.deepEqual(unwritten(), ['ledger.trouble', 'disk.full']));
  // As on a disk that became read-only: what changes nothing goes through.
  raw.exec(
    "PRAGMA query_only = OFF; CREATE TEMP TRIGGER no BEFORE INSERT ON alerts BEGIN SELECT RAISE(ABORT, 'no'); END",
  );
  for (let i = 0; i < 3; i += 1) await ledger.write('nothing', () => {});
  await settle();
  assert.deepEqual(unwritten(), ['ledger.trouble', 'disk.full']);
  assert.equal(outer.webhook.length, 2, 'each was told once');
  raw.exec('DROP TRIGGER no');
  await ledger.write('nothing', () => {});
  await settle();
  assert.deepEqual(unwritten(), []);
  const kinds = recentAlerts(ledger.db, 10).map(({ kind }) => kind);
  assert.deepEqual(kinds.sort(), ['disk.full', 'ledger.trouble']);
});

test('an alert that is a state stands until its cause is gone, however often somebody has seen it; any other ends with that', async (context) => {
  const world = await alertWorld(context);
  world.alerts.alert('disk.low', 'home', 'The disk is short.');
  world.alerts.alert('turn.failed', 'm1', 'm1 failed.');
  await world.settle();
  assert.equal(await world.alerts.ack(null), 2);
  assert.equal(await world.alerts.ack(null), 0);
  const [open, ...more] = openAlerts(world.ledger.db);
  assert.deepEqual([open!.kind, open!.acked_ms !== null, more.length], ['disk.low', true, 0]);
  const heard = world.heard(DM).length;
  world.alerts.alert('disk.low', 'home', 'The disk is short.');
  await world.alerts.look();
  await world.settle();
  assert.equal(world.heard(DM).length, heard, 'who has seen it is not told again');
});

test('no credential and nothing invisible is in what goes out', async (context) => {
  const world = await alertWorld(context);
  world.alerts.alert(
    'channel.start',
    'mail',
    'It \u202esaid: Authorization: Bearer sk-fake0123456789abcdef and xoxb-fake-000000000000',
  );
  await world.settle();
  const all = [...[...world.sent.values()].flat(), ...world.outer.command, ...world.outer.webhook].join('\n');
  assert.ok(all.includes('[redacted]'));
  for (const secret of ['sk-fake0123456789abcdef', 'xoxb-fake-000000000000', '\u202e'])
    assert.ok(!all.includes(secret), secret);
});
