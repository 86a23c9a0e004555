import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import type { Authority } from '../../src/authority/authority.ts';
import { insertAuthority } from '../../src/ledger/authorities.ts';
import { chatByPlatformId, setPolicy } from '../../src/ledger/chats.ts';
import { conservation } from '../../src/ledger/conservation.ts';
import { addMarks, hasMarks } from '../../src/ledger/marks.ts';
import { ensureSession } from '../../src/ledger/sessions.ts';
import { setWiring, wiringOf } from '../../src/ledger/wirings.ts';
import type { Mark } from '../../src/protocol/gateway.ts';
import { type DeskWorld, deskWorld } from '../fakes/desk_kit.ts';

/** What anybody may have written, on its way to a conversation that reads what is private, and acts. */

/** The chat `team` is open to all; its conversation has these marks, under this authority. */
async function world(context: TestContext, marks: string, authority: Partial<Authority>) {
  const made = await deskWorld(context);
  const { db } = made.ledger;
  const team = chatByPlatformId(db, 'platform', 'team')!.id;
  const session = await made.ledger.write('seed', (db) => {
    setPolicy(db, team, 'public');
    const object = JSON.stringify({ mounts: [], ...authority });
    const row = { group_name: 'assistant', hash: 'a'.repeat(64), image: null, controls: '[]' };
    insertAuthority(db, { ...row, object, applied_by: 'test', applied_ms: 1 });
    if (marks === '') return 0;
    const { id } = ensureSession(db, 1, 'assistant', team, '');
    addMarks(db, made.clock, { id, group_name: 'assistant' }, [...marks] as Mark[], 'test');
    return id;
  });
  return { ...made, team, has: () => hasMarks(db, session).join(''), laws: () => conservation(db, 0).violations };
}

const told = ({ heard }: DeskWorld): string => heard('team').join('\n');

for (const policy of ['off', 'warn'] as const)
  test(`with ${policy} a stranger is heard, and marks`, async (context) => {
    const made = await world(context, 'BC', { rule_of_two: policy });
    assert.equal(await made.say('team', 'mallory', 'hello'), 'queued');
    assert.equal(made.has(), 'ABC');
    assert.equal(made.events('session.rule_of_two').length, policy === 'warn' ? 1 : 0);
  });

test('a stranger’s words are shown to who administers the group; after a yes they are heard, and so are the next ones', async (context) => {
  const made = await world(context, 'BC', { rule_of_two: 'enforce' });
  assert.equal(await made.say('team', 'mallory', 'hello there'), 'held: h1');
  const card = made.card('dm-alma');
  assert.match(card.text, /^h1: what anybody may have written waits for assistant in .*, by its rule of two\./);
  assert.match(card.text, /\n\| hello there\n/);
  assert.equal(await made.say('team', 'eve', 'me too'), 'ignored: a message that waits for approval already');
  assert.match(await made.press('dm-alma', 'alma', card.tokens['Approve']!), /assistant reads it/);
  assert.deepEqual(made.stateOf('hello there'), ['queued']);
  assert.equal(made.has(), 'ABC');
  assert.equal(await made.say('team', 'eve', 'and now'), 'queued');
  assert.deepEqual(made.laws(), []);
});

test('after a no they are ignored, the conversation is what it was, and people it knows are told why it takes no more', async (context) => {
  const made = await world(context, 'BC', { rule_of_two: 'enforce' });
  await made.say('team', 'mallory', 'hello there');
  await made.press('dm-alma', 'alma', made.card('dm-alma').tokens['Deny']!);
  assert.deepEqual(made.stateOf('hello there'), ['ignored: approval denied']);
  assert.equal(await made.say('team', 'mallory', 'again'), 'ignored: a message that was refused before');
  assert.equal(told(made), '');
  assert.equal(await made.say('team', 'bob', 'from a member'), 'queued');
  assert.equal(
    await made.say('team', 'bob', 'see this', { forwarded: true }),
    'ignored: a message that was refused before',
  );
  assert.match(told(made), /\/new begins another one/);
  assert.equal(made.has(), 'BC');
});

test('only who administers the group decides', async (context) => {
  const made = await world(context, 'BC', { rule_of_two: 'enforce' });
  await made.say('team', 'mallory', 'hello there');
  await made.say('dm-bob', 'bob', `approve ${made.card('dm-alma').code}`);
  assert.deepEqual(made.stateOf('hello there'), ['held: h1']);
});

test('what a sandbox will have counts before the first one has started', async (context) => {
  const mounts: Authority['mounts'] = [{ source: '/data', target: '/mnt/data', access: 'write' }];
  const made = await world(context, '', { rule_of_two: 'enforce', mounts });
  assert.equal(await made.say('team', 'mallory', 'hello'), 'held: h1');
  assert.equal(await made.say('team', 'bob', 'hello'), 'queued');
});

test('what is not said to an agent is not kept for a conversation that must not read it', async (context) => {
  const made = await world(context, 'BC', { rule_of_two: 'enforce' });
  await made.ledger.write('seed', (db) => {
    const { id: _, ...terms } = wiringOf(db, made.team, 'assistant')!;
    setWiring(db, made.team, 'assistant', { ...terms, engage: 'mention', context: 'accumulate' });
  });
  assert.equal(await made.say('team', 'mallory', 'aside', { addressed: false }), 'ignored: not addressed to an agent');
  assert.equal(
    await made.say('team', 'bob', 'aside', { addressed: false }),
    'ignored: not addressed to an agent; kept',
  );
  assert.equal(made.has(), 'BC');
  assert.deepEqual(made.laws(), []);
});

test('members are strangers to it where the group says so', async (context) => {
  const made = await world(context, 'BC', { rule_of_two: 'enforce', members: 'untrusted' });
  assert.equal(await made.say('team', 'bob', 'hello'), 'held: h1');
  assert.equal(await made.say('team', 'alma', 'hello from alma'), 'queued');
  assert.equal(made.has(), 'BC');
});
