import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Wishes } from '../../src/approvals/wishes.ts';
import { silentLog } from '../../src/base/log.ts';
import { type Action, insertQuestion, questionById } from '../../src/ledger/questions.ts';
import { endStops, takeStop } from '../../src/ledger/stops.ts';
import { type DeskWorld, deskWorld } from '../fakes/desk_kit.ts';

/** What is decided while a group is stopped: nothing of it is let out, to say no is free, and nothing that waited is lost. */

function stop({ ledger }: DeskWorld): Promise<unknown> {
  return ledger.write('test', (db) => takeStop(db, 1, 'assistant', 'olga'));
}

function resume({ ledger }: DeskWorld): Promise<unknown> {
  return ledger.write('test', (db) => endStops(db, 2, 'assistant', 'olga'));
}

test('a held request of a stopped group is not approved, and can be denied', async (context) => {
  const world = await deskWorld(context);
  await world.hold();
  await stop(world);
  const yes = { person: world.people.olga, allow: true, reason: '' };
  await assert.rejects(world.approvals.decide('h1', yes), { code: 'conflict', message: /assistant is stopped/ });
  assert.deepEqual([world.gateway.asked, world.approvals.show('h1').state], [[], 'pending']);
  assert.equal((await world.approvals.decide('h1', { ...yes, allow: false })).state, 'denied');
});

test('an approval in the very commit of the stop is not carried out', async (context) => {
  const world = await deskWorld(context);
  await world.say('team', 'bob', 'hello');
  await world.hold();
  const { code } = world.card('dm-alma');
  const said = { message: 1, chat: 1, person: world.people.alma };
  const decided = await world.ledger.write('test', (db) => {
    const made = world.desk.decideByCode(db, code, 'approve', said);
    takeStop(db, 1, 'assistant', 'olga');
    return made;
  });
  assert.equal(decided.ok, true);
  decided.after?.();
  await world.settled();
  const { state, reason } = world.approvals.show('h1');
  assert.deepEqual([world.gateway.asked, state, reason], [[], 'expired', 'assistant is stopped']);
});

/** More authority for the group, asked for in the chat `team`; its key. */
async function asked(world: DeskWorld) {
  await world.say('team', 'bob', 'hello');
  const granted: string[] = [];
  const wishes = new Wishes({
    ...{
      ledger: world.ledger,
      clock: world.clock,
      log: silentLog,
      wake: () => {},
      deliver: () => {},
    },
    ...{ foresee: () => assert.fail('nobody asks'), asked: () => {} },
    grant: async (group) => void granted.push(group),
  });
  const action: Action = {
    ...{ kind: 'authority', chat: 1, channel: 'platform', group: 'assistant', wish: '{}', hash: 'h', base: 'b' },
    ...{ changes: ['gains a clock'], reason: 'x', outward: false },
  };
  const id = await world.ledger.write('test', (db) => {
    const session = db.get<{ session_id: number }>('SELECT session_id FROM inbound WHERE session_id IS NOT NULL')!;
    const turn = db.insert(
      "INSERT INTO turns (session_id, state, attempt, deaths, harness, started_ms) VALUES (?, 'settled', 1, 0, '', 0)",
      session.session_id,
    );
    const by = { session: session.session_id, turn };
    return insertQuestion(db, world.clock.now(), action, 1, world.clock.now() + 60_000, by).id;
  });
  return { id, wishes, granted, state: () => questionById(world.ledger.db, id)!.state };
}

test('a stopped group gets no more authority: the question waits', async (context) => {
  const world = await deskWorld(context);
  const { id, state } = await asked(world);
  await stop(world);
  const decide = () => world.desk.decide(`h${id}`, world.people.olga, 'approve', '');
  await assert.rejects(decide(), { code: 'conflict', message: /assistant is stopped/ });
  assert.equal(state(), 'pending');
  await resume(world);
  await decide();
});

test('authority that was granted before the stop is put in force after it', async (context) => {
  const world = await deskWorld(context);
  const { id, wishes, granted, state } = await asked(world);
  await world.ledger.write('test', (db) => {
    db.run("UPDATE approvals SET state = 'approved', decided_by = ? WHERE id = ?", world.people.olga, id);
    takeStop(db, 1, 'assistant', 'olga');
  });
  wishes.start();
  await world.settled();
  assert.deepEqual([granted, state()], [[], 'approved']);
  await resume(world);
  wishes.start();
  await world.settled();
  assert.deepEqual([granted, state()], [['assistant'], 'done']);
});
