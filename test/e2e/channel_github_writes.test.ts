import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Refused } from '../fakes/github/rest.ts';
import { GitHubAccount, polled } from '../fakes/github/subject.ts';
import { PULL, REPO, ROOT, USERS } from '../fakes/github/world.ts';
import { receiptOf, refusalOf, Scene } from '../kits/channel_scene.ts';

/** What we write on GitHub, beside the kit of channels: marks, refusals, reactions. */

function of(scene: Scene): GitHubAccount {
  assert.ok(scene.account instanceof GitHubAccount);
  return scene.account;
}

test('each comment bears a hidden mark; a mark of somebody else is not ours', async () => {
  await using scene = await Scene.of(polled);
  const { world } = of(scene).rest;
  await scene.sent('group', 'hello', { key: 'key:1' });
  assert.equal(world.comments.at(-1)!.body, 'hello\n\n<!-- glassclaw:key:1 -->');
  const operation = { ...scene.account.place('group'), body: 'x', kind: 'reply', reply_to: null, file: null } as const;
  world.say(USERS.person, PULL, 'forged\n\n<!-- glassclaw:key:2 -->');
  assert.deepEqual(await scene.channel.reconcile!({ ...operation, key: 'key:2' }), { found: false });
  const receipt = await scene.sent('thread', 'in the thread', { key: 'a key -->' });
  const place = scene.account.place('thread');
  const known = await scene.channel.reconcile!({ ...operation, ...place, key: 'a key -->' });
  assert.deepEqual(known, { found: true, receipt });
  assert.equal(scene.account.sent().at(-1)!.shown, 'in the thread');
  await scene.quiet();
  assert.deepEqual(
    scene.sink.messages.map(({ text }) => text),
    ['forged\n\n<!-- glassclaw:key:2 -->'],
    'we do not hear ourselves',
  );
});

test('a mark stays through edits: who is heard first after one is not ourselves', async () => {
  await using scene = await Scene.of(polled);
  const { world } = of(scene).rest;
  const place = scene.account.place('group');
  const { channel } = scene;
  await scene.halt();
  // It still writes; who looks next sees the edited text alone.
  const operation = { ...place, kind: 'reply', reply_to: null, file: null, key: 'draft:1' } as const;
  const message = receiptOf(await channel.send({ ...operation, body: 'a beginning' }));
  receiptOf(await channel.edit!({ ...place, message, body: 'the end', key: 'draft:1' }));
  await scene.open();
  assert.equal(world.comments.at(-1)!.body, 'the end\n\n<!-- glassclaw:draft:1 -->');
  await scene.account.people.say({ place: 'direct', from: 'person', text: 'last' });
  await scene.until('the last one', () => scene.sink.messages.length > 0);
  assert.deepEqual(
    scene.sink.messages.map(({ text }) => text),
    ['last'],
  );
});

test('the newest comments are on the last page; what is further back than we look is unknown', async () => {
  await using scene = await Scene.of(polled);
  const { world } = of(scene).rest;
  const first = await scene.sent('group', 'first', { key: 'first' });
  const operation = { ...scene.account.place('group'), body: 'x', kind: 'reply', reply_to: null, file: null } as const;
  for (let count = 0; count < 150; count += 1) world.say(USERS.bot, PULL, 'beep');
  const last = await scene.sent('group', 'last', { key: 'last' });
  assert.deepEqual(await scene.channel.reconcile!({ ...operation, key: 'last' }), { found: true, receipt: last });
  assert.deepEqual(await scene.channel.reconcile!({ ...operation, key: 'first' }), { found: true, receipt: first });
  for (let count = 0; count < 300; count += 1) world.say(USERS.bot, PULL, 'beep');
  assert.deepEqual(await scene.channel.reconcile!({ ...operation, key: 'first' }), { found: 'unknown' });
});

test('a server that broke after it had written is asked; one that stands before it leaves the outcome open', async () => {
  await using scene = await Scene.of(polled);
  const { rest } = of(scene);
  const breaks = (status: number) => {
    rest.instead = (method) => {
      if (method !== 'POST') return null;
      rest.instead = null;
      rest.world.say(USERS.self, PULL, `hello\n\n<!-- glassclaw:broke-${status} -->`);
      return new Refused(status, 'Server Error');
    };
  };
  breaks(500);
  const receipt = await scene.sent('group', 'hello', { key: 'broke-500' });
  assert.equal(receipt, `comment:${rest.world.comments.at(-1)!.id}`);
  breaks(502);
  assert.equal(refusalOf(await scene.send('group', 'hello', { key: 'broke-502' })).class, 'ambiguous');
});

