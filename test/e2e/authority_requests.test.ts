import assert from 'node:assert/strict';
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, afterEach, before, test } from 'node:test';
import type { QuestionShown } from '../../src/approvals/desk.ts';
import { WISHES_PENDING_MAX, WISHES_PER_HOUR_MAX } from '../../src/base/limits/talk.ts';
import type { GroupShown } from '../../src/operations/groups.ts';
import { until } from '../fakes/install.ts';
import { Talk } from '../fakes/talk.ts';

/**
 * An agent asks for more than its group has, on a platform with direct chats and buttons: Bob, a member, talks to it; an admin
 * of its own decides about its group, Ada about everything. Each test has a group, chats and requests of its own.
 */

const YAML = '# Of the operator.\nharness: probe\nlimits: {idle: 60s}\n';
const talk = await Talk.make();
const { install } = talk;
const folder = mkdtempSync(join(tmpdir(), 'gm-'));

before(async () => {
  chmodSync(folder, 0o755);
  mkdirSync(join(folder, 'notes'));
  install.group('assistant', YAML);
  await install.start();
  await talk.known('bob', 'member');
  await talk.known('ada', 'admin');
});
afterEach((context) => install.explain(context));
after(async () => {
  await talk.end();
  rmSync(folder, { recursive: true });
});

/** A group with its own admin, and a chat of its name in which Bob talks to it. */
async function group(name: string): Promise<void> {
  install.group(name, YAML);
  await install.change(name, YAML);
  await talk.known(`admin-${name}`, 'admin', name);
  await talk.wire(name, name);
}

/** Bob has the agent ask; resolves with what it was told. */
async function ask(chat: string, wish: object, who = 'bob'): Promise<string> {
  const from = (await talk.sent(chat)).length;
  await talk.say(chat, who, `want ${JSON.stringify(wish)}`);
  return (await talk.hears(chat, /ok: |refused: /, from)).text;
}

async function card(chat: string, id: string) {
  const { text, buttons } = await talk.hears(chat, new RegExp(`^${id}: the agent`));
  return { text, token: (label: string) => buttons!.find((one) => one.label === label)!.token };
}

const idOf = (told: string): string => /"id":"(h\d+)"/.exec(told)?.[1] ?? assert.fail(told);
const yaml = (name: string): string => readFileSync(install.paths.group(name).yaml, 'utf8');
const capabilities = async (name: string): Promise<string[]> =>
  (await talk.call<GroupShown>('group_show', { group: name })).capabilities.map(({ words }) => words);
const state = async (id: string): Promise<string> => {
  const { state, reason } = await talk.call<QuestionShown>('approval_show', { approval: id });
  return reason === '' ? state : `${state}: ${reason}`;
};
const becomes = (id: string, what: string): Promise<void> =>
  until(`${id} is ${what}`, async () => assert.equal(await state(id), what));

