import assert from 'node:assert/strict';
import { inDialect, piecesOf, textIn } from '../../src/channels/dialects/outgoing.ts';
import type { Row } from './channel_row.ts';
import { receiptOf, refusalOf, type Scene } from './channel_scene.ts';

/** What we do, as the platform has it. */
export const ROWS_OUT: readonly Row[] = [
  {
    name: 'a text goes out as it is, with a receipt that names it',
    async run(scene) {
      const text = 'a < b & c > d "e" @all <!channel> 👍';
      const receipt = await scene.sent('direct', textIn(scene.capabilities.markup, text));
      const [sent, more] = scene.account.sent();
      assert.equal(more, undefined);
      assert.equal(sent!.receipt, receipt);
      assert.equal(harmlessOf(sent!.shown), text);
      assert.equal(sent!.chat, scene.account.place('direct').chat);
      assert.equal(sent!.quotes, null);
      assert.deepEqual(sent!.buttons, []);
    },
  },
  {
    name: 'markup is shown as what it says',
    async run(scene) {
      await scene.sent('direct', inDialect('some **strong** words and `a<b`', scene.capabilities.markup));
      const [sent] = scene.account.sent();
      if (scene.capabilities.markup !== 'plain') {
        assert.deepEqual(sent!.bold, ['strong']);
        assert.deepEqual(sent!.code, ['a<b']);
      }
      assert.equal(sent!.shown, 'some strong words and a<b');
    },
  },
  {
    name: 'a long text arrives whole, in order',
    async run(scene) {
      // Some pieces at least, of whatever length a message may have.
      const length = Math.max(700, Math.ceil((6 * scene.capabilities.text_max) / 30));
      // Of which the code is cut at least once.
      const fenced = Math.max(400, Math.ceil(scene.capabilities.text_max / 12));
      const lines = Array.from({ length }, (_, at) => `line ${at} of <many> & *more*`);
      const code = lines.slice(0, fenced).join('\n');
      const pieces = piecesOf(
        `# Long\n\n\`\`\`ts\n${code}\n\`\`\`\n\n${lines.slice(fenced).join('\n')}`,
        scene.capabilities,
      );
      for (const { body } of pieces) await scene.sent('direct', body);
      const all = scene.account.sent();
      const shown = all.map((sent) => sent.shown);
      assert.equal(shown.length, pieces.length);
      if (scene.capabilities.markup !== 'plain' && scene.account.showsNoMarkup !== true)
        for (const { shown: said, code: asCode } of all)
          assert.deepEqual(
            linesIn(asCode.join('\n')),
            linesIn(said).filter((number) => number < fenced),
            'shown as code',
          );
      assert.deepEqual(
        linesIn(shown.join('\n')),
        lines.map((_, at) => at),
      );
    },
  },
  {
    name: 'a file goes out whole, with its text',
    needs: 'files',
    async run(scene) {
      const bytes = Buffer.from(Uint8Array.from({ length: 70_000 }, (_, at) => (at * 5 + (at >> 8)) & 0xff));
      const data = scene.account.textFiles === true ? Buffer.from(bytes.toString('hex')) : bytes;
      await scene.sent('direct', 'here it is', { file: scene.file('a report.bin', data) });
      await wholeFile(scene, 'here it is', data);
    },
  },
  {
    name: 'a file goes out with a text of any length, and without one',
    needs: 'files',
    async run(scene) {
      const data = Buffer.from('the file\n');
      const file = scene.file('a report.bin', data);
      const words = Array.from({ length: 250 }, (_, at) => `word${at}`).join(' ');
      await scene.sent('direct', words, { file });
      await wholeFile(scene, words, data);
      await scene.sent('group', '', { file });
      assert.equal(scene.account.sent().filter((sent) => sent.file !== null).length, 2);
    },
  },
  {
    name: 'a file that the platform does not take is refused before it is sent',
    needs: 'files',
    async run(scene) {
      const file = { ...scene.file('a.bin', Buffer.from('x')), bytes: scene.capabilities.file_bytes_max + 1 };
      assert.equal(refusalOf(await scene.send('direct', 'here', { file })).class, 'too_large');
      assert.deepEqual(scene.account.sent(), []);
    },
  },
  {
    name: 'an answer quotes what it answers',
    needs: 'quotes',
    async run(scene) {
      const id = await scene.account.people.say({ place: 'group', from: 'person', text: 'hello', mention: true });
      await scene.sent('group', 'hello too', { reply_to: id });
      assert.equal(scene.account.sent()[0]!.quotes, id);
    },
  },
  {
    name: 'an answer to what is gone is sent without a quote',
    needs: 'quotes',
    async run(scene) {
      const { people } = scene.account;
      const id = await people.say({ place: 'group', from: 'person', text: 'hello', mention: true });
      await people.remove('group', 'person', id);
      await scene.sent('group', 'hello too', { reply_to: id });
      assert.equal(scene.account.sent()[0]!.quotes, null);
    },
  },
  {
    name: 'our message becomes another one by an edit, and stays it by the same edit once more',
    needs: 'edits',
    async run(scene) {
      const key = 'edited-1';
      const message = await scene.sent('thread', 'before', { key });
      const edit = { ...scene.account.place('thread'), message, body: body(scene, '**after** a<b'), key };
      for (let time = 0; time < 2; time += 1) receiptOf(await scene.channel.edit!(edit));
      const [sent, more] = scene.account.sent();
      assert.equal(more, undefined);
      assert.equal(sent!.shown, 'after a<b');
      assert.equal(sent!.receipt, message);
      await scene.quiet();
      assert.deepEqual(scene.sink.calls, [], 'what we edit ourselves does not come in');
      if (scene.channel.reconcile === undefined) return;
      const sending = { ...scene.account.place('thread'), body: 'before', kind: 'reply', reply_to: null } as const;
      const known = await scene.channel.reconcile({ ...sending, file: null, key });
      assert.deepEqual(known, { found: true, receipt: message }, 'it is still found by its key');
    },
  },
  {
    name: 'our reaction is put, and put again without harm',
    needs: 'reactions',
    async run(scene) {
      const { account } = scene;
      const message = await account.people.say({ place: 'group', from: 'person', text: 'hello', mention: true });
      for (let time = 0; time < 2; time += 1)
        receiptOf(await scene.channel.react!({ ...account.place('group'), message, emoji: '👍' }));
      assert.deepEqual(account.reactions(), [{ message, emoji: '👍' }]);
    },
  },
  {
    name: 'that we are busy is shown where we are',
    needs: 'typing',
    async run(scene) {
      for (const name of ['direct', 'thread'] as const) {
        const { chat, thread } = scene.account.place(name);
        await scene.channel.typing!(chat, thread);
      }
      assert.deepEqual(scene.account.typing(), [scene.account.place('direct'), scene.account.place('thread')]);
    },
  },
  {
    name: 'a message can have nine buttons, in their order',
    needs: 'buttons',
    async run(scene) {
      const buttons = Array.from({ length: 9 }, (_, at) => ({ token: `token-${at}`, label: `Option <${at}> & more` }));
      await scene.sent('group', 'choose', { buttons });
      assert.deepEqual(scene.account.sent()[0]!.buttons, buttons);
    },
  },
  {
    name: 'a card shows its title, its text and its fields, in their order',
    needs: 'cards',
    async run(scene) {
      const fields = [
        { name: 'Where <a>', value: 'example.com & *more*' },
        { name: 'When', value: 'at noon' },
      ];
      const card = { title: 'A question', text: 'May it be sent?', fields };
      await scene.sent('group', 'A question: may it be sent?', { card });
      const [sent, more] = scene.account.sent();
      assert.equal(more, undefined);
      const shown = fields.flatMap(({ name, value }) => [name, value]);
      assert.deepEqual(sent!.card?.map(harmlessOf), ['A question', 'May it be sent?', ...shown]);
    },
  },
  {
    name: 'the menu shows our commands',
    async run(scene) {
      assert.ok(scene.channel.menu, 'there is a menu');
      const commands = [
        { name: 'stop', summary: 'Stops what runs.' },
        { name: 'why', summary: 'Says why.' },
      ];
      await scene.channel.menu(commands);
      assert.deepEqual(scene.account.menu(), commands);
    },
  },
  {
    name: 'a person’s direct chat can be opened',
    needs: 'writes_first',
    async run(scene) {
      const opened = await scene.channel.openDm!(scene.account.handle('person'));
      assert.ok(opened);
      assert.equal(opened.platform_id, scene.account.place('direct').chat);
    },
  },
  {
    name: 'an address leads to our direct chat, with a code',
    needs: 'direct',
    async run(scene) {
      const link = new URL(scene.channel.deepLink!('AB12CD34')!);
      assert.equal(link.protocol, 'https:');
      assert.match(link.href, /AB12CD34/);
    },
  },
];

function body(scene: Scene, markdown: string): string {
  return inDialect(markdown, scene.capabilities.markup);
}

/** Numbers of the long text's lines. */
function linesIn(shown: string): number[] {
  return [...shown.matchAll(/line (\d+) of <many> &/g)].map(([, number]) => Number(number));
}

/** Dialects keep a name from being one by a character without width. */
function harmlessOf(shown: string): string {
  return shown.replaceAll('\u200b', '');
}

async function wholeFile(scene: Scene, text: string, data: Buffer): Promise<void> {
  await scene.account.agree?.();
  const sent = scene.account.sent();
  const [file, more] = sent.flatMap((each) => each.file ?? []);
  assert.equal(more, undefined);
  assert.equal(file!.name, 'a report.bin');
  assert.ok(Buffer.from(file!.data).equals(data), 'the same bytes');
  assert.deepEqual(
    sent.map(({ shown }) => shown).filter((shown) => shown !== ''),
    [text],
  );
}
