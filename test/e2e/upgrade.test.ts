import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { pidOf } from '../../src/cli/check/processes.ts';
import type { LogLine } from '../../src/operations/upgrade/record.ts';
import { until } from '../fakes/install.ts';
import { cannotDrop, passesForOrdinaryUser } from '../fakes/ordinary_user.ts';
import { Clone, MIGRATION, Origin, type Upgraded } from '../kits/upgrade_world.ts';

/** Upgrades that hold, the way back, and what is refused before anything is begun: real clones, by their launcher. */

const origin = new Origin();
const clone = new Clone(origin, 'one');
const { paths, places } = clone;
after(() => {
  clone.end();
  origin[Symbol.dispose]();
});

const start = (): void => {
  const up = clone.glass('up', '--detach');
  assert.equal(up.status, 0, up.stderr);
};

test('with nothing newer there is nothing to do; a newer version is shown with what it brings, and --check changes nothing', () => {
  const none = clone.glass('upgrade', '--check');
  assert.deepEqual([none.status, none.stderr], [0, 'looking what there is at origin\n']);
  assert.match(none.stdout, /nothing to do/);
  origin.publish('0.2.0', [['CHANGELOG.md', '### Added\n', '### Added\n- A thing that is new.\n']], MIGRATION);
  const looked = clone.glass('upgrade', '--check');
  assert.equal(looked.status, 1);
  for (const part of ['0.1.0 (', '→ 0.2.0', 'v0.2.0', 'A thing that is new', '0099_more.sql'])
    assert.ok(looked.stdout.includes(part), part);
  assert.deepEqual(clone.checkout(), { version: '0.1.0', branch: 'main', edits: '' });
  assert.ok(!existsSync(places.record) && !existsSync(paths.ledger));
});

test('without a terminal and without --yes nobody has agreed', () => {
  start();
  const asked = clone.glass('upgrade');
  assert.deepEqual([asked.status, clone.checkout().version], [2, '0.1.0']);
  assert.match(asked.stderr, /add --yes/);
});

test('an upgrade with a migration keeps every message, answers, and takes the branch along', async () => {
  if (!(await clone.runs())) start();
  for (const text of ['one', 'two']) clone.answers(text);
  const schema = clone.schema();
  const done = clone.json<Upgraded>('upgrade', '--yes');
  assert.deepEqual([done.done, done.to.version, done.channels_missing], [true, '0.2.0', []]);
  assert.deepEqual(clone.checkout(), { version: '0.2.0', branch: 'main', edits: '' });
  assert.deepEqual([clone.schema(), clone.said()], [99, ['one', 'two']]);
  assert.notEqual(schema, 99);
  assert.ok(await clone.runs(), 'it was up, and is again');
  clone.answers('three');
  assert.ok(!existsSync(places.record) && !existsSync(places.mender));
  const { findings } = clone.json<{ findings: { what: string; state: string; says: string }[] }>('doctor');
  assert.deepEqual(
    findings.filter(({ says, state }) => state !== 'well' && says.includes('upgrades')),
    [],
  );
  const [line] = clone.json<{ upgrades: LogLine[] }>('upgrade', 'log').upgrades;
  assert.deepEqual([line?.outcome, line?.from.version, line?.to.version], ['done', '0.1.0', '0.2.0']);
});

test('back over a migration says what it would lose, and loses that only when it is told to', async () => {
  const refused = clone.glass('upgrade', 'back', '--yes');
  assert.equal(refused.status, 7);
  assert.match(refused.stderr, /schema \d+ became 99.*1 messages that came in and 1 that went out.*--lose-since/s);
  assert.ok((await clone.runs()) && clone.checkout().version === '0.2.0');
  const back = clone.json<Upgraded>('upgrade', 'back', '--lose-since', '--yes');
  assert.ok(back.done);
  assert.deepEqual(clone.checkout(), { version: '0.1.0', branch: 'main', edits: '' });
  assert.deepEqual(clone.said(), ['one', 'two']);
  assert.ok(!existsSync(join(clone.root, 'src/ledger/migrations/0099_more.sql')));
  const status = clone.json<{ stopped: { group: string | null }[] }>('status');
  assert.deepEqual(status.stopped[0]?.group, null, 'what waited then is sent only when somebody says so');
  assert.equal(clone.glass('resume', '--all', '--drop-held').status, 0);
  clone.answers('four');
  assert.equal(readdirSync(join(paths.home, 'upgrades')).length, 1, 'what was lost is kept aside');
  const twice = clone.glass('upgrade', 'back', '--yes');
  assert.equal(twice.status, 4, twice.stdout);
});

