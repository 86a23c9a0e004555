import assert from 'node:assert/strict';
import { after, afterEach, before, test } from 'node:test';
import { PAIRING_TRIES_MAX } from '../../src/base/limits/talk.ts';
import type { Status } from '../../src/evidence/status.ts';
import type { PersonShown } from '../../src/ledger/people.ts';
import type { PairingShown } from '../../src/operations/people.ts';
import { until } from '../fakes/install.ts';
import { Talk } from '../fakes/talk.ts';
import { Terminal } from '../fakes/terminal.ts';

/**
 * Who may talk, on a real host with real sandboxes and a platform that has direct chats, buttons and mentions. The tests go on
 * from one another only where they say so; each has chats and people of its own.
 */

const YAML = 'harness: probe\nlimits: {idle: 60s}\n';
const talk = await Talk.make();
const { install } = talk;

before(async () => {
  install.group('assistant', YAML);
  install.group('work', YAML);
  await install.start();
  await install.change('work', YAML);
});
afterEach((context) => install.explain(context));
after(() => talk.end());

test('the first owner pairs by a code, is known from then on, and is answered in that chat', async () => {
  const made = await talk.call<PairingShown>('pair', { channel: 'platform' });
  assert.match(made.code, /^[0-9A-Z]{4}-[0-9A-Z]{4}$/);
  assert.ok(made.link?.endsWith(`code=${made.code}`));
  assert.equal(made.role, 'owner');
  const paired = await talk.say('dm-olga', 'olga', `/start ${made.code.toLowerCase()}`, { name: 'Olga' });
  await talk.hears('dm-olga', /^You are paired as Olga, owner\./);
  await talk.settles(paired, 'answered: paired as p2');
  await talk.say('dm-olga', 'olga', 'hello');
  await talk.hears('dm-olga', /You said: hello/);
  const { people } = await talk.call<{ people: PersonShown[] }>('people');
  assert.deepEqual(people[1], {
    ...{ id: 'p2', name: 'Olga', roles: [{ role: 'owner', group: '' }] },
    identities: [{ channel: 'platform', handle: 'olga' }],
  });
  const codes = JSON.stringify(talk.events('pairing.made'));
  assert.ok(!codes.includes(made.code), 'no event holds the code');
});

test('a code works once, in a direct chat, and not when it is wrong', async () => {
  const made = await talk.call<PairingShown>('pair', { channel: 'platform', role: 'member', group: 'assistant' });
  const open = await talk.say('square', 'nina', `pair ${made.code}`);
  await talk.settles(open, 'ignored: no group is wired to this chat');
  await talk.say('dm-nina', 'nina', `pair ${made.code}`);
  await talk.hears('dm-nina', /^You are paired as nina, member of assistant\./);
  const again = await talk.say('dm-otto', 'otto', `pair ${made.code}`);
  await talk.settles(again, 'ignored: pairing: a wrong or expired code');
  await talk.hears('dm-otto', /^That code is not valid, or no longer\. [^\n]+$/);
});

test('a code for a known person gives them one more identity', async () => {
  const person = (await talk.call<PersonShown>('person_add', { name: 'Ada', role: 'member', group: 'work' })).id;
  const made = await talk.call<PairingShown>('pair', { channel: 'platform', person });
  await talk.say('dm-ada', 'ada', `pair ${made.code}`);
  await talk.hears('dm-ada', /^You are paired as Ada\./);
  const shown = await talk.call<PersonShown>('person_show', { person });
  assert.deepEqual(shown.identities, [{ channel: 'platform', handle: 'ada' }]);
  assert.deepEqual(shown.roles, [{ role: 'member', group: 'work' }]);
});

test('a second first owner is refused; a channel that nobody has, and the local one, too', async () => {
  for (const [input, code, message] of [
    [{ channel: 'platform' }, 'usage', /platform has an owner already/],
    [{ channel: 'platform', role: 'owner' }, 'conflict', /platform has an owner already/],
    [{ channel: 'nowhere' }, 'not_found', /no channel nowhere/],
    [{ channel: 'local' }, 'usage', /nobody pairs there/],
    [{ channel: 'platform', role: 'member', group: 'nothing' }, 'not_found', /no group nothing/],
    [{ channel: 'platform', person: 'p999' }, 'not_found', /no person "p999"/],
  ] as const)
    await assert.rejects(talk.call('pair', input), { code, message });
});

