import assert from 'node:assert/strict';
import { test } from 'node:test';
import { systemClock } from '../../src/base/clock.ts';
import { sessionsInTurn } from '../../src/ledger/sessions.ts';
import { endStops, takeStop } from '../../src/ledger/stops.ts';
import { stopSession } from '../../src/sessions/turn_book.ts';
import { done, running, stateOf, turnsOf } from '../fakes/running_session.ts';
import { eventually, type SessionWorld, sessionWorld } from '../fakes/session_world.ts';

/** A session whose group is stopped, wherever in a turn it is just then. */

/** The group of the session is stopped, as an owner does it: on disk, then its sandboxes end. */
async function halted(world: SessionWorld): Promise<void> {
  await world.ledger.write('test', (db) => {
    takeStop(db, 1, 'assistant', 'olga');
    for (const session of sessionsInTurn(db, 'assistant'))
      stopSession(db, systemClock, session, 'olga', { keep: true, untaken: [] });
  });
  await world.session.halt('its group was stopped');
}

test('a session whose group is stopped ends in its turn, and begins nothing until the group goes on', async (context) => {
  const world = await running(context);
  await halted(world);
  assert.equal(world.sandbox1.killed, true);
  await eventually(() => world.session.state === 'cold');
  const later = world.say('later');
  await new Promise((resolve) => setTimeout(resolve, 50));
  assert.deepEqual([world.session.state, world.sandboxes.length, stateOf(world, later).state], ['cold', 1, 'queued']);
  await world.ledger.write('test', (db) => endStops(db, 2, 'assistant', 'olga'));
  world.session.wake();
  const second = await world.sandbox(2);
  await second.ready();
  await eventually(() => second.turn() !== undefined);
  assert.deepEqual([second.turn()!.messages.length, stateOf(world, later).deaths], [1, 0]);
  assert.deepEqual(world.alerts, []);
});

test('a sandbox that was just starting when its group was stopped is ended, and nobody is alarmed', async (context) => {
  const world = await sessionWorld(context);
  const id = world.say('hello');
  const sandbox = await world.sandbox(1);
  await halted(world);
  await eventually(() => world.session.state === 'cold');
  assert.deepEqual([sandbox.killed, stateOf(world, id), world.alerts], [true, { state: 'queued', deaths: 0 }, []]);
});

test('an idle sandbox that is given a message as its group is stopped ends instead', async (context) => {
  const world = await running(context);
  world.sandbox1.send({ t: 'taken', turn: world.turn, ids: [world.id] }, done(world.turn));
  await eventually(() => world.session.state === 'idle');
  const first = world.ledger.write('test', (db) => takeStop(db, 1, 'assistant', 'olga'));
  // In the same transaction as the mark, behind it.
  world.say('too late');
  await first;
  await eventually(() => world.session.state === 'cold');
  assert.equal(turnsOf(world.sandbox1).length, 1);
});
