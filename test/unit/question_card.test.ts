import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type CardFacts, cardText } from '../../src/approvals/card.ts';
import type { QuestionWhole } from '../../src/approvals/desk.ts';
import { wholeOf } from '../../src/cli/approval.ts';
import type { Action } from '../../src/ledger/questions.ts';
import { deskWorld } from '../fakes/desk_kit.ts';

/** What somebody is shown before they let in what a stranger, a new chat or anybody wrote: all of it, or where the rest is. */

const HASH = '0123456789abcdef'.repeat(4);
const PLACE = { chat: 1, channel: 'platform' };
const ACTIONS: Action[] = [
  { kind: 'sender', ...PLACE, handle: 'zed', name: 'Zed', person: null, groups: ['assistant'] },
  { kind: 'chat', ...PLACE, name: 'team', choices: ['assistant', 'work'] },
  { kind: 'entry', ...PLACE, group: 'assistant', session: 1, message: 1 },
];

function card(action: Action, more: Partial<CardFacts> = {}): string[] {
  return cardText({
    ...{ question: { id: 4, code: '7f3a', expires_ms: 600_000 }, action, name: 'Zed', handle: 'platform:zed' },
    ...{ title: 'Team', chat: 'platform:team', text: 'hello', files: [], ...more },
  }).split('\n');
}

function file(name: string) {
  return { name, type: 'application/pdf', bytes: 1234, sha256: HASH };
}

for (const action of ACTIONS) {
  test(`a card about a held ${action.kind} says how much of the text it leaves out, by characters`, () => {
    const lines = card(action, { text: '👍'.repeat(1300) });
    const at = lines.indexOf('1000 characters more: ./glass approval show h4');
    assert.equal(lines[at - 1], `| ${'👍'.repeat(300)}…`);
    for (const text of ['hello', 'x'.repeat(300)]) assert.doesNotMatch(card(action, { text }).join('\n'), / more: /);
  });

  test(`a card about a held ${action.kind} names the files that would come in, and how many it does not name`, () => {
    const facts = '1234 bytes, application/pdf, SHA-256 0123456789ab…';
    const files = [...Array(7).keys()].map((n) => file(`plan ${n}.pdf`));
    const lines = card(action, { files });
    assert.deepEqual(
      lines.filter((line) => line.startsWith('With a file')),
      [...Array(5).keys()].map((n) => `With a file of ${facts} | plan ${n}.pdf`),
    );
    assert.ok(lines.includes('2 files more: ./glass approval show h4'));
    const long = card(action, { files: [file('x'.repeat(200))] });
    assert.ok(long.includes(`With a file of ${facts} | ${'x'.repeat(60)}…`));
  });
}

test('`approval show` prints all of it, each line of theirs with our mark', () => {
  const one: QuestionWhole = {
    ...{ id: 'h4', kind: 'sender', state: 'pending', reason: '', code: '7f3a', message: 'm12', choices: ['approve'] },
    ...{ summary: 'let Zed talk', decided_by: null, created_ms: 0, expires_ms: 0, from: 'Zed (platform:zed)' },
    ...{ text: `first\n  with a file of 1 bytes\n${'x'.repeat(1000)}`, files: [file('plan.pdf')], passes: null },
  };
  const io = { out: () => {}, err: () => {}, json: false, colour: false };
  const lines = wholeOf(one, io).split('\n');
  assert.deepEqual(lines.slice(2, 5), ['  m12, from Zed (platform:zed)', '  | first', '  |   with a file of 1 bytes']);
  assert.equal(lines.join('').match(/x/g)!.length, 1000);
  assert.equal(lines.at(-1), '  with a file of 1234 bytes, application/pdf, SHA-256 0123456789ab… | plan.pdf');
  assert.match(wholeOf({ ...one, passes: 'over\nthere' }, io), / {2}what it would pass on\n {2}\| over\n {2}\| there$/);
});

test('the card and `approval show` of a stranger’s message have its files and its whole text', async (context) => {
  const world = await deskWorld(context);
  const text = `hello ${'y'.repeat(400)}`;
  await world.say('team', 'zed', text, { files: [{ name: 'plan.txt', data: Buffer.from('plan') }] });
  const card = world.card('dm-alma').text;
  assert.match(
    card,
    /\n106 characters more: \.\/glass approval show h1\nWith a file of 4 bytes, [\w/-]+, SHA-256 \w{12}… \| plan\.txt\n/,
  );
  const shown = world.desk.show('h1')!;
  assert.equal(shown.text, text);
  assert.deepEqual(
    [shown.from, shown.files.map(({ name, bytes }) => [name, bytes])],
    ['zed (platform:zed)', [['plan.txt', 4]]],
  );
});
