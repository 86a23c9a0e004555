import assert from 'node:assert/strict';
import { chmodSync, chownSync, existsSync, mkdirSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { claimRunBase, type Paths } from '../../src/base/paths.ts';
import { temporaryFolder } from '../fakes/ledger_kit.ts';

/** The folder that the run folder lies in: nobody else may put sockets there in the place of ours. */

const OTHER = 61_234;

function runIn(base: string): Paths {
  return { run: join(base, 'glassclaw-1'), isService: false } as Paths;
}

const REFUSED = { code: 'config', message: /is no folder that is yours alone/ };

test('one of our own is claimed, one that is missing is made, and others may not write to it', (context) => {
  const folder = temporaryFolder(context);
  chmodSync(folder, 0o700);
  claimRunBase(runIn(folder));
  const missing = join(folder, 'glass-1000');
  claimRunBase(runIn(missing));
  assert.equal(statSync(missing).mode & 0o777, 0o711);
  assert.ok(!existsSync(runIn(missing).run));
});

test('one that others may write to is refused, sticky or not, and so is a link', (context) => {
  const folder = temporaryFolder(context);
  for (const mode of [0o1777, 0o777, 0o770, 0o720]) {
    chmodSync(folder, mode);
    assert.throws(() => claimRunBase(runIn(folder)), REFUSED, mode.toString(8));
  }
  chmodSync(folder, 0o700);
  const own = join(folder, 'own');
  mkdirSync(own, { mode: 0o700 });
  symlinkSync(own, join(folder, 'link'));
  assert.throws(() => claimRunBase(runIn(join(folder, 'link'))), REFUSED);
});

test("another account's is refused, though it is closed", {
  skip: process.getuid!() !== 0 && 'needs root',
}, (context) => {
  const folder = temporaryFolder(context);
  chownSync(folder, OTHER, OTHER);
  assert.throws(() => claimRunBase(runIn(folder)), REFUSED);
});

test('a file is refused, and the folders of a service are not ours to judge', (context) => {
  const file = join(temporaryFolder(context), 'file');
  writeFileSync(file, '');
  assert.throws(() => claimRunBase(runIn(file)), REFUSED);
  claimRunBase({ ...runIn(file), isService: true });
});
