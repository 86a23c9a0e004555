import assert from 'node:assert/strict';
import { readdirSync, readFileSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { cachedFile } from '../../src/runtimes/cached_file.ts';
import { generatedEtc } from '../../src/runtimes/userland.ts';
import { temporaryFolder } from '../fakes/ledger_kit.ts';

/** What sandboxes are made from and is kept: a disk that failed may have left it without its content. */

test('a kept file that has lost its content is made again, and one that is whole stays', (context) => {
  const folder = join(temporaryFolder(context), 'cache');
  const content = Buffer.from('a filter');
  const file = cachedFile(folder, 'filter', content);
  for (const damage of [() => {}, () => truncateSync(file, 0), () => writeFileSync(file, 'another')]) {
    damage();
    assert.equal(cachedFile(folder, 'filter', content), file);
    assert.equal(readFileSync(file, 'utf8'), 'a filter');
  }
  assert.deepEqual(readdirSync(folder).length, 1);
});

test('the system files of sandboxes are made again where one has lost its content', (context) => {
  const folder = temporaryFolder(context);
  const etc = generatedEtc(folder);
  const passwd = join(etc, 'passwd');
  const before = readFileSync(passwd, 'utf8');
  truncateSync(passwd, 0);
  assert.equal(generatedEtc(folder), etc);
  assert.equal(readFileSync(passwd, 'utf8'), before);
  assert.equal(readdirSync(folder).length, 1);
});
