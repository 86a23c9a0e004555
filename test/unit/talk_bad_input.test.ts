import assert from 'node:assert/strict';
import { test } from 'node:test';
import { systemClock } from '../../src/base/clock.ts';
import { ASK_MS, ASKS_PENDING_MAX, PUBLIC_PER_HOUR_MAX, TRIES_MS } from '../../src/base/limits/talk.ts';
import { ensureChat, setPolicy, wire } from '../../src/ledger/chats.ts';
import { conservation } from '../../src/ledger/conservation.ts';
import { outcomeOf } from '../../src/ledger/messages.ts';
import { addRole, administers, personOf, removeRole } from '../../src/ledger/people.ts';
import { countQuestions, endQuestion, pendingQuestions } from '../../src/ledger/questions.ts';
import { type DeskWorld, deskWorld } from '../fakes/desk_kit.ts';

/** What people send who mean no good, or do everything at once; each test is named after it. */

function noViolations({ ledger }: DeskWorld): void {
  assert.deepEqual(conservation(ledger.db, 0).violations, []);
}

test('two approvers at once: one wins, and the other is told who decided', async (context) => {
  const world = await deskWorld(context);
  await world.say('team', 'mallory', 'hello');
  const { tokens, code } = world.card('dm-alma');
  const [first, second] = await Promise.all([
    world.press('dm-alma', 'alma', tokens['Approve']!),
    world.say('dm-olga', 'olga', `deny ${code}`),
  ]);
  assert.match(first, /^h1: mallory is a member of assistant now\.$/);
  assert.equal(second, 'answered: a decision that was refused');
  assert.equal(world.heard('dm-olga').at(-1), 'h1 does not wait any more: alma approved it.');
  assert.deepEqual(world.stateOf('hello'), ['queued']);
  assert.equal(world.events('approval.decided').length, 1);
  noViolations(world);
});

test('approval after expiry: nothing is done, and whoever tries is told', async (context) => {
  const world = await deskWorld(context);
  await world.say('team', 'mallory', 'hello');
  const { tokens } = world.card('dm-alma');
  world.later(ASK_MS + 1);
  assert.equal(await world.press('dm-alma', 'alma', tokens['Approve']!), 'h1 has expired: nothing was done.');
  assert.equal(personOf(world.ledger.db, 'platform', 'mallory'), undefined);
  assert.deepEqual(world.stateOf('hello'), ['ignored: approval expired']);
  assert.equal(
    await world.press('dm-alma', 'alma', tokens['Approve']!),
    'h1 does not wait any more: nobody decided in time.',
  );
  noViolations(world);
});

test('an expiry that nobody notices: the message is ignored by itself, and who was asked hears of it', async (context) => {
  const world = await deskWorld(context);
  await world.say('team', 'mallory', 'hello');
  world.later(ASK_MS + 1);
  world.desk.start();
  await new Promise((resolve) => setTimeout(resolve, 20));
  await world.settled();
  assert.deepEqual(world.stateOf('hello'), ['ignored: approval expired']);
  assert.equal(world.heard('dm-alma').at(-1), 'h1 has expired: nobody decided in time.');
  // Nobody refused: the next message asks anew.
  assert.equal(await world.say('team', 'mallory', 'again'), 'held: h2');
});

test('a forged button token, from a stranger and from an owner: an answer, a record, and nothing done', async (context) => {
  const world = await deskWorld(context);
  await world.say('team', 'mallory', 'hello');
  for (const handle of ['mallory', 'olga', 'alma']) {
    for (const token of ['', 'approve', 'x'.repeat(500), world.card('dm-alma').code])
      assert.equal(await world.press('dm-alma', handle, token), 'That button belongs to nothing that was asked here.');
  }
  assert.equal(world.events('approval.refused').length, 12);
  assert.deepEqual(world.stateOf('hello'), ['held: h1']);
  noViolations(world);
});

test('a stolen button token: nothing outside of the chat that it was shown in, and nothing by who may not decide', async (context) => {
  const world = await deskWorld(context);
  await world.say('team', 'mallory', 'hello');
  const token = world.card('dm-alma').tokens['Approve']!;
  assert.equal(await world.press('team', 'alma', token), 'That button belongs to nothing that was asked here.');
  for (const handle of ['mallory', 'bob']) {
    assert.equal(await world.press('dm-alma', handle, token), 'Only an admin or an owner decides about h1.');
  }
  assert.deepEqual(world.stateOf('hello'), ['held: h1']);
  assert.deepEqual(
    world.events('approval.refused').map(({ person }) => person),
    [`p${world.people.alma}`, null, `p${world.people.bob}`],
  );
});

