import assert from 'node:assert/strict';
import { after, afterEach, before, test } from 'node:test';
import type { PairingShown } from '../../src/operations/people.ts';
import { Talk } from '../fakes/talk.ts';
import { rows } from '../fakes/terminal.ts';

/** A chat is claimed by a code: Alma administers `work` and nothing else, Ada everything; Bob is a member. */

const YAML = 'harness: probe\nlimits: {idle: 60s}\n';
const talk = await Talk.make();
const { install } = talk;

before(async () => {
  install.group('assistant', YAML);
  install.group('work', YAML);
  await install.start();
  await install.change('work', YAML);
  await talk.known('ada', 'admin');
  await talk.known('alma', 'admin', 'work');
  await talk.known('bob', 'member');
});
afterEach((context) => install.explain(context));
after(() => talk.end());

const wired = (chat: string): string[] =>
  rows<{ group_name: string }>(
    install,
    'SELECT group_name FROM wirings w JOIN chats c ON c.id = w.chat_id WHERE c.platform_id = ?',
    chat,
  ).map(({ group_name }) => group_name);

async function codeFor(group: string): Promise<string> {
  return (await talk.call<PairingShown>('pair', { channel: 'platform', group, chat: true })).code;
}

test('an admin of the group claims a group chat by a code, once, and the group answers there when it is addressed', async () => {
  const shown = install.glass('pair', 'platform', '--chat', '--group', 'work');
  assert.equal(shown.status, 0, shown.stderr);
  const code = /an admin of work sends: {2}\/approve ([0-9A-Z]{4}-[0-9A-Z]{4})\nThen work answers there/.exec(
    shown.stdout,
  )![1]!;
  await talk.say('garden', 'bob', `/approve ${code}`);
  await talk.hears('garden', /^That code is not valid, or no longer\.$/);
  const strange = await talk.say('garden', 'nina', `/approve ${code}`);
  await talk.settles(strange, 'ignored: a command of a sender without a role');
  assert.deepEqual(wired('garden'), []);
  await talk.say('garden', 'alma', `/approve ${code.toLowerCase()}`);
  await talk.hears('garden', /^work answers here now, when it is addressed\.$/);
  assert.deepEqual(wired('garden'), ['work']);
  assert.deepEqual(talk.events('wiring.changed').at(-1), {
    ...{ chat: 'platform:garden', group: 'work', change: 'engage mention', by: 'pairing code' },
  });
  await talk.say('garden', 'bob', 'hello there', { mention: true });
  await talk.hears('garden', /You said: hello there/);
  await talk.say('meadow', 'alma', `/approve ${code}`);
  await talk.hears('meadow', /^That code is not valid, or no longer\.$/);
  assert.deepEqual(wired('meadow'), []);
  assert.ok(!JSON.stringify(talk.events('pairing.made')).includes(code));
});

test('a code of another group’s, and one of a person, claim nothing; a code of a chat makes nobody known', async () => {
  const others = await codeFor('assistant');
  await talk.say('field', 'alma', `/approve ${others}`);
  await talk.hears('field', /^That code is not valid, or no longer\.$/);
  const { code } = await talk.call<PairingShown>('pair', { channel: 'platform', role: 'member', group: 'work' });
  await talk.say('forest', 'ada', `/approve ${code}`);
  await talk.hears('forest', /^That code is not valid, or no longer\.$/);
  const guess = await talk.say('dm-nina', 'nina', `pair ${others}`);
  await talk.settles(guess, 'ignored: pairing: a wrong or expired code');
  await talk.say('dm-ada', 'ada', `/approve ${others}`);
  await talk.hears('dm-ada', /^Say it in the chat where assistant is to answer\.$/);
  assert.deepEqual(['field', 'forest', 'dm-nina', 'dm-ada'].flatMap(wired), []);
  await talk.say('field', 'ada', `/approve ${others}`);
  await talk.hears('field', /^assistant answers here now/);
});

test('a code for a chat is for a group that is there, and for nobody', async () => {
  for (const [more, code, message] of [
    [{}, 'usage', /a code for a chat is for a group/],
    [{ group: 'work', role: 'member' }, 'usage', /makes nobody known/],
    [{ group: 'nothing' }, 'not_found', /no group nothing/],
  ] as const)
    await assert.rejects(talk.call('pair', { channel: 'platform', chat: true, ...more }), { code, message });
  assert.equal(install.glass('pair', 'platform', '--chat').status, 2);
});
