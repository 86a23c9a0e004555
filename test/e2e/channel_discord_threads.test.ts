import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ChannelKind } from '../../src/channels/kind.ts';
import { DiscordAccount, discordGateway } from '../fakes/discord/account.ts';
import { refusal } from '../fakes/discord/rest.ts';
import { BOT, BOT_ROLE, type FakeChannel, GROUP, GUILD, PERSON, THREAD } from '../fakes/discord/world.ts';
import { type ChannelUnderTest, refusalOf, Scene } from '../kits/channel_scene.ts';

/** A mention in a channel of Discord's is answered in a thread of its own, where there can be one. */

const BOARD = '1000000000000000300';
const POST = '1000000000000000301';
const LACKS = refusal(403, 50013, 'Missing Permissions');

function of(scene: Scene): DiscordAccount {
  assert.ok(scene.account instanceof DiscordAccount);
  return scene.account;
}

/** Somebody calls us in the channel, and the host has it. */
async function called(scene: Scene, text = 'what is the weather?'): Promise<string> {
  const id = await of(scene).people.say({ place: 'group', from: 'person', text, mention: true });
  await scene.until('it comes in', () => scene.sink.messages.some(({ platform_id }) => platform_id === id));
  return id;
}

function threadOf(scene: Scene, id: string): string {
  return scene.sink.messages.find(({ platform_id }) => platform_id === id)!.thread;
}

/** Threads that were asked for. */
function begun(scene: Scene): string[] {
  return of(scene).discord.calls.flatMap(({ path }) => /messages\/(\d+)\/threads$/.exec(path)?.[1] ?? []);
}

function placesOf(scene: Scene): [chat: string, thread: string, quotes: string | null][] {
  return scene.account.sent().map(({ chat, thread, quotes }) => [chat, thread, quotes]);
}

function answer(thread: string, reply_to: string | null = thread) {
  return { chat: GROUP, thread, reply_to };
}

test('a mention has a thread of its own, which the first send makes, and what is said there goes on in it', async () => {
  await using scene = await Scene.of(discordGateway);
  const { discord } = of(scene);
  const id = await called(scene, `what   is the weather in ${'very '.repeat(30)}far places?\nAnd tomorrow?`);
  assert.equal(threadOf(scene, id), id);
  assert.deepEqual(begun(scene), [], 'nobody has answered yet');
  await scene.sent('group', 'sunny', answer(id));
  await scene.sent('group', 'all day', answer(id));
  assert.deepEqual(begun(scene), [id], 'one thread');
  const thread = discord.world.channels.get(id)!;
  assert.equal(thread.name!.length, 60);
  assert.match(thread.name!, /^what is the weather in very very/);
  assert.deepEqual(placesOf(scene), [
    [GROUP, id, null],
    [GROUP, id, null],
  ]);
  const next = discord.world.add({ channel_id: id, author: PERSON, content: 'and tomorrow?' });
  discord.announce('MESSAGE_CREATE', next);
  await scene.until('the next', () => scene.sink.messages.length === 2);
  const [, said] = scene.sink.messages;
  assert.deepEqual([said!.chat.platform_id, said!.thread, said!.addressed], [GROUP, id, false]);
  await scene.sent('group', 'rain', answer(id, next.id));
  assert.deepEqual(placesOf(scene).at(-1), [GROUP, id, next.id]);
});

test('a thread is named by who answers where nothing was said', async () => {
  await using scene = await Scene.of(discordGateway);
  const id = await called(scene, '');
  await scene.sent('group', 'yes?', answer(id));
  assert.equal(of(scene).discord.world.channels.get(id)!.name, BOT.username);
});

test('a mention elsewhere, an answer to us, a command and what is said to nobody begin no thread', async () => {
  await using scene = await Scene.of(discordGateway);
  const account = of(scene);
  const { people, discord } = account;
  const ours = await scene.sent('group', 'said by us');
  const voice = '1000000000000000200';
  discord.world.channels.set(voice, { id: voice, type: 2, guild_id: GUILD, name: 'voice', last_message_id: null });
  const mention = { from: 'person', mention: true } as const;
  await people.say({ ...mention, place: 'direct', text: 'direct' });
  await people.say({ ...mention, place: 'thread', text: 'in a thread' });
  await people.say({ ...mention, place: 'group', text: 'to what was said', reply_to: ours });
  await people.say({ ...mention, place: 'group', text: '/why' });
  await people.say({ place: 'group', from: 'person', text: 'to nobody' });
  const content = `<@${BOT.id}> in a voice channel`;
  discord.announce(
    'MESSAGE_CREATE',
    discord.world.add({ channel_id: voice, author: PERSON, content, mentions: [BOT] }),
  );
  account.interact('group', 'person', { type: 2, data: { type: 1, name: 'why' } });
  await scene.until('all of them', () => scene.sink.messages.length === 7);
  assert.deepEqual(
    scene.sink.messages.filter(({ thread }) => thread !== '').map(({ text, thread }) => [text, thread]),
    [['in a thread', THREAD]],
  );
});