test('an install that is down is upgraded, tried, and stays down; back without a migration loses nothing', async () => {
  origin.unpublish('0.2.0');
  origin.publish('0.2.1', []);
  assert.equal(clone.glass('down').status, 0);
  const done = clone.json<Upgraded>('upgrade', '--yes');
  assert.deepEqual([done.done, clone.checkout().version, await clone.runs()], [true, '0.2.1', false]);
  start();
  clone.answers('five');
  const said = clone.said();
  const back = clone.glass('upgrade', 'back', '--yes');
  assert.equal(back.status, 0, back.stderr);
  assert.match(back.stderr, /nothing is lost/);
  assert.deepEqual([clone.checkout().version, clone.said(), await clone.runs()], ['0.1.0', said, true]);
  clone.answers('six');
});

test('edits, and files in the way of the new version’s, are refused with their names', () => {
  origin.publish('0.2.2', [], { 'templates/new.txt': 'of the version' });
  writeFileSync(join(clone.root, 'src/cli/down.ts'), 'mine');
  const edited = clone.glass('upgrade', '--yes');
  assert.deepEqual([edited.status, /src\/cli\/down\.ts/.test(edited.stderr)], [7, true]);
  clone.git('checkout', '-q', '--', 'src/cli/down.ts');
  writeFileSync(join(clone.root, 'templates/new.txt'), 'mine');
  const inTheWay = clone.glass('upgrade', '--yes');
  assert.deepEqual([inTheWay.status, /templates\/new\.txt/.test(inTheWay.stderr)], [7, true]);
  rmSync(join(clone.root, 'templates/new.txt'));
  assert.deepEqual(clone.checkout(), { version: '0.1.0', branch: 'main', edits: '' });
});

test('an older version, one that does not exist, and one of nothing are refused', () => {
  const old = clone.git('commit-tree', 'HEAD^{tree}', '-m', 'elsewhere');
  for (const [ref, code] of [
    [old, 7],
    ['v9.9.9', 4],
    ['--sideways', 2],
  ] as const) {
    const { status, stderr } = clone.glass('upgrade', ref, '--yes');
    assert.equal(status, code, stderr);
  }
  assert.equal(clone.checkout().version, '0.1.0');
});

test('without the origin it says so, and changes nothing', () => {
  renameSync(origin.bare, `${origin.bare}.away`);
  const { status, stderr } = clone.glass('upgrade', '--yes');
  renameSync(`${origin.bare}.away`, origin.bare);
  assert.deepEqual([status, stderr.split('\n').length], [6, 3]);
  assert.match(stderr, /origin cannot be reached/);
});

test('what runs in the foreground of a terminal, or from this checkout on another home, is told and left alone', async () => {
  clone.glass('down');
  const child = clone.begin('up');
  await until('it runs', async () => assert.ok(await clone.runs()));
  const host = pidOf(paths, 'host');
  const foreground = clone.glass('upgrade', '--yes');
  assert.deepEqual([foreground.status, pidOf(paths, 'host')], [5, host]);
  assert.match(foreground.stderr, /foreground/);
  const other = clone.glassOn(join(origin.base, 'other-home'), 'upgrade', '--yes');
  assert.equal(other.status, 5);
  assert.match(other.stderr, /another install runs from this checkout/);
  child.kill('SIGTERM');
  await until('it has ended', async () => assert.ok(child.exitCode !== null));
});

test('a full disk is said before anything is begun', {
  skip: process.geteuid!() === 0 ? false : 'needs root, to mount',
}, () => {
  const home = join(origin.base, 'small');
  mkdirSync(home);
  assert.equal(spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=100m', 'small', home]).status, 0);
  try {
    const { status, stderr } = clone.glassOn(home, 'upgrade', '--yes');
    assert.equal(status, 8, stderr);
    assert.match(stderr, /are free in .*nothing was changed/s);
  } finally {
    spawnSync('umount', [home]);
  }
  assert.equal(clone.checkout().version, '0.1.0');
});

test('the same for an ordinary user', { skip: cannotDrop() }, () => {
  passesForOrdinaryUser(import.meta.url, '--test-name-pattern=keeps every message|nothing newer|it is told to');
});
