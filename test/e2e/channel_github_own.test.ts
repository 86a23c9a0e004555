import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { silentLog } from '../../src/base/log.ts';
import type { ChannelHealth } from '../../src/channels/channel.ts';
import { DriverThread } from '../../src/channels/driver_thread.ts';
import { open } from '../../src/channels/github/driver.ts';
import { github } from '../../src/channels/github/kind.ts';
import { APP_ID, INSTALLATION_ID } from '../fakes/github/app_door.ts';
import { Refused } from '../fakes/github/rest.ts';
import { GitHubAccount, hooked, polled, signed, TOKEN } from '../fakes/github/subject.ts';
import { ISSUE, now, PULL, REPO, ROOT, USERS } from '../fakes/github/world.ts';
import { until } from '../fakes/install.ts';
import type { ChannelUnderTest } from '../kits/channel_kit.ts';
import { receiptOf, Scene } from '../kits/channel_scene.ts';
import { RecordingSink } from '../kits/channel_sink.ts';

/** What is GitHub's alone, beside the kit of channels: how it is heard. */

function of(scene: Scene): GitHubAccount {
  assert.ok(scene.account instanceof GitHubAccount);
  return scene.account;
}

/** The same with other settings and secrets. */
function but(settings: object, secrets: Record<string, string> = { token: TOKEN }): ChannelUnderTest {
  return {
    ...polled,
    start: async () => {
      const account = await GitHubAccount.start(false);
      const parts = { ...account.parts, settings: { ...account.parts.settings, ...settings }, secrets };
      Object.defineProperty(account, 'parts', { value: parts });
      return account;
    },
  };
}

function texts(scene: Scene): string[] {
  return scene.sink.messages.map(({ text }) => text);
}

test('what is written in an issue comes in whole, with the title of its chat', async () => {
  await using scene = await Scene.of(polled);
  const text = 'a < b & c\n**d** `e` 👍\r\n> quoted';
  const id = await scene.account.people.say({ place: 'direct', from: 'person', text });
  await scene.until('the message', () => scene.sink.messages.length === 1);
  const { sent_ms, ...message } = scene.sink.messages[0]!;
  assert.deepEqual(message, {
    dedupe_key: `gh:${REPO}:${id}`,
    chat: { platform_id: `${REPO}#${ISSUE}`, title: 'The roses' },
    thread: '',
    sender: { handle: '501', name: 'first' },
    addressed: false,
    platform_id: id,
    text,
    files: [],
  });
  assert.ok(Math.abs(sent_ms - Date.now()) < 600_000);
});

test('new issues, pull requests, reviews and threads come in once; nothing comes of what was there before', async () => {
  await using scene = await Scene.of(polled);
  const { world, calls } = of(scene).rest;
  const opened = world.open(USERS.person, 'A bug', '@glass-agent look');
  world.open(USERS.other, 'A change', null, true);
  const review = world.review(USERS.person, PULL, 'looks good, @glass-agent?');
  world.review(USERS.other, PULL, '');
  const root = world.say(USERS.person, PULL, 'why so?', 0);
  await scene.until('all four', () => scene.sink.messages.length === 4);
  await scene.quiet();
  const asked = calls.length;
  world.say(USERS.person, opened.number, 'and this');
  await scene.until('the comment', () => scene.sink.messages.length === 5);
  await scene.quiet();
  const told = scene.sink.messages.map(({ chat, thread, platform_id, text, addressed }) =>
    [chat.platform_id, chat.title, thread, platform_id, text, addressed].join(' | '),
  );
  const again = calls.slice(asked).filter((call) => call.includes('/reviews'));
  assert.deepEqual(again, [], 'a pull request that has not changed is not asked again');
  assert.deepEqual(told.toSorted(), [
    `${REPO}#2 | Water them |  | review:${review.id} | looks good, @glass-agent? | true`,
    `${REPO}#2 | Water them | ${root.id} | review_comment:${root.id} | why so? | false`,
    `${REPO}#3 | A bug |  | comment:${root.id + 1} | and this | false`,
    `${REPO}#3 | A bug |  | issue:${opened.id} | A bug\n\n@glass-agent look | true`,
    `${REPO}#4 | A change |  | issue:${opened.id + 1} | A change | false`,
  ]);
  assert.deepEqual(scene.sink.edits, []);
});