test('our role calls us too; with `threads: false` the channel is answered', async () => {
  await using scene = await Scene.of(discordGateway);
  const { discord } = of(scene);
  const role = { channel_id: GROUP, author: PERSON, content: `<@&${BOT_ROLE}> hello`, mention_roles: [BOT_ROLE] };
  const { id } = discord.world.add(role);
  discord.announce('MESSAGE_CREATE', discord.world.find(id)!);
  await scene.until('it comes in', () => scene.sink.messages.length === 1);
  assert.equal(threadOf(scene, id), id);
  await using other = await Scene.of(withSettings({ threads: false }));
  const quiet = await called(other);
  assert.equal(threadOf(other, quiet), '');
});

test('a thread that is there already is the one', async () => {
  await using scene = await Scene.of(discordGateway);
  const { discord } = of(scene);
  const id = await called(scene);
  // Nobody has told us of it.
  const more = { type: 11, guild_id: GUILD, parent_id: GROUP, last_message_id: null };
  discord.world.channels.set(id, { id, name: 'theirs', ...more });
  await scene.sent('group', 'sunny', answer(id));
  await scene.sent('group', 'all day', answer(id));
  assert.deepEqual(begun(scene), [id]);
  const other = String(BigInt(id) + 1n);
  discord.world.channels.set(other, { id: other, name: 'an old one, of no message', ...more });
  discord.noThreads = LACKS;
  await scene.sent('group', 'a task is done', answer(other, null));
  const next = await called(scene, 'once more');
  discord.world.channels.set(next, { id: next, name: 'theirs', ...more });
  await scene.sent('group', 'rain', answer(next));
  assert.deepEqual(placesOf(scene), [
    [GROUP, id, null],
    [GROUP, id, null],
    [GROUP, other, null],
    [GROUP, next, null],
  ]);
  const asked = discord.calls.filter(({ path }) => path === `/channels/${id}`);
  assert.deepEqual(asked, [], 'that it is there was said');
});

test('where the bot may make no threads it answers in the channel, and until that changes mentions there have none', async () => {
  await using scene = await Scene.of(discordGateway);
  const { discord } = of(scene);
  discord.noThreads = LACKS;
  const id = await called(scene);
  const message = await scene.sent('group', 'sunny', answer(id));
  await scene.sent('group', 'all day', answer(id, null));
  assert.deepEqual(begun(scene), [id], 'tried once');
  assert.deepEqual(placesOf(scene), [
    [GROUP, '', id],
    [GROUP, '', null],
  ]);
  const change = { chat: GROUP, thread: id, message, key: 'edited' };
  assert.deepEqual(await scene.channel.edit!({ ...change, body: 'cloudy' }), { ok: true, receipt: message });
  await scene.channel.typing!(GROUP, id);
  assert.deepEqual(scene.account.typing(), [{ chat: GROUP, thread: '' }]);
  assert.equal(threadOf(scene, await called(scene, 'once more')), '');
  const role = { guild_id: GUILD, role: { id: BOT_ROLE, tags: { bot_id: BOT.id } } };
  for (const [event, data] of [
    ['GUILD_ROLE_UPDATE', role],
    ['CHANNEL_UPDATE', discord.world.channels.get(GROUP)],
  ] as const) {
    discord.gateway.emit(event, data);
    const allowed = await called(scene, 'and now?');
    assert.equal(threadOf(scene, allowed), allowed);
    await scene.sent('group', 'sunny', answer(allowed));
    assert.equal(threadOf(scene, await called(scene, 'once more')), '');
  }
});

test('after a restart too what is said to a mention without a thread stands in the channel', async () => {
  await using scene = await Scene.of(discordGateway);
  const { discord } = of(scene);
  discord.noThreads = LACKS;
  const id = await called(scene);
  const message = await scene.sent('group', 'sunny', answer(id));
  await scene.restart('stops');
  const change = { chat: GROUP, thread: id, message, key: 'edited' };
  assert.deepEqual(await scene.channel.edit!({ ...change, body: 'cloudy' }), { ok: true, receipt: message });
  discord.threadFaults.look = 'broken';
  assert.equal(refusalOf(await scene.send('group', 'a task is done', answer(id, null))).class, 'retryable');
  await scene.sent('group', 'a task is done', answer(id, null));
  assert.deepEqual(placesOf(scene).at(-1), [GROUP, '', null]);
});

test('an answer to a mention that is gone is said in the channel; the next one has a thread again', async () => {
  await using scene = await Scene.of(discordGateway);
  const id = await called(scene);
  await of(scene).people.remove('group', 'person', id);
  await scene.sent('group', 'sunny', answer(id));
  assert.deepEqual(placesOf(scene), [[GROUP, '', null]]);
  const next = await called(scene, 'once more');
  assert.equal(threadOf(scene, next), next);
});

