import assert from 'node:assert/strict';
import { test } from 'node:test';
import { PAIRING_MS, PAIRING_TRIES_ALL_MAX, PAIRING_TRIES_MAX, TRIES_MS } from '../../src/base/limits/talk.ts';
import { openAlerts } from '../../src/ledger/alerts.ts';
import { insertPairing } from '../../src/ledger/pairings.ts';
import { personOf } from '../../src/ledger/people.ts';
import { type DeskWorld, deskWorld } from '../fakes/desk_kit.ts';

/** Codes that make nobody a person: guessed, late, used, or said where they should not be. */

const CODE = 'ABCD2345';

async function pairable(world: DeskWorld, more: object = {}): Promise<void> {
  const terms = {
    channel: 'platform',
    person_id: null,
    role: 'member' as const,
    group_name: 'assistant',
    wire_group: 'assistant',
  };
  await world.ledger.write('pairing', (db) =>
    insertPairing(
      db,
      world.ledger.db.get<{ ms: number }>('SELECT unixepoch() * 1000 AS ms')!.ms,
      { ...terms, ...more },
      CODE,
    ),
  );
}

test('pairing brute force of one sender: after so many wrong codes no answer, for an hour', async (context) => {
  const world = await deskWorld(context);
  await pairable(world);
  for (let i = 0; i < PAIRING_TRIES_MAX; i += 1) await world.say('dm-mallory', 'mallory', `pair XXXX-000${i}`);
  assert.equal(world.heard('dm-mallory').length, PAIRING_TRIES_MAX);
  for (let i = 0; i < 50; i += 1)
    assert.equal(
      await world.say('dm-mallory', 'mallory', `pair ${CODE}`),
      'ignored: pairing: too many wrong codes of this sender',
    );
  assert.equal(world.heard('dm-mallory').length, PAIRING_TRIES_MAX);
  world.later(TRIES_MS + 1);
  await world.say('dm-mallory', 'mallory', 'pair XXXX-0000');
  assert.equal(world.heard('dm-mallory').length, PAIRING_TRIES_MAX + 1);
});

test('pairing brute force by many senders: then no code works on that channel, for an hour', async (context) => {
  const world = await deskWorld(context);
  await pairable(world);
  for (let i = 0; i < PAIRING_TRIES_ALL_MAX; i += 1) await world.say(`dm-m${i}`, `m${i}`, 'pair XXXX-0000');
  assert.equal(
    await world.say('dm-new', 'new', `pair ${CODE}`),
    'ignored: pairing: too many wrong codes on this channel',
  );
  assert.equal(world.events('pairing.failed').length, PAIRING_TRIES_ALL_MAX + 1);
  const alerts = openAlerts(world.ledger.db).map(({ kind, subject, count: times }) => [kind, subject, times]);
  assert.deepEqual(alerts, [['pairing', 'platform', 1]], 'the operator is told');
});

test('a pairing code that has expired, or was used, makes nobody a person', async (context) => {
  const world = await deskWorld(context);
  await pairable(world);
  assert.equal(await world.say('dm-one', 'one', 'pair abcd-2345'), 'answered: paired as p5');
  assert.equal(world.ledger.db.get<{ text: string }>('SELECT text FROM messages')!.text, 'pair [a code]');
  assert.equal(await world.say('dm-two', 'two', `pair ${CODE}`), 'ignored: pairing: a wrong or expired code');
  await pairable(world);
  world.later(PAIRING_MS + 1000);
  assert.equal(await world.say('dm-two', 'two', `pair ${CODE}`), 'ignored: pairing: a wrong or expired code');
  assert.equal(personOf(world.ledger.db, 'platform', 'two'), undefined);
});

test('a first owner’s code, when there is an owner by now, or of a person who is somebody else: refused', async (context) => {
  const world = await deskWorld(context);
  await pairable(world, { role: 'owner', group_name: '' });
  assert.match(await world.say('dm-one', 'one', `pair ${CODE}`), /a code for a first owner, and there is one/);
  await world.ledger.write('close', (db) => db.run('UPDATE pairings SET used_ms = 1'));
  await pairable(world, { person_id: world.people.olga, role: null });
  assert.match(await world.say('dm-bob', 'bob', `pair ${CODE}`), /a code for somebody else than the sender/);
  assert.equal(personOf(world.ledger.db, 'platform', 'one'), undefined);
});

test('a code in a chat that others read, or from a program, pairs nobody', async (context) => {
  const world = await deskWorld(context);
  await pairable(world);
  assert.match(await world.say('team', 'carl', `pair ${CODE}`), /^held: /);
  const kind = 'bot' as const;
  const bot = { sender: { handle: 'robot', name: 'robot', kind } };
  assert.equal(await world.say('dm-robot', 'robot', `pair ${CODE}`, bot), 'ignored: written by a program');
  assert.equal(await world.say('dm-bob', 'bob', 'pair programming'), 'held: h2');
});
