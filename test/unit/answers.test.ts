import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type AnswererFacts, choiceOf, mayAnswer } from '../../src/router/answer.ts';
import { wordsOf } from '../../src/router/words.ts';
import { TurnClock } from '../../src/sessions/turn_clock.ts';

const COLOURS = ['Red', 'dark blue', '3'];

const CHOICES: [options: string[], text: string, expected: ReturnType<typeof choiceOf>][] = [
  [COLOURS, '1', { text: 'Red', chosen: 1 }],
  [COLOURS, ' DARK blue\n', { text: 'dark blue', chosen: 2 }],
  [COLOURS, 'red', { text: 'Red', chosen: 1 }],
  [['ten', '1'], '1', { text: '1', chosen: 2 }],
  [COLOURS, '0', null],
  [COLOURS, '4', null],
  [COLOURS, '-1', null],
  [COLOURS, '1.0', null],
  [COLOURS, '1 please', null],
  [COLOURS, '__proto__', null],
  [COLOURS, 'length', null],
  [COLOURS, '', null],
  [[], ' any words ', { text: 'any words', chosen: null }],
  [[], ' \n', null],
];

for (const [options, text, expected] of CHOICES)
  test(`of [${options.join()}] ${JSON.stringify(text)} chooses ${expected?.chosen ?? expected?.text ?? 'nothing'}`, () =>
    assert.deepEqual(choiceOf(options, text), expected));

const NOBODY: AnswererFacts = { by: 'person', heard: true, hasRole: false, wroteTurn: false };

const ANSWERERS: [who: string, facts: Partial<AnswererFacts>, may: boolean][] = [
  ['a member', { hasRole: true }, true],
  ['a stranger who asked the agent', { wroteTurn: true }, true],
  ['another stranger', {}, false],
  ['a member whom the group does not listen to there', { hasRole: true, heard: false }, false],
  ['a stranger who asked, where strangers are not heard any more', { wroteTurn: true, heard: false }, false],
  ['a program with a role', { hasRole: true, by: 'bot' }, false],
  ['we ourselves', { hasRole: true, wroteTurn: true, by: 'self' }, false],
];

for (const [who, facts, may] of ANSWERERS)
  test(`${who} ${may ? 'answers' : 'does not answer'}`, () => assert.equal(mayAnswer({ ...NOBODY, ...facts }), may));

const WORDS: [text: string, expected: ReturnType<typeof wordsOf>][] = [
  ['answer 7f3a 2', { kind: 'answer', code: '7f3a', text: '2' }],
  ['/Answer 7F3A Some Words\nof mine ', { kind: 'answer', code: '7f3a', text: 'Some Words\nof mine' }],
  [`answer 7f3a ${'x'.repeat(5000)}`, { kind: 'answer', code: '7f3a', text: 'x'.repeat(5000) }],
  ['answer 7f3a', null],
  ['answer 7f3 2', null],
  ['answer 7f3ab 2', null],
  ['answer dead letters', null],
  ['answer 2024 questions', null],
  ['please answer 7f3a 2', null],
];

for (const [text, expected] of WORDS)
  test(`${JSON.stringify(text.slice(0, 40))} ${expected === null ? 'is no answer' : 'is an answer'}`, () =>
    assert.deepEqual(wordsOf(text, false), expected));

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

test('a clock stands still while somebody holds it, and goes on where it was', async () => {
  const fired = Promise.withResolvers<void>();
  let isOver = false;
  const clock = new TurnClock(50, 60_000, () => {
    isOver = true;
    fired.resolve();
  });
  const [one, two] = [clock.hold(), clock.hold()];
  await pause(150);
  one();
  one();
  await pause(150);
  assert.deepEqual([isOver, clock.stands], [false, true], 'two hold it, and one of them has let go');
  two();
  assert.equal(clock.stands, false);
  await fired.promise;
});

test('a clock that is held for ever fires when the time for that is used up', async () => {
  const fired = Promise.withResolvers<void>();
  new TurnClock(10, 100, fired.resolve).hold();
  await fired.promise;
});

test('a clock that was stopped never fires, whoever lets go of it', async () => {
  let isOver = false;
  const clock = new TurnClock(10, 10, () => {
    isOver = true;
  });
  const release = clock.hold();
  clock.stop();
  release();
  clock.hold();
  await pause(100);
  assert.equal(isOver, false);
});