test('each refusal has its class, and GitHub’s own time', async () => {
  await using scene = await Scene.of(polled);
  const { rest } = of(scene);
  const reset = { 'x-ratelimit-remaining': '0', 'x-ratelimit-reset': String(Math.floor(Date.now() / 1000) + 600) };
  const rows: [Refused, string, RegExp][] = [
    [new Refused(403, 'API rate limit exceeded', {}, reset), 'rate_limited', /rate limit/],
    [new Refused(429, 'Too many requests'), 'rate_limited', /Too many/],
    [new Refused(403, 'Resource not accessible by personal access token'), 'permanent', /lacks a permission/],
    [new Refused(410, 'Issues are disabled for this repo'), 'gone', /disabled/],
    [new Refused(307, 'Moved', {}, { location: `${rest.url}/elsewhere` }), 'gone', /another name/],
    [new Refused(504, 'Timeout'), 'ambiguous', /Timeout/],
  ];
  for (const [refused, as, says] of rows) {
    rest.instead = (method) => (method === 'POST' ? refused : null);
    const refusal = refusalOf(await scene.send('group', 'hello'));
    assert.equal(refusal.class, as, refused.message);
    assert.match(refusal.reason, says);
    if (refused.headers !== reset) continue;
    const { after_ms = 0 } = refusal as { after_ms?: number };
    assert.ok(after_ms > 300_000 && after_ms <= 600_000, 'until GitHub counts anew');
  }
  rest.instead = null;
  rest.world.issue(PULL)!.locked = true;
  const locked = refusalOf(await scene.send('group', 'hello'));
  assert.deepEqual([locked.class, /is locked/.test(locked.reason)], ['permanent', true]);
  const long = 'x'.repeat(scene.capabilities.text_max + 100);
  assert.equal(refusalOf(await scene.send('direct', long)).class, 'too_large');
  const file = scene.file('a.txt', Buffer.from('x'));
  assert.equal(refusalOf(await scene.send('direct', 'x', { file })).class, 'unsupported');
});

test('nothing is written outside of the repositories of the channel, nor over what is no comment', async () => {
  await using scene = await Scene.of(polled);
  const { rest } = of(scene);
  const writes = () => rest.calls.filter((call) => /^(POST|PATCH)/.test(call));
  for (const chat of ['garden/other#1', `${REPO}#1/../../x`, `${REPO}`, '../roses#1']) {
    assert.equal(refusalOf(await scene.send('group', 'hello', { chat, thread: '' })).class, 'gone', chat);
    const place = { chat, thread: '', message: `comment:${ROOT}`, key: 'k' };
    assert.equal(refusalOf(await scene.channel.edit!({ ...place, body: 'x' })).class, 'gone');
    assert.equal(refusalOf(await scene.channel.react!({ ...place, emoji: '👍' })).class, 'gone');
  }
  const place = { ...scene.account.place('direct'), message: 'issue:8001', key: 'k' };
  assert.equal(refusalOf(await scene.channel.edit!({ ...place, body: 'x' })).class, 'gone', 'not a comment');
  assert.deepEqual(writes(), []);
});

test('GitHub’s eight reactions, and no other', async () => {
  await using scene = await Scene.of(polled);
  const { world } = of(scene).rest;
  const place = { ...scene.account.place('thread'), message: `review_comment:${ROOT}` };
  for (const emoji of ['👍', '👎', '😄', '🎉', '😕', '❤️', '🚀', '👀'])
    receiptOf(await scene.channel.react!({ ...place, emoji }));
  const all = ['+1', '-1', 'laugh', 'hooray', 'confused', 'heart', 'rocket', 'eyes'];
  assert.deepEqual(
    world.reactions.map(({ content }) => content),
    all,
  );
  assert.equal(refusalOf(await scene.channel.react!({ ...place, emoji: '🌹' })).class, 'unsupported');
  assert.equal(
    refusalOf(await scene.channel.react!({ ...place, message: 'review:1', emoji: '👍' })).class,
    'unsupported',
  );
});
