import assert from 'node:assert/strict';
import { test } from 'node:test';
import { DiscordAccount, discordGateway } from '../fakes/discord/account.ts';
import { BOT_ROLE, DIRECT, type FakeChannel, GROUP, GUILD, OTHER, PERSON } from '../fakes/discord/world.ts';
import { until } from '../fakes/install.ts';
import { refusalOf, Scene } from '../kits/channel_scene.ts';
import { RecordingSink } from '../kits/channel_sink.ts';

/** What is Discord's alone, beside the kit of channels. */

function of(scene: Scene): DiscordAccount {
  assert.ok(scene.account instanceof DiscordAccount);
  return scene.account;
}

function texts(scene: Scene): string[] {
  return scene.sink.messages.map(({ text }) => text);
}

const PLAIN = { kind: 'reply', reply_to: null, file: null, thread: '' } as const;

test('a session is resumed at the first event that is not committed, and nothing is read again', async () => {
  await using scene = await Scene.of(discordGateway);
  const { discord, people } = of(scene);
  await people.say({ place: 'direct', from: 'person', text: 'one' });
  await scene.until('the first', () => scene.sink.messages.length === 1);
  scene.sink.hold();
  const held = await people.say({ place: 'direct', from: 'person', text: 'two' });
  await scene.until('the second is handed over', () => scene.sink.calls.length === 2);
  const { beats } = discord.gateway;
  await scene.until('it has beaten twice', () => discord.gateway.beats >= beats + 2);
  assert.equal(discord.gateway.acknowledged(held), false);
  discord.gateway.drop();
  await scene.until('it is resumed', () => discord.gateway.resumed === 1);
  assert.equal(discord.gateway.acknowledged(held), false, 'it was asked for once more');
  const beatsBefore = discord.gateway.beats;
  await scene.until('what is replayed has come', () => discord.gateway.beats > beatsBefore);
  scene.sink.release();
  await scene.until('it is committed', () => discord.gateway.acknowledged(held));
  assert.deepEqual(texts(scene), ['one', 'two']);
  assert.equal(scene.sink.calls.length, 2, 'what is being handed over is not handed over twice');
  assert.equal(discord.gateway.identified, 1);
  assert.deepEqual(
    discord.calls.filter(({ method, path }) => method === 'GET' && path.endsWith('/messages')),
    [],
  );
});

test('Discord asks for another connection: the session goes on there', async () => {
  await using scene = await Scene.of(discordGateway);
  const { discord, people } = of(scene);
  discord.gateway.say({ op: 7, d: null });
  await scene.until('it is resumed', () => discord.gateway.resumed === 1);
  await people.say({ place: 'direct', from: 'person', text: 'hello' });
  await scene.until('the message', () => scene.sink.messages.length === 1);
  assert.equal(discord.gateway.identified, 1);
});

test('a session that Discord ends is followed by a new one, and the history is read', async () => {
  await using scene = await Scene.of(discordGateway);
  const { discord, people } = of(scene);
  await people.say({ place: 'direct', from: 'person', text: 'one' });
  await scene.until('the first', () => scene.sink.messages.length === 1);
  discord.gateway.forget();
  await people.say({ place: 'direct', from: 'person', text: 'two' });
  discord.gateway.say({ op: 9, d: false });
  await scene.until('the second', () => scene.sink.messages.length === 2);
  assert.deepEqual(texts(scene), ['one', 'two']);
  assert.equal(discord.gateway.identified, 2);
});

test('what was missed is read page by page, in channels, threads and direct chats, and what comes meanwhile follows it', async () => {
  await using scene = await Scene.of(discordGateway);
  const { discord, people, place } = of(scene);
  const others = Array.from({ length: 8 }, (_, at): FakeChannel => {
    const id = String(BigInt(GROUP) + 1000n + BigInt(at));
    return { id, type: 0, guild_id: GUILD, name: `other-${at}`, last_message_id: null };
  });
  for (const channel of others) discord.world.channels.set(channel.id, channel);
  await people.say({ place: 'direct', from: 'person', text: 'before' });
  await scene.until('the first', () => scene.sink.messages.length === 1);
  await scene.halt();
  const missed = Array.from({ length: 230 }, (_, at) => `direct ${at}`);
  for (const text of missed) await people.say({ place: 'direct', from: 'person', text });
  await people.say({ place: 'thread', from: 'person', text: 'in a thread' });
  for (const { id } of others) discord.world.add({ channel_id: id, author: OTHER, content: `missed ${id}` });
  discord.gateway.afterReady = () => {
    for (const { id } of others) {
      const live = discord.world.add({ channel_id: id, author: OTHER, content: `live ${id}` });
      discord.announce('MESSAGE_CREATE', live);
    }
  };
  await scene.open();
  const count = 1 + missed.length + 1 + others.length * 2;
  await scene.until('all of it', () => scene.sink.messages.length >= count);
  const said = (chat: string) => scene.sink.messages.filter((each) => each.chat.platform_id === chat);
  assert.deepEqual(
    said(DIRECT).map(({ text }) => text),
    ['before', ...missed],
  );
  assert.deepEqual(
    said(GROUP).map(({ text, thread }) => [text, thread]),
    [['in a thread', place('thread').thread]],
  );
  for (const { id } of others)
    assert.deepEqual(
      said(id).map(({ text }) => text),
      [`missed ${id}`, `live ${id}`],
    );
});

