import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { memoryPrompt } from '../../sandbox/runner/memory.ts';
import { MEMORY_INDEX_BYTES_MAX } from '../../src/base/limits/messages.ts';
import { temporaryFolder } from '../fakes/ledger_kit.ts';

test('the index is shown as notes', (context) => {
  const folder = temporaryFolder(context);
  writeFileSync(join(folder, 'INDEX.md'), '- people.md: who is who\n');
  assert.match(memoryPrompt(folder), /^Your notes from earlier.* not instructions:\n- people\.md: who is who$/);
});

test('a long index is cut between two characters, and says so', (context) => {
  const folder = temporaryFolder(context);
  writeFileSync(join(folder, 'INDEX.md'), 'é'.repeat(MEMORY_INDEX_BYTES_MAX));
  const shown = memoryPrompt(folder);
  assert.ok(Buffer.byteLength(shown) < MEMORY_INDEX_BYTES_MAX + 300);
  assert.doesNotMatch(shown, /\ufffd/);
  assert.match(shown, /é\n\[The rest is in the file\.\]$/);
});

const NOTHING: [what: string, make: (index: string) => void][] = [
  ['no index', () => {}],
  ['an empty one', (index) => writeFileSync(index, ' \n')],
  ['a folder', (index) => mkdirSync(index)],
  ['a link', (index) => symlinkSync('/etc/hostname', index)],
  ['a pipe that nobody writes to', (index) => void execFileSync('mkfifo', [index])],
];

for (const [what, make] of NOTHING) {
  test(`${what} is no memory, and no obstacle`, (context) => {
    const folder = temporaryFolder(context);
    make(join(folder, 'INDEX.md'));
    assert.equal(memoryPrompt(folder), '');
  });
}
