import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { test } from 'node:test';
import { OUTPUT_BYTES_PER_SECOND_MAX } from '../../src/base/limits/messages.ts';
import { paced } from '../../src/base/paced.ts';

/** A program that prints as fast as it is read. */
function flood() {
  return spawn('cat', ['/dev/zero'], { stdio: ['ignore', 'pipe', 'ignore'] });
}

test('output without end is read at a bounded rate, and its rest at once when the program has ended', async () => {
  const program = flood();
  let bytes = 0;
  program.once(
    'exit',
    paced(program.stdout, OUTPUT_BYTES_PER_SECOND_MAX, (chunk) => {
      bytes += chunk.length;
    }),
  );
  await new Promise((resolve) => setTimeout(resolve, 1500));
  // Two seconds' worth may have begun; each may go over by one chunk. Unbounded it is some hundred times as much.
  assert.ok(bytes >= OUTPUT_BYTES_PER_SECOND_MAX && bytes < 4 * OUTPUT_BYTES_PER_SECOND_MAX, `${bytes} bytes`);
  const began = performance.now();
  const closed = new Promise((resolve) => program.once('close', resolve));
  program.kill('SIGKILL');
  await closed;
  assert.ok(performance.now() - began < 5000);
});

test('a program that prints little is read as it prints', async () => {
  const program = spawn('sh', ['-c', 'for i in 1 2 3; do echo $i; done'], { stdio: ['ignore', 'pipe', 'ignore'] });
  let text = '';
  program.once(
    'exit',
    paced(program.stdout, OUTPUT_BYTES_PER_SECOND_MAX, (chunk) => {
      text += chunk.toString();
    }),
  );
  await new Promise((resolve) => program.once('close', resolve));
  assert.equal(text, '1\n2\n3\n');
});
