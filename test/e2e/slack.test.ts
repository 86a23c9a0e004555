import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { SendOperation } from '../../src/channels/channel.ts';
import { type SlackAccount, slackEvents, slackSocket } from '../fakes/slack/account.ts';
import { pressRequest, signed } from '../fakes/slack/hook.ts';
import { SCOPES } from '../fakes/slack/web_api.ts';
import { DIRECT, GROUP, PERSON } from '../fakes/slack/workspace.ts';
import { refusalOf, Scene } from '../kits/channel_scene.ts';

/** What is Slack's own, besides the kit. */
async function over(mode: 'socket' | 'events'): Promise<{ scene: Scene; account: SlackAccount }> {
  const scene = await Scene.of(mode === 'socket' ? slackSocket : slackEvents);
  return { scene, account: scene.account as SlackAccount };
}

const textsOf = (scene: Scene): string[] => scene.sink.messages.map(({ text }) => text);

test('answers in threads are missed by nobody: those of threads that began before, too', async () => {
  const { scene, account } = await over('socket');
  await using _ = scene;
  await account.people.say({ place: 'group', from: 'person', text: 'before', mention: true });
  await scene.until('the first message', () => scene.sink.messages.length === 1);
  await scene.halt();
  await account.people.say({ place: 'thread', from: 'person', text: 'in an old thread' });
  await account.people.say({ place: 'group', from: 'person', text: 'beside it' });
  await account.people.say({ place: 'thread', from: 'person', text: 'in it again' });
  await scene.open();
  await scene.until('all of them', () => scene.sink.messages.length === 4);
  assert.deepEqual(textsOf(scene), ['before', 'in an old thread', 'beside it', 'in it again']);
});

test('a chat that is new since the last connection is read, and what was said before the first one is not', async () => {
  const { scene, account } = await over('socket');
  await using _ = scene;
  await scene.halt();
  await account.people.say({ place: 'direct', from: 'person', text: 'while away' });
  await scene.open();
  await scene.until('it', () => scene.sink.messages.length === 1);
  assert.deepEqual(textsOf(scene), ['while away']);
});

test('the history is read page after page, waiting where Slack says so', async () => {
  const { scene, account } = await over('socket');
  await using _ = scene;
  await account.people.say({ place: 'direct', from: 'person', text: 'before' });
  await scene.until('the first message', () => scene.sink.messages.length === 1);
  await scene.halt();
  for (let number = 0; number < 1500; number += 1)
    await account.people.say({ place: 'direct', from: 'person', text: `number ${number}` });
  account.slack.answers.set('conversations.history', [{ ok: false, error: 'ratelimited' }]);
  await scene.open();
  await scene.until('all of them', () => scene.sink.messages.length === 1501);
  assert.deepEqual(
    textsOf(scene).slice(1),
    Array.from({ length: 1500 }, (_, at) => `number ${at}`),
  );
});

test('a history that could not be read is read again, and no cursor passes it', async () => {
  const { scene, account } = await over('socket');
  await using _ = scene;
  await account.people.say({ place: 'direct', from: 'person', text: 'before' });
  await scene.until('the first message', () => scene.sink.cursors.has(DIRECT));
  await scene.halt();
  const cursor = scene.sink.cursors.get(DIRECT);
  await account.people.say({ place: 'direct', from: 'person', text: 'meanwhile' });
  account.slack.answers.set('conversations.history', [500, 500]);
  await scene.open();
  await account.people.say({ place: 'direct', from: 'person', text: 'now' });
  await scene.until('what is new', () => textsOf(scene).includes('now'));
  if (!textsOf(scene).includes('meanwhile')) assert.equal(scene.sink.cursors.get(DIRECT), cursor);
  await scene.until('what was missed', () => textsOf(scene).includes('meanwhile'));
  assert.equal(scene.sink.messages.length, 3);
});

