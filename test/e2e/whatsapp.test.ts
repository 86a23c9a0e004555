import assert from 'node:assert/strict';
import { test } from 'node:test';
import { DRIVER_CALLS_MAX } from '../../src/base/limits/channels.ts';
import { silentLog } from '../../src/base/log.ts';
import type { SendOperation, WebhookAnswer } from '../../src/channels/channel.ts';
import { DriverThread } from '../../src/channels/driver_thread.ts';
import { Refused } from '../fakes/whatsapp/graph.ts';
import { of, withTemplate } from '../fakes/whatsapp/own.ts';
import { type Change, messages, signed, statuses } from '../fakes/whatsapp/people.ts';
import { cloud, TOKEN, VERIFY, type WhatsappAccount } from '../fakes/whatsapp/subject.ts';
import { receiptOf, refusalOf, Scene } from '../kits/channel_scene.ts';

/** What is WhatsApp's own, besides the kit. */
const challenged = (query: Record<string, string>) => ({
  ...{ method: 'GET', path: '', headers: {}, body: Buffer.alloc(0) },
  query: new URLSearchParams(query).toString(),
});

const textsOf = (scene: Scene): string[] => scene.sink.messages.map(({ text }) => text);
const said = (account: WhatsappAccount, place: 'direct' | 'group', text: string) =>
  account.people.message({ place, from: 'person', text });
const png = (bytes: number): Buffer =>
  Buffer.concat([Buffer.from('\x89PNG\r\n\x1a\n', 'latin1'), Buffer.alloc(bytes, 7)]);

test('the address proves itself to who knows the word, and to nobody else', async () => {
  await using scene = await Scene.of(cloud);
  const asked = { 'hub.mode': 'subscribe', 'hub.challenge': '1158201444', 'hub.verify_token': VERIFY };
  assert.deepEqual(await scene.webhook(challenged(asked)), { status: 200, body: '1158201444' });
  const { 'hub.verify_token': _, ...wordless } = asked;
  for (const wrong of [
    wordless,
    { ...asked, 'hub.verify_token': '' },
    { ...asked, 'hub.verify_token': `${VERIFY}x` },
    { ...asked, 'hub.mode': 'unsubscribe' },
  ])
    assert.deepEqual(await scene.webhook(challenged(wrong)), { status: 403 });
  const page = { ...asked, 'hub.challenge': '<script>' };
  assert.deepEqual(await scene.webhook(challenged(page)), { status: 400 });
  assert.equal((await scene.webhook({ ...challenged(asked), path: '/more' })).status, 404);
  assert.equal((await scene.webhook({ ...signed([]), method: 'PUT' })).status, 405);
});

test('without an app secret or a verify token nobody is believed', async () => {
  await using scene = await Scene.of(cloud);
  const { parts } = of(scene);
  const secrets = { token: TOKEN, 'app-secret': '', verify: '' };
  const bare = of(scene).open({ ...parts, secrets, folder: '', log: () => {}, changed: () => {} });
  assert.equal((await bare.webhook!(signed([], ''))).status, 401);
  const asked = { 'hub.mode': 'subscribe', 'hub.challenge': '1', 'hub.verify_token': '' };
  assert.equal((await bare.webhook!(challenged(asked))).status, 403);
});

test('a body is answered when all of it is kept: behind what was not, its chat waits, and another does not', async () => {
  await using scene = await Scene.of(cloud);
  const account = of(scene);
  const all = [said(account, 'direct', 'one'), said(account, 'direct', 'two'), said(account, 'direct', 'three')];
  const request = signed([messages(all), messages([said(account, 'group', 'beside')])]);
  const accept = scene.sink.accept.bind(scene.sink);
  let fails = true;
  scene.sink.accept = async (message) => {
    if (message.text !== 'two' || !fails) return accept(message);
    fails = false;
    throw new Error('nothing was kept');
  };
  assert.equal((await scene.webhook(request)).status, 503);
  assert.deepEqual(textsOf(scene).sort(), ['beside', 'one']);
  // From thread to thread a buffer becomes an array of bytes.
  assert.equal((await scene.webhook(structuredClone(request))).status, 200);
  assert.deepEqual(
    textsOf(scene).filter((text) => text !== 'beside'),
    ['one', 'two', 'three'],
  );
});