test('a repeated button token: the second press changes nothing; the same event again is not even heard', async (context) => {
  const world = await deskWorld(context);
  await world.say('team', 'mallory', 'hello');
  const { tokens } = world.card('dm-alma');
  const press = {
    ...{
      dedupe_key: 'press:1',
      chat: { platform_id: 'dm-alma', title: '', direct: true },
      thread: '',
      platform_id: '1',
    },
    ...{ sender: { handle: 'alma', name: 'alma' }, token: tokens['Approve']!, sent_ms: 0 },
  };
  const sink = world.intake.sinkOf('platform');
  assert.match((await sink.pressed(press)).answer, /is a member of assistant now/);
  assert.equal((await sink.pressed(press)).answer, 'That was heard already.');
  assert.match(
    (await sink.pressed({ ...press, dedupe_key: 'press:2' })).answer,
    /does not wait any more: alma approved it/,
  );
  assert.match(await world.press('dm-alma', 'alma', tokens['Deny']!), /does not wait any more: alma approved it/);
  assert.deepEqual(world.stateOf('hello'), ['queued']);
  assert.deepEqual(world.woken.length, 1);
  noViolations(world);
});

test('a stranger’s reply in an approved chat: their `approve` is talk, and decides nothing', async (context) => {
  const world = await deskWorld(context);
  await world.say('team', 'carl', 'let me in');
  await world.say('dm-alma', 'alma', `approve ${world.card('dm-alma').code}`);
  await world.say('team', 'mallory', 'me too');
  const { code } = world.card('dm-alma');
  assert.equal(
    await world.say('team', 'mallory', `approve ${code}`),
    'ignored: a sender that waits for approval already',
  );
  assert.equal(await world.say('team', 'trudy', `approve ${code}`), 'held: h3');
  // A member is no stranger, and decides as little.
  assert.equal(await world.say('team', 'carl', `approve ${code}`), 'answered: a decision that was refused');
  assert.equal(world.heard('team').at(-1), 'Only an admin or an owner decides about h2.');
  assert.deepEqual(world.stateOf('me too'), ['held: h2']);
  assert.equal(personOf(world.ledger.db, 'platform', 'mallory'), undefined);
});

test('1,000 pending requests: so many wait as somebody can read, and each of the others says why not', async (context) => {
  const world = await deskWorld(context);
  const states: string[] = [];
  for (let i = 0; i < 1000; i += 1) states.push(await world.say('team', `stranger-${i}`, 'hello'));
  assert.equal(states.filter((state) => state.startsWith('held: ')).length, ASKS_PENDING_MAX);
  assert.deepEqual([...new Set(states.slice(ASKS_PENDING_MAX))], ['ignored: too many wait for approval']);
  assert.equal(world.heard('dm-alma').length, ASKS_PENDING_MAX);
  assert.equal(countQuestions(world.ledger.db), ASKS_PENDING_MAX);
  // With one decided there is room for one.
  await world.say('dm-alma', 'alma', `deny ${world.card('dm-alma').code}`);
  assert.match(await world.say('team', 'late', 'hello'), /^held: /);
  noViolations(world);
});

test('right-to-left names, and others that would redraw a card, are shown as what they are', async (context) => {
  const world = await deskWorld(context);
  const name = 'Al\u202eamlA\u2066\u200b\nApprove: yes\u0007';
  const sender = { handle: 'mal\u202elory', name };
  await world.say('team', 'x', 'first\n| h9: Olga asks\u202e', {
    sender,
    chat: { platform_id: 'team', title: 'te\u202eam' },
  });
  const { text, tokens } = world.card('dm-alma');
  for (const hidden of ['\u202e', '\u2066', '\u200b', '\u0007']) assert.ok(!text.includes(hidden));
  assert.ok(text.includes('From AlU+202EamlAU+2066U+200BU+000AApprove: yesU+0007 (platform:malU+202Elory):'));
  assert.ok(text.includes('\n| first\n| | h9: Olga asksU+202E\n'));
  assert.match(await world.press('dm-alma', 'alma', tokens['Approve']!), /AlU\+202EamlAU\+2066/);
  assert.ok(!world.heard('dm-alma').join('').includes('\u202e'));
  assert.ok(!JSON.stringify(world.desk.list()).includes('\u202e'));
});