test('a program is granted by the admin of the group: shown, applied, and used in a new sandbox that is told of it', async () => {
  await group('one');
  const told = await ask('one', { reason: 'to know\nthe time', mcp: [{ name: 'clock', command: ['date', '-u'] }] });
  const id = idOf(told);
  const { text, token } = await card('dm-admin-one', id);
  assert.match(text, /asks for more, while it answers in one/);
  assert.match(text, /\| to know\n\| the time\n/);
  assert.match(text, /\| gains MCP server clock: "date" "-u"\n/);
  assert.doesNotMatch(yaml('one'), /clock/, 'nothing is done before');
  await talk.press('dm-admin-one', 'admin-one', token('Approve'));
  await talk.hears('dm-admin-one', new RegExp(`^${id} is in force`));
  const note = await talk.hears('one', /You said: \[Your request/);
  assert.match(note.text, new RegExp(`${id} was approved and is in force: gains MCP server clock`));
  assert.ok((await capabilities('one')).includes('MCP server clock: "date" "-u"'));
  assert.match(yaml('one'), /^# Of the operator\.\nharness: probe\n/);
  assert.equal(await state(id), 'done');
  assert.equal(talk.events('authority.applied').at(-1)!['by'], 'admin-one');
  const session = talk.count(
    `SELECT max(session_id) AS n FROM inbound i JOIN messages m ON m.id = i.message_id WHERE m.platform_id = '${id}'`,
  );
  const renewed = talk.count(
    `SELECT count(*) AS n FROM events WHERE session_id = ${session} AND kind = 'sandbox.ended' AND data LIKE '%its authority changed%'`,
  );
  assert.equal(renewed, 1);
});

test('what reaches out of the sandbox is not the admin of the group’s to give', async () => {
  await group('two');
  const source = join(folder, 'notes');
  const id = idOf(await ask('two', { reason: 'to read them', mounts: [{ source }] }));
  const { token, text } = await card('dm-ada', id);
  assert.match(text, new RegExp(`\\| gains read ${source} at /mnt/notes`));
  const code = /approve ([0-9a-f]{4})/.exec(text)![1]!;
  await talk.say('dm-admin-two', 'admin-two', `approve ${code}`);
  await talk.hears('dm-admin-two', /^Only an admin or an owner decides/);
  await talk.press('dm-ada', 'bob', token('Approve'));
  assert.equal(await state(id), 'pending');
  await talk.press('dm-ada', 'ada', token('Approve'));
  await becomes(id, 'done');
  assert.ok((await capabilities('two')).includes(`read ${source} at /mnt/notes`));
});

test('a denial changes nothing, the agent hears of it with its next turn, and the same is not asked for again', async () => {
  await group('three');
  const wish = { reason: 'to send', secrets: ['mail'] };
  const id = idOf(await ask('three', wish));
  assert.match(await ask('three', wish), new RegExp(`"${id}"`), 'while it waits it is the same request');
  const { token } = await card('dm-ada', id);
  await talk.press('dm-ada', 'ada', token('Deny'));
  await becomes(id, 'denied');
  await talk.say('three', 'bob', 'and now');
  await talk.hears('three', new RegExp(`notice: Your request ${id} was denied\\.`));
  assert.equal(yaml('three'), YAML);
  assert.match(await ask('three', wish), /refused: a request that was refused before/);
  await talk.press('dm-ada', 'ada', token('Approve'));
  await talk.hears('dm-ada', new RegExp(`^${id} does not wait any more`));
  assert.equal(yaml('three'), YAML);
});

test('a file that was changed meanwhile is left as it is, and the agent hears that nothing was done', async () => {
  await group('four');
  const id = idOf(await ask('four', { reason: 'to see', mcp: [{ name: 'clock', command: ['date'] }] }));
  const { token } = await card('dm-admin-four', id);
  const edited = `${YAML}tools: [send_message]\n`;
  install.group('four', edited);
  await talk.press('dm-admin-four', 'admin-four', token('Approve'));
  await talk.hears(
    'four',
    new RegExp(`You said: \\[Your request ${id} was approved, and could not be done: .*has been changed`),
  );
  await becomes(id, 'expired: groups/four/group.yaml has been changed since it was shown');
  assert.equal(yaml('four'), edited);
  assert.match(await ask('four', { reason: 'more', secrets: ['a'] }), /refused: the operator is changing/);
});

test('what was foreseen from an authority that is not in force any more is not granted, though the file is as it was', async () => {
  await group('four-b');
  const id = idOf(await ask('four-b', { reason: 'to see', mcp: [{ name: 'clock', command: ['date'] }] }));
  const { token } = await card('dm-admin-four-b', id);
  await install.change('four-b', `${YAML}tools: [send_message]\n`);
  install.group('four-b', YAML);
  await talk.press('dm-admin-four-b', 'admin-four-b', token('Approve'));
  await becomes(id, 'expired: groups/four-b/group.yaml has been changed since it was shown');
  assert.equal(yaml('four-b'), YAML);
  assert.ok((await capabilities('four-b')).every((words) => !words.includes('clock')));
});

test('an agent cannot ask in a turn in which somebody without a role speaks', async () => {
  await group('five');
  await talk.policy('five', 'public');
  assert.match(await ask('five', { reason: 'x', secrets: ['a'] }, 'stranger'), /refused: only for people with a role/);
});

test('of folders of the host it learns nothing; what it asks for is judged as if the operator had written it', async () => {
  await group('six');
  const mount = (source: string) => ask('six', { reason: 'x', mounts: [{ source }] });
  const told = [await mount('/root/.ssh'), await mount('/nowhere/at/all'), await mount(install.paths.home)];
  assert.deepEqual(
    new Set(told.map((one) => one.replace(/^[\s\S]*refused: /, ''))),
    new Set(['that cannot be asked for']),
  );
  const reasons = talk.events('authority.refused').map(({ group }) => group);
  assert.equal(reasons.filter((name) => name === 'six').length, 3, 'each is on record');
  assert.match(
    await ask('six', { reason: 'x', egress: [{ name: 'a', host: 'a.example.com', use: 'nobody', allow: ['GET /'] }] }),
    /refused: egress\.a\.use: the secret nobody is not in secrets/,
  );
  assert.match(
    await ask('six', { reason: 'x'.repeat(400), apt: [], egress: [wide('a'), wide('b')] }),
    /more than a person reads/,
  );
  assert.match(await ask('six', { reason: 'x' }), /refused: .*asks for nothing/);
  assert.match(await ask('six', { text: 'everything' }), /refused: reason/);
  assert.equal(yaml('six'), YAML);
  for (let asked = 6; asked < WISHES_PER_HOUR_MAX; asked += 1) await ask('six', { reason: 'x' });
  assert.match(await ask('six', { reason: 'x', secrets: ['a'] }), /refused: too many requests/);
});

function wide(name: string) {
  return {
    name,
    host: `${name}.example.com`,
    allow: Array.from({ length: 20 }, (_, i) => `GET /a/rather/long/path/${name}/${i}`),
  };
}

test('only a few requests of a group wait at once, and a host that was killed still shows and does them', async () => {
  await group('seven');
  const ids: string[] = [];
  for (let i = 0; i < WISHES_PENDING_MAX; i += 1)
    ids.push(idOf(await ask('seven', { reason: 'x', mcp: [{ name: `server-${i}`, command: ['true'] }] })));
  assert.match(await ask('seven', { reason: 'x', secrets: ['more'] }), /refused: 3 requests wait already/);
  const { token } = await card('dm-admin-seven', ids[0]!);
  await install.end('host', 'SIGKILL');
  install.spawn('host');
  await install.ready();
  await talk.press('dm-admin-seven', 'admin-seven', token('Approve'));
  await becomes(ids[0]!, 'done');
  assert.ok((await capabilities('seven')).includes('MCP server server-0: "true"'));
  // The others were foreseen from what was in force before.
  await talk.press('dm-admin-seven', 'admin-seven', (await card('dm-admin-seven', ids[1]!)).token('Approve'));
  await becomes(ids[1]!, 'expired: groups/seven/group.yaml has been changed since it was shown');
});
