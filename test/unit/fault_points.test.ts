import assert from 'node:assert/strict';
import { appendFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { faultsFrom, guarded } from '../../src/base/faults.ts';
import { collectPoints } from '../crash/points.ts';

test('two places with one name are refused: who dies at one of them has not died at the other', (context) => {
  const root = mkdtempSync(join(tmpdir(), 'gf-'));
  context.after(() => rmSync(root, { recursive: true }));
  mkdirSync(join(root, 'src/gateway'), { recursive: true });
  appendFileSync(join(root, 'src/one.ts'), "ledger.write('one', work); this.#write('two', work);\n");
  appendFileSync(join(root, 'src/gateway/three.ts'), "guarded(this.#faults, 'audit.three', work);\n");
  assert.deepEqual(
    collectPoints(root).map(({ name, process }) => `${process} ${name}`),
    [
      'gateway audit.three:after',
      'gateway audit.three:before',
      'host ledger.one:after',
      'host ledger.one:before',
      'host ledger.two:after',
      'host ledger.two:before',
    ],
  );
  appendFileSync(join(root, 'src/gateway/three.ts'), "ledger.insist(\n  'one',\n  work);\n");
  assert.throws(() => collectPoints(root), /^Error: ledger\.one is a fault point of /);
});

test('which points are passed is written down, each once, in order', (context) => {
  const folder = mkdtempSync(join(tmpdir(), 'gf-'));
  context.after(() => rmSync(folder, { recursive: true }));
  const file = join(folder, 'passed.txt');
  const faults = faultsFrom({ GLASS_FAULT_PASSED: file }, folder, 'host');
  for (const name of ['b', 'a', 'b']) guarded(faults, name, () => {});
  assert.equal(readFileSync(file, 'utf8'), 'b:before\nb:after\na:before\na:after\n');
});
