import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, truncateSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import type { Channel } from '../../src/channels/channel.ts';
import { INBOX_MAX } from '../../src/channels/whatsapp-linked/limits.ts';
import { until } from '../fakes/install.ts';
import { KEY, LinkedAccount, linkedDevice } from '../fakes/whatsapp_linked/account.ts';
import { WAProto } from '../fakes/whatsapp_linked/baileys.ts';
import { OTHER, PERSON } from '../fakes/whatsapp_linked/people.ts';
import { GROUP, NUMBER, OWN_LID } from '../fakes/whatsapp_linked/world.ts';
import { refusalOf, Scene } from '../kits/channel_scene.ts';
import { RecordingSink } from '../kits/channel_sink.ts';

/** What a linked device has and other channels do not: its inbox, WhatsApp's two names for each person, files that bear a seal. */

function of(scene: Scene): LinkedAccount {
  return scene.account as LinkedAccount;
}

test('what was decrypted and not committed is handed over at the next start, also without WhatsApp', async () => {
  await using scene = await Scene.of(linkedDevice);
  const account = of(scene);
  scene.sink.hold();
  await account.people.say({ place: 'direct', from: 'person', text: 'one' });
  await account.people.say({ place: 'group', from: 'other', text: 'two', mention: true });
  await scene.until('both are handed over', () => scene.sink.calls.length === 2);
  assert.deepEqual(account.world.waiting, [], 'WhatsApp has forgotten them');
  const before = scene.sink.calls.map(({ value }) => value.dedupe_key).sort();
  await scene.halt('dies');
  await account.faults.offline();
  const channel = account.open({ ...account.parts, folder: account.folder, log: () => {}, changed: () => {} });
  await channel.start(scene.sink, new Map());
  await scene.until('both come again', () => scene.sink.messages.length === 2);
  assert.deepEqual(scene.sink.messages.map(({ dedupe_key }) => dedupe_key).sort(), before);
  assert.equal(scene.sink.messages.find(({ text }) => text === 'two')!.addressed, true);
  await channel.stop();
});

test('what waits when the device is unlinked still comes in, under the name of that account', async () => {
  await using scene = await Scene.of(linkedDevice);
  const account = of(scene);
  scene.sink.hold();
  await account.people.say({ place: 'group', from: 'person', text: 'last words', mention: true });
  await scene.until('it is handed over', () => scene.sink.calls.length === 1);
  const { dedupe_key } = scene.sink.calls[0]!.value;
  account.faults.revoke();
  await scene.until('it has failed', () => scene.channel.health().state === 'failed');
  await scene.halt('dies');
  const channel = account.open({ ...account.parts, folder: account.folder, log: () => {}, changed: () => {} });
  await channel.start(scene.sink, new Map());
  await scene.until('it comes in', () => scene.sink.messages.length === 1);
  assert.equal(scene.sink.messages[0]!.dedupe_key, dedupe_key);
  assert.equal(scene.sink.messages[0]!.addressed, true);
  await channel.stop();
});

test('what Baileys had not told of when its connection ended comes in, once', async () => {
  await using scene = await Scene.of(linkedDevice);
  const { people, world, faults } = of(scene);
  world.isGathering = true;
  for (const text of ['one', 'two']) await people.say({ place: 'direct', from: 'person', text });
  await until('WhatsApp has forgotten them', async () => assert.deepEqual(world.waiting, []));
  await scene.quiet();
  assert.deepEqual(scene.sink.calls, []);
  world.isGathering = false;
  await faults.drop();
  await scene.until('both come in', () => scene.sink.messages.length === 2);
  await people.say({ place: 'direct', from: 'person', text: 'three' });
  await scene.until('the third', () => scene.sink.messages.length === 3);
  assert.deepEqual(
    scene.sink.calls.map(({ value }) => (value as { text: string }).text),
    ['one', 'two', 'three'],
  );
});

test('what says nothing fills no room, however much of it comes', async () => {
  await using scene = await Scene.of(linkedDevice);
  const { people, world, sockets } = of(scene);
  world.isGathering = true;
  for (let at = 0; at < INBOX_MAX + 20; at += 1)
    people.tell(
      'group',
      'person',
      at % 2 ? { senderKeyDistributionMessage: { groupId: GROUP } } : { reactionMessage: { text: 'x' } },
    );
  await until('all are read', async () => assert.deepEqual(world.waiting, []));
  assert.deepEqual(sockets.at(-1)!.parts.inbox.left(), []);
});

test('what cannot be opened is told in a sentence, and stays as it is', async () => {
  const account = new LinkedAccount();
  const file = join(account.folder, 'device.db');
  const open = (key: string): Channel =>
    account.open({ ...account.parts, secrets: { key }, folder: account.folder, log: () => {}, changed: () => {} });
  await assert.rejects(
    open('A'.repeat(43)).start(new RecordingSink(), new Map()),
    /does not open under its key in the vault: put/,
  );
  truncateSync(file, 5000);
  await assert.rejects(
    open(KEY).start(new RecordingSink(), new Map()),
    /is damaged .*remove the channel and link it anew/,
  );
  assert.equal(account.world.connections, 0);
  await account.stop();
});