test('a send whose outcome was lost is found by its key, in a thread too', async () => {
  const { scene, account } = await over('socket');
  await using _ = scene;
  account.faults.next('cut');
  assert.equal(refusalOf(await scene.send('thread', 'hello', { key: 'lost' })).class, 'ambiguous');
  const operation: SendOperation = {
    ...{ ...account.place('thread'), body: 'hello', kind: 'reply', reply_to: null, file: null, key: 'lost' },
  };
  const [sent] = account.sent();
  assert.deepEqual(await scene.channel.reconcile!(operation), { found: true, receipt: sent!.receipt });
  assert.deepEqual(await scene.channel.reconcile!({ ...operation, key: 'other' }), { found: false });
  // The same words under another key are another message.
  await scene.sent('thread', 'hello', { key: 'second' });
  assert.deepEqual(await scene.channel.reconcile!({ ...operation, key: 'third' }), { found: false });
  const file = scene.file('a.txt', Buffer.from('a'));
  assert.deepEqual(await scene.channel.reconcile!({ ...operation, file }), { found: 'unknown' });
});

test('without the scope to see keys nothing is said to be missing', async () => {
  const { scene, account } = await over('socket');
  await using _ = scene;
  await scene.halt();
  account.slack.scopes = SCOPES.filter((scope) => scope !== 'metadata.message:read');
  scene.channel = account.open({ ...account.parts, folder: '', log: () => {}, changed: () => {} });
  await scene.channel.start(scene.sink, scene.sink.cursors);
  await scene.until('the channel has failed', () => scene.channel.health().state === 'failed');
  assert.match(scene.channel.health().detail, /metadata\.message:read/);
  const operation = { chat: DIRECT, thread: '', body: 'x', kind: 'reply', reply_to: null, file: null } as const;
  assert.deepEqual(await scene.channel.reconcile!({ ...operation, key: 'x' }), { found: 'unknown' });
});

test('after an error of Slack’s own the message is looked for before anybody sends it again', async () => {
  const { scene, account } = await over('socket');
  await using _ = scene;
  const { workspace, answers } = account.slack;
  answers.set('chat.postMessage', [{ ok: false, error: 'fatal_error' }]);
  assert.equal(refusalOf(await scene.send('direct', 'hello', { key: 'one' })).class, 'retryable');
  answers.set('chat.postMessage', [{ ok: false, error: 'fatal_error' }]);
  const metadata = { event_type: 'glassclaw', event_payload: { key: 'two' } };
  const { ts } = workspace.add({ channel: DIRECT, user: account.handle('self'), text: 'hello', metadata });
  assert.equal(await scene.sent('direct', 'hello', { key: 'two' }), ts);
  answers.set('chat.postMessage', [500]);
  answers.set('conversations.history', [500]);
  assert.equal(refusalOf(await scene.send('direct', 'hello', { key: 'three' })).class, 'ambiguous');
});

test('a message of ours calls nobody, opens no address, and bears its key', async () => {
  const { scene, account } = await over('socket');
  await using _ = scene;
  await scene.sent('thread', 'see https://example.com', { key: 'k' });
  const { args } = account.slack.calls.find(({ method }) => method === 'chat.postMessage')!;
  assert.equal(args['unfurl_links'], 'false');
  assert.equal(args['unfurl_media'], 'false');
  assert.equal(args['parse'], 'none');
  assert.equal(args['thread_ts'], account.place('thread').thread);
  assert.deepEqual(args['metadata'], { event_type: 'glassclaw', event_payload: { key: 'k' } });
});

test('what came of a press is shown to who pressed alone, and that it could not be kept, too', async () => {
  const { scene, account } = await over('socket');
  await using _ = scene;
  const receipt = await scene.sent('thread', 'really?', { buttons: [{ token: 'yes', label: 'Yes' }] });
  await account.people.press('thread', 'person', receipt, 'yes');
  await scene.until('the answer', () => account.slack.ephemeral.length === 1);
  assert.deepEqual(account.slack.ephemeral[0], { channel: GROUP, user: PERSON, text: 'Done.' });
  assert.equal(scene.sink.presses[0]!.thread, account.place('thread').thread);
  scene.sink.failNext(1);
  await account.people.press('thread', 'person', receipt, 'yes');
  await scene.until('the answer', () => account.slack.ephemeral.length === 2);
  assert.match(account.slack.ephemeral[1]!.text, /once more/);
});

test('a socket that Slack renews is followed by the next one, and one is left', async () => {
  const { scene, account } = await over('socket');
  await using _ = scene;
  for (let time = 1; time <= 3; time += 1) {
    account.slack.sockets.refresh();
    await account.people.say({ place: 'direct', from: 'person', text: `number ${time}` });
    await scene.until('it came', () => scene.sink.messages.length === time);
    await scene.until(
      'the next socket',
      () => account.slack.sockets.opened === time + 1 && account.slack.sockets.count === 1,
    );
    assert.equal(scene.channel.health().state, 'connected');
  }
});

