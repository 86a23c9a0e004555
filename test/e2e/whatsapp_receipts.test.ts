import assert from 'node:assert/strict';
import { test } from 'node:test';
import { failed, of, withTemplate } from '../fakes/whatsapp/own.ts';
import { signed, statuses } from '../fakes/whatsapp/people.ts';
import { cloud } from '../fakes/whatsapp/subject.ts';
import { Scene } from '../kits/channel_scene.ts';

/** What WhatsApp says of a message after it has taken it. */

test('a message that WhatsApp took and could not deliver is logged, and told until one arrives', async () => {
  await using scene = await Scene.of(cloud);
  const receipt = await scene.sent('direct', 'hello');
  const before = scene.changes;
  assert.equal((await scene.webhook(signed([failed(receipt, 131049, 'Meta chose not to deliver')]))).status, 200);
  assert.ok(scene.logs.some((line) => line.includes('whatsapp.not_delivered') && line.includes('131049')));
  assert.equal(scene.channel.health().state, 'connected');
  assert.match(scene.channel.health().detail, /did not arrive: .*131049.*Meta chose not to deliver/);
  assert.ok(scene.changes > before);
  for (const status of ['sent', 'read']) await scene.webhook(signed([statuses([{ id: receipt, status }])]));
  assert.match(scene.channel.health().detail, /did not arrive/);
  await scene.webhook(signed([statuses([{ id: receipt, status: 'delivered' }])]));
  assert.doesNotMatch(scene.channel.health().detail, /did not arrive/);
  assert.deepEqual(
    scene.sink.receipts.map(({ message, state }) => [message, state]),
    [
      [receipt, 'failed'],
      [receipt, 'read'],
      [receipt, 'delivered'],
    ],
  );
  scene.sink.failNext(1);
  const again = signed([statuses([{ id: receipt, status: 'delivered' }])]);
  assert.equal((await scene.webhook(again)).status, 503, 'what was not kept comes again');
  assert.equal((await scene.webhook(again)).status, 200);
});

test('what becomes of a file that went after its text is said of the text', async () => {
  await using scene = await Scene.of(cloud);
  const file = scene.file('notes.txt', Buffer.from('notes\n'));
  const receipt = await scene.sent('direct', 'x'.repeat(1025), { file });
  const [, ofFile] = of(scene).sent();
  assert.notEqual(ofFile!.receipt, receipt);
  await scene.webhook(signed([failed(ofFile!.receipt, 131053, 'Media upload error')]));
  assert.deepEqual(
    scene.sink.receipts.map(({ message, state }) => [message, state]),
    [[receipt, 'failed']],
  );
});

test('that a chat is closed is known after a restart: a text that would be lost goes as a template', async () => {
  await using scene = await Scene.of(cloud);
  const account = of(scene);
  await account.people.say({ place: 'direct', from: 'person', text: 'hello' });
  await scene.until('it came', () => scene.sink.messages.length === 1);
  await withTemplate(scene, scene.sink.cursors);
  await scene.sent('direct', 'within the day');
  const { chat } = account.place('direct');
  const longAgo = [[chat, Date.now() - 25 * 3_600_000]];
  await withTemplate(scene, new Map([[`heard:${chat.slice(-2)}`, JSON.stringify(longAgo)]]));
  await scene.sent('direct', 'a day later');
  assert.deepEqual(
    account.graph.posted.map(({ type }) => type),
    ['text', 'template'],
  );
});

test('a chat that is said to be closed only afterwards gets templates from then on', async () => {
  await using scene = await Scene.of(cloud);
  await withTemplate(scene);
  const receipt = await scene.sent('direct', 'hello');
  await scene.webhook(signed([failed(receipt, 131047, 'Re-engagement message')]));
  await scene.sent('direct', 'hello again');
  assert.deepEqual(
    of(scene).graph.posted.map(({ type }) => type),
    ['text', 'template'],
  );
});