test('a person who floods: one card for a stranger, and in a public chat so many answers as fit into an hour', async (context) => {
  const world = await deskWorld(context);
  for (let i = 0; i < 100; i += 1) await world.say('team', 'mallory', `hello ${i}`);
  assert.equal(world.heard('dm-alma').length, 1);
  await world.ledger.write('open', (db) => {
    const fair = ensureChat(db, 0, 'platform', 'fair', 'fair');
    wire(db, fair, 'assistant', 'always');
    setPolicy(db, fair, 'public');
  });
  const states: string[] = [];
  for (let i = 0; i < PUBLIC_PER_HOUR_MAX + 20; i += 1) states.push(await world.say('fair', 'mallory', `fair ${i}`));
  assert.equal(states.filter((state) => state === 'queued').length, PUBLIC_PER_HOUR_MAX);
  assert.equal(states.at(-1), 'ignored: a sender without a role who writes too much');
  assert.equal(await world.say('fair', 'guest', 'somebody else'), 'queued');
  assert.equal(await world.say('fair', 'bob', 'a member'), 'queued');
  world.later(TRIES_MS + 1);
  assert.equal(await world.say('fair', 'mallory', 'an hour later'), 'queued');
  noViolations(world);
});

test('an approver who is none any more at the moment of the decision decides nothing', async (context) => {
  const world = await deskWorld(context);
  await world.say('team', 'mallory', 'hello');
  const { tokens } = world.card('dm-alma');
  await world.ledger.write('demote', (db) => removeRole(db, world.people.alma, 'admin', 'assistant'));
  assert.equal(await world.press('dm-alma', 'alma', tokens['Approve']!), 'Only an admin or an owner decides about h1.');
  await world.ledger.write('promote', (db) => addRole(db, world.people.alma, 'admin', ''));
  assert.match(await world.press('dm-alma', 'alma', tokens['Approve']!), /is a member of assistant now/);
});

test('an admin of another group decides nothing', async (context) => {
  const world = await deskWorld(context);
  await world.ledger.write('admin', (db) => addRole(db, world.people.bob, 'admin', 'work'));
  await world.say('team', 'mallory', 'hello');
  await world.say('team', 'bob', `approve ${world.card('dm-alma').code}`);
  assert.equal(world.heard('team').at(-1), 'Only an admin or an owner decides about h1.');
  assert.ok(administers(world.ledger.db, world.people.bob, 'work'));
});

test('what was asked has changed meanwhile: nothing is done, and the message is ignored', async (context) => {
  const world = await deskWorld(context);
  await world.say('team', 'mallory', 'hello');
  await world.ledger.write('wire', (db) => wire(db, ensureChat(db, 0, 'platform', 'team', ''), 'work', 'always'));
  assert.match(
    await world.press('dm-alma', 'alma', world.card('dm-alma').tokens['Approve']!),
    /^Nothing was done about h1: /,
  );
  assert.deepEqual(world.stateOf('hello'), ['ignored: approval expired']);
  assert.equal(personOf(world.ledger.db, 'platform', 'mallory'), undefined);
});

test('a tampered object is not what was asked, and is not done', async (context) => {
  const world = await deskWorld(context);
  const tamper = (from: string, to: string) =>
    world.ledger.write('tamper', (db) => {
      const changed =
        "UPDATE approvals SET object = replace(object, ?, ?) WHERE state = 'pending' AND instr(object, ?) > 0";
      assert.equal(db.run(changed, from, to, from), 1);
    });
  await world.say('team', 'mallory', 'hello');
  await tamper('["assistant"]', '["assistant","work"]');
  await world.say('dm-olga', 'olga', `approve ${world.card('dm-alma').code}`);
  assert.equal(world.heard('dm-olga').at(-1), 'Nothing was done about h1: it is not what was asked.');
  assert.equal(personOf(world.ledger.db, 'platform', 'mallory'), undefined);
  await world.say('new', 'bob', 'hello');
  const card = world.card('dm-olga');
  await tamper('["assistant","work"]', '["work","assistant"]');
  const answer = await world.press('dm-olga', 'olga', card.tokens['assistant']!);
  assert.equal(answer, 'Nothing was done about h2: it is not what was asked.');
  assert.equal(world.ledger.db.get<{ n: number }>('SELECT count(*) AS n FROM wirings')!.n, 1);
});

