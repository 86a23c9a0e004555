import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { copyFileSync, cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { after, test } from 'node:test';
import { pathsOf } from '../../src/base/paths.ts';
import { addedLines } from '../../src/operations/upgrade/changes.ts';
import { keep, lossesOf, newestOf, putBack, schemaChanges, since } from '../../src/operations/upgrade/databases.ts';
import { flip } from '../../src/operations/upgrade/flip.ts';
import { editsOf, Git, inTheWay, readCheckout, relationOf } from '../../src/operations/upgrade/git.ts';
import { linkPackages, stampOf } from '../../src/operations/upgrade/packages.ts';
import {
  endRecord,
  type LogLine,
  lastUpgrade,
  mendingOf,
  type Place,
  placesOf,
  readLog,
  readRecord,
  type Step,
  type UpgradeRecord,
  writeRecord,
} from '../../src/operations/upgrade/record.ts';
import { chooseRef, compareVersions, judge, newestTag, parseVersion } from '../../src/operations/upgrade/versions.ts';
import { ROOT } from '../source_tree.ts';

/** What an upgrade decides, and how it moves a checkout: real git and real databases, on folders of a few files. */

const base = mkdtempSync(join(tmpdir(), 'glass-upgrade-'));
after(() => rmSync(base, { recursive: true, force: true }));

test('versions are in the order of semver, and a candidate comes before its version', () => {
  const ordered = [
    'v0.9.9',
    'v0.10.0-alpha',
    'v0.10.0-rc.2',
    'v0.10.0-rc.10',
    'v0.10.0',
    'v0.10.1',
    'v1.0.0',
    'v10.0.0',
  ];
  const shuffled = [...ordered].reverse();
  assert.deepEqual(
    shuffled.sort((a, b) => compareVersions(parseVersion(a)!, parseVersion(b)!)),
    ordered,
  );
  for (const none of ['v1.2', 'vx.1.2', '1.2.3.4', 'v1.2.3 ', 'latest', ''])
    assert.equal(parseVersion(none), null, none);
});

test('the newest finished version tag is taken, else the head of the branch, and what is asked for before both', () => {
  const tags = ['v0.2.0', 'v0.10.0', 'v0.11.0-rc.1', 'version-99', 'v9'];
  assert.equal(newestTag(tags), 'v0.10.0');
  assert.deepEqual(chooseRef(null, tags, 'origin/main'), { ref: 'v0.10.0', kind: 'tag' });
  assert.deepEqual(chooseRef(null, ['v1-beta'], 'origin/main'), { ref: 'origin/main', kind: 'branch' });
  assert.deepEqual(chooseRef('abc123', tags, null), { ref: 'abc123', kind: 'asked' });
  assert.equal(chooseRef(null, [], null), null);
});

test('only what is newer is taken, and nothing of one’s own is lost', () => {
  const asked = { here: '0.2.0', there: '0.3.0', kind: 'asked', own: 0 } as const;
  assert.equal(judge({ ...asked, relation: 'same' }).do, 'nothing');
  assert.equal(judge({ ...asked, relation: 'newer' }).do, 'upgrade');
  assert.equal(judge({ ...asked, relation: 'older' }).do, 'refuse');
  assert.equal(judge({ ...asked, relation: 'older', kind: 'tag' }).do, 'nothing');
  assert.equal(judge({ ...asked, relation: 'aside' }).do, 'upgrade');
  assert.equal(judge({ ...asked, relation: 'aside', own: 2 }).do, 'refuse');
  assert.equal(judge({ ...asked, relation: 'aside', there: '0.2.0' }).do, 'refuse');
});

test('what ends an upgrade that was cut short: nothing before the move, back while it moves, forward once messages may come in', () => {
  const table: Record<Step, string> = {
    ...{ staging: 'forget', saving: 'forget', rehearsing: 'forget', stopping: 'forget', keeping: 'forget' },
    ...{ flipping: 'return', trying: 'return', returning: 'return' },
    ...{ returned: 'finish', starting: 'finish' },
  };
  for (const [step, mending] of Object.entries(table)) assert.equal(mendingOf(step as Step), mending, step);
});

const place = (letter: string, version: string): Place => ({ commit: letter.repeat(40), version, branch: null });
const line = (verb: LogLine['verb'], outcome: LogLine['outcome'], from: Place, to: Place, home = '/h'): LogLine => ({
  ...{ id: `${verb}${from.version}${outcome}`, verb, outcome, at_ms: 1, ms: 1, home, from, to },
  ...{ kept: null, backup: null, why: null },
});

test('back takes back the last upgrade of this home, and that once', () => {
  const [a, b, c] = [place('a', '0.1.0'), place('b', '0.2.0'), place('c', '0.3.0')];
  const log = [line('upgrade', 'done', a, b), line('upgrade', 'returned', b, c)];
  assert.equal(lastUpgrade(log, '/h', b.commit)?.from, a);
  assert.equal(lastUpgrade(log, '/other', b.commit), null);
  assert.equal(lastUpgrade(log, '/h', c.commit), null);
  assert.equal(lastUpgrade([...log, line('back', 'done', b, a)], '/h', a.commit), null);
});

test('the record is there before a step, names who mends from the move on, and goes with its end, which is logged once', () => {
  const places = placesOf(join(base, 'record'));
  const record: UpgradeRecord = {
    ...{ id: 'one', verb: 'upgrade', step: 'staging', home: '/h', was: 'up', from: place('a', '0.1.0') },
    ...{ to: place('b', '0.2.0'), kept: '/k', lose: null, backup: null, began_ms: 0, why: null },
  };
  writeRecord(places, record);
  assert.equal(readRecord(places)?.step, 'staging');
  assert.ok(!existsSync(places.mender));
  writeRecord(places, { ...record, step: 'flipping' });
  assert.equal(readFileSync(places.mender, 'utf8'), `${'a'.repeat(12)}\n`);
  endRecord(places, record, 'done', null);
  endRecord(places, record, 'done', null);
  assert.deepEqual([readRecord(places), existsSync(places.mender), readLog(places).length], [null, false, 1]);
  writeFileSync(places.record, '{"step":"flying"}');
  assert.throws(() => readRecord(places), /cannot be read/);
});

test('what mends a checkout needs no package: it runs while there may be none', () => {
  const tree = join(base, 'without-packages');
  cpSync(join(ROOT, 'src'), join(tree, 'src'), { recursive: true, filter: (from) => !from.includes('node_modules') });
  cpSync(join(ROOT, 'package.json'), join(tree, 'package.json'));
  const places = placesOf(join(base, 'mended'));
  mkdirSync(places.folder, { recursive: true });
  writeFileSync(places.mender, 'nobody');
  execFileSync(process.execPath, [join(tree, 'src/cli/upgrade/mend.ts'), places.root, 'up'], { stdio: 'pipe' });
  assert.ok(!existsSync(places.mender));
  assert.throws(
    () => execFileSync(process.execPath, [join(tree, 'src/cli/main.ts'), 'channel', 'list'], { stdio: 'pipe' }),
    /ERR_MODULE_NOT_FOUND/,
    'another program does need them',
  );
});

test('of the changelog what is new is shown', () => {
  const before = '# Changelog\n\n## [Unreleased]\n- one\n';
  assert.deepEqual(addedLines(before, `${before}- two\n  and more\n- two\n`), ['- two', '  and more']);
});

/** A clone with two commits, whose trees are beside it as an upgrade makes them. */
async function clone(name: string): Promise<{ git: Git; from: Place; to: Place; root: string }> {
  const root = join(base, name);
  mkdirSync(root, { recursive: true });
  const run = (...args: string[]): string =>
    execFileSync('git', ['-c', 'user.name=t', '-c', 'user.email=t@example.com', ...args], {
      cwd: root,
      encoding: 'utf8',
    });
  const write = (file: string, text: string): void => {
    mkdirSync(dirname(join(root, file)), { recursive: true });
    writeFileSync(join(root, file), text, { mode: 0o755 });
  };
  const commit = (version: string): Place => {
    write('package.json', JSON.stringify({ name: 'glassclaw', version }));
    run('add', '-A');
    run('commit', '-qm', version);
    return { commit: run('rev-parse', 'HEAD').trim(), version, branch: 'main' };
  };
  run('init', '-q', '-b', 'main');
  write('.gitignore', '.versions/\nnode_modules/\n');
  write('package-lock.json', 'one');
  write('glass', 'old');
  write('src/gone.ts', 'gone later');
  write('src/same.ts', 'same');
  const from = commit('0.1.0');
  rmSync(join(root, 'src/gone.ts'));
  write('glass', 'new');
  write('package-lock.json', 'two');
  write('migrations/0002_new.sql', 'new');
  const to = commit('0.2.0');
  for (const { commit: at, version } of [from, to]) {
    run('worktree', 'add', '-q', '--detach', placesOf(root).tree(at), at);
    const modules = join(placesOf(root).tree(at), 'node_modules');
    mkdirSync(modules);
    writeFileSync(join(modules, '.glass-stamp'), version);
  }
  run('reset', '-q', '--hard', from.commit);
  await linkPackages(placesOf(root), placesOf(root).tree(from.commit), root, '.');
  return { git: new Git(root), from, to, root };
}

const stateOf = async (git: Git): Promise<string[]> => [
  await git.text('rev-parse', 'HEAD'),
  await git.text('symbolic-ref', '--short', 'HEAD'),
  await git.text('status', '--porcelain'),
  stampOf(git.root, '.') ?? '',
  readFileSync(join(git.root, 'glass'), 'utf8'),
];

test('a checkout moves with its branch, launcher and packages, there and back', async () => {
  const { git, from, to, root } = await clone('move');
  await flip(git, placesOf(root), from, to);
  assert.deepEqual(await stateOf(git), [to.commit, 'main', '', '0.2.0', 'new']);
  assert.ok(existsSync(join(root, 'migrations/0002_new.sql')) && !existsSync(join(root, 'src/gone.ts')));
  await flip(git, placesOf(root), to, from);
  assert.deepEqual(await stateOf(git), [from.commit, 'main', '', '0.1.0', 'old']);
  assert.ok(!existsSync(join(root, 'migrations')) && existsSync(join(root, 'src/gone.ts')));
});

test('a move that was cut short goes either way, and leaves no file of the other version', async () => {
  const { git, from, to, root } = await clone('cut');
  const places = placesOf(root);
  // Half of what git writes, before it says so in its index; the packages are between two renames.
  const cut = (): void => {
    mkdirSync(join(root, 'migrations'), { recursive: true });
    writeFileSync(join(root, 'migrations/0002_new.sql'), 'new');
    writeFileSync(join(root, 'package.json'), '{"name":"gla');
    writeFileSync(join(root, 'glass'), 'new');
    rmSync(join(root, 'src/gone.ts'), { force: true });
    rmSync(join(root, 'node_modules'), { recursive: true, force: true });
    mkdirSync(join(places.folder, 'packages-AbCdEf'), { recursive: true });
  };
  cut();
  await flip(git, places, to, from);
  assert.deepEqual(await stateOf(git), [from.commit, 'main', '', '0.1.0', 'old']);
  assert.ok(!existsSync(join(root, 'migrations')), 'a migration of the other version would be run');
  cut();
  await flip(git, places, from, to);
  assert.deepEqual(await stateOf(git), [to.commit, 'main', '', '0.2.0', 'new']);
  assert.ok(!existsSync(join(places.folder, 'packages-AbCdEf')));
});

test('a branch that somebody has moved meanwhile stays where it is', async () => {
  const { git, from, to, root } = await clone('branch');
  await git.text('branch', 'elsewhere', to.commit);
  await flip(git, placesOf(root), { ...from, branch: 'elsewhere' }, { ...to, branch: 'main' });
  await git.text('update-ref', 'refs/heads/main', await git.text('commit-tree', `${to.commit}^{tree}`, '-m', 'mine'));
  await flip(git, placesOf(root), to, from);
  assert.equal(await git.maybe('symbolic-ref', '--quiet', 'HEAD'), null);
  assert.equal(await git.text('rev-parse', 'HEAD'), from.commit);
});

test('edits are named, also such that only lie where the other version has a file', async () => {
  const { git, from, to, root } = await clone('edits');
  assert.deepEqual(await editsOf(git), []);
  writeFileSync(join(root, 'src/same.ts'), 'mine');
  writeFileSync(join(root, 'notes.txt'), 'mine');
  assert.deepEqual(await editsOf(git), ['src/same.ts']);
  assert.deepEqual(await inTheWay(git, from.commit, to.commit), []);
  mkdirSync(join(root, 'migrations'));
  writeFileSync(join(root, 'migrations/0002_new.sql'), 'mine');
  assert.deepEqual(await inTheWay(git, from.commit, to.commit), ['migrations/0002_new.sql']);
});

test('which of two versions is newer is what git knows of their histories', async () => {
  const { git, from, to } = await clone('history');
  const aside = await git.text('commit-tree', `${to.commit}^{tree}`, '-p', from.commit, '-m', 'aside');
  const relations = await Promise.all(
    [to.commit, from.commit, aside].map((there) => relationOf(git, to.commit, there)),
  );
  assert.deepEqual(relations, ['same', 'older', 'aside']);
  assert.equal(await relationOf(git, from.commit, to.commit), 'newer');
});

test('what is no clone, or a folder within another one’s, is refused with the way by hand', async () => {
  const { root } = await clone('outer');
  mkdirSync(join(root, 'inner'));
  await assert.rejects(readCheckout(new Git(join(root, 'inner'))), /no clone/);
  await assert.rejects(readCheckout(new Git(base)), /no clone/);
  await assert.rejects(readCheckout(new Git(root)), /no origin/);
});

/** A home of a few rows. */
function home(name: string): ReturnType<typeof pathsOf> {
  const paths = pathsOf(join(base, name), process.env);
  mkdirSync(join(paths.home, 'groups/own'), { recursive: true });
  writeFileSync(join(paths.home, 'groups/own/group.yaml'), '{}');
  const db = new DatabaseSync(paths.ledger);
  db.exec(`PRAGMA journal_mode = WAL; PRAGMA user_version = 20;
    CREATE TABLE messages (id INTEGER PRIMARY KEY, text TEXT, chat_id INTEGER, sender TEXT, platform_id TEXT);
    CREATE TABLE outbound (id INTEGER PRIMARY KEY, body TEXT, chat_id INTEGER);
    CREATE TABLE chats (id INTEGER PRIMARY KEY, channel TEXT, platform_id TEXT);
    INSERT INTO chats VALUES (1, 'local', 'main'), (2, 'local', 'check-trial');
    CREATE TABLE wirings (chat_id INTEGER, group_name TEXT);
    INSERT INTO messages (text, chat_id) VALUES ('a', 1), ('b', 1), ('c', 1);
    INSERT INTO outbound (body, chat_id) VALUES ('A', 1);
    INSERT INTO wirings VALUES (1, 'own'), (2, 'check-throwaway')`);
  db.close();
  return paths;
}

function change(file: string, sql: string): void {
  const db = new DatabaseSync(file);
  db.exec(sql);
  db.close();
}

test('what a version has lost of a ledger is said: rows, their text, tables, columns, groups', () => {
  const cases: [sql: string, lost: RegExp][] = [
    ['DELETE FROM messages WHERE id = 2', /1 rows of messages/],
    ["UPDATE messages SET text = '' WHERE id > 1", /what stood in 2 rows of messages/],
    ['ALTER TABLE outbound RENAME TO outbound_old', /outbound\.id/],
    ['ALTER TABLE messages RENAME COLUMN text TO words', /messages\.text/],
    ["DELETE FROM wirings WHERE group_name = 'own'", /1 rows of wirings/],
  ];
  for (const [at, [sql, lost]] of cases.entries()) {
    const paths = home(`lost-${at}`);
    keep(paths, join(paths.home, 'kept'));
    change(paths.ledger, sql);
    assert.match(lossesOf(paths.home, join(paths.home, 'kept')).join(', '), lost, sql);
  }
  const paths = home('lost-none');
  keep(paths, join(paths.home, 'kept'));
  change(
    paths.ledger,
    "ALTER TABLE messages ADD COLUMN more TEXT; INSERT INTO messages (text) VALUES ('d'); DELETE FROM wirings WHERE chat_id = 2",
  );
  assert.deepEqual(lossesOf(paths.home, join(paths.home, 'kept')), []);
  rmSync(join(paths.home, 'groups/own'), { recursive: true });
  assert.deepEqual(lossesOf(paths.home, join(paths.home, 'kept')), ['the group own']);
});

test('databases come back as they were, whatever became of them, and what came in since is counted', () => {
  const paths = home('back');
  const kept = join(paths.home, 'kept');
  writeFileSync(paths.vaultKey, 'key');
  keep(paths, kept);
  const newest = newestOf(paths);
  change(
    paths.ledger,
    "PRAGMA user_version = 21; INSERT INTO messages (text, chat_id) VALUES ('d', 1), ('e', 1), ('model', 2); DELETE FROM messages WHERE id = 1",
  );
  assert.deepEqual(since(paths, kept), { messages: 2, outbound: 0 });
  assert.deepEqual(schemaChanges(paths, kept), ['ledger.db: schema 20 became 21']);
  assert.notEqual(newestOf(paths), newest);
  // Of a host that was killed: what it had written last is in its log alone, which SQLite would take for the old file's.
  const killed = new DatabaseSync(paths.ledger);
  killed.exec("INSERT INTO messages (text, chat_id) VALUES ('f', 1)");
  copyFileSync(`${paths.ledger}-wal`, join(paths.home, 'log'));
  killed.close();
  writeFileSync(paths.vaultKey, 'another');
  for (const _ of ['once', 'again']) {
    copyFileSync(join(paths.home, 'log'), `${paths.ledger}-wal`);
    putBack(paths, kept);
    assert.deepEqual([newestOf(paths), schemaChanges(paths, kept), lossesOf(paths.home, kept)], [newest, [], []]);
    assert.equal(readFileSync(paths.vaultKey, 'utf8'), 'key');
  }
  rmSync(join(kept, 'kept.json'));
  assert.throws(() => putBack(paths, kept), /no whole copy/);
});
