import assert from 'node:assert/strict';
import { test } from 'node:test';
import { PATTERN_CHARS_MAX, PATTERN_TEXT_CHARS_MAX } from '../../src/base/limits/talk.ts';
import { checkPattern, matches } from '../../src/router/pattern.ts';

const MATCHES: [pattern: string, text: string, yes: boolean][] = [
  ['deploy', 'deploy', true],
  ['deploy', ' Deploy\n', true],
  ['deploy', 'deploy now', false],
  ['deploy', 'redeploy', false],
  ['deploy*', 'deploy now', true],
  ['deploy*', 'deploy', true],
  ['*deploy*', 'please\ndeploy it\nnow', true],
  ['*deploy*', 'deplo y', false],
  ['!run ?', '!run 1', true],
  ['!run ?', '!run 12', false],
  ['!run ?', '!run ', false],
  ['a|b', 'b', true],
  ['a|b', 'a|b', false],
  ['a\\|b', 'a|b', true],
  ['a\\*', 'a*', true],
  ['a\\*', 'ab', false],
  ['a\\\\', 'a\\', true],
  ['*a*b*', 'xxaxxbxx', true],
  ['*a*b*', 'xxbxxaxx', false],
  ['a**b', 'ab', true],
  ['*.(x)+', 'a.(x)+', true],
  ['*.(x)+', 'axxx', false],
  ['gr?n', 'gr😀n', true],
  ['*ÉCOLE*', 'une e\u0301cole', true],
];

for (const [pattern, text, yes] of MATCHES)
  test(`${JSON.stringify(pattern)} ${yes ? 'matches' : 'does not match'} ${JSON.stringify(text)}`, () => {
    checkPattern(pattern);
    assert.equal(matches(pattern, text), yes);
  });

for (const pattern of [
  '',
  '|',
  'a|',
  '|a',
  'a||b',
  '*',
  '**',
  'a|*',
  'a\\',
  '\\',
  'a\nb',
  'a\u202eb',
  'x'.repeat(PATTERN_CHARS_MAX + 1),
])
  test(`${JSON.stringify(pattern.slice(0, 20))} is no pattern: refused when it is set, and it matches nothing`, () => {
    assert.throws(() => checkPattern(pattern), { code: 'usage' });
    for (const text of ['', 'a', pattern, '\\']) assert.equal(matches(pattern, text), false);
  });

test('the steps of a match are bounded by both lengths, whatever the pattern', () => {
  const [runs, tail] = ['*a'.repeat(PATTERN_CHARS_MAX / 2 - 1), '*b'];
  const text = 'a'.repeat(1_000_000);
  const before = process.cpuUsage().user;
  for (let i = 0; i < 10; i += 1) assert.equal(matches(runs + tail, text), false);
  // A matcher that goes back needs longer than the universe; ten times what this one takes is a second.
  assert.ok(process.cpuUsage().user - before < 5_000_000);
});

test('what stands behind the bound of a text is not looked at', () => {
  const far = `${'x'.repeat(PATTERN_TEXT_CHARS_MAX)}deploy`;
  assert.equal(matches('*deploy*', far), false);
  assert.equal(matches('*deploy*', far.slice(6)), true);
});

test('it says the same as a plain reading of the grammar, for thousands of small patterns and texts', () => {
  const reading = (pattern: string, text: string): boolean =>
    pattern === ''
      ? text === ''
      : pattern[0] === '*'
        ? reading(pattern.slice(1), text) || (text !== '' && reading(pattern, text.slice(1)))
        : text !== '' && (pattern[0] === '?' || pattern[0] === text[0]) && reading(pattern.slice(1), text.slice(1));
  const words = (letters: string, length: number): string[] =>
    length === 0
      ? ['']
      : words(letters, length - 1).flatMap((word) => [word, ...[...letters].map((letter) => word + letter)]);
  const patterns = [...new Set(words('ab*?', 4))].filter((pattern) => /[^*]/.test(pattern));
  const texts = [...new Set(words('ab', 4))];
  for (const pattern of patterns)
    for (const text of texts) assert.equal(matches(pattern, text), reading(pattern, text), `${pattern} ${text}`);
});