test('the command line shows a code once, with what it makes of whom', () => {
  const shown = install.glass('pair', 'platform', '--role', 'member', '--group', 'work');
  assert.match(
    shown.stdout,
    /send: {2}pair [0-9A-Z]{4}-[0-9A-Z]{4}\nor open {2}http\S+\nWhoever sends it is member of work\. /,
  );
  assert.equal(install.glass('pair', 'nowhere').status, 4);
  assert.equal(install.glass('pair').status, 2);
});

test('pairing brute force: after so many wrong codes a sender is not answered for an hour, even with a right one', async () => {
  const made = await talk.call<PairingShown>('pair', { channel: 'platform', role: 'admin' });
  for (let i = 0; i < PAIRING_TRIES_MAX; i += 1) await talk.say('dm-mallory', 'mallory', `pair AAAA-AAA${i}`);
  const right = await talk.say('dm-mallory', 'mallory', `pair ${made.code}`);
  await talk.settles(right, 'ignored: pairing: too many wrong codes of this sender');
  await until('every answer has come', async () => {
    assert.equal((await talk.sent('dm-mallory')).length, PAIRING_TRIES_MAX);
  });
  assert.ok((await talk.kinds(right)).includes('pairing.failed'));
  await talk.say('dm-vera', 'vera', `pair ${made.code}`);
  await talk.hears('dm-vera', /^You are paired as vera, admin\./);
});

test('an unknown sender is ignored where nothing else is said, and the rule is in trace and status', async () => {
  await talk.wire('plain', 'assistant');
  const id = await talk.say('plain', 'stranger', 'let me in');
  await talk.settles(id, 'ignored: unknown sender');
  assert.deepEqual(await talk.kinds(id), ['message.received', 'message.ignored']);
  const { ignored } = await talk.call<Status>('status');
  assert.ok(ignored.find(({ rule }) => rule === 'unknown sender')!.count >= 1);
});

test('an unknown sender in a chat that asks is held; a press of the owner lets them in and answers the message once', async () => {
  await talk.wire('team', 'assistant');
  await talk.policy('team', 'ask');
  const id = await talk.say('team', 'bob', 'first words', { name: 'Bob' });
  const card = await talk.card(id, 'dm-vera'); // everybody's admin, before the owner
  assert.match(
    card.text,
    /^h\d+: somebody without a role waits for assistant in team \(platform:team\)\.\nFrom Bob \(platform:bob\):\n\| first words\n/,
  );
  const second = await talk.say('team', 'bob', 'second words');
  await talk.settles(second, 'ignored: a sender that waits for approval already');
  await talk.press('dm-vera', 'vera', card.token('Approve'));
  await talk.hears('dm-vera', /^h\d+: Bob is a member of assistant now\.$/);
  await talk.hears('team', /You said: first words/);
  await talk.settles(id, 'answered');
  await talk.say('team', 'bob', 'third words');
  await talk.hears('team', /You said: third words/);
  const answers = (await talk.sent('team')).filter(({ text }) => text.includes('first words'));
  assert.equal(answers.length, 1);
  const kinds = await talk.kinds(id);
  for (const kind of ['message.held', 'approval.told', 'approval.decided', 'message.released', 'message.queued'])
    assert.equal(kinds.filter((each) => each === kind).length, 1, kind);
});

test('a denial in words leaves the message ignored, and the next one asks nobody', async () => {
  await talk.wire('club', 'assistant');
  await talk.policy('club', 'ask');
  const id = await talk.say('club', 'carl', 'hello');
  const card = await talk.card(id, 'dm-vera');
  await talk.say('dm-vera', 'vera', `deny ${card.code}`);
  await talk.settles(id, 'ignored: approval denied');
  const next = await talk.say('club', 'carl', 'hello?');
  await talk.settles(next, 'ignored: a sender that was refused before');
  assert.deepEqual(await talk.sent('club'), []);
});

