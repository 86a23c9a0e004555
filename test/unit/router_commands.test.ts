import assert from 'node:assert/strict';
import { test } from 'node:test';
import { COMMANDS, isForUs, parseCommand } from '../../src/router/commands.ts';

const PARSED: [text: string, expected: ReturnType<typeof parseCommand>][] = [
  ['/stop', { name: 'stop', to: null, words: [] }],
  [' /STOP  Keep ', { name: 'stop', to: null, words: ['keep'] }],
  ['/why m12', { name: 'why', to: null, words: ['m12'] }],
  ['/status@some_bot', { name: 'status', to: 'some_bot', words: [] }],
  ['/help\nplease', { name: 'help', to: null, words: ['please'] }],
  ['/stpo', { name: 'unknown', to: null, word: 'stpo' }],
  ['stop', null],
  ['please /stop', null],
  ['/etc/hosts is a file', null],
  ['/', null],
  ['/ stop', null],
  ['//stop', null],
  ['/2', null],
  ['', null],
  [`/${'x'.repeat(21)}`, null],
  [`/stop ${'x'.repeat(500)}`, null],
];

for (const [text, expected] of PARSED) {
  test(`"${text.slice(0, 40).replaceAll('\n', '⏎')}" is ${expected === null ? 'for the agents' : `the command ${expected.name}`}`, () => {
    assert.deepEqual(parseCommand(text), expected);
  });
}

test('every command is parsed by its own name', () => {
  for (const { name } of COMMANDS) assert.equal(parseCommand(`/${name}`)?.name, name);
});

test('a long text that begins like a command is read in no time', () => {
  assert.equal(parseCommand(`/stop${' '.repeat(250_000)}${'x'.repeat(1000)}`), null);
});

const OURS: [text: string, addressed: boolean, ours: boolean][] = [
  ['/stop', false, true],
  ['/stop', true, true],
  ['/stop@another_bot', false, false],
  ['/stop@our_bot', true, true],
  ['/deploy', false, false],
  ['/deploy', true, true],
];

for (const [text, addressed, ours] of OURS) {
  test(`${text}, ${addressed ? '' : 'not '}addressed to us, is ${ours ? '' : 'not '}ours to answer`, () => {
    assert.equal(isForUs(parseCommand(text)!, addressed), ours);
  });
}