test('WhatsApp is asked for no more than can wait here', async () => {
  await using scene = await Scene.of(linkedDevice);
  const account = of(scene);
  scene.sink.hold();
  for (let at = 0; at < INBOX_MAX + 20; at += 1)
    await account.people.say({ place: at % 2 ? 'group' : 'direct', from: 'person', text: `${at}` });
  await scene.quiet();
  assert.equal(account.world.waiting.length, 20);
  scene.sink.release();
  await scene.until('all come in', () => scene.sink.messages.length === INBOX_MAX + 20);
  assert.equal(account.sockets.at(-1)!.parts.inbox.left().length, 0);
});

test('what we say on our own phone is ours, in a direct chat and in a group', async () => {
  await using scene = await Scene.of(linkedDevice);
  const account = of(scene);
  const ids = [
    await account.people.say({ place: 'direct', from: 'self', text: 'from the phone' }),
    await account.people.say({ place: 'group', from: 'self', text: 'in the group', mention: true }),
  ];
  await scene.until('both come in', () => scene.sink.messages.length === 2);
  assert.deepEqual(
    scene.sink.messages.map(({ sender, chat, platform_id }) => [
      sender.kind,
      sender.handle,
      chat.platform_id,
      platform_id,
    ]),
    [
      ['self', NUMBER, PERSON, ids[0]],
      ['self', NUMBER, GROUP, ids[1]],
    ],
  );
  await scene.sent('direct', 'said here');
  await scene.quiet();
  assert.equal(scene.sink.messages.length, 2, 'what is said here does not come back');
});

test('a person is their number, under whichever name WhatsApp sends them', async () => {
  await using scene = await Scene.of(linkedDevice);
  const account = of(scene);
  const lid = '55566677788899@lid';
  const text = (words: string): WAProto.IMessage => ({ conversation: words });
  account.people.tell('direct', 'person', text('unknown'), { from: lid });
  await scene.until('the first one', () => scene.sink.messages.length === 1);
  account.people.tell('direct', 'person', text('said with it'), { from: lid, sender_pn: `${PERSON}@s.whatsapp.net` });
  account.sockets.at(-1)!.parts.keys.set({ 'lid-mapping': { [`${lid.replace('@lid', '')}_reverse`]: PERSON } });
  account.people.tell('direct', 'person', text('known by now'), { from: `${lid.replace('@', ':3@')}` });
  account.people.tell('group', 'person', text('in a group'), { participant: lid, addressing_mode: 'lid' });
  account.people.tell('direct', 'self', text('from our phone'), {
    from: OWN_LID,
    recipient: lid,
    sender_pn: `${NUMBER}@s.whatsapp.net`,
  });
  await scene.until('all come in', () => scene.sink.messages.length === 5);
  const by = new Map(scene.sink.messages.map((message) => [message.text, message]));
  assert.equal(by.get('unknown')!.sender.handle, lid);
  for (const words of ['said with it', 'known by now', 'in a group'])
    assert.equal(by.get(words)!.sender.handle, PERSON, words);
  assert.equal(by.get('known by now')!.chat.platform_id, PERSON);
  assert.equal(by.get('from our phone')!.chat.platform_id, PERSON, 'the chat is theirs, not ours');
  assert.equal(by.get('from our phone')!.sender.kind, 'self');
});

test('in a group a message is taken away by its author or an admin, and by nobody else', async () => {
  await using scene = await Scene.of(linkedDevice);
  const { people, world } = of(scene);
  const ours = await scene.sent('group', 'said by us');
  const theirs = await people.say({ place: 'group', from: 'person', text: 'said by them' });
  const { REVOKE } = WAProto.Message.ProtocolMessage.Type;
  const take = (from: 'person' | 'other', message: string, author: string): void => {
    const key = { id: message.slice(message.indexOf('/') + 1), fromMe: false, participant: `${author}@s.whatsapp.net` };
    people.tell('group', from, { protocolMessage: { type: REVOKE, key } });
  };
  take('other', theirs, PERSON);
  take('other', ours, NUMBER);
  take('person', theirs, PERSON);
  await scene.until('the author’s', () => scene.sink.deletions.length === 1);
  assert.equal(scene.sink.deletions[0]!.platform_id, theirs);
  assert.equal(scene.logs.filter((line) => line.includes('not_theirs')).length, 2);
  world.groups.get(GROUP)!.participants = [{ id: `${OTHER}@s.whatsapp.net`, admin: 'admin' }];
  await scene.restart('stops');
  take('other', ours, NUMBER);
  await scene.until('the admin’s', () => scene.sink.deletions.some(({ platform_id }) => platform_id === ours));
});