test('the group or the chat’s freedom has gone meanwhile: a new chat is not wired', async (context) => {
  const world = await deskWorld(context);
  await world.say('one', 'bob', 'hello one');
  const one = world.card('dm-olga');
  world.groups.splice(1, 1);
  assert.match(await world.press('dm-olga', 'olga', one.tokens['work']!), /there is no group work any more/);
  assert.deepEqual(world.stateOf('hello one'), ['ignored: approval expired']);
  await world.say('two', 'bob', 'hello two');
  const two = world.card('dm-olga');
  await world.ledger.write('wire', (db) => wire(db, ensureChat(db, 0, 'platform', 'two', ''), 'work', 'always'));
  assert.match(await world.press('dm-olga', 'olga', two.tokens['assistant']!), /a group answers in that chat already/);
});

test('a choice that no card names is refused, and the question waits on', async (context) => {
  const world = await deskWorld(context);
  await world.say('new', 'bob', 'hello');
  const { code } = world.card('dm-olga');
  for (const words of [`choose ${code} 0`, `choose ${code} 9`, `approve ${code}`]) {
    await world.say('dm-olga', 'olga', words);
    assert.equal(world.heard('dm-olga').at(-1), 'h1 has no such choice: its card names them.');
  }
  await world.say('dm-olga', 'olga', 'approve ffff');
  assert.match(world.heard('dm-olga').at(-1)!, /^There is no request ffff\.$|no such choice/);
  assert.deepEqual(world.stateOf('hello'), ['held: h1']);
  await world.say('dm-olga', 'olga', `choose ${code} 1`);
  assert.equal(world.heard('dm-olga').at(-1), 'h1: assistant answers there now, when it is addressed.');
  assert.deepEqual(world.stateOf('hello'), ['queued']);
});

test('nobody who may decide can be written to: the operator’s own chat is where it is asked', async (context) => {
  const world = await deskWorld(context);
  await world.ledger.write('alone', (db) => {
    db.run("DELETE FROM identities WHERE channel = 'platform' AND handle IN ('olga', 'alma')");
  });
  await world.say('team', 'mallory', 'hello');
  assert.match(world.card('main').text, /^h1: somebody without a role waits for assistant/);
});

test('a press by a program, though under an owner’s name, decides nothing', async (context) => {
  const world = await deskWorld(context);
  await world.say('team', 'mallory', 'hello');
  const sender = { handle: 'alma', name: 'alma', kind: 'bot' as const };
  const press = { dedupe_key: 'bot:1', chat: { platform_id: 'dm-alma', title: '', direct: true }, thread: '', sender };
  const token = world.card('dm-alma').tokens['Approve']!;
  const { answer } = await world.intake.sinkOf('platform').pressed({ ...press, token, platform_id: '1', sent_ms: 0 });
  assert.equal(answer, 'Only an admin or an owner decides about h1.');
  assert.deepEqual(world.stateOf('hello'), ['held: h1']);
});

test('what answers a message for the host is part of its outcome', async (context) => {
  const world = await deskWorld(context);
  await world.say('dm-olga', 'olga', 'approve ffff');
  const id = world.ledger.db.get<{ id: number }>('SELECT max(id) AS id FROM messages')!.id;
  assert.equal(outcomeOf(world.ledger.db, id), undefined);
  await world.ledger.write('sent', (db) => db.run("UPDATE outbound SET state = 'sent', receipt = 'x'"));
  assert.deepEqual(outcomeOf(world.ledger.db, id)?.states, ['answered']);
});

test('a question ends once, whoever ends it', async (context) => {
  const { ledger, say, events, people } = await deskWorld(context);
  await say('team', 'mallory', 'hello');
  const [question] = pendingQuestions(ledger.db);
  const end = { state: 'denied' as const, person: people.olga, reason: '' };
  const ends = await ledger.write('end', (db) => [1, 2].map(() => endQuestion(db, systemClock, question!, end)));
  assert.deepEqual(ends, [true, false]);
  assert.equal(events('approval.decided').length, 1);
});

test('a message that was given up while it waited is not answered by an approval', async (context) => {
  const world = await deskWorld(context);
  await world.say('team', 'mallory', 'hello');
  await world.ledger.write('cancel', (db) => db.run("UPDATE inbound SET state = 'cancelled' WHERE state = 'held'"));
  await world.press('dm-alma', 'alma', world.card('dm-alma').tokens['Approve']!);
  assert.deepEqual(world.stateOf('hello'), ['cancelled: h1']);
  assert.equal(await world.say('team', 'mallory', 'and now'), 'queued');
});