test('what belongs into a thread that we do not see comes into no channel', async () => {
  await using scene = await Scene.of(discordGateway);
  const hidden = '1000000000000000400';
  for (const noThreads of [null, LACKS]) {
    of(scene).discord.noThreads = noThreads;
    assert.equal(refusalOf(await scene.send('group', 'secret', answer(hidden, null))).class, 'gone');
  }
  assert.deepEqual(scene.account.sent(), []);
});

test('what was only begun and not answered is begun again, and is one thread and one message', async () => {
  await using scene = await Scene.of(discordGateway);
  const { discord } = of(scene);
  const id = await called(scene);
  const key = 'the answer';
  for (const fault of ['broken', 'cut'] as const) {
    discord.threadFaults.begin = fault;
    assert.equal(refusalOf(await scene.send('group', 'sunny', { ...answer(id), key })).class, 'retryable');
  }
  // The host dies here, before it has heard of the thread by another way.
  await scene.restart('dies');
  const operation = { ...answer(id), body: 'sunny', kind: 'reply', file: null, key } as const;
  assert.deepEqual(await scene.channel.reconcile!(operation), { found: false });
  const receipt = await scene.sent('group', 'sunny', { ...answer(id), key });
  assert.deepEqual(placesOf(scene), [[GROUP, id, null]]);
  assert.deepEqual(await scene.channel.reconcile!(operation), { found: true, receipt });
  assert.equal(await scene.sent('group', 'sunny', { ...answer(id), key }), receipt, 'the nonce is of the thread');
});

test('before its thread is there a mention is shown that we are busy, and reacted to, where it stands', async () => {
  await using scene = await Scene.of(discordGateway);
  const { discord } = of(scene);
  const id = await called(scene);
  const react = { ...answer(id), message: id, emoji: '👍' };
  await scene.channel.typing!(GROUP, id);
  assert.deepEqual(await scene.channel.react!(react), { ok: true, receipt: id });
  await scene.sent('group', 'sunny', answer(id));
  await scene.channel.typing!(GROUP, id);
  assert.deepEqual(await scene.channel.react!({ ...react, emoji: '🎉' }), { ok: true, receipt: id });
  assert.deepEqual(scene.account.typing(), [
    { chat: GROUP, thread: '' },
    { chat: GROUP, thread: id },
  ]);
  assert.deepEqual(
    discord.world.reactions.map(({ channel }) => channel),
    [GROUP, GROUP],
  );
});

test('the first message of a board’s post stands in its thread, and is quoted there', async () => {
  const board: FakeChannel = { id: BOARD, type: 15, guild_id: GUILD, name: 'board', last_message_id: null };
  const post = { type: 11, guild_id: GUILD, parent_id: BOARD, name: 'a post', last_message_id: null };
  await using scene = await Scene.of(
    withWorld(({ world }) => void world.channels.set(BOARD, board).set(POST, { id: POST, ...post })),
  );
  const { discord } = of(scene);
  const first = discord.world.add({
    id: POST,
    channel_id: POST,
    author: PERSON,
    content: `<@${BOT.id}>`,
    mentions: [BOT],
  });
  discord.announce('MESSAGE_CREATE', first);
  await scene.until('it comes in', () => scene.sink.messages.length === 1);
  const where = { chat: BOARD, thread: POST };
  await scene.sent('group', 'sunny', { ...where, reply_to: POST });
  assert.deepEqual(placesOf(scene), [[BOARD, POST, POST]]);
  assert.deepEqual(await scene.channel.react!({ ...where, message: POST, emoji: '👍' }), { ok: true, receipt: POST });
  assert.deepEqual(begun(scene), []);
});

test('what was said in a thread while the host was down comes in, and its mention has its thread', async () => {
  await using scene = await Scene.of(discordGateway);
  const { discord, people } = of(scene);
  const id = await called(scene);
  await scene.sent('group', 'sunny', answer(id));
  await scene.halt();
  discord.world.add({ channel_id: id, author: PERSON, content: 'and tomorrow?' });
  const missed = await people.say({ place: 'group', from: 'person', text: 'another one', mention: true });
  await scene.open();
  await scene.until('both', () => scene.sink.messages.length === 3);
  const threads = new Map(scene.sink.messages.map(({ text, thread }) => [text, thread]));
  assert.equal(threads.get('and tomorrow?'), id);
  assert.equal(threads.get('another one'), missed);
});

function withWorld(change: (discord: DiscordAccount['discord']) => void): ChannelUnderTest {
  return {
    ...discordGateway,
    start: async () => {
      const account = await DiscordAccount.start();
      change(account.discord);
      return account;
    },
  };
}

function withSettings(more: Parameters<ChannelKind['capabilities']>[0]): ChannelUnderTest {
  return {
    ...discordGateway,
    start: async () => {
      const account = await DiscordAccount.start();
      const { parts } = account;
      const given = { ...parts, settings: { ...parts.settings, ...more } };
      return Object.defineProperty(account, 'parts', { get: () => given });
    },
  };
}
