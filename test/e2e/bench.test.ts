import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { test } from 'node:test';
import { ROOT } from '../../src/base/paths.ts';
import { countTrustedLines } from '../count_lines.ts';

/** What `glass bench` prints, by its quickest part; the figures are nobody's to judge here. */

function bench(...parts: string[]) {
  return spawnSync(process.execPath, [join(ROOT, 'src/cli/main.ts'), 'bench', ...parts], { encoding: 'utf8' });
}

test('a table for people, and JSON with every row, its target and the machine', () => {
  const { status, stdout, stderr } = bench('lines');
  assert.equal(status, 0, stderr);
  const { machine, seconds, rows } = JSON.parse(stdout);
  assert.deepEqual([typeof machine.cpus, machine.node, Object.keys(seconds)], ['number', process.version, ['lines']]);
  const { kernel, all } = countTrustedLines();
  assert.deepEqual(
    rows.map(({ what, value, met }: Record<string, unknown>) => [what, value, met]),
    [
      ['trusted code, kernel', `${kernel} lines`, true],
      ['trusted code, all', `${all} lines`, true],
    ],
  );
  for (const { what, value, target } of rows)
    assert.ok(
      stderr
        .split('\n')
        .some((line) => line.startsWith('✓') && [what, value, target].every((word) => line.includes(word))),
    );
});

test('a part that there is not is refused, with those that there are', () => {
  const { status, stdout, stderr } = bench('speed');
  assert.deepEqual([status, stdout], [2, '']);
  assert.match(
    stderr,
    /^there is no measurement "speed"\nTry: all, or some of probe, docker, native, claude, gateway, lines, /,
  );
});