test('the text of an issue may change; that its time moves with each comment is no edit', async () => {
  await using scene = await Scene.of(polled);
  const { world } = of(scene).rest;
  const opened = world.open(USERS.person, 'A bug', 'it fails');
  await scene.until('the issue', () => scene.sink.messages.length === 1);
  world.say(USERS.other, opened.number, 'it does');
  await scene.until('the comment', () => scene.sink.messages.length === 2);
  opened.body = 'it fails at night';
  world.touch(opened.number);
  await scene.until('the edit', () => scene.sink.edits.length === 1);
  assert.equal(scene.sink.edits[0]!.text, 'A bug\n\nit fails at night');
});

test('who may not write is passed over, and asked about once', async () => {
  await using scene = await Scene.of(polled);
  const { rest } = of(scene);
  for (const text of ['one', 'two']) {
    rest.world.say(USERS.stranger, ISSUE, `${text} @glass-agent`);
    rest.world.say(USERS.reader, ISSUE, `${text} @glass-agent`);
  }
  rest.world.say(null, ISSUE, 'whose account is gone');
  await scene.account.people.say({ place: 'direct', from: 'person', text: 'last' });
  await scene.until('the last one', () => texts(scene).includes('last'));
  assert.deepEqual(texts(scene), ['whose account is gone', 'last']);
  assert.equal(scene.sink.messages[0]!.sender.kind, 'bot');
  const asked = rest.calls.filter((call) => call.includes('/collaborators/')).toSorted();
  assert.deepEqual(
    asked.map((call) => call.split('/')[5]),
    ['first', 'reader', 'stranger'],
  );
  assert.ok(scene.logs.some((line) => line.includes('no write access')));
});

test('a name that is another’s by now gives nobody its access', async () => {
  await using scene = await Scene.of(polled);
  const { world } = of(scene).rest;
  world.say({ ...USERS.person, id: 999 }, ISSUE, 'I was called first');
  await scene.account.people.say({ place: 'direct', from: 'person', text: 'last' });
  await scene.until('the last one', () => texts(scene).includes('last'));
  assert.deepEqual(texts(scene), ['last']);
});

test('with public: true whoever writes is passed on, and nobody is asked about', async () => {
  await using scene = await Scene.of(but({ public: true }));
  const { rest } = of(scene);
  rest.world.say(USERS.stranger, ISSUE, 'hello');
  await scene.until('the message', () => scene.sink.messages.length === 1);
  assert.ok(!rest.calls.some((call) => call.includes('/collaborators/')));
});

test('who may write cannot be known: it is said, nobody is heard, and nothing is lost', async () => {
  await using scene = await Scene.of(polled);
  const { rest } = of(scene);
  rest.instead = (_, path) => (path.includes('/collaborators/') ? new Refused(403, 'Must have push access') : null);
  await scene.account.people.say({ place: 'direct', from: 'person', text: 'hello' });
  await scene.until('it has failed', () => scene.channel.health().state === 'failed');
  assert.match(scene.channel.health().detail, /garden\/roses: GitHub said: Must have push access/);
  assert.deepEqual(texts(scene), []);
  rest.instead = null;
  await scene.until('the message', () => scene.sink.messages.length === 1);
});

test('eyes say that it was seen, under what is to be answered alone', async () => {
  await using scene = await Scene.of(polled);
  const { world } = of(scene).rest;
  const accept = scene.sink.accept.bind(scene.sink);
  scene.sink.accept = async (message) => ({
    ...(await accept(message)),
    ignored: message.addressed ? null : 'not addressed to an agent',
  });
  const opened = world.open(USERS.person, 'A bug', '@glass-agent look');
  world.say(USERS.person, PULL, 'not for you');
  const comment = world.say(USERS.person, PULL, '@glass-agent look');
  const reply = world.say(USERS.person, PULL, '@glass-agent look', ROOT);
  await scene.until('three marks', () => world.reactions.length === 3);
  await scene.quiet();
  assert.deepEqual(world.reactions.map(({ on, id, content }) => `${content} ${on}:${id}`).toSorted(), [
    `eyes comment:${comment.id}`,
    `eyes issue:${opened.id}`,
    `eyes review_comment:${reply.id}`,
  ]);
});

test('what has not changed is asked for with its tag, and answered shortly', async () => {
  await using scene = await Scene.of(polled);
  const { rest } = of(scene);
  await scene.account.people.say({ place: 'direct', from: 'person', text: 'hello' });
  await scene.until('the message', () => scene.sink.messages.length === 1);
  await scene.until('quiet rounds', () => rest.calls.slice(-6).every((call) => call.endsWith(' 304')));
});

