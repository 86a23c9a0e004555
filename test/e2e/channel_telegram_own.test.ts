import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { telegram } from '../../src/channels/telegram/kind.ts';
import { BOT } from '../fakes/telegram/bot_api.ts';
import { CHATS, DIRECT, GROUP } from '../fakes/telegram/people.ts';
import { hooked, polled, TelegramAccount, TOKEN } from '../fakes/telegram/subject.ts';
import { receiptOf, refusalOf, Scene } from '../kits/channel_scene.ts';

/** What is Telegram's alone, beside the kit of channels. */

function of(scene: Scene): TelegramAccount {
  assert.ok(scene.account instanceof TelegramAccount);
  return scene.account;
}

/** The beginning of a picture, and so much of it. */
function png(bytes: number): Buffer {
  return Buffer.concat([Buffer.from('\x89PNG\r\n\x1a\n', 'latin1'), Buffer.alloc(bytes, 7)]);
}

test('an update is confirmed once, after its commit; numbers that begin anew lower are not taken for old ones', async () => {
  await using scene = await Scene.of(polled);
  const { api, people } = of(scene);
  const say = (text: string): Promise<string> => people.say({ place: 'direct', from: 'person', text });
  const first = await say('one');
  await scene.until('it is confirmed', () => people.acknowledged(first));
  assert.deepEqual(api.offsets, [700_001]);
  api.updates.renumber(5000);
  await say('two');
  await scene.until('the second', () => scene.sink.messages.length === 2);
  await scene.until('it is confirmed', () => api.offsets.length === 2);
  assert.deepEqual(api.offsets, [700_001, 5001]);
});

test('a commit that fails confirms what stands before it, and nothing behind it', async () => {
  await using scene = await Scene.of(polled);
  const { api, people } = of(scene);
  scene.sink.hold();
  const said: string[] = [];
  for (const text of ['one', 'two', 'three']) said.push(await people.say({ place: 'direct', from: 'person', text }));
  await scene.until('the first is handed over', () => scene.sink.calls.length === 1);
  const accept = scene.sink.accept.bind(scene.sink);
  let fails = true;
  scene.sink.accept = async (message) => {
    if (message.text !== 'two' || !fails) return accept(message);
    fails = false;
    throw new Error('nothing was kept');
  };
  scene.sink.release();
  await scene.until('all are confirmed', () => said.every((each) => people.acknowledged(each)));
  assert.deepEqual(
    scene.sink.messages.map(({ text }) => text),
    ['one', 'two', 'three'],
  );
  assert.ok(api.offsets[0]! < 700_003, 'the one that failed was not confirmed');
});

test('a group that becomes a supergroup stays the chat that it was, also for the next host', async () => {
  await using scene = await Scene.of(polled);
  const { api } = of(scene);
  const [old, moved] = [-77, -1_001_000_077];
  api.chats[moved] = { id: moved, type: 'supergroup', title: 'Kitchen' };
  api.migrated.set(old, moved);
  const place = { chat: String(old), thread: '' };
  const receipt = await scene.sent('group', 'hello', place);
  assert.deepEqual(
    api.messages.map(({ chat, text }) => [chat, text]),
    [[moved, 'hello']],
  );
  await scene.restart('stops');
  const from = { id: 1002, is_bot: false, first_name: 'Second' };
  const message = { message_id: 5, from, chat: api.chats[moved], date: 1, text: 'from there' };
  api.updates.add('message', message);
  await scene.until('the message', () => scene.sink.messages.length === 1);
  assert.equal(scene.sink.messages[0]!.chat.platform_id, String(old));
  // What was said before the move has a number of the old chat: it is not quoted as another message.
  await scene.sent('group', 'again', { ...place, reply_to: `${old}:${receipt.split(':')[1]}` });
  assert.equal(api.messages.at(-1)!.reply_to, null);
  await scene.sent('group', 'and again', { ...place, reply_to: receipt });
  assert.equal(`${moved}:${api.messages.at(-1)!.reply_to}`, receipt);
});

test('the move of a group is learned from what Telegram says in it', async () => {
  await using scene = await Scene.of(polled);
  const { api } = of(scene);
  const from = { id: 1002, is_bot: false, first_name: 'Second' };
  const chat = { id: -1_001_000_078, type: 'supergroup', title: 'Kitchen' };
  api.updates.add('message', { message_id: 1, from, chat, date: 1, migrate_from_chat_id: -78 });
  api.updates.add('message', { message_id: 2, from, chat, date: 1, text: 'from there' });
  await scene.until('the message', () => scene.sink.messages.length === 1);
  assert.equal(scene.sink.messages[0]!.chat.platform_id, '-78');
  assert.equal(scene.sink.cursors.get('moved:-1001000078'), '-78');
});

test('a second program on the token is not forgotten between two of its polls', async () => {
  await using scene = await Scene.of(polled);
  const { api } = of(scene);
  await scene.account.faults.secondPoller(true);
  await scene.until('the channel has failed', () => scene.channel.health().state === 'failed');
  const [changes, calls] = [scene.changes, api.calls.length];
  await scene.until('it was asked twice more', () => api.calls.length === calls + 2);
  await scene.quiet();
  assert.equal(scene.changes, changes, 'the channel was well in between');
});

