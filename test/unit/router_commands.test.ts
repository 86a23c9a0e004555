import assert from 'node:assert/strict';
import { test } from 'node:test';
import { COMMANDS, parseCommand } from '../../src/router/commands.ts';

const PARSED: [text: string, expected: ReturnType<typeof parseCommand>][] = [
  ['/stop', { name: 'stop', words: [] }],
  [' /STOP  Keep ', { name: 'stop', words: ['keep'] }],
  ['/why m12', { name: 'why', words: ['m12'] }],
  ['/status@some_bot', { name: 'status', words: [] }],
  ['/help\nplease', { name: 'help', words: ['please'] }],
  ['/stpo', { name: 'unknown', word: 'stpo' }],
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
