import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { globSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { ROOT } from '../../src/base/paths.ts';

/** What help and documents list is what there is, in its order. */

const DOCUMENT_LINES_MAX = 250;

test('`glass help` names all that a verb can be followed by', () => {
  const help = spawnSync(join(ROOT, 'glass'), ['help'], { encoding: 'utf8' }).stdout;
  let seen = 0;
  for (const path of globSync('src/cli/*.ts', { cwd: ROOT })) {
    const usage = /'usage: glass (\w+) ([a-z]+(?: [^|']*)? \| [^']*)'/.exec(readFileSync(join(ROOT, path), 'utf8'));
    if (usage === null) continue;
    seen += 1;
    const [, verb, rest] = usage;
    const line = help.split('\n').find((each) => new RegExp(`^\\s*glass ${verb}\\b`).test(each))!;
    // What stands in brackets is no word of its own: `--engage always|mention`, `[<chat>]`.
    const words = rest!
      .replace(/\[[^\]]*\]/g, '')
      .split(' | ')
      .map((part) => /^[a-z-]+/.exec(part.trim())?.[0]);
    for (const word of words)
      if (word !== undefined) assert.match(line, new RegExp(`\\b${word}\\b`), `${verb}: ${word}`);
  }
  assert.ok(seen > 5, `${seen} verbs have words of their own`);
});

test('the flows of the architecture stand in their order', () => {
  const text = readFileSync(join(ROOT, 'docs/ARCHITECTURE.md'), 'utf8');
  const numbers = [...text.matchAll(/^## Flow (\d+):/gm)].map(([, number]) => Number(number));
  assert.ok(numbers.length > 0);
  assert.deepEqual(
    numbers,
    [...numbers.keys()].map((at) => at + 1),
  );
});

test('what is to be read before all else is no longer than a person reads', () => {
  for (const name of ['ARCHITECTURE', 'SECURITY']) {
    const lines = readFileSync(join(ROOT, `docs/${name}.md`), 'utf8')
      .trimEnd()
      .split('\n').length;
    assert.ok(lines <= DOCUMENT_LINES_MAX, `${name} has ${lines} lines`);
  }
});

test('each test that a guarantee is shown by is there', () => {
  const text = readFileSync(join(ROOT, 'docs/SECURITY.md'), 'utf8');
  const rows = text.split('\n').filter((line) => line.startsWith('| ') && line.includes('.test.ts'));
  assert.ok(rows.length > 60, `${rows.length} rows`);
  for (const row of rows) {
    let folder = 'test/e2e';
    for (const [, path] of row.matchAll(/`([^`]*\.test\.ts)`/g)) {
      if (path!.includes('/')) folder = dirname(path!);
      const file = path!.includes('/') ? path! : join(folder, path!);
      assert.ok(globSync(file, { cwd: ROOT }).length > 0, `${file}: ${row.slice(0, 80)}`);
    }
  }
});