test('what was said on a server before the bot was there is not read', async () => {
  await using scene = await Scene.of(discordGateway);
  const { discord, people } = of(scene);
  await people.say({ place: 'thread', from: 'person', text: 'of an earlier stay' });
  await scene.until('the first', () => scene.sink.messages.length === 1);
  await scene.halt();
  await people.say({ place: 'thread', from: 'person', text: 'among some' });
  await people.say({ place: 'group', from: 'person', text: 'among ourselves' });
  await new Promise((resolve) => setTimeout(resolve, 5)); // ids of another millisecond
  discord.joinedAt = new Date().toISOString();
  for (const place of ['thread', 'group'] as const) await people.say({ place, from: 'person', text: 'welcome' });
  await scene.open();
  await scene.until('both', () => scene.sink.messages.length >= 3);
  assert.deepEqual(texts(scene), ['of an earlier stay', 'welcome', 'welcome']);
});

test('an intent that is switched off is named, and once it is on the bot connects', async () => {
  await using scene = await Scene.of(discordGateway);
  const { discord } = of(scene);
  discord.gateway.forbidsContent = true;
  discord.gateway.forget();
  discord.gateway.say({ op: 9, d: false });
  await scene.until('it has failed', () => scene.channel.health().state === 'failed');
  assert.match(scene.channel.health().detail, /Message Content Intent/);
  discord.gateway.forbidsContent = false;
  await scene.until('it is connected', () => scene.channel.health().state === 'connected');
});

test('a token that the gateway refuses is said to be so, and asked about until it counts', async () => {
  await using scene = await Scene.of(discordGateway);
  const { discord } = of(scene);
  discord.gateway.isRevoked = true;
  discord.gateway.close(4004);
  await scene.until('it has failed', () => scene.channel.health().state === 'failed');
  assert.match(scene.channel.health().detail, /Reset Token/);
  discord.gateway.isRevoked = false;
  await scene.until('it is connected', () => scene.channel.health().state === 'connected');
});

test('a stop while a connection is being made leaves nothing behind', async () => {
  const account = await DiscordAccount.start();
  account.discord.hangs = true;
  const channel = account.open({ ...account.parts, folder: '', log: () => {}, changed: () => {} });
  await channel.start(new RecordingSink(), new Map());
  await until('it connects', async () => assert.equal(account.discord.hanging.length, 1));
  await channel.stop();
  // Sooner than the client gives up by itself.
  await until('the connection has ended', async () => assert.ok(account.discord.hanging[0]!.destroyed), 10_000);
  await account.stop();
});

test('no session begins when Discord allows none today, nor at an address that is not Discord’s', async () => {
  await using scene = await Scene.of(discordGateway);
  const { discord } = of(scene);
  const fails = async (says: RegExp): Promise<void> => {
    discord.gateway.forget();
    discord.gateway.say({ op: 9, d: false });
    await scene.until('it says why', () => says.test(scene.channel.health().detail));
    assert.equal(scene.channel.health().state, 'failed');
  };
  discord.sessionLimit.remaining = 0;
  await fails(/no more sessions today/);
  discord.sessionLimit.remaining = 1;
  await scene.until('it is connected', () => scene.channel.health().state === 'connected');
  discord.elsewhere = 'ws://localhost:9/gateway';
  await fails(/not its own/);
  assert.equal(discord.gateway.identified, 2);
});

test('a send that is repeated under its key is the same message', async () => {
  await using scene = await Scene.of(discordGateway);
  const first = await scene.sent('direct', 'hello', { key: 'same' });
  assert.equal(await scene.sent('direct', 'hello', { key: 'same' }), first);
  assert.notEqual(await scene.sent('direct', 'hello', { key: 'another' }), first);
  assert.equal(scene.account.sent().length, 2);
});

test('after a restart a lost send is looked for in the history, which shows no keys', async () => {
  await using scene = await Scene.of(discordGateway);
  await scene.sent('direct', 'hello', { key: 'lost' });
  await scene.restart('stops');
  const reconcile = (body: string) => scene.channel.reconcile!({ ...PLAIN, chat: DIRECT, body, key: 'lost' });
  assert.deepEqual(await reconcile('hello'), { found: 'unknown' }, 'it may be another that says the same');
  assert.deepEqual(await reconcile('never said'), { found: false });
  for (let at = 0; at < 300; at += 1) await of(scene).people.say({ place: 'direct', from: 'person', text: 'more' });
  assert.deepEqual(await reconcile('never said'), { found: 'unknown' }, 'there is more than is read');
});

