import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { chmodSync, existsSync, mkdirSync, readFileSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { createServer as createHttpServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { createServer } from 'node:net';
import { dirname, join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { parseInstall } from '../../src/base/config.ts';
import { CLOCK_AHEAD_MS } from '../../src/base/limits/telemetry.ts';
import { holdLock } from '../../src/base/lock.ts';
import { pathsOf, prepareHome, ROOT } from '../../src/base/paths.ts';
import { packageFindings } from '../../src/operations/doctor.ts';
import { type Entry, entriesOf, filesFindings } from '../../src/operations/doctor_home.ts';
import { findLeft, hostRuns, leftoverFindings } from '../../src/operations/doctor_leftovers.ts';
import {
  limitOf,
  portFindings,
  type Surroundings,
  surroundingFindings,
  unitFindings,
} from '../../src/operations/doctor_machine.ts';
import type { Finding, Mend } from '../../src/operations/finding.ts';
import { type Mended, mendAll } from '../../src/operations/mend.ts';
import { makeRuntimes } from '../../src/operations/runtimes.ts';
import { serviceFiles, writeFiles } from '../../src/operations/service.ts';
import { LABEL_VARIABLE } from '../../src/runtimes/bubblewrap_argv.ts';
import { until } from '../fakes/install.ts';
import { temporaryFolder } from '../fakes/ledger_kit.ts';

/** What the doctor finds besides sandboxes, and what it does about it, on real files. */

const GOOD: Surroundings = {
  ...{ uid: 1000, node: '24.21.0', open_files: 65_536, processes: 30_000, inotify_instances: 1024 },
  ...{ inodes_free: 10 ** 6, clock_synchronised: true, now_ms: 10 ** 12, newest_ms: 10 ** 12, git: true },
};

const SURROUNDINGS: [name: string, change: Partial<Surroundings>, what: string, fix: RegExp][] = [
  ['an old Node', { node: '24.14.9' }, 'node', /\.\/glass/],
  ['few open files', { open_files: 256 }, 'open files', /LimitNOFILE/],
  ['few processes', { processes: 100 }, 'processes', /ulimit -u/],
  ['few watches', { inotify_instances: 16 }, 'inotify', /sysctl -w fs\.inotify/],
  ['no inodes', { inodes_free: 12 }, 'inodes', /df -i/],
  ['a clock that was set back', { newest_ms: 10 ** 12 + CLOCK_AHEAD_MS + 1 }, 'clock', /set the clock right/],
  ['a clock that nobody keeps', { clock_synchronised: false }, 'clock', /timedatectl set-ntp true/],
  ['no git', { git: false }, 'git', /apt install git/],
];

for (const [name, change, what, fix] of SURROUNDINGS)
  test(`a machine with ${name} is found, with the fix`, () => {
    const found = surroundingFindings({ ...GOOD, ...change }).filter(({ state }) => state !== 'well');
    assert.deepEqual(
      found.map((finding) => finding.what),
      [what],
    );
    assert.match(found[0]!.fix!, fix);
  });

test('a good machine is well, and one that cannot be asked is not accused', () => {
  const unknown = {
    open_files: null,
    processes: null,
    inotify_instances: null,
    inodes_free: null,
    clock_synchronised: null,
    newest_ms: null,
  };
  for (const found of [GOOD, { ...GOOD, ...unknown }])
    assert.deepEqual(
      surroundingFindings(found).filter(({ state }) => state !== 'well'),
      [],
    );
});

test('limits are read as the kernel writes them', () => {
  const text =
    'Limit                     Soft Limit           Hard Limit           Units\nMax processes             100                  unlimited            processes\n';
  assert.equal(limitOf(text, 'Max processes', 'soft'), 100);
  assert.equal(limitOf(text, 'Max processes', 'hard'), null);
  assert.equal(limitOf(text, 'Max open files', 'hard'), null);
});

function home(context: TestContext) {
  const folder = temporaryFolder(context);
  const paths = pathsOf(join(folder, 'home'), { GLASS_HOME: join(folder, 'home'), XDG_RUNTIME_DIR: folder });
  const own = { ...paths, run: join(folder, 'run') };
  prepareHome(own);
  const owner = statSync(own.home);
  const files = (): Finding[] => filesFindings(own, entriesOf(own), owner);
  const bad = (): Finding[] => files().filter(({ state }) => state !== 'well');
  return { paths: own, owner, files, bad };
}

const YES = { uid: 0, confirm: async (_question: string) => true, onProgress: () => {} };
const mendOf = (findings: Finding[], how: Partial<typeof YES> = {}): Promise<Mended[]> =>
  mendAll(findings, { ...YES, ...how });

test('a fresh home has nothing to mend', (context) => {
  const { files } = home(context);
  assert.deepEqual(
    files().map(({ state }) => state),
    ['well'],
  );
});

const MODES: [path: string, mode: number, state: string, right: number][] = [
  ['vault.key', 0o640, 'problem', 0o600],
  ['vault.db', 0o604, 'problem', 0o600],
  ['audit.db-wal', 0o644, 'problem', 0o600],
  ['ca.key', 0o660, 'problem', 0o600],
  ['ledger.db', 0o666, 'problem', 0o600],
  ['glass.yaml', 0o666, 'weak', 0o644],
  ['logs/host.log', 0o644, 'weak', 0o600],
  ['authorities/x.json', 0o644, 'weak', 0o640],
  ['blobs/aa', 0o644, 'weak', 0o600],
  ['groups/a/workspace.img', 0o644, 'weak', 0o600],
];

for (const [path, mode, state, right] of MODES)
  test(`${path} with mode ${mode.toString(8)} is found, and gets ${right.toString(8)}`, async (context) => {
    const { paths, bad } = home(context);
    const file = join(paths.home, path);
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, 'kept');
    chmodSync(file, mode);
    assert.deepEqual(
      bad().map((finding) => [finding.what, finding.state]),
      [['mode', state]],
    );
    const [mended] = await mendOf(bad());
    assert.equal(mended!.done, true, mended!.says);
    assert.equal(statSync(file).mode & 0o777, right);
    assert.equal(readFileSync(file, 'utf8'), 'kept');
    assert.deepEqual(bad(), []);
  });

test('modes that are as they should be are left: a certificate, a group’s files, an authority of the gateway’s group', (context) => {
  const { paths, bad } = home(context);
  mkdirSync(join(paths.groups, 'a/workspace'), { recursive: true });
  for (const [path, mode] of [
    ['ca.pem', 0o644],
    ['groups/a/group.yaml', 0o644],
    ['authorities/x.json', 0o640],
    ['groups/a/workspace/any', 0o777],
  ] as const) {
    writeFileSync(join(paths.home, path), '');
    chmodSync(join(paths.home, path), mode);
  }
  assert.deepEqual(bad(), []);
});

test('a folder that is missing is made; a key that is a link is a problem for a person', async (context) => {
  const { paths, bad } = home(context);
  rmSync(paths.blobs, { recursive: true });
  symlinkSync('/etc/hostname', paths.vaultKey);
  const found = bad();
  assert.deepEqual(
    found.map(({ what }) => what),
    ['mode', 'folder'],
  );
  const mended = await mendOf(found);
  assert.deepEqual(
    mended.map(({ done }) => done),
    [false, true],
  );
  assert.equal(statSync(paths.blobs).mode & 0o777, 0o700);
});

test('a file of another account is a problem; giving it back is asked about, and needs root', async (context) => {
  const { paths, owner } = home(context);
  const path = join(paths.home, 'glass.yaml');
  const entry: Entry = { path, uid: owner.uid + 1, mode: 0o600, kind: 'file' };
  const folders = entriesOf(paths);
  const found = filesFindings(paths, [...folders, entry], owner);
  assert.deepEqual(
    found.map(({ what, state }) => [what, state]),
    [['owner', 'problem']],
  );
  const [asUser] = await mendOf(found, { uid: 1000 });
  assert.match(asUser!.says, /needs root/);
  const asked: string[] = [];
  const confirm = async (question: string): Promise<boolean> => {
    asked.push(question);
    return false;
  };
  const [refused] = await mendOf(found, { confirm });
  assert.deepEqual([refused!.done, refused!.says], [false, 'you said no']);
  assert.match(asked[0]!, /^Give .*glass\.yaml to uid \d+\?$/);
});

test('what a killed host has left in the run folder goes, and nothing that somebody listens on', async (context) => {
  const { paths } = home(context);
  const [dead, live] = [join(paths.run, 'control.sock'), join(paths.run, 'gateway.sock')];
  mkdirSync(join(paths.run, 's1'));
  mkdirSync(join(paths.run, 's2'));
  writeFileSync(join(paths.run, 's2/notes'), 'somebody’s');
  const pidFiles = ['host.pid', 'sandbox-s1.pid'].map((name) => join(paths.run, name));
  for (const file of [...pidFiles, join(paths.run, 'mine.pid')]) writeFileSync(file, '4194304\n');
  await leaveSockets([dead, join(paths.run, 's1/hatch.sock')]);
  const server = createServer().listen(live);
  await new Promise((resolve) => server.once('listening', resolve));
  context.after(() => server.close());
  const left = await findLeft(paths, { DOCKER_HOST: 'tcp://none', CONTAINER_HOST: 'tcp://none' });
  const found = leftoverFindings(left, new Map(), paths.install);
  const mended = await mendOf(found);
  assert.deepEqual(
    mended.map(({ what, done }) => ({ what, done })),
    [{ what: 'run folder', done: true }],
  );
  const theirs = ['s2/notes', 'mine.pid'].map((name) => join(paths.run, name));
  const all = [live, ...theirs, dead, join(paths.run, 's1'), ...pidFiles];
  assert.deepEqual(all.filter(existsSync), [live, ...theirs]);
});

/** Sockets whose process is gone: a server that ends in order takes its own away. */
async function leaveSockets(paths: string[]): Promise<void> {
  const { spawnSync } = await import('node:child_process');
  const program = `for (const path of ${JSON.stringify(paths)}) require('node:net').createServer().listen(path);
setTimeout(() => process.kill(process.pid, 'SIGKILL'), 300)`;
  spawnSync(process.execPath, ['-e', program]);
  for (const path of paths) assert.ok(existsSync(path));
}

test('half-written files go, and what only looks a little like one stays', async (context) => {
  const { paths } = home(context);
  const [draft, migrating] = [join(paths.blobs, '.incoming-AbCdEf012345'), join(paths.home, 'ledger.db.migrating')];
  const mine = [
    join(paths.blobs, '.incoming-notes'),
    join(paths.home, 'ledger.db.before-3'),
    join(paths.home, 'my.pid'),
  ];
  for (const path of [draft, migrating, ...mine]) writeFileSync(path, 'x');
  const left = await findLeft(paths, { DOCKER_HOST: 'tcp://none', CONTAINER_HOST: 'tcp://none' });
  const found = leftoverFindings(left, new Map(), paths.install);
  assert.deepEqual(
    found.map(({ what }) => what),
    ['drafts'],
  );
  await mendOf(found);
  assert.ok(!existsSync(draft) && !existsSync(migrating));
  for (const path of mine) assert.ok(existsSync(path), path);
});

const NO_ENGINE = { DOCKER_HOST: 'tcp://none', CONTAINER_HOST: 'tcp://none' };

test('a sandbox that outlived its host is found by its label, and ended', async (context) => {
  const { paths } = home(context);
  const label = `${paths.install}/s1`;
  const words = ['-e', 'setInterval(() => {}, 1000)', '--', '--setenv', LABEL_VARIABLE, label];
  const child = spawn(process.execPath, words, { stdio: 'ignore' });
  context.after(() => child.kill('SIGKILL'));
  const died = new Promise((resolve) => child.once('exit', (_code, signal) => resolve(signal)));
  const find = (): Promise<string[]> => findLeft(paths, NO_ENGINE).then(({ sandboxes }) => sandboxes.bubblewrap);
  await until('it is found', async () => assert.deepEqual(await find(), [label]));
  const runtimes = makeRuntimes(paths, NO_ENGINE, undefined);
  const found = leftoverFindings(await findLeft(paths, NO_ENGINE), runtimes, paths.install);
  assert.deepEqual(
    found.map(({ what, mend }) => [what, mend?.do]),
    [['sandboxes', 'reap']],
  );
  const [mended] = await mendOf(found);
  assert.match(mended!.says, /ended 1 sandboxes/);
  assert.equal(await died, 'SIGKILL');
});

test('containers of this home are found at the engine, by its label', async (context) => {
  const { paths } = home(context);
  const asked: string[] = [];
  const engine = createHttpServer((request, response) => {
    asked.push(decodeURIComponent(request.url!));
    response.end('[{"Id":"0123456789abcdef"}]');
  });
  const socket = join(paths.run, 'engine');
  await new Promise<void>((resolve) => engine.listen(socket, resolve));
  context.after(() => engine.close());
  const { sandboxes } = await findLeft(paths, { ...NO_ENGINE, DOCKER_HOST: `unix://${socket}` });
  assert.deepEqual(sandboxes.docker, ['0123456789ab']);
  assert.deepEqual(sandboxes.podman, []);
  assert.ok(asked[0]!.includes(`"glassclaw.install=${paths.install}"`));
});

const noRoot = process.getuid!() !== 0 && 'only root can mount';
test('a workspace that is still mounted is unmounted', { skip: noRoot }, async (context) => {
  const { paths } = home(context);
  const target = paths.group('a').workspace;
  mkdirSync(target, { recursive: true });
  execFileSync('mount', ['-t', 'tmpfs', 'none', target]);
  const find = async (): Promise<Finding[]> =>
    leftoverFindings(await findLeft(paths, NO_ENGINE), new Map(), paths.install);
  const found = await find();
  assert.deepEqual(
    found.map(({ what }) => what),
    ['mount'],
  );
  await mendOf(found);
  assert.deepEqual(await find(), []);
});

test('whatever a finding says, a file of somebody is never removed', async (context) => {
  const { paths } = home(context);
  writeFileSync(paths.ledger, 'all of it');
  mkdirSync(join(paths.run, 's1'));
  writeFileSync(join(paths.run, 's1/notes'), 'x');
  for (const path of [paths.ledger, join(paths.run, 's1')]) {
    const mend: Mend = { do: 'remove', paths: [path] };
    const [mended] = await mendOf([{ what: 'x', state: 'weak', says: '', fix: '', mend }]);
    assert.equal(mended!.done, false);
    assert.match(mended!.says, /is a file of somebody/);
    assert.ok(existsSync(path));
  }
});

test('a host that runs is known by its lock', async (context) => {
  const { paths } = home(context);
  assert.equal(await hostRuns(paths), false);
  await holdLock(`${paths.install}/host`, '', '');
  assert.equal(await hostRuns(paths), true);
});

test('one that fails keeps the next from nothing, and what no program can do is said', async (context) => {
  const { paths } = home(context);
  const broken: Mend = { do: 'mode', path: join(paths.home, 'none'), mode: 0o600 };
  const folder: Mend = { do: 'folder', path: join(paths.home, 'made'), mode: 0o700 };
  const base = { what: 'x', state: 'weak', says: '', fix: 'by hand' } as const;
  const mended = await mendOf([{ ...base, mend: broken }, base, { ...base, mend: folder }]);
  assert.deepEqual(
    mended.map(({ done }) => done),
    [false, false, true],
  );
  assert.match(mended[1]!.says, /for you to do: by hand/);
});

test('a command for the machine runs only after a yes', async () => {
  const finding: Finding = {
    what: 'x',
    state: 'weak',
    says: '',
    fix: '',
    mend: { do: 'command', argv: ['true'], ask: 'Run true?' },
  };
  assert.equal((await mendOf([finding]))[0]!.done, true);
  assert.equal((await mendOf([finding], { confirm: async () => false }))[0]!.done, false);
  assert.match((await mendOf([finding], { uid: 7 }))[0]!.says, /needs root/);
});

test('a port of webhooks or metrics that is taken is a problem before the start', async (context) => {
  const server = createServer().listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  context.after(() => server.close());
  const { port } = server.address() as AddressInfo;
  const taken = `webhooks: {listen: "127.0.0.1:${port}"}\nmetrics: {prometheus: "127.0.0.1:${port}"}\n`;
  const hooks = 'channels: {wa: {kind: whatsapp, phone: "1"}}\n';
  const found = await portFindings(parseInstall(`${taken}${hooks}`, 'x'));
  assert.deepEqual(
    found.map(({ what, state }) => [what, state]),
    [
      ['webhooks', 'problem'],
      ['metrics', 'problem'],
    ],
  );
  assert.deepEqual(
    await portFindings(parseInstall(`webhooks: {listen: "127.0.0.1:${port}"}\n`, 'x')),
    [],
    'nobody calls',
  );
});

test('packages that the configuration needs and that are not there are a problem', () => {
  const needs = parseInstall('channels: {dc: {kind: discord}}\nmetrics: {}\n', 'x');
  const elsewhere = packageFindings('/nowhere', needs);
  assert.deepEqual(
    elsewhere.map(({ what, mend }) => [what, mend?.do]),
    [
      ['packages', 'packages'],
      ['packages', 'packages'],
    ],
  );
  assert.deepEqual(packageFindings(ROOT, parseInstall('{}', 'x')), []);
});

test('units of another version are weak, and the fix asks before it restarts', (context) => {
  const below = temporaryFolder(context);
  assert.deepEqual(unitFindings(ROOT, below), [], 'no service');
  writeFiles(serviceFiles(ROOT, process.execPath, below), below);
  assert.deepEqual(
    unitFindings(ROOT, below).map(({ state }) => state),
    ['well'],
  );
  writeFileSync(join(below, '/etc/systemd/system/glassclaw.service'), 'edited');
  const [finding] = unitFindings(ROOT, below);
  assert.equal(finding!.state, 'weak');
  assert.match(finding!.says, /glassclaw\.service/);
  assert.ok(finding!.mend?.do === 'command' && /restart/.test(finding!.mend.ask));
});

test('metrics on an address of other machines must be said twice', () => {
  assert.throws(() => parseInstall('metrics: {prometheus: "0.0.0.0:9464"}\n', 'x'), /public: true/);
  parseInstall('metrics: {prometheus: "0.0.0.0:9464", public: true}\n', 'x');
  assert.throws(() => parseInstall('otlp: {endpoint: "http://collector.example.com"}\n', 'x'), /http on this machine/);
});
