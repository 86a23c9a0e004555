import assert from 'node:assert/strict';
import { test } from 'node:test';
import { openAlerts } from '../../src/ledger/alerts.ts';
import { endLeftOver } from '../../src/ledger/approvals.ts';
import { addRole, ensurePerson, removeRole } from '../../src/ledger/people.ts';
import { deskWorld } from '../fakes/desk_kit.ts';

/** Held requests in the chat: who is shown one, who decides, and what everybody else is told. */

test('a held request is a card to the admin of its group, alone, and to nobody else', async (context) => {
  const world = await deskWorld(context);
  await world.hold({ preview: 'the body.' });
  const { text, tokens } = world.card('dm-alma');
  assert.match(text, /^h1: assistant asks to send this\.\nmethod: POST\n[\s\S]*\| x-op: merge\n[\s\S]*\| the body\.$/);
  assert.deepEqual(Object.keys(tokens), ['Approve', 'Deny']);
  for (const chat of ['team', 'main', 'dm-olga', 'dm-bob']) assert.deepEqual(world.heard(chat), [], chat);
  assert.deepEqual(openAlerts(world.ledger.db), []);
  assert.deepEqual(world.events('approval.told'), [
    { approval: 'h1', person: `p${world.people.alma}`, chat: 'platform:dm-alma' },
  ]);
});

test('a press lets it leave, once, after the commit; the hop says who decided and where', async (context) => {
  const world = await deskWorld(context);
  await world.hold();
  const { tokens } = world.card('dm-alma');
  assert.equal(await world.press('dm-alma', 'alma', tokens['Approve']!), 'h1: approved.');
  assert.deepEqual(
    world.gateway.asked.map(({ hold, allow, body_sha256 }) => [hold, allow, body_sha256]),
    [['x', true, 'b'.repeat(64)]],
  );
  const by = { person: `p${world.people.alma}`, by: 'alma', as: 'admin of assistant', where: 'platform:dm-alma' };
  assert.deepEqual(world.events('approval.decided'), [{ approval: 'h1', allowed: true, reason: '', ...by }]);
  assert.equal(world.approvals.show('h1').state, 'done');
  for (const label of ['Approve', 'Deny'])
    assert.equal(await world.press('dm-alma', 'alma', tokens[label]!), 'h1 does not wait any more: alma approved it.');
  assert.equal(world.gateway.asked.length, 1);
});

test('a decision that does not reach the disk does not reach the gateway', async (context) => {
  const world = await deskWorld(context);
  await world.say('team', 'bob', 'hello');
  await world.hold();
  const { code } = world.card('dm-alma');
  const said = world.ledger.db.get<{ message: number; chat: number }>(
    'SELECT id AS message, chat_id AS chat FROM messages',
  )!;
  const broken = world.ledger.write('broken', (db) => {
    assert.equal(world.desk.decideByCode(db, code, 'approve', { ...said, person: world.people.alma }).ok, true);
    throw new Error('the disk is full');
  });
  await assert.rejects(broken, /the disk is full/);
  await world.settled();
  assert.deepEqual(world.gateway.asked, []);
  assert.equal(world.approvals.show('h1').state, 'pending');
});

test('the code denies it from any chat, and whoever was asked is told who did', async (context) => {
  const world = await deskWorld(context);
  await world.hold();
  assert.equal(await world.say('team', 'olga', `deny ${world.card('dm-alma').code}`), 'answered: a decision');
  assert.deepEqual(world.heard('team'), ['h1: denied.']);
  assert.equal(world.heard('dm-alma').at(-1), 'h1: denied (olga decided).');
  assert.deepEqual(
    world.gateway.asked.map(({ allow }) => allow),
    [false],
  );
  assert.equal(world.events('approval.decided')[0]!['where'], 'platform:team');
});

test('a member, a stranger, an admin of another group: nothing happens, and it is recorded', async (context) => {
  const world = await deskWorld(context);
  await world.ledger.write('seed', (db) => ensurePerson(db, 0, 'platform', 'otto', 'otto', 'admin', 'work'));
  await world.hold();
  const { tokens, code } = world.card('dm-alma');
  for (const handle of ['bob', 'mallory', 'otto'])
    assert.equal(
      await world.press('dm-alma', handle, tokens['Approve']!),
      'Only an admin or an owner decides about h1.',
    );
  assert.equal(await world.say('team', 'bob', `approve ${code}`), 'answered: a decision that was refused');
  assert.equal(world.heard('team').at(-1), 'Only an admin or an owner decides about h1.');
  assert.equal(world.events('approval.refused').length, 4);
  assert.deepEqual(world.gateway.asked, []);
  assert.equal(world.approvals.show('h1').state, 'pending');
});

