import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { showId } from '../../src/base/ids.ts';
import { SESSION_QUEUE_MAX } from '../../src/base/limits/messages.ts';
import { LocalChannel } from '../../src/channels/local/local.ts';
import { insertAuthority } from '../../src/ledger/authorities.ts';
import { chatByPlatformId, setPolicy } from '../../src/ledger/chats.ts';
import { addMarks } from '../../src/ledger/marks.ts';
import { ensureSession } from '../../src/ledger/sessions.ts';
import { takeStop } from '../../src/ledger/stops.ts';
import { PLAIN_TERMS, setWiring } from '../../src/ledger/wirings.ts';
import { Wirings, type WouldAnswer } from '../../src/operations/wirings.ts';
import { type DeskWorld, deskWorld } from '../fakes/desk_kit.ts';

/** What a message that nobody has sent would come to says what the same message, sent, does come to. */

interface World extends DeskWorld {
  would(as?: string): WouldAnswer;
  team: number;
  session: number;
}

/** Bob is a member, and strangers are heard; Alma's group answers always. */
async function world(context: TestContext): Promise<World> {
  const made = await deskWorld(context);
  const { ledger, clock, groups } = made;
  const team = chatByPlatformId(ledger.db, 'platform', 'team')!.id;
  const session = await ledger.write('seed', (db) => {
    setPolicy(db, team, 'public');
    return ensureSession(db, 1, 'assistant', team, '').id;
  });
  const admission = { clock, spoken: () => {}, nudge: () => {}, groups: () => groups };
  const channels = new Map([['platform', new LocalChannel()]]);
  const known = { ledger, clock, channels, admission, groups: () => groups, defaultGroup: 'assistant', by: 'test' };
  const wirings = new Wirings(known);
  const place = { thread: '', addressed: true };
  return { ...made, team, session, would: (as) => wirings.test('platform:team', 'hello', as ?? null, place) };
}

function brief({ would, rule, groups }: WouldAnswer): unknown[] {
  return [would, rule, groups];
}

test('where the rule of two has somebody asked first it says so, and when nobody is asked any more', async (context) => {
  const own = await world(context);
  const bob = showId('p', own.people.bob);
  assert.deepEqual(brief(own.would()), ['answer', 'public chat, always', ['assistant']]);
  await own.ledger.write('seed', (db) => {
    const object = JSON.stringify({ mounts: [], rule_of_two: 'enforce' });
    const row = { group_name: 'assistant', hash: 'a'.repeat(64), image: null, controls: '[]', object };
    insertAuthority(db, { ...row, applied_by: 'test', applied_ms: 1 });
    addMarks(db, own.clock, { id: own.session, group_name: 'assistant' }, ['B', 'C'], 'test');
  });
  const first = 'somebody is asked first, by the rule of two of assistant';
  assert.deepEqual(brief(own.would()), ['ask', first, []]);
  assert.equal(own.would(bob).would, 'answer');
  assert.equal(await own.say('team', 'mallory', 'hello'), 'held: h1');
  assert.deepEqual(brief(own.would()), ['ignore', 'a message that waits for approval already', []]);
  assert.equal(await own.say('team', 'eve', 'hello'), 'ignored: a message that waits for approval already');
});

test('of a stopped group it says that the message would wait, beside those that answer', async (context) => {
  const own = await world(context);
  const bob = showId('p', own.people.bob);
  await own.ledger.write('stop', (db) => takeStop(db, 1, 'assistant', 'olga'));
  const stopped = 'assistant is stopped: it waits there until assistant goes on';
  assert.deepEqual(brief(own.would(bob)), ['wait', stopped, []]);
  await own.ledger.write('wire', (db) => setWiring(db, own.team, 'work', { ...PLAIN_TERMS, engage: 'always' }));
  assert.deepEqual(brief(own.would(bob)), ['answer', `member, always, always; ${stopped}`, ['work']]);
});

test('of a full queue it says that the message would be refused', async (context) => {
  const own = await world(context);
  const bob = showId('p', own.people.bob);
  for (let i = 0; i < SESSION_QUEUE_MAX; i += 1) await own.say('team', 'bob', `number ${i}`);
  const full = `${SESSION_QUEUE_MAX} messages wait for assistant already: it is refused there`;
  assert.deepEqual(brief(own.would(bob)), ['refuse', full, []]);
  assert.match(await own.say('team', 'bob', 'one more'), /^failed: \d+ messages wait already$/);
});