test('that Socket Mode was turned off, and that the app’s token is wrong, is said', async () => {
  const { scene, account } = await over('socket');
  await using _ = scene;
  account.slack.sockets.say({ type: 'disconnect', reason: 'link_disabled' });
  await scene.until('the channel has failed', () => scene.channel.health().state === 'failed');
  assert.match(scene.channel.health().detail, /Socket Mode is off/);
  await scene.channel.stop();
  const secrets = { ...account.parts.secrets, app: 'xapp-wrong-token' };
  scene.channel = account.open({ ...account.parts, secrets, folder: '', log: () => {}, changed: () => {} });
  await scene.channel.start(scene.sink, new Map());
  await scene.until('the channel has failed', () => scene.channel.health().state === 'failed');
  assert.match(scene.channel.health().detail, /token is not valid/);
  assert.ok(!scene.channel.health().detail.includes('xapp-'));
});

test('what is no envelope, and an envelope without its event, end nothing', async () => {
  const { scene, account } = await over('socket');
  await using _ = scene;
  account.slack.sockets.say({ type: 'events_api', envelope_id: 'x', payload: {} });
  account.slack.sockets.say({ type: 'events_api', envelope_id: 'y' });
  account.slack.sockets.say(['z']);
  await account.people.say({ place: 'direct', from: 'person', text: 'hello' });
  await scene.until('it came', () => scene.sink.messages.length === 1);
  assert.equal(scene.logs.filter((line) => line.includes('slack.unreadable')).length, 3);
});

test('what is said in another workspace is not ours', async () => {
  const { scene, account } = await over('socket');
  await using _ = scene;
  const event = { type: 'message', channel: DIRECT, user: PERSON, text: 'elsewhere', ts: '1700000000.000001' };
  const authorizations = [{ team_id: 'T0ELSEWHERE' }];
  account.slack.sockets.bring('events_api', event.ts, { team_id: 'T0ELSEWHERE', authorizations, event });
  await scene.until('it is acknowledged', () => account.acknowledged(event.ts));
  assert.deepEqual(scene.sink.calls, []);
});

test('a file that the app may not read is left out, and the text says why', async () => {
  const { scene, account } = await over('socket');
  await using _ = scene;
  account.slack.scopes = SCOPES.filter((scope) => scope !== 'files:read');
  const files = [{ name: 'a.txt', data: Buffer.from('a') }];
  await account.people.say({ place: 'direct', from: 'person', text: 'look', files });
  await scene.until('it came', () => scene.sink.messages.length === 1);
  assert.deepEqual(scene.sink.messages[0]!.files, []);
  assert.match(scene.sink.messages[0]!.text, /"a\.txt" was left out: the app may not read files/);
});

test('over HTTP the address proves itself, and nothing else is answered without a signature', async () => {
  const { scene, account } = await over('events');
  await using _ = scene;
  const challenge = { type: 'url_verification', challenge: 'prove it' };
  assert.deepEqual(await scene.webhook(signed(challenge)), { status: 200, body: 'prove it' });
  assert.equal((await scene.webhook(signed(challenge, undefined, 'e'.repeat(32)))).status, 401);
  assert.equal((await scene.webhook({ ...signed(challenge), method: 'GET' })).status, 405);
  const press = pressRequest(account.slack.press(DIRECT, '1.000001', PERSON, 'yes'));
  assert.equal((await scene.webhook({ ...press, body: Buffer.from(`${press.body}&x=1`) })).status, 401);
  assert.deepEqual(scene.sink.calls, []);
  assert.equal(scene.channel.webhook !== undefined, true);
});

test('over a socket there is nothing to call, and without a signing secret nobody is believed', async () => {
  const { scene, account } = await over('socket');
  await using _ = scene;
  assert.equal(scene.channel.webhook, undefined);
  const settings = { ...account.parts.settings, mode: 'events' };
  const bare = account.open({ ...account.parts, settings, folder: '', log: () => {}, changed: () => {} });
  const { status } = await bare.webhook!(signed({ type: 'url_verification', challenge: 'x' }, undefined, ''));
  assert.equal(status, 401);
});