test('of two bodies at once each chat keeps the order', async () => {
  await using scene = await Scene.of(cloud);
  const account = of(scene);
  scene.sink.hold();
  const first = scene.webhook(signed([messages([said(account, 'direct', 'one'), said(account, 'direct', 'two')])]));
  const second = scene.webhook(signed([messages([said(account, 'direct', 'three')])]));
  await scene.until('the first is handed over', () => scene.sink.calls.length === 1);
  await scene.quiet();
  assert.equal(scene.sink.calls.length, 1);
  scene.sink.release();
  await Promise.all([first, second]);
  assert.deepEqual(textsOf(scene), ['one', 'two', 'three']);
});

test('who has stopped takes no more of a body', async () => {
  await using scene = await Scene.of(cloud);
  const account = of(scene);
  scene.sink.hold();
  const request = signed([messages([said(account, 'direct', 'one'), said(account, 'direct', 'two')])]);
  const answer = scene.webhook(request);
  await scene.until('the first is handed over', () => scene.sink.calls.length === 1);
  await scene.channel.stop();
  scene.sink.release();
  assert.equal((await answer).status, 503);
  assert.equal(scene.sink.calls.length, 1);
  assert.equal((await scene.webhook(request)).status, 503);
});

test('in a thread of its own, a body of more chats than the host takes at once comes in whole', async () => {
  await using scene = await Scene.of(cloud);
  const account = of(scene);
  await scene.channel.stop();
  const told = Promise.withResolvers<string | null>();
  const thread = await DriverThread.open({ ...account.parts, folder: '', driver: cloud.kind.driver.href }, silentLog, {
    health: ({ state }, link) => state === 'connected' && told.resolve(link),
  });
  try {
    scene.sink.hold();
    await thread.start(scene.sink, new Map());
    const all = Array.from({ length: DRIVER_CALLS_MAX + 50 }, (_, at) => ({
      ...said(account, 'direct', `chat ${at}`),
      from: `${49_000_000 + at}`,
    }));
    const answer = thread.call<WebhookAnswer>('webhook', [signed([messages(all)])]);
    await scene.until('some are handed over', () => scene.sink.calls.length > 0);
    await scene.quiet();
    scene.sink.release();
    assert.equal((await answer).status, 200);
    assert.equal(scene.sink.messages.length, all.length);
    assert.match((await told.promise)!, /^https:\/\/wa\.me\/15550783881\?text=pair%20/);
  } finally {
    await thread.stop();
  }
});

test('what is said to another number, in a group, or by us elsewhere is not taken for a person’s', async () => {
  await using scene = await Scene.of(cloud);
  const account = of(scene);
  const other = messages([said(account, 'direct', 'to another')], { metadata: { phone_number_id: '999999' } });
  const group = messages([{ ...said(account, 'direct', 'in a group'), group_id: 'Y2FwaV9ncm91cDox' }]);
  const echo = { field: 'smb_message_echoes', value: { message_echoes: [said(account, 'direct', 'echo')] } };
  for (const change of [other, group, echo] as Change[])
    assert.equal((await scene.webhook(signed([change]))).status, 200);
  assert.deepEqual(scene.sink.calls, []);
  assert.equal(scene.logs.filter((line) => line.includes('whatsapp.unknown')).length, 3);
  await scene.webhook(signed([messages([{ ...said(account, 'direct', 'ours'), from: account.handle('self') }])]));
  assert.equal(scene.sink.messages[0]!.sender.kind, 'self');
});

test('what is no payload of Meta’s is logged, and does not come again', async () => {
  await using scene = await Scene.of(cloud);
  const empty = signed([{ field: 'messages', value: {} }]);
  assert.equal((await scene.webhook(empty)).status, 200);
  assert.equal((await scene.webhook(signed([statuses([{ status: 'failed' }])]))).status, 200);
  assert.equal(scene.logs.filter((line) => line.includes('whatsapp.broken')).length, 2);
});

