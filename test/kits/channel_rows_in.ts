import assert from 'node:assert/strict';
import { MESSAGE_FILES_BYTES_MAX } from '../../src/base/limits/messages.ts';
import type { UnreadableEvent } from '../../src/channels/channel.ts';
import type { Row } from './channel_row.ts';
import type { Scene } from './channel_scene.ts';

const BURST = 1000;

/** What people do, as the host is told of it. */
export const ROWS_IN: readonly Row[] = [
  {
    name: 'a message of a direct chat comes in whole',
    needs: 'direct',
    async run(scene) {
      const { account, sink } = scene;
      const text = 'a < b & c\n**d** `e` 👍';
      const id = await account.people.say({ place: 'direct', from: 'person', text });
      await came(scene, 1);
      const [message] = sink.messages;
      assert.ok(message);
      assert.equal(message.text, text);
      assert.equal(message.platform_id, id);
      assert.equal(message.chat.platform_id, account.place('direct').chat);
      assert.equal(message.thread, account.place('direct').thread);
      assert.equal(message.chat.direct, true, 'it is a direct chat');
      assert.equal(message.addressed, true, 'a direct chat addresses us');
      assert.equal(message.sender.handle, account.handle('person'));
      assert.equal(message.sender.kind ?? 'person', 'person');
      assert.notEqual(message.sender.name, '');
      assert.notEqual(message.dedupe_key, '');
      assert.deepEqual(message.files, []);
      assert.ok(Math.abs(message.sent_ms - Date.now()) < 600_000, 'the time is in milliseconds');
    },
  },
  {
    name: 'a message of a group says where it was said and by whom',
    async run(scene) {
      const { account, sink } = scene;
      await account.people.say({ place: 'group', from: 'other', text: 'hello', mention: true });
      await came(scene, 1);
      const [message] = sink.messages;
      assert.ok(message);
      assert.equal(message.text, 'hello', 'without our name, which only calls us');
      assert.equal(message.chat.platform_id, account.place('group').chat);
      assert.notEqual(message.chat.direct, true, 'a group is no direct chat');
      assert.notEqual(message.chat.title, '');
      assert.equal(message.sender.handle, account.handle('other'));
    },
  },
  {
    name: 'a thread is told apart, both ways',
    needs: 'threads',
    async run(scene) {
      const { account, sink } = scene;
      const { chat, thread } = account.place('thread');
      await account.people.say({ place: 'thread', from: 'person', text: 'in it', mention: true });
      const beside = await account.people.say({ place: 'group', from: 'person', text: 'beside it', mention: true });
      await came(scene, 2);
      assert.deepEqual(
        sink.messages.map((message) => [message.chat.platform_id, message.thread]),
        [
          [chat, thread],
          [account.place('group').chat, account.threadsOfMessages ? beside : account.place('group').thread],
        ],
      );
      await scene.sent('thread', 'an answer');
      assert.deepEqual(
        account.sent().map((sent) => [sent.chat, sent.thread]),
        [[chat, thread]],
      );
    },
  },
  {
    name: 'who is addressed is told by a mention and by a reply to us',
    async run(scene) {
      const { people } = scene.account;
      const ours = await scene.sent('group', 'said by us');
      const theirs = await people.say({ place: 'group', from: 'other', text: 'to nobody' });
      await people.say({ place: 'group', from: 'person', text: 'to them', reply_to: theirs });
      await people.say({ place: 'group', from: 'person', text: 'to us', mention: true });
      await people.say({ place: 'group', from: 'person', text: 'to what we said', reply_to: ours });
      await came(scene, 4);
      assert.deepEqual(
        scene.sink.messages.map((message) => [message.addressed, message.reply_to]),
        [
          [false, undefined],
          [false, scene.account.threadsOfMessages === 'answers' ? undefined : theirs],
          [true, undefined],
          [true, ours],
        ],
      );
    },
  },
  {
    name: 'no program is taken for a person, and we are not taken for another',
    async run(scene) {
      const { people } = scene.account;
      await people.say({ place: 'group', from: 'bot', text: 'beep', mention: true });
      await people.say({ place: 'group', from: 'self', text: 'echo' });
      await people.say({ place: 'group', from: 'person', text: 'last', mention: true });
      await scene.until('the last one', () => scene.sink.messages.some(({ text }) => text.includes('last')));
      for (const { text, sender } of scene.sink.messages)
        if (!text.includes('last')) assert.equal(sender.kind, text.includes('beep') ? 'bot' : 'self', text);
    },
  },
  {
    name: 'files come in whole',
    needs: 'files_in',
    async run(scene) {
      const data = someBytes(70_000);
      const files = [{ name: 'notes 1.bin', data }];
      await scene.account.people.say({ place: 'direct', from: 'person', text: 'look at this', files });
      await came(scene, 1);
      const [message] = scene.sink.messages;
      assert.equal(message!.text, 'look at this');
      assert.deepEqual(
        message!.files.map(({ name }) => name),
        ['notes 1.bin'],
      );
      assert.ok(Buffer.from(message!.files[0]!.data).equals(data), 'the same bytes');
    },
  },
  {
    name: 'a file that is too large is left out, and the text says so',
    needs: 'files_in',
    async run(scene) {
      const files = [{ name: 'huge.bin', data: Buffer.alloc(MESSAGE_FILES_BYTES_MAX + 1, 1) }];
      await scene.account.people.say({ place: 'direct', from: 'person', text: 'look at this', files });
      await came(scene, 1);
      const [message] = scene.sink.messages;
      assert.deepEqual(message!.files, []);
      assert.match(message!.text, /look at this/);
      assert.match(message!.text, /huge\.bin/, 'the text names what is left out');
    },
  },
  {
    name: 'an edit comes in, after its message',
    async run(scene) {
      const { people, handle } = scene.account;
      const id = await people.say({ place: 'direct', from: 'person', text: 'before' });
      await people.edit('direct', 'person', id, 'after');
      await scene.until('the edit', () => scene.sink.edits.length === 1);
      const [edit] = scene.sink.edits;
      assert.equal(edit!.platform_id, id);
      assert.equal(edit!.text, 'after');
      assert.equal(edit!.sender.handle, handle.call(scene.account, 'person'));
      assert.deepEqual(
        scene.sink.committed.map(({ t }) => t),
        ['message', 'edit'],
      );
    },
  },
  {
    name: 'a deletion comes in',
    async run(scene) {
      const { people } = scene.account;
      const id = await people.say({ place: 'direct', from: 'person', text: 'before' });
      await people.remove('direct', 'person', id);
      await scene.until('the deletion', () => scene.sink.deletions.length === 1);
      assert.equal(scene.sink.deletions[0]!.platform_id, id);
    },
  },
  {
    name: 'a reaction comes in, and that it was taken back',
    async run(scene) {
      const { people } = scene.account;
      const id = await scene.sent('direct', 'said by us');
      await people.react('direct', 'person', id, '👍', false);
      await people.react('direct', 'person', id, '👍', true);
      await scene.until('both reactions', () => scene.sink.reactions.length === 2);
      assert.deepEqual(
        scene.sink.reactions.map(({ platform_id, emoji, removed }) => ({ platform_id, emoji, removed })),
        [
          { platform_id: id, emoji: '👍', removed: false },
          { platform_id: id, emoji: '👍', removed: true },
        ],
      );
    },
  },
  {
    name: 'that a text of ours was delivered and read comes in',
    needs: 'receipts',
    async run(scene) {
      const { account, sink } = scene;
      const message = await scene.sent('direct', 'said by us');
      await account.people.receive!('direct', message);
      await scene.until('both receipts', () => sink.receipts.length === 2);
      assert.deepEqual(
        sink.receipts.map((receipt) => [receipt.message, receipt.state]),
        [
          [message, 'delivered'],
          [message, 'read'],
        ],
      );
      for (const { at_ms } of sink.receipts)
        assert.ok(Math.abs(at_ms - Date.now()) < 600_000, 'the time is in milliseconds');
    },
  },
  {
    name: 'a press is answered at once, and comes in',
    needs: 'buttons',
    async run(scene) {
      const { account, sink } = scene;
      const token = 'Ab0-_Ab0-_Ab0-_Ab0-_';
      const buttons = [{ token, label: 'Yes' }];
      const receipt = await scene.sent('direct', 'really?', { buttons });
      assert.deepEqual(account.sent()[0]!.buttons, buttons);
      sink.hold();
      await account.people.press('direct', 'person', receipt, token);
      await scene.until('the press is answered', () => account.pressesAnswered() === 1);
      assert.equal(sink.presses.length, 0, 'the answer does not wait for the commit');
      sink.release();
      await scene.until('the press', () => sink.presses.length === 1);
      const [press] = sink.presses;
      assert.equal(press!.token, token);
      assert.equal(press!.platform_id, receipt);
      assert.equal(press!.sender.handle, account.handle('person'));
      assert.equal(press!.chat.platform_id, account.place('direct').chat);
    },
  },
  {
    name: 'what is unknown or broken blocks nothing, and what is broken is kept and logged',
    async run(scene) {
      const { account, sink } = scene;
      const { people } = account;
      await people.strange('unknown');
      await people.strange('broken');
      await scene.until('the broken event is kept', () => sink.unreadables.length === 1);
      const [{ kind, raw }] = sink.unreadables as [UnreadableEvent];
      assert.notEqual(kind, '');
      assert.match(raw, /[{"]/, 'as it came');
      const line = /"warn".*glass channel unreadable/;
      await scene.until('the broken event is in the log', () => scene.logs.some((each) => line.test(each)));
      await people.say({ place: 'direct', from: 'person', text: 'hello' });
      await came(scene, 1);
    },
  },
  {
    name: 'what is broken is kept before it is acknowledged',
    async run(scene) {
      const { account, sink } = scene;
      // What is acknowledged before its commit does not come again.
      sink.failNext(1);
      await account.people.strange('broken');
      await scene.until('the broken event is kept', () => sink.unreadables.length === 1);
    },
  },
  {
    name: 'a message is acknowledged after its commit',
    async run(scene) {
      const { account, sink } = scene;
      sink.hold();
      const id = await account.people.say({ place: 'direct', from: 'person', text: 'hello' });
      await scene.until('the driver hands it over', () => sink.calls.length > 0);
      await scene.quiet();
      assert.equal(account.acknowledged(id), false, 'acknowledged before its commit');
      sink.release();
      await scene.until('it is acknowledged', () => account.acknowledged(id));
      assert.equal(sink.messages.length, 1);
    },
  },
  {
    name: 'what could not be committed is delivered again, in its place',
    async run(scene) {
      scene.sink.failNext(2);
      await sayAll(scene, ['one', 'two', 'three']);
      await came(scene, 3);
      assert.deepEqual(textsIn(scene, 'direct'), ['one', 'two', 'three']);
    },
  },
  {
    name: 'a host that dies before the commit is told again, under the same key',
    async run(scene) {
      const before = scene.sink;
      before.hold();
      await sayAll(scene, ['one', 'two']);
      await scene.until('the driver hands it over', () => before.calls.length > 0);
      await scene.restart('dies');
      await came(scene, 2);
      assert.deepEqual(textsIn(scene, 'direct'), ['one', 'two']);
      assert.equal(scene.sink.messages[0]!.dedupe_key, before.calls[0]!.value.dedupe_key);
      assert.deepEqual(before.committed, []);
    },
  },
  {
    name: 'what was said while nobody listened comes in, in order',
    needs: 'missed',
    async run(scene) {
      await sayAll(scene, ['before']);
      await came(scene, 1);
      await scene.halt();
      await sayAll(scene, ['one', 'two', 'three']);
      await scene.open();
      await came(scene, 4);
      await scene.quiet();
      assert.deepEqual(textsIn(scene, 'direct'), ['before', 'one', 'two', 'three']);
    },
  },
  {
    name: 'who has stopped hands nothing over',
    async run(scene) {
      const { sink } = scene;
      await scene.channel.stop();
      await sayAll(scene, ['too late']);
      await scene.quiet();
      assert.deepEqual(sink.calls, []);
    },
  },
  {
    name: 'of a thousand messages none is lost, and each chat keeps its order',
    async run(scene) {
      const said = { direct: [] as string[], group: [] as string[] };
      for (let number = 0; number < BURST; number += 1) {
        const place = number % 3 === 0 ? 'group' : 'direct';
        const text = `number ${number}`;
        said[place].push(text);
        await scene.account.people.say({ place, from: 'person', text });
        if (number === BURST / 2) scene.sink.failNext(3);
      }
      await came(scene, BURST);
      assert.deepEqual(textsIn(scene, 'direct'), said.direct);
      assert.deepEqual(textsIn(scene, 'group'), said.group);
    },
  },
];

function came(scene: Scene, count: number): Promise<void> {
  return scene.until(`${count} messages come in`, () => scene.sink.messages.length >= count);
}

async function sayAll(scene: Scene, texts: string[]): Promise<void> {
  for (const text of texts) await scene.account.people.say({ place: 'direct', from: 'person', text });
}

function textsIn(scene: Scene, place: 'direct' | 'group'): string[] {
  const { chat } = scene.account.place(place);
  return scene.sink.messages.filter((message) => message.chat.platform_id === chat).map(({ text }) => text);
}

/** Each byte value, in no order that a text has. */
function someBytes(count: number): Buffer {
  return Buffer.from(Uint8Array.from({ length: count }, (_, at) => (at * 7 + (at >> 8)) & 0xff));
}
