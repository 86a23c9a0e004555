import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdirSync, readdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { systemClock } from '../../src/base/clock.ts';
import { noFaults } from '../../src/base/faults.ts';
import { pathsOf, ROOT } from '../../src/base/paths.ts';
import { Ledger } from '../../src/ledger/ledger.ts';
import { countsOfGroup, endStops, isStopped, releaseOfGroup } from '../../src/ledger/stops.ts';
import { forgetRestore, stopRestored } from '../../src/operations/backup/marks.ts';
import { RESTORED, RESTORING } from '../../src/operations/backup/names.ts';
import { endRestore, restoreInto, unpack } from '../../src/operations/backup/restore.ts';
import { refuseHalfRestored } from '../../src/operations/starts.ts';
import { made } from '../fakes/backup_kit.ts';
import { queueOutbound, seedChat, temporaryFolder } from '../fakes/ledger_kit.ts';

test('a restore that dies anywhere leaves the old home or the new one, and is put through by who comes next', async (context) => {
  const { paths, folder, manifest } = await made(context);
  const { workspace } = paths.group('assistant');
  const tree = join(temporaryFolder(context), 'before');
  writeFileSync(join(workspace, 'note'), 'newer');
  execFileSync('cp', ['-a', paths.home, tree]);
  const contents = (home: string): string[] =>
    readdirSync(home)
      .filter((name) => name !== 'backups')
      .sort();
  await restoreInto(paths, folder, manifest, paths.vaultKey);
  const [after, before] = [contents(paths.home), contents(tree)];
  assert.ok(after.includes(RESTORED) && !after.includes(RESTORING));
  assert.equal(readFileSync(join(workspace, 'note'), 'utf8'), 'of the agent');
  const moves = before.length + after.length;
  assert.ok(moves > 10);
  for (let done = 0; done <= moves; done += 1) {
    const home = join(temporaryFolder(context), 'home');
    execFileSync('cp', ['-a', tree, home]);
    const [stage, aside] = [join(home, 'backups/.restore-x'), join(home, 'backups/replaced-x')];
    await unpack(folder, manifest, stage, paths.vaultKey);
    writeFileSync(join(stage, RESTORED), '{}');
    mkdirSync(aside);
    writeFileSync(join(home, RESTORING), JSON.stringify({ stage, aside, old: before }));
    // As far as the one that was killed had come.
    for (const name of before.slice(0, done)) renameSync(join(home, name), join(aside, name));
    for (const name of readdirSync(stage).slice(0, Math.max(0, done - before.length)))
      renameSync(join(stage, name), join(home, name));
    const moved = pathsOf(home, process.env);
    assert.equal(endRestore(moved), true);
    assert.deepEqual(contents(home), after, `after ${done} moves`);
    assert.deepEqual(readdirSync(aside).sort(), before);
    assert.equal(readFileSync(join(moved.group('assistant').workspace, 'note'), 'utf8'), 'of the agent');
    assert.equal(readFileSync(join(aside, 'groups/assistant/workspace/note'), 'utf8'), 'newer');
    assert.equal(endRestore(moved), false);
  }
});

test('neither host nor gateway starts on a home that is half put back', (context) => {
  const home = temporaryFolder(context);
  refuseHalfRestored(home);
  writeFileSync(join(home, RESTORING), '{}');
  assert.throws(() => refuseHalfRestored(home), { code: 'conflict', message: /is being put back from a backup/ });
  for (const part of ['host', 'gateway']) {
    const env = { ...process.env, GLASS_HOME: home };
    const ran = spawnSync(process.execPath, [join(ROOT, `src/${part}.ts`)], { env, encoding: 'utf8' });
    assert.equal(ran.status, 5, ran.stderr);
    assert.deepEqual(readdirSync(home), [RESTORING], `${part} made nothing`);
  }
});

test('a home that was put back is stopped as a whole, with what is of no session, and an owner lets all of it go on', async (context) => {
  const { paths } = await made(context);
  const ledger = await Ledger.open(paths.ledger, noFaults);
  context.after(() => ledger.close());
  const session = await ledger.write('start', (db) => {
    const seeded = seedChat(db);
    queueOutbound(db, seeded.chat_id, ['a card'], {});
    queueOutbound(db, seeded.chat_id, ['an answer'], { session: seeded.id });
    return seeded;
  });
  const states = (): unknown[] =>
    ledger.db.all('SELECT state FROM outbound ORDER BY id').map((row) => (row as { state: string }).state);
  stopRestored(ledger.db, systemClock, paths);
  assert.deepEqual([states(), isStopped(ledger.db, 'assistant')], [['queued', 'queued'], false]);
  writeFileSync(join(paths.home, RESTORED), 'half a no');
  for (const _ of ['once', 'again']) await ledger.write('start', (db) => stopRestored(db, systemClock, paths));
  assert.deepEqual([states(), isStopped(ledger.db, 'assistant')], [['held', 'held'], true]);
  assert.equal(ledger.db.all("SELECT 1 FROM events WHERE kind = 'group.stopped'").length, 1);
  assert.equal(countsOfGroup(ledger.db, '').held, 2);
  assert.equal(countsOfGroup(ledger.db, 'assistant').held, 1);
  await ledger.write('start', (db) => endStops(db, 1, '', 'ann') && releaseOfGroup(db, 1, '', null));
  assert.deepEqual(states(), ['queued', 'queued']);
  forgetRestore(paths);
  await ledger.write('start', (db) => stopRestored(db, systemClock, paths));
  assert.equal(isStopped(ledger.db, session.group_name), false);
});