test('that we are busy is shown below the person’s last message, and nowhere before there is one', async () => {
  await using scene = await Scene.of(cloud);
  const account = of(scene);
  const { chat } = account.place('direct');
  await scene.channel.typing!(chat, '');
  const id = await account.people.say({ place: 'direct', from: 'person', text: 'one' });
  await scene.until('it came', () => scene.sink.messages.length === 1);
  await scene.channel.typing!(chat, '');
  assert.deepEqual(account.graph.typing, [id]);
  // What comes late is not the last one.
  await scene.webhook(signed([messages([{ ...said(account, 'direct', 'late'), timestamp: '1700000000' }])]));
  await scene.channel.typing!(chat, '');
  assert.deepEqual(account.graph.typing, [id, id]);
  account.graph.isRevoked = true;
  await assert.rejects(scene.channel.typing!(chat, ''), (error: Error) => !error.message.includes(TOKEN));
});

test('three buttons are shown, whatever their labels; of more the text alone is sent', async () => {
  await using scene = await Scene.of(cloud);
  const labels = ['Yes', 'A label beyond twenty characters', 'Another 👍👍👍👍👍👍👍👍👍'];
  const buttons = labels.map((label, at) => ({ token: `token-${at}`, label }));
  await scene.sent('direct', 'choose', { buttons });
  const [three] = of(scene).sent();
  assert.deepEqual(
    three!.buttons.map(({ token }) => token),
    ['token-0', 'token-1', 'token-2'],
  );
  assert.equal(three!.buttons[1]!.label, 'A label beyond twen…');
  assert.ok(three!.buttons.every(({ label }) => label.isWellFormed() && label.length <= 20));
  const withText: [string, SendOperation['buttons']][] = [
    ['of four', [...buttons, { token: 'token-3', label: 'No' }]],
    ['of two alike', [buttons[1]!, { token: 'token-4', label: 'A label beyond twenty-one' }]],
    ['x'.repeat(1025), buttons],
  ];
  for (const [body, more] of withText) await scene.sent('direct', body, { buttons: more! });
  assert.deepEqual(
    of(scene)
      .sent()
      .slice(1)
      .map((sent) => [sent.shown, sent.buttons.length]),
    withText.map(([body]) => [body, 0]),
  );
});

test('a file below buttons goes after them', async () => {
  await using scene = await Scene.of(cloud);
  const file = scene.file('notes.txt', Buffer.from('notes\n'));
  await scene.sent('direct', 'really?', { buttons: [{ token: 't', label: 'Yes' }], file });
  assert.deepEqual(
    of(scene).graph.posted.map(({ type }) => type),
    ['interactive', 'document'],
  );
});

test('out of the 24 hours a text is refused with what to do, or goes as a template on one line', async () => {
  await using scene = await Scene.of(cloud);
  const account = of(scene);
  const { chat } = account.place('direct');
  account.graph.closed.add(chat);
  const refusal = refusalOf(await scene.send('direct', 'hello'));
  assert.equal(refusal.class, 'permanent');
  assert.match(refusal.reason, /24 hours.*set a template/);
  await withTemplate(scene);
  for (const text of ['line one\n\n  line     two', 'again']) await scene.sent('direct', text);
  assert.deepEqual(
    account.graph.posted.map(({ type, value }) => [type, value.components?.[0]?.parameters[0]?.text]),
    [
      ['template', 'line one line two'],
      ['template', 'again'],
    ],
  );
  // Once it is known, the chat is not tried with a text again.
  assert.deepEqual(account.graph.tried, ['text', 'text', 'template', 'template']);
  assert.equal(refusalOf(await scene.send('direct', 'x'.repeat(1025))).class, 'too_large');
  const file = scene.file('notes.txt', Buffer.from('notes\n'));
  assert.equal(refusalOf(await scene.send('direct', 'here', { file })).class, 'permanent');
  // Who writes opens the chat again.
  account.graph.closed.clear();
  await account.people.say({ place: 'direct', from: 'person', text: 'hello' });
  await scene.until('it came', () => scene.sink.messages.length === 1);
  await scene.sent('direct', 'hello too');
  assert.equal(account.graph.posted.at(-1)!.type, 'text');
});