test('chats that are not known yet begin with the policy of their channel: a stranger there may be asked about', async () => {
  await talk.policy('*', 'ask');
  const id = await talk.say('dm-stella', 'stella', 'hello');
  const chat = await talk.card(id, 'dm-vera');
  assert.match(chat.text, /a message waits in dm-stella/);
  await talk.press('dm-vera', 'vera', chat.token('assistant'));
  // The chat has a group now; whether she may talk to it is another question.
  await until('she is asked about', async () =>
    assert.deepEqual(talk.states(id), [`held: h${Number(chat.id.slice(1)) + 1}`]),
  );
  const sender = await talk.card(id, 'dm-vera');
  await talk.press('dm-vera', 'vera', sender.token('Approve'));
  await talk.hears('dm-stella', /You said: hello/);
  await talk.policy('*', 'strict');
});

test('chats that are not known yet begin with what is wired for all new ones, and no more once it is not', async () => {
  await talk.wire('*', 'assistant');
  await talk.say('begun', 'olga', 'anybody at the beginning?');
  await talk.hears('begun', /You said: anybody at the beginning\?/);
  await talk.call('wiring_remove', { chat: 'platform:*', group: 'assistant' });
  const later = await talk.say('unbegun', 'olga', 'and now?');
  await until('it waits for a group', async () => assert.match(String(talk.states(later)), /^held: h\d+$/));
});

test('anybody is answered in a public chat, and it is recorded as that', async () => {
  await talk.wire('fair', 'assistant');
  await talk.policy('fair', 'public');
  const id = await talk.say('fair', 'guest', 'hi');
  await talk.hears('fair', /You said: hi/);
  assert.deepEqual(talk.events('message.admitted').at(-1), { rule: 'public chat, always' });
  await talk.settles(id, 'answered');
});

test('a new chat is given to a group by choosing from a card, and the message that waited is answered', async () => {
  const id = await talk.say('newplace', 'olga', 'anybody here?');
  const card = await talk.card(id, 'dm-vera');
  assert.match(card.text, /choose [0-9a-f]{4} 1: assistant\n {2}choose [0-9a-f]{4} 2: work\n/);
  await talk.say('dm-olga', 'olga', `choose ${card.code} 2`);
  await talk.hears('dm-olga', /work answers there now, when it is addressed/);
  await talk.hears('dm-vera', /work answers there now, when it is addressed \(Olga decided\)/);
  await talk.hears('newplace', /You said: anybody here\?/);
  const { wirings } = await talk.call<{ wirings: { group: string; engage: string }[] }>('wirings', {
    chat: 'platform:newplace',
  });
  assert.deepEqual(
    wirings.map(({ group, engage }) => [group, engage]),
    [['work', 'mention']],
  );
});

test('the command line lists what waits, and decides by the name of a group', async () => {
  const id = await talk.say('otherplace', 'olga', 'and here?');
  const card = await talk.card(id, 'dm-vera');
  const listed = install.glass('approval', 'list');
  assert.match(
    listed.stdout,
    new RegExp(`^${card.id} +pending +choose who answers in otherplace \\(m\\d+\\): --group assistant\\|work`, 'm'),
  );
  assert.match(
    install.glass('approval', 'show', card.id).stdout,
    new RegExp(`in a chat: approve, deny or choose ${card.code}`),
  );
  assert.match(install.glass('wiring', 'list').stdout, /^platform:otherplace {2}no group answers, strangers strict$/m);
  assert.equal(install.glass('approval', 'approve', card.id, '--group', 'nobody').status, 2);
  const done = install.glass('approval', 'approve', card.id, '--group', 'assistant');
  assert.match(done.stdout, /assistant answers there now/);
  assert.equal(done.status, 0);
  await talk.hears('otherplace', /You said: and here\?/);
  await talk.hears('dm-vera', /assistant answers there now, when it is addressed \(\S+ decided\)/);
  assert.equal(install.glass('approval', 'deny', card.id).status, 5);
  assert.equal(install.glass('approval', 'deny', 'h9999').status, 4);
});

