import assert from 'node:assert/strict';
import { appendFileSync, mkdtempSync, renameSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { afterEach, beforeEach, test } from 'node:test';
import { runTests, type TestRun } from '../../src/cli/test_run.ts';
import { remove } from '../fakes/remove.ts';

/** What is red beside other files is looked at a second time: it is named when it is green alone, and stays red when it is red again. */

let folder: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'glass-test-run-'));
});
afterEach(() => remove(folder));

/** A file with one green test and one that is red in each run whose number is in `red`. */
function file(name: string, red: number[]): string {
  const path = join(folder, `${name}.test.mjs`);
  const runs = join(folder, `${name}.runs`);
  writeFileSync(
    path,
    `import { appendFileSync, readFileSync } from 'node:fs';
    import { test } from 'node:test';
    appendFileSync(${JSON.stringify(runs)}, 'x');
    const run = readFileSync(${JSON.stringify(runs)}).length;
    test('green', () => {});
    test('${name}', () => { if (${JSON.stringify(red)}.includes(run)) throw new Error('red in run ' + run); });`,
  );
  return path;
}

async function looked(files: string[], second_looks: number): Promise<TestRun> {
  // This file is a test itself: its children would report to its own runner.
  const context = process.env['NODE_TEST_CONTEXT'];
  delete process.env['NODE_TEST_CONTEXT'];
  try {
    return await runTests(files, { at_once: 2, second_looks });
  } finally {
    if (context !== undefined) process.env['NODE_TEST_CONTEXT'] = context;
  }
}

test('red beside others and green alone: passed, and named, with the report of both looks', async () => {
  const run = await looked([file('steady', []), file('unsteady', [1])], 3);
  assert.deepEqual([run.passed, run.failed, run.unsteady.map(({ name }) => name)], [4, 0, ['unsteady']]);
  assert.match(run.report, /red in run 1/);
});

test('a test that is written in a kit, and a process that dies, are looked at again in the file that was run', async () => {
  const kit = file('kit', [1]).replace('.test.mjs', '.mjs');
  renameSync(kit.replace('.mjs', '.test.mjs'), kit);
  const user = join(folder, 'user.test.mjs');
  writeFileSync(user, `import ${JSON.stringify(kit)};`);
  const dies = file('dies', []);
  appendFileSync(dies, '\nif (run === 1) process.exit(3);');
  const run = await looked([user, dies], 2);
  assert.deepEqual([run.failed, run.unsteady.map(({ name }) => basename(name)).sort()], [0, ['dies.test.mjs', 'kit']]);
});

test('red twice: failed', async () => {
  const run = await looked([file('steady', []), file('broken', [1, 2])], 3);
  assert.deepEqual([run.passed, run.failed, run.unsteady], [3, 1, []]);
  assert.match(run.report, /red in run 2/);
});

test('more files are red than get a second look, or none gets one: failed at the first', async () => {
  const many = await looked([file('one', [1]), file('two', [1])], 1);
  assert.deepEqual([many.passed, many.failed, many.unsteady], [2, 2, []]);
  const alone = await looked([file('three', [1])], 0);
  assert.deepEqual([alone.passed, alone.failed, alone.unsteady], [1, 1, []]);
});