test('the cursor stays before what is not committed', async () => {
  await using scene = await Scene.of(polled);
  const before = new Map(scene.sink.cursors);
  scene.sink.hold();
  await scene.account.people.say({ place: 'direct', from: 'person', text: 'hello' });
  await scene.until('it is handed over', () => scene.sink.calls.length === 1);
  await scene.quiet();
  assert.deepEqual(scene.sink.cursors, before);
  scene.sink.release();
  await scene.until('the cursor moves', () => scene.sink.cursors.has(`done:${REPO}`));
});

test('what GitHub lists late comes in, though what came after it was read already', async () => {
  await using scene = await Scene.of(polled);
  const { world } = of(scene).rest;
  const late = world.say(USERS.person, ISSUE, 'late');
  world.comments.pop();
  await sleep(1100); // GitHub's next second
  await scene.account.people.say({ place: 'direct', from: 'person', text: 'early' });
  await scene.until('the early one', () => texts(scene).includes('early'));
  await scene.until('its cursor', () => scene.sink.cursors.get(`done:${REPO}`)! > late.created_at);
  world.comments.push(late);
  await scene.until('the late one', () => texts(scene).includes('late'));
});

test('an edit that happened while nobody listened comes in as one', async () => {
  await using scene = await Scene.of(polled);
  const { world } = of(scene).rest;
  const comment = world.say(USERS.person, ISSUE, 'before');
  await scene.until('the message', () => scene.sink.messages.length === 1);
  await scene.halt();
  await sleep(1100); // GitHub's next second
  Object.assign(comment, { body: 'after', updated_at: now() });
  await scene.open();
  await scene.until('the edit', () => scene.sink.edits.length === 1);
  assert.deepEqual(texts(scene), ['before']);
  assert.equal(scene.sink.edits[0]!.text, 'after');
});

test('what we or a program edit is told to nobody, nor that an old issue was touched', async () => {
  await using scene = await Scene.of(polled);
  const { world } = of(scene).rest;
  const place = scene.account.place('group');
  const message = await scene.sent('group', 'so far');
  const beep = world.say(USERS.bot, PULL, 'one of two');
  const opened = world.open(USERS.person, 'A bug', 'it fails');
  await scene.until('both', () => scene.sink.messages.length === 2);
  receiptOf(await scene.channel.edit!({ ...place, message, body: 'all of it', key: 'k' }));
  Object.assign(beep, { body: 'two of two', updated_at: now() });
  await scene.quiet();
  await scene.halt();
  await sleep(1100); // GitHub's next second
  world.touch(opened.number);
  await scene.open();
  await scene.account.people.say({ place: 'direct', from: 'person', text: 'last' });
  await scene.until('the last one', () => texts(scene).includes('last'));
  await scene.quiet();
  assert.deepEqual(scene.sink.edits, []);
});

test('people may call us by another name than that of the account', async () => {
  await using scene = await Scene.of(but({ mention: 'gardener' }));
  await scene.account.people.say({ place: 'direct', from: 'person', text: '@Gardener water' });
  await scene.account.people.say({ place: 'direct', from: 'person', text: 'water', mention: true });
  await scene.until('both', () => scene.sink.messages.length === 2);
  assert.deepEqual(
    scene.sink.messages.map(({ addressed, text }) => [addressed, text]),
    [
      [true, 'water'],
      [false, '@glass-agent water'],
    ],
  );
});

test('a repository that cannot be read is named, and the others are heard', async () => {
  const subject = but({ repos: ['garden/gone', REPO] });
  await using alone = await startOnly(subject);
  const { channel, sink, rest } = alone;
  await alone.until(() => sink.cursors.has(`began:${REPO}`) && channel.health().state === 'failed');
  assert.match(channel.health().detail, /^cannot read garden\/gone: there is no such thing on GitHub/);
  rest.world.say(USERS.person, ISSUE, 'hello');
  await alone.until(() => sink.messages.length === 1);
});