test('a restart while somebody waits keeps the question, and the press works after it', async () => {
  await talk.wire('keep', 'assistant');
  await talk.policy('keep', 'ask');
  const id = await talk.say('keep', 'dora', 'still there?');
  const card = await talk.card(id, 'dm-vera');
  await install.end('host', 'SIGKILL');
  install.spawn('host');
  await install.ready();
  await talk.press('dm-vera', 'vera', card.token('Approve'));
  await talk.hears('keep', /You said: still there\?/);
  const cards = (await talk.sent('dm-vera')).filter(({ text }) => text.startsWith(`${card.id}: somebody`));
  assert.equal(cards.length, 1);
});

test('an admin of the group is asked before everybody’s, and who cannot be written to alone is passed over', async () => {
  await talk.call('person_role', { person: 'p2', role: 'admin', group: 'work', take: false });
  await talk.wire('far', 'work');
  await talk.policy('far', 'ask');
  await talk.known('closed-admin', 'admin', 'assistant');
  await talk.wire('near', 'assistant');
  await talk.policy('near', 'ask');
  // An admin of the group comes before everybody's admin.
  const one = await talk.say('far', 'emil', 'hello');
  await talk.card(one, 'dm-olga');
  // This one has closed their direct chat: the next who may decide is asked.
  const two = await talk.say('near', 'emil', 'hello');
  await talk.card(two, 'dm-vera');
});

test('people are listed, linked, given roles and removed; the last owner and the operator stay', async () => {
  const added = install.glass(
    'people',
    'add',
    'Zoe',
    'platform',
    'zoe',
    '--role',
    'member',
    '--group',
    'work',
    '--json',
  );
  const { id } = JSON.parse(added.stdout) as PersonShown;
  assert.match(install.glass('people', 'list').stdout, new RegExp(`^${id} +Zoe +member of work +platform:zoe$`, 'm'));
  assert.equal(install.glass('people', 'role', id, 'admin', '--group', 'work').status, 0);
  assert.equal(install.glass('people', 'role', id, 'member', '--group', 'work', '--take').status, 0);
  assert.equal(install.glass('people', 'link', id, 'platform', 'zoe-at-work').status, 0);
  assert.equal(install.glass('people', 'link', 'p2', 'platform', 'zoe').status, 5);
  assert.equal(install.glass('people', 'unlink', id, 'platform', 'zoe').status, 0);
  const shown = JSON.parse(install.glass('people', 'show', id, '--json').stdout) as PersonShown;
  assert.deepEqual(shown.roles, [{ role: 'admin', group: 'work' }]);
  assert.deepEqual(shown.identities, [{ channel: 'platform', handle: 'zoe-at-work' }]);
  assert.equal(install.glass('people', 'remove', id).status, 0);
  assert.equal(install.glass('people', 'show', id).status, 4);
  assert.equal(install.glass('people', 'remove', 'p1').status, 5);
  assert.equal(install.glass('people', 'role', 'p1', 'owner', '--take').status, 5);
  assert.equal(install.glass('people', 'unlink', 'p1', 'local', 'operator').status, 5);
  assert.equal(install.glass('people', 'role', id, 'owner', '--group', 'work').status, 4);
  assert.equal(install.glass('people', 'nonsense').status, 2);
  const changes = talk.events('person.changed').filter(({ person }) => person === id);
  assert.deepEqual(
    changes.map(({ change }) => change),
    [
      'added',
      'linked platform:zoe',
      'gains member of work',
      'gains admin of work',
      'loses member of work',
      'linked platform:zoe-at-work',
      'unlinked platform:zoe',
      'removed',
    ],
  );
  assert.ok(changes.every(({ by }) => by !== ''));
});

test('an owner decides in the operator’s chat by words, and both laws hold', async () => {
  await talk.wire('yard', 'assistant');
  await talk.policy('yard', 'ask');
  const id = await talk.say('yard', 'fritz', 'hello');
  const card = await talk.card(id, 'dm-vera');
  const terminal = await Terminal.open(install.control, 'main');
  await terminal.say(`approve ${card.code}`);
  await terminal.hears(/fritz is a member of assistant now/);
  await talk.hears('yard', /You said: hello/);
  terminal.close();
  const { conservation } = await talk.call<Status>('status');
  assert.deepEqual(conservation.violations, []);
});