test('a picture is shown as one; what WhatsApp does not take is refused before it is sent', async () => {
  await using scene = await Scene.of(cloud);
  const { graph } = of(scene);
  receiptOf(await scene.send('direct', 'look', { file: scene.file('a.png', png(2000)) }));
  receiptOf(await scene.send('direct', '', { file: scene.file('a.docx', Buffer.from('PK\x03\x04\0\0')) }));
  assert.deepEqual(
    graph.posted.map(({ type }) => type),
    ['image', 'document'],
  );
  assert.match([...graph.media.values()][1]!.type, /wordprocessingml/);
  const big = scene.file('a.png', png(5_000_001));
  assert.equal(refusalOf(await scene.send('direct', 'look', { file: big })).class, 'too_large');
  for (const [name, data] of [
    ['a.zip', 'PK\x03\x04\0\0'],
    ['a.gif', 'GIF89a'],
  ] as const) {
    const refusal = refusalOf(await scene.send('direct', 'x', { file: scene.file(name, Buffer.from(data)) }));
    assert.equal(refusal.class, 'unsupported');
  }
  assert.equal(graph.media.size, 2);
});

test('a file after its text: a repetition says the text once', async () => {
  await using scene = await Scene.of(cloud);
  const { graph } = of(scene);
  const long = 'word '.repeat(300).trim();
  const file = scene.file('notes.txt', Buffer.from('notes\n'));
  graph.faults.push(null, new Refused(500, 131000, 'Something went wrong'));
  const send = () => scene.send('direct', long, { file, key: 'twice' });
  assert.match(refusalOf(await send()).reason, /the text has arrived, its file has not/);
  receiptOf(await send());
  assert.deepEqual(
    graph.posted.map(({ type }) => type),
    ['text', 'document'],
  );
});

test('the bytes of a file are fetched from Meta alone', async () => {
  await using scene = await Scene.of(cloud);
  const account = of(scene);
  account.graph.elsewhere = 'http://127.0.0.1:9';
  const files = [{ name: 'notes.txt', data: Buffer.from('notes') }];
  await account.people.say({ place: 'direct', from: 'person', text: 'look', files });
  await scene.until('it came', () => scene.sink.messages.length === 1);
  assert.match(scene.sink.messages[0]!.text, /"notes\.txt" was left out: it is not kept by WhatsApp/);
});

test('a reaction that is taken back is the one that was put, also when it was not kept at first', async () => {
  await using scene = await Scene.of(cloud);
  const { people } = of(scene);
  const receipt = await scene.sent('direct', 'hello');
  await people.react('direct', 'person', receipt, '🎉', false);
  await scene.until('it came', () => scene.sink.reactions.length === 1);
  scene.sink.failNext(1);
  await people.react('direct', 'person', receipt, '🎉', true);
  await scene.until('it came', () => scene.sink.reactions.length === 2);
  assert.equal(scene.sink.reactions[1]!.emoji, '🎉');
});

test('a direct chat is a number, and the address knows ours', async () => {
  await using scene = await Scene.of(cloud);
  for (const none of ['', 'Zoe', '+16505551234', '12', '1'.repeat(30), '16505551234@g.us'])
    assert.equal(await scene.channel.openDm!(none), null, none);
  assert.equal(scene.channel.deepLink!('AB12-CD34'), 'https://wa.me/15550783881?text=pair%20AB12-CD34');
  const { parts } = of(scene);
  const young = of(scene).open({ ...parts, folder: '', log: () => {}, changed: () => {} });
  assert.equal(young.deepLink!('AB12-CD34'), null);
});

test('a token that Graph repeats is in no reason', async () => {
  await using scene = await Scene.of(cloud);
  const cut = `${'x'.repeat(190)} ${TOKEN}`;
  of(scene).graph.faults.push(new Refused(400, 131009, `strange: ${TOKEN}`), new Refused(400, 131009, cut));
  assert.equal(refusalOf(await scene.send('direct', 'hello')).reason, 'WhatsApp said (131009): strange: …');
  assert.ok(!refusalOf(await scene.send('direct', 'hello')).reason.includes(TOKEN.slice(0, 5)));
});

test('a token that is good again is noticed without a restart', async () => {
  await using scene = await Scene.of(cloud);
  const { graph } = of(scene);
  graph.isRevoked = true;
  assert.equal(refusalOf(await scene.send('direct', 'hello')).class, 'auth');
  assert.equal(scene.channel.health().state, 'failed');
  graph.isRevoked = false;
  await scene.until('it is connected again', () => scene.channel.health().state === 'connected');
});