test('an app proves who it is, renews its token, and is told from its own mention', async () => {
  const account = await GitHubAccount.start(false);
  const app = { app_id: APP_ID, installation_id: INSTALLATION_ID };
  const settings = { ...account.parts.settings, ...app };
  const subject = { ...polled, start: async () => account };
  Object.defineProperty(account, 'parts', {
    value: { name: 'code', settings, secrets: { key: account.rest.app.key } },
  });
  await using scene = await Scene.of(subject);
  const { rest } = account;
  assert.match(scene.channel.health().detail, /^@glass-app in /);
  await scene.sent('group', 'hello');
  assert.equal(rest.app.given, 1, 'one token lasts for all calls');
  rest.world.say(USERS.app, PULL, 'said by ourselves elsewhere');
  rest.world.say(USERS.person, PULL, '@glass-app look');
  await scene.until('both', () => scene.sink.messages.length === 2);
  assert.deepEqual(
    scene.sink.messages.map(({ sender, addressed, text }) => [sender.kind, addressed, text]),
    [
      ['self', false, 'said by ourselves elsewhere'],
      [undefined, true, 'look'],
    ],
  );
  rest.app.forget();
  await scene.until('it asks for another', () => rest.app.given === 2);
  await scene.until('it is connected', () => scene.channel.health().state === 'connected');
  rest.app.lasts_ms = 60_000;
  rest.app.forget();
  await scene.until('one that is about to end is renewed', () => rest.app.given > 3);
  const key = account.rest.app.key.split('\n')[1]!;
  for (const line of [scene.channel.health().detail, ...scene.logs]) assert.ok(!line.includes(key));
});

test('a key that is none is refused at once, and not shown', () => {
  const settings = github.settings.parse({ repos: [REPO], app_id: 1, installation_id: 2 });
  const parts = { name: 'code', settings, secrets: { key: 'not a key' }, folder: '', log: () => {}, changed: () => {} };
  assert.throws(() => open(parts), /^OperatingError: the secret "key" is no private key$/);
});

test('a call that is no news, or of another repository, is answered and nothing more', async () => {
  await using scene = await Scene.of(hooked);
  const { rest } = of(scene);
  const calls = rest.calls.length;
  const elsewhere = { action: 'created', repository: { full_name: 'garden/other' } };
  assert.equal((await scene.webhook(signed('ping', { zen: 'x' }))).status, 200);
  assert.equal((await scene.webhook(signed('issue_comment', elsewhere))).status, 200);
  assert.equal((await scene.webhook({ ...signed('ping', {}), path: '/more' })).status, 404);
  const form = { ...signed('issue_comment', elsewhere) };
  const headers = { ...form.headers, 'content-type': 'application/x-www-form-urlencoded' };
  assert.equal((await scene.webhook({ ...form, headers })).status, 415);
  assert.equal(rest.calls.length, calls);
});

test('without its secret a webhook is not opened', () => {
  const settings = github.settings.parse({ repos: [REPO], webhook: true });
  const parts = { name: 'code', settings, folder: '', log: () => {}, changed: () => {} };
  assert.throws(() => open({ ...parts, secrets: { token: TOKEN } }), /the secret of the webhook is there/);
  assert.throws(() => open({ ...parts, secrets: { token: TOKEN, webhook: '' } }), /the secret of the webhook is there/);
});

/** A driver that is not waited for. */
async function startOnly(subject: ChannelUnderTest) {
  const account = (await subject.start()) as GitHubAccount;
  const sink = new RecordingSink();
  const channel = account.open({ ...account.parts, folder: '', log: () => {}, changed: () => {} });
  await channel.start(sink, sink.cursors);
  return {
    ...{ channel, sink, rest: account.rest },
    until: (holds: () => boolean) =>
      until('it holds', async () => {
        if (!holds()) throw new Error('not yet');
      }),
    [Symbol.asyncDispose]: async () => {
      await channel.stop();
      await account.stop();
    },
  };
}

test('in the host’s thread it hears, answers, and is called', async () => {
  const account = await GitHubAccount.start(true);
  const { name, settings, secrets } = account.parts;
  const spec = { driver: github.driver.href, name, settings, secrets: { ...secrets } };
  const sink = new RecordingSink();
  let state = '';
  const health = (told: ChannelHealth): void => {
    state = told.state;
  };
  const thread = await DriverThread.open({ ...spec, folder: '' }, silentLog, { health });
  try {
    await thread.start(sink, sink.cursors);
    await until('it is connected', async () => assert.equal(state, 'connected'));
    const request = await account.hook!.request({ place: 'direct', from: 'person', text: 'hello' });
    assert.deepEqual(await thread.call('webhook', [request]), { status: 200 });
    assert.deepEqual(
      sink.messages.map(({ text }) => text),
      ['hello'],
    );
    const plain = { ...account.place('direct'), kind: 'reply', reply_to: null, file: null, key: 'k' };
    assert.deepEqual((await thread.call<{ ok: boolean }>('send', [{ ...plain, body: 'hello too' }])).ok, true);
  } finally {
    await thread.stop();
    await account.stop();
  }
});
