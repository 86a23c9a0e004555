import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { SESSION_LOG_BYTES_MAX } from '../../src/base/limits/messages.ts';
import { SessionOutput } from '../../src/sessions/output.ts';
import { temporaryFolder } from '../fakes/ledger_kit.ts';

const CUT = /\[further output of this session is not kept\]/g;

test('what a sandbox prints without end is kept up to a cap, said once, over all of the session’s sandboxes', (context) => {
  const file = join(temporaryFolder(context), 's1.log');
  const line = Buffer.from(`${'x'.repeat(1000)}\n`);
  for (let sandbox = 0; sandbox < 3; sandbox += 1) {
    const output = new SessionOutput(file);
    for (let i = 0; i < 6000; i += 1) output.write(line);
    output.close();
  }
  const kept = readFileSync(file, 'latin1');
  assert.ok(kept.length > SESSION_LOG_BYTES_MAX && kept.length < SESSION_LOG_BYTES_MAX + 5000, `${kept.length}`);
  assert.equal(kept.match(CUT)?.length, 1);
});

test('a line without an end takes no memory, and is kept in its beginning', (context) => {
  const file = join(temporaryFolder(context), 's1.log');
  const output = new SessionOutput(file);
  const before = process.memoryUsage().rss;
  const chunk = Buffer.alloc(64 * 1024, 'x');
  for (let i = 0; i < 5000; i += 1) output.write(chunk);
  output.close();
  assert.ok(process.memoryUsage().rss - before < 200 * 2 ** 20);
  assert.ok(readFileSync(file).length < 5000);
});

test('control characters of a sandbox are shown, not acted upon', (context) => {
  const file = join(temporaryFolder(context), 's1.log');
  const output = new SessionOutput(file);
  output.write(Buffer.from('a\x1b[2Jb\x07\rc\n'));
  output.close();
  assert.match(readFileSync(file, 'latin1'), /Z a\\x1b\[2Jb\\x07\\x0dc\n$/);
});
