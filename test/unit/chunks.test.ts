import assert from 'node:assert/strict';
import { test } from 'node:test';
import { cutText } from '../../src/channels/chunks.ts';
import { randomOf } from '../fakes/random.ts';

const ADDED_END = '\n```';

/** Takes away what cutting added, so that what remains must be the text. */
function rejoin(chunks: string[]): string {
  let text = '';
  let reopened = '';
  for (const [index, chunk] of chunks.entries()) {
    assert.ok(chunk.startsWith(reopened), 'an open fence is opened again');
    const own = chunk.slice(reopened.length);
    const fence = index === chunks.length - 1 ? null : openFence(chunk);
    text += fence === null ? own : own.slice(0, -ADDED_END.length);
    reopened = fence === null ? '' : `${fence}\n`;
  }
  return text;
}

/** The fence that was open when the cut came: the chunk ends with a closing one that cutting added. */
function openFence(chunk: string): string | null {
  if (!chunk.endsWith(ADDED_END)) return null;
  let open: string | null = null;
  for (const line of chunk.slice(0, -ADDED_END.length).split('\n'))
    if (line.startsWith('```')) open = open === null ? line.slice(0, 40) : null;
  return open;
}

test('a text that fits is one piece, also when it is empty', () => {
  assert.deepEqual(cutText('', 100), ['']);
  assert.deepEqual(cutText('x'.repeat(100), 100), ['x'.repeat(100)]);
  assert.equal(cutText('x'.repeat(101), 100).length, 2);
});

const CUTS: [name: string, text: string, max: number, pieces: string[]][] = [
  ['after a line', `${'a'.repeat(60)}\n${'b'.repeat(60)}`, 100, [`${'a'.repeat(60)}\n`, 'b'.repeat(60)]],
  ['after a word', `${'a'.repeat(60)} ${'b'.repeat(60)}`, 100, [`${'a'.repeat(60)} `, 'b'.repeat(60)]],
  ['anywhere, without either', 'a'.repeat(150), 100, ['a'.repeat(96), 'a'.repeat(54)]],
  ['not at a line that comes too early', `a\n${'b'.repeat(120)}`, 100, [`a\n${'b'.repeat(94)}`, 'b'.repeat(26)]],
  [
    'beside a pair, not through it',
    `${'a'.repeat(95)}😀${'b'.repeat(50)}`,
    100,
    ['a'.repeat(95), `😀${'b'.repeat(50)}`],
  ],
];

for (const [name, text, max, pieces] of CUTS)
  test(`a long text is cut ${name}`, () => assert.deepEqual(cutText(text, max), pieces));

test('a code fence that is cut is closed, and opened again with its language', () => {
  const text = `see:\n\`\`\`python\n${'line of code\n'.repeat(30)}\`\`\`\nthat was it`;
  const chunks = cutText(text, 150);
  assert.ok(chunks.length > 2);
  for (const chunk of chunks) {
    const fences = chunk.split('\n').filter((line) => line.startsWith('```')).length;
    assert.equal(fences % 2, 0, `every piece stands for itself:\n${chunk}`);
  }
  assert.ok(chunks[1]!.startsWith('```python\n'));
  assert.equal(rejoin(chunks), text);
});

const PIECES = [
  'word ',
  'a',
  '\n',
  '\n\n',
  '```\n',
  '```js\n',
  '`',
  '😀',
  '👩‍👩‍👧',
  'é',
  '—',
  ' ',
  'x'.repeat(70),
  '\r\n',
  '\0',
  '* item\n',
];

test('of 600 random texts nothing is lost, no piece is too long, no pair is split', () => {
  for (let seed = 1; seed <= 600; seed += 1) {
    const random = randomOf(seed);
    const text = Array.from(
      { length: Math.floor(random() * 300) },
      () => PIECES[Math.floor(random() * PIECES.length)],
    ).join('');
    const max = 64 + Math.floor(random() * 200);
    const chunks = cutText(text, max);
    assert.equal(rejoin(chunks), text, `seed ${seed}`);
    for (const chunk of chunks) {
      assert.ok(chunk.length <= max, `seed ${seed}: ${chunk.length} > ${max}`);
      assert.ok(chunk.isWellFormed(), `seed ${seed}: half a character`);
    }
  }
});

test('a fence line that is itself too long ends all the same', () => {
  for (const max of [64, 100, 160]) {
    const text = `\`\`\`${'x'.repeat(500)}\n${'y'.repeat(500)}`;
    const chunks = cutText(text, max);
    assert.ok(chunks.every((chunk) => chunk.length <= max));
    assert.ok(chunks.length < 100);
  }
});