test('a file whose size nobody has told is left out as soon as it is too large', async () => {
  await using scene = await Scene.of(polled);
  const { api } = of(scene);
  api.files.set('huge', Buffer.alloc(9 * 1024 * 1024, 1));
  const from = { id: DIRECT, is_bot: false, first_name: 'First' };
  const document = { file_id: 'huge', file_unique_id: 'huge', file_name: 'huge.bin' };
  api.updates.add('message', { message_id: 1, from, chat: CHATS[DIRECT], date: 1, document });
  await scene.until('the message', () => scene.sink.messages.length === 1);
  assert.deepEqual(scene.sink.messages[0]!.files, []);
  assert.match(scene.sink.messages[0]!.text, /^\[the file huge\.bin was left out: it is larger than/);
});

test('a picture is shown as one; what Telegram does not take as one is sent as a file', async () => {
  await using scene = await Scene.of(polled);
  const { api } = of(scene);
  const [large, small] = [png(500), png(5)];
  await scene.sent('direct', 'large', { file: scene.file('large.png', large) });
  await scene.sent('direct', 'small', { file: scene.file('a "small"; one.png', small) });
  assert.deepEqual(
    api.messages.map(({ file }) => [file!.method, file!.name]),
    [
      ['sendPhoto', 'large.png'],
      ['sendDocument', 'a _small__ one.png'],
    ],
  );
  assert.ok(api.messages[1]!.file!.data.equals(small));
});

test('a long text whose file failed is not said again with the file', async () => {
  await using scene = await Scene.of(polled);
  const { api } = of(scene);
  const more = { file: scene.file('a.bin', Buffer.from('abc')), key: 'same' };
  const text = 'word '.repeat(400).trim();
  api.faults.push(null, 'broken');
  const refusal = refusalOf(await scene.send('direct', text, more));
  assert.equal(refusal.class, 'retryable');
  await scene.sent('direct', text, more);
  assert.deepEqual(
    api.messages.map((each) => [each.text, each.file?.name]),
    [
      [text, undefined],
      ['', 'a.bin'],
    ],
  );
});

test('who presses is shown the outcome, if it comes soon', async () => {
  await using scene = await Scene.of(polled);
  const { api, people } = of(scene);
  const receipt = await scene.sent('direct', 'really?', { buttons: [{ token: 'a', label: 'Yes' }] });
  await people.press('direct', 'person', receipt, 'a');
  await scene.until('the press is answered', () => api.answered.size === 1);
  assert.deepEqual([...api.answered.values()], ['Done.']);
});

test('a heart is a reaction as Telegram writes it; what is no reaction there is said to be none', async () => {
  await using scene = await Scene.of(polled);
  const { people } = of(scene);
  const message = await people.say({ place: 'direct', from: 'person', text: 'hello' });
  const react = (emoji: string) => scene.channel.react!({ ...scene.account.place('direct'), message, emoji });
  receiptOf(await react('❤️'));
  assert.equal(refusalOf(await react('🥔')).class, 'unsupported');
  assert.deepEqual(scene.account.reactions(), [{ message, emoji: '❤' }]);
});

test('nobody who never pressed Start can be written to', async () => {
  await using scene = await Scene.of(polled);
  assert.equal(await scene.channel.openDm!('999'), null);
  assert.equal(await scene.channel.openDm!('chat-100'), null);
});

test('a webhook that somebody left is removed, and the log says so', async () => {
  const account = await TelegramAccount.start(false);
  account.api.updates.hook({ url: 'https://old.example', secret: '', deliver: async () => 500 });
  await using scene = await Scene.of({ ...polled, start: async () => account });
  assert.match(scene.logs.join('\n'), /telegram\.webhook_removed/);
  await account.people.say({ place: 'direct', from: 'person', text: 'hello' });
  await scene.until('the message', () => scene.sink.messages.length === 1);
});

test('a webhook that another program has taken is said to be so, and set again', async () => {
  await using scene = await Scene.of(hooked);
  const { api, people } = of(scene);
  const ours = api.updates.info as { url: string };
  api.updates.hook({ url: 'https://elsewhere.example', secret: '', deliver: async () => 200 });
  await scene.until('it is said', () => scene.channel.health().state === 'failed');
  assert.match(scene.channel.health().detail, /^another program has taken the webhook of this bot away/);
  await scene.until('it is well again', () => scene.channel.health().state === 'connected');
  assert.equal((api.updates.info as { url: string }).url, ours.url);
  await people.say({ place: 'direct', from: 'person', text: 'hello' });
  await scene.until('the message', () => scene.sink.messages.length === 1);
});

test('a webhook that Telegram cannot reach is said to be so until an update comes', async () => {
  await using scene = await Scene.of(hooked);
  const { api, people } = of(scene);
  const { deliver } = api;
  api.deliver = async () => 502;
  await people.say({ place: 'direct', from: 'person', text: 'hello' });
  await scene.until('it has failed', () => scene.channel.health().state === 'failed');
  const { detail } = scene.channel.health();
  assert.match(
    detail,
    /^what is said waits at Telegram \(1\), which .*: Wrong response from the webhook: 502 Bad Gateway$/,
  );
  // By now the next look is four seconds away: the update itself is to say that it is over.
  await sleep(3500);
  api.deliver = deliver;
  const restored = performance.now();
  await scene.until('it is well again', () => scene.channel.health().state === 'connected');
  assert.ok(performance.now() - restored < 2500);
  assert.equal(scene.sink.messages.length, 1);
});

test('over a webhook too a token that counts no more is found, with nobody sending anything', async () => {
  await using scene = await Scene.of(hooked);
  of(scene).api.isRevoked = true;
  await scene.until('it has failed', () => scene.channel.health().state === 'failed');
  assert.match(scene.channel.health().detail, /^Telegram does not know this token/);
});

test('a webhook answers nobody but Telegram, and only while the driver runs', async () => {
  await using scene = await Scene.of(hooked);
  const good = await scene.account.hook!.request({ place: 'direct', from: 'person', text: 'hello' });
  assert.equal((await scene.webhook({ ...good, method: 'GET' })).status, 404);
  assert.equal((await scene.webhook({ ...good, path: '/more' })).status, 404);
  assert.equal((await scene.webhook({ ...good, body: Buffer.from('{') })).status, 400);
  await scene.channel.stop();
  assert.equal((await scene.webhook(good)).status, 503);
  assert.deepEqual(scene.sink.calls, []);
});

test('a token is in no text of a failure, whatever fails', async () => {
  await using scene = await Scene.of(polled);
  await scene.account.faults.offline();
  await scene.quiet();
  const said: string[] = [];
  const rejected = (work: Promise<unknown>): Promise<unknown> =>
    assert.rejects(work, (error: Error) => said.push(String(error.stack), JSON.stringify(error)) > 0);
  const place = scene.account.place('direct');
  await rejected(scene.channel.typing!(place.chat, ''));
  await rejected(scene.channel.menu!([]));
  await rejected(scene.channel.openDm!('1001'));
  said.push(refusalOf(await scene.send('direct', 'hello')).reason);
  said.push(refusalOf(await scene.channel.edit!({ ...place, message: '1001:1', body: 'x', key: 'k' })).reason);
  await scene.until('the channel has failed', () => scene.channel.health().state === 'failed');
  said.push(scene.channel.health().detail, ...scene.logs);
  for (const text of said) assert.ok(!text.includes(TOKEN), text.replace(TOKEN, '…'));
  assert.match(scene.channel.health().detail, /\(ECONN\w+\)/);
});

test('a token that counts again is noticed', async () => {
  await using scene = await Scene.of(polled);
  const { api } = of(scene);
  api.isRevoked = true;
  api.drop();
  await scene.until('the channel has failed', () => /does not know this token/.test(scene.channel.health().detail));
  api.isRevoked = false;
  await scene.until('it is connected', () => scene.channel.health().state === 'connected');
  assert.equal(scene.channel.health().detail, `@${BOT.username}`);
});

test('an address for a pairing is there once the bot knows its name', async () => {
  const account = await TelegramAccount.start(false);
  const channel = account.open({ ...account.parts, folder: '', log: () => {}, changed: () => {} });
  assert.equal(channel.deepLink!('AB12'), null);
  await using scene = await Scene.of({ ...polled, start: async () => account });
  assert.equal(scene.channel.deepLink!('AB12'), `https://t.me/${BOT.username}?start=AB12`);
});

test('an address of the settings is one that a token may be sent to', () => {
  const accepts = (given: object): boolean => telegram.settings.safeParse(given).success;
  for (const api of ['https://bots.example', 'http://127.0.0.1:1234', 'http://localhost:1', 'http://[::1]:80/'])
    assert.ok(accepts({ api }), api);
  for (const api of ['http://bots.example', 'http://127.0.0.1.example', 'http://a@127.0.0.1', 'ftp://x', 'https://x/y'])
    assert.ok(!accepts({ api }), api);
  assert.ok(accepts({ webhook: 'https://glass.example/hooks/telegram' }));
  assert.ok(!accepts({ webhook: 'http://glass.example/hooks/telegram' }));
});

test('a topic that is gone, a text that is too long: each has its class', async () => {
  await using scene = await Scene.of(polled);
  assert.equal(refusalOf(await scene.send('direct', 'x'.repeat(5000))).class, 'too_large');
  assert.equal(refusalOf(await scene.send('direct', 'hello', { chat: '404' })).class, 'gone');
  const edit = { ...scene.account.place('group'), body: 'x', key: 'k' };
  assert.equal(refusalOf(await scene.channel.edit!({ ...edit, message: `${GROUP}:1` })).class, 'gone');
  assert.equal(refusalOf(await scene.channel.edit!({ ...edit, message: 'made up' })).class, 'gone');
});