test('nobody edits what another wrote', async () => {
  await using scene = await Scene.of(linkedDevice);
  const { people } = of(scene);
  const theirs = await people.say({ place: 'group', from: 'person', text: 'said by them' });
  await people.edit('group', 'other', theirs, 'made of it');
  await scene.until('it comes in', () => scene.sink.edits.length === 1);
  assert.notEqual(scene.sink.edits[0]!.platform_id, theirs);
});

test('a file with another’s seal, or none, is left out', async () => {
  await using scene = await Scene.of(linkedDevice);
  const { people, world } = of(scene);
  for (const spoil of [
    (bytes: Buffer) => bytes.with(bytes.length - 1, bytes.at(-1)! ^ 1),
    (bytes: Buffer) => bytes.with(0, bytes[0]! ^ 1),
    (bytes: Buffer) => bytes.subarray(0, 5),
    () => Buffer.alloc(0),
  ]) {
    const kept = await world.keep('image', Buffer.from('a picture'));
    world.files.set(kept.url, Buffer.from(spoil(world.files.get(kept.url)!)));
    people.tell('direct', 'person', { imageMessage: { ...kept, caption: 'look' } });
  }
  await scene.until('all come in', () => scene.sink.messages.length === 4);
  for (const { text, files } of scene.sink.messages) {
    assert.deepEqual(files, []);
    assert.match(text, /^look\n\[the file "photo\.jpg" was left out: it is not what was sent\]$/);
  }
});

test('the same send has the same id, in this life and in the next', async () => {
  await using scene = await Scene.of(linkedDevice);
  const one = await scene.sent('direct', 'hello', { key: 'o12' });
  await scene.restart('stops');
  assert.equal(await scene.sent('direct', 'hello', { key: 'o12' }), one);
  assert.notEqual(await scene.sent('direct', 'hello', { key: 'o13' }), one);
  assert.match(one, /^me\/3EB0[0-9A-F]{18}$/);
});

test('an edit is another message each time, and of ours alone', async () => {
  await using scene = await Scene.of(linkedDevice);
  const message = await scene.sent('direct', 'one');
  const place = { chat: PERSON, thread: '', key: 'k' };
  const edit = (body: string, id = message) => scene.channel.edit!({ ...place, message: id, body });
  for (const body of ['two', 'one', 'two']) assert.equal((await edit(body)).ok, true);
  assert.equal(scene.account.sent()[0]!.shown, 'two');
  assert.equal(refusalOf(await edit('x', 'they/AC1')).class, 'gone');
  assert.equal(refusalOf(await edit('x', 'nothing')).class, 'gone');
});

test('a text that is too long for one message is refused before it is sent', async () => {
  await using scene = await Scene.of(linkedDevice);
  assert.equal(refusalOf(await scene.send('direct', 'x'.repeat(5000))).class, 'too_large');
  assert.deepEqual(scene.account.sent(), []);
});

test('a link in a text is not visited', async () => {
  await using scene = await Scene.of(linkedDevice);
  await scene.sent('direct', 'see http://127.0.0.1:1/ and https://example.org/');
  const { extendedTextMessage } = of(scene).world.posted[0]!.message;
  assert.equal(extendedTextMessage!.matchedText ?? '', '');
});

test('a picture goes out as one, and no copy of it lies in the folder of everybody', async () => {
  await using scene = await Scene.of(linkedDevice);
  const before = readdirSync(tmpdir());
  const png = Buffer.concat([Buffer.from('89504e470d0a1a0a', 'hex'), Buffer.alloc(5000, 9)]);
  const seen = new Set<string>();
  const watch = setInterval(() => {
    for (const name of readdirSync(tmpdir())) seen.add(name);
  }, 1);
  await scene.sent('direct', 'look', { file: scene.file('a.png', png) });
  clearInterval(watch);
  const [sent] = scene.account.sent();
  assert.ok(sent!.file!.data.equals(png));
  assert.ok(of(scene).world.posted[0]!.message.imageMessage);
  assert.deepEqual(
    [...seen].filter((name) => !before.includes(name) && name.endsWith('-original')),
    [],
  );
});

test('what the code for encryption prints goes nowhere', async () => {
  const driver = new URL('../../src/channels/whatsapp-linked/driver.ts', import.meta.url).href;
  const program = `
    const { open } = await import(${JSON.stringify(driver)});
    open({ name: 'wa', settings: {}, folder: '/nowhere', secrets: { key: '' }, log() {}, changed() {} });
    for (const level of ['log', 'info', 'warn', 'error', 'debug']) console[level]('a private key');`;
  const { stdout, stderr } = spawnSync(process.execPath, ['--input-type=module', '-e', program], { encoding: 'utf8' });
  assert.deepEqual([stdout, stderr], ['', '']);
});

test('what is kept goes with the folder, and nothing lies beside it', async () => {
  await using scene = await Scene.of(linkedDevice);
  await scene.channel.stop();
  assert.ok(existsSync(of(scene).folder));
  assert.deepEqual(readdirSync(of(scene).folder), ['device.db']);
});