test('rights are those of the moment: lost ones decide nothing, new ones do', async (context) => {
  const world = await deskWorld(context);
  const { alma, bob } = world.people;
  await world.hold();
  const { tokens, code } = world.card('dm-alma');
  await world.ledger.write('roles', (db) => {
    removeRole(db, alma, 'admin', 'assistant');
    addRole(db, bob, 'admin', '');
  });
  assert.equal(await world.press('dm-alma', 'alma', tokens['Approve']!), 'Only an admin or an owner decides about h1.');
  assert.equal(await world.say('dm-bob', 'bob', `approve ${code}`), 'answered: a decision');
  assert.equal(world.gateway.asked.length, 1);
});

test('a forged, a stolen and a foreign token, a wrong code and a choice that is none decide nothing', async (context) => {
  const world = await deskWorld(context);
  await world.hold();
  const { tokens, code } = world.card('dm-alma');
  const belongs = 'That button belongs to nothing that was asked here.';
  assert.equal(await world.press('dm-alma', 'alma', 'x'.repeat(16)), belongs);
  assert.equal(await world.press('dm-olga', 'olga', tokens['Approve']!), belongs);
  const wrong = code === '0000' ? '0001' : '0000';
  await world.say('dm-alma', 'alma', `approve ${wrong}`);
  assert.equal(world.heard('dm-alma').at(-1), `There is no request ${wrong}.`);
  await world.say('dm-alma', 'alma', `choose ${code} 1`);
  assert.equal(world.heard('dm-alma').at(-1), 'h1 has no such choice: its card names them.');
  assert.deepEqual(world.gateway.asked, []);
});

test('two approvers at once: the first decision counts, and the second is told whose it was', async (context) => {
  const world = await deskWorld(context);
  await world.hold();
  const { tokens, code } = world.card('dm-alma');
  const [first, second] = await Promise.all([
    world.press('dm-alma', 'alma', tokens['Approve']!),
    world.say('dm-olga', 'olga', `deny ${code}`),
  ]);
  assert.deepEqual([first, second], ['h1: approved.', 'answered: a decision that was refused']);
  assert.equal(world.heard('dm-olga').at(-1), 'h1 does not wait any more: alma approved it.');
  assert.deepEqual(
    world.gateway.asked.map(({ allow }) => allow),
    [true],
  );
});

test('after its time a press does nothing; when the gateway says that it is over, its card’s chat hears it once', async (context) => {
  const world = await deskWorld(context);
  await world.hold();
  const { tokens } = world.card('dm-alma');
  world.later(60_001);
  assert.equal(await world.press('dm-alma', 'alma', tokens['Approve']!), 'h1 has expired: nothing was sent.');
  for (const _ of [1, 2]) world.approvals.ended('x', 'nobody decided in time');
  world.approvals.lost();
  await world.settled();
  const over = 'h1 is over, and nothing was sent: nobody decided in time.';
  assert.deepEqual(world.heard('dm-alma').slice(1), ['h1 has expired: nothing was sent.', over]);
  assert.equal(
    await world.press('dm-alma', 'alma', tokens['Approve']!),
    'h1 does not wait any more: nobody decided in time.',
  );
  assert.deepEqual(world.gateway.asked, []);
});

test('a lost connection and a new host are told where the cards are, a line each', async (context) => {
  const world = await deskWorld(context);
  await world.hold({ hold: 'one' });
  world.approvals.lost();
  await world.settled();
  await world.hold({ hold: 'two' });
  await world.ledger.write('start', (db) => endLeftOver(db, world.clock));
  assert.deepEqual(
    world.heard('dm-alma').filter((text) => /is over/.test(text)),
    [
      'h1 is over, and nothing was sent: the connection to the gateway was lost.',
      'h2 is over, and nothing was sent: the host restarted.',
    ],
  );
});

test('what was approved and did not leave is told where it was decided, and where it was asked', async (context) => {
  const world = await deskWorld(context);
  world.gateway.answer = () => 'while it waited for approval, the secrets changed';
  await world.hold();
  await world.say('team', 'olga', `approve ${world.card('dm-alma').code}`);
  const text = 'h1 was approved, but it ended: while it waited for approval, the secrets changed.';
  assert.equal(world.heard('team').at(-1), text);
  assert.equal(world.heard('dm-alma').at(-1), text);
});

test('what ends before it could be shown has no card and no line', async (context) => {
  const world = await deskWorld(context);
  const held = world.hold();
  await world.ledger.write('wait', () => {});
  world.approvals.ended('x', 'the agent went away');
  await held;
  await world.settled();
  assert.equal(world.approvals.show('h1').state, 'expired');
  for (const chat of ['dm-alma', 'main']) assert.deepEqual(world.heard(chat), []);
  assert.deepEqual(openAlerts(world.ledger.db), []);
});

