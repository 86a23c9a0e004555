import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { ROOT } from '../../src/base/paths.ts';

/** What help and documents list is what there is, in its order. */

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
