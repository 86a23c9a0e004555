import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { fstatSync, mkdirSync, openSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { openLog } from '../../src/base/log.ts';
import { ROOT } from '../../src/base/paths.ts';
import { beginLife, endLife, livesCut } from '../../src/ledger/lives.ts';
import { freshLedger, temporaryFolder } from '../fakes/ledger_kit.ts';

/** A log that cannot be written, one that the journal reads, and lives of the host that were cut short. */

test('a log says why its newest line is not in the file, and forgets it with the next one that is', (context) => {
  const folder = join(temporaryFolder(context), 'logs');
  const log = openLog('host', join(folder, 'host.log'), true);
  log.info('lost');
  assert.match(log.trouble()!, /ENOENT/);
  mkdirSync(folder);
  log.info('kept');
  assert.equal(log.trouble(), null);
  assert.match(readFileSync(join(folder, 'host.log'), 'utf8'), /"event":"kept"/);
  rmSync(folder, { recursive: true });
});

test('in the journal a line begins with how bad it is; where somebody reads it for us it does not', (context) => {
  const file = join(temporaryFolder(context), 'journal');
  const code = `import('${join(ROOT, 'src/base/log.ts')}').then(({ openLog }) => { const log = openLog('host', null); log.error('alert'); log.info('x'); })`;
  const run = (stream: (fd: number) => string): string[] => {
    const fd = openSync(file, 'w');
    const env = { ...process.env, JOURNAL_STREAM: stream(fd) };
    assert.equal(spawnSync(process.execPath, ['-e', code], { env, stdio: ['ignore', 'ignore', fd] }).status, 0);
    return readFileSync(file, 'utf8').trimEnd().split('\n');
  };
  const own = run((fd) => `${fstatSync(fd).dev}:${fstatSync(fd).ino}`);
  assert.deepEqual(
    own.map((line) => line.slice(0, 4)),
    ['<3>{', '<6>{'],
  );
  assert.ok(run(() => '1:2').every((line) => line.startsWith('{')));
});

test('a life that did not end in order was cut short; the one that runs was not', async (context) => {
  const { db } = await freshLedger(context);
  const cut = (): number => livesCut(db, 0);
  beginLife(db, 1000);
  assert.equal(cut(), 0);
  beginLife(db, 2000);
  assert.equal(cut(), 1);
  endLife(db, 2500);
  beginLife(db, 3000);
  beginLife(db, 4000);
  assert.deepEqual([cut(), livesCut(db, 1500)], [2, 1]);
});