test('a direct chat that others have joined is shown no card: the approver’s own is opened anew', async (context) => {
  const world = await deskWorld(context);
  await world.say('dm-alma', 'alma', 'hello');
  const chat = { platform_id: 'dm-alma', title: 'dm-alma', direct: false };
  await world.say('dm-alma', 'bob', 'hello', { chat });
  world.opens.set('alma', 'dm-alma-2');
  const before = world.heard('dm-alma').length;
  await world.hold();
  assert.match(world.card('dm-alma-2').text, /^h2: assistant asks/);
  assert.equal(world.heard('dm-alma').length, before);
});

test('where nobody who may decide can be reached, the operator is told as before, without the body', async (context) => {
  const world = await deskWorld(context);
  await world.ledger.write('seed', (db) => {
    db.run("DELETE FROM identities WHERE channel = 'local'");
    for (const handle of ['alma', 'olga'])
      db.run('UPDATE identities SET handle = ? WHERE handle = ?', `closed-${handle}`, handle);
  });
  await world.hold();
  assert.deepEqual(world.heard('main'), [
    '⚠ h1: assistant asks for approval of POST api.example.com/pulls, 9 bytes: ./glass approval show h1',
  ]);
  assert.deepEqual(
    openAlerts(world.ledger.db).map(({ subject }) => subject),
    ['h1'],
  );
});

test('a request whose turn was stopped is not let out any more', async (context) => {
  const world = await deskWorld(context);
  await world.hold();
  const { tokens } = world.card('dm-alma');
  await world.ledger.write('test', (db) => {
    const { session_id } = db.get<{ session_id: number }>('SELECT session_id FROM approvals')!;
    const sql =
      "INSERT INTO turns (session_id, state, attempt, deaths, harness, started_ms) VALUES (?, 'cancelled', 1, 0, '', 0)";
    db.run('UPDATE approvals SET turn_id = ?', db.insert(sql, session_id));
  });
  const said = await world.press('dm-alma', 'alma', tokens['Approve']!);
  assert.equal(said, 'h1 does not wait any more: its turn was stopped.');
  assert.deepEqual(world.gateway.asked, []);
});

test('/approve without a code lists to each what they decide, alone; elsewhere it says how much', async (context) => {
  const world = await deskWorld(context);
  const last = async (chat: string, who: string, text: string): Promise<string> => {
    await world.say(chat, who, text);
    return world.heard(chat).at(-1)!;
  };
  assert.equal(await last('dm-olga', 'olga', '/approve'), 'Nothing waits for you.');
  await world.hold();
  const { code } = world.card('dm-alma');
  await world.ledger.write('seed', (db) => ensurePerson(db, 0, 'platform', 'otto', 'otto', 'admin', 'work'));
  await world.say('team', 'zed', 'may I?');
  const request = `h1: assistant asks to send POST api.example.com/pulls, 9 bytes\n  approve ${code}\n  deny ${code}`;
  assert.ok((await last('dm-alma', 'alma', '/approve')).endsWith(request));
  const all = await last('dm-olga', 'olga', '/deny');
  assert.match(all, /^h2: let zed talk to assistant in team\n {2}approve ([0-9a-f]{4})\n {2}deny \1\nh1: /);
  assert.equal(await last('team', 'olga', '/approve'), '2 requests for you; write /approve to me alone to see what.');
  assert.equal(await last('dm-otto', 'otto', '/approve'), 'Nothing waits for you.');
  assert.equal(await last('dm-bob', 'bob', '/approve'), 'Only an admin or an owner decides about what waits.');
  assert.equal(await world.say('dm-zed', 'zed', '/approve'), 'ignored: a command of a sender without a role');
  world.later(60_001);
  assert.doesNotMatch(await last('dm-olga', 'olga', '/approve'), /h1/);
});

test('/approve with a code decides, also where it names our bot; another bot’s is not ours', async (context) => {
  const world = await deskWorld(context);
  await world.hold();
  const { code } = world.card('dm-alma');
  await world.say('team', 'alma', `/approve@another_bot ${code}`, { addressed: false });
  assert.deepEqual(world.gateway.asked, []);
  assert.equal(await world.say('team', 'alma', `/approve@our_bot ${code}`), 'answered: a decision');
  assert.equal(await world.say('team', 'alma', `/deny ${code}`), 'answered: a decision that was refused');
  assert.equal(world.gateway.asked.length, 1);
});