test('the role that is ours addresses us, and no other', async () => {
  await using scene = await Scene.of(discordGateway);
  const { discord } = of(scene);
  for (const role of [BOT_ROLE, '1000000000000000999'])
    discord.announce(
      'MESSAGE_CREATE',
      discord.world.add({ channel_id: GROUP, author: PERSON, content: `<@&${role}> hello`, mention_roles: [role] }),
    );
  await scene.until('both', () => scene.sink.messages.length === 2);
  assert.deepEqual(
    scene.sink.messages.map(({ addressed, text }) => [addressed, text]),
    [
      [true, 'hello'],
      [false, '<@&1000000000000000999> hello'],
    ],
  );
});

test('a command of the menu is what a person would have typed, answered at once', async () => {
  await using scene = await Scene.of(discordGateway);
  const account = of(scene);
  scene.sink.hold();
  const data = { type: 1, name: 'why', options: [{ type: 3, name: 'text', value: 'the last one' }] };
  const id = account.interact('thread', 'person', { type: 2, data });
  await scene.until('it is answered', () => account.discord.answered.length === 1);
  assert.deepEqual(account.discord.answered, [{ id, type: 5 }]);
  assert.deepEqual(account.discord.followUps, []);
  scene.sink.failNext(1);
  scene.sink.release();
  await scene.until('what became of it is shown', () => account.discord.followUps.length === 1);
  const [message] = scene.sink.messages;
  assert.equal(message!.text, '/why the last one');
  assert.equal(message!.dedupe_key, `discord:${id}`);
  assert.equal(message!.addressed, true);
  assert.equal(message!.sender.handle, PERSON.id);
  assert.deepEqual(
    { chat: message!.chat.platform_id, thread: message!.thread },
    { chat: account.place('thread').chat, thread: account.place('thread').thread },
  );
});

test('what came of a press is shown to who pressed alone', async () => {
  await using scene = await Scene.of(discordGateway);
  const { discord, people } = of(scene);
  const receipt = await scene.sent('group', 'really?', { buttons: [{ token: 'yes', label: 'Yes' }] });
  await people.press('group', 'other', receipt, 'yes');
  await scene.until('it is shown', () => discord.followUps.length === 1);
  scene.sink.failNext(1);
  await people.press('group', 'other', receipt, 'yes');
  await scene.until('that it was not kept is shown', () => discord.followUps.length === 2);
  assert.deepEqual(
    discord.followUps.map(({ content, flags }) => [content, flags]),
    [
      ['Done.', 64],
      ['That could not be kept; press it once more.', 64],
    ],
  );
});

test('a bucket that is empty is not asked', async () => {
  await using scene = await Scene.of(discordGateway);
  const { discord } = of(scene);
  await scene.sent('direct', 'one');
  discord.remaining = 0;
  await scene.sent('direct', 'two');
  const { length } = discord.calls;
  const refusal = refusalOf(await scene.send('direct', 'three'));
  assert.equal(refusal.class, 'rate_limited');
  assert.ok(refusal.after_ms! > 0 && refusal.after_ms! <= 5000);
  assert.equal(discord.calls.length, length);
});

test('a card is an embed; what is too much for one is said by the text', async () => {
  await using scene = await Scene.of(discordGateway);
  const { discord } = of(scene);
  const card = { title: 'A *title*', text: 'says it', fields: [{ name: 'Cost', value: '1 @everyone' }] };
  await scene.sent('direct', 'in words', { card });
  const [embedded] = discord.world.messages;
  assert.equal(embedded!.content, '');
  assert.equal(embedded!.embeds[0]!.title, 'A \\*title\\*');
  assert.doesNotMatch(embedded!.embeds[0]!.fields![0]!.value, /@everyone/);
  const fields = Array.from({ length: 20 }, (_, at) => ({ name: `${at}`, value: '*'.repeat(300) }));
  await scene.sent('direct', 'in words', { card: { ...card, fields } });
  const said = discord.world.messages[1]!;
  assert.deepEqual([said.content, said.embeds], ['in words', []]);
});

test('no message of ours calls anybody, and a file from elsewhere is not fetched', async () => {
  await using scene = await Scene.of(discordGateway);
  const { discord } = of(scene);
  await scene.sent('group', `<@${PERSON.id}> @everyone`);
  assert.deepEqual(discord.allowed, [{ parse: [], replied_user: false }]);
  const url = `http://localhost:${new URL(discord.address).port}/attachments/1/1/x`;
  const attachments = [{ id: '1', filename: 'x.txt', size: 3, url }];
  const message = discord.world.add({ channel_id: DIRECT, author: PERSON, content: 'look', attachments });
  discord.announce('MESSAGE_CREATE', message);
  await scene.until('the message', () => scene.sink.messages.length === 1);
  assert.deepEqual(scene.sink.messages[0]!.files, []);
  assert.match(scene.sink.messages[0]!.text, /x\.txt.*not kept by Discord/);
});

test('a direct chat that we opened is read after a restart, though nobody has written there before', async () => {
  await using scene = await Scene.of(discordGateway);
  const { people } = of(scene);
  await scene.channel.openDm!(PERSON.id);
  await scene.halt();
  await people.say({ place: 'direct', from: 'person', text: 'late answer' });
  await scene.open();
  await scene.until('the message', () => scene.sink.messages.length === 1);
  assert.deepEqual(texts(scene), ['late answer']);
  assert.equal(await scene.channel.openDm!('nobody'), null);
});
