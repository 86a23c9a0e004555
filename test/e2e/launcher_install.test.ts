import assert from 'node:assert/strict';
import { type SpawnSyncReturns, spawn, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { cpSync, existsSync, globSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { after, before, test } from 'node:test';
import { copyCheckout, fewPrograms, pinnedVersion } from '../fakes/checkout.ts';
import { until } from '../fakes/install.ts';

/** What `./glass` gets on a machine that lacks something, from an npm and a Debian that are scripts. */

const base = mkdtempSync(join(tmpdir(), 'glass-launcher-'));
const ARCHIVE = join(base, 'archive.tgz');
const PACKAGES = join(base, 'complete/node_modules');
const VERSION = pinnedVersion();
const USES = [
  'mkdir',
  'flock',
  'uname',
  'getconf',
  'env',
  'grep',
  'head',
  'tail',
  'sha512sum',
  'tar',
  'gzip',
  'chmod',
  'mv',
  'cp',
  'sleep',
];

before(() => {
  copyCheckout(join(base, 'complete'), true);
  copyCheckout(join(base, 'bare'), false);
  const node = join(base, 'package/bin/node');
  mkdirSync(dirname(node), { recursive: true });
  writeFileSync(node, `#!/bin/sh\nexec '${process.execPath}' "$@"\n`, { mode: 0o755 });
  spawnSync('tar', ['-czf', ARCHIVE, '-C', base, 'package/bin/node']);
});
after(() => rmSync(base, { recursive: true, force: true, maxRetries: 20, retryDelay: 100 }));

/** As npm's own two words: the archive of a package, and what the lock file says. */
const NPM = `case $1 in
  pack) for last; do :; done; cp '${ARCHIVE}' "\${last%@*}-\${last##*@}.tgz" ;;
  ci) cp -al '${PACKAGES}' node_modules; rm node_modules/.glass-stamp ;;
esac`;

class Machine {
  readonly checkout: string;
  readonly bin: string;

  /** A fresh clone, and no Node. `pinned`: for which processor the archive that npm brings is the one of this version. */
  constructor(pinned: 'X64' | 'ARM64' | null = null) {
    this.checkout = join(mkdtempSync(join(base, 'm')), 'checkout');
    cpSync(join(base, 'bare'), this.checkout, { recursive: true });
    const launcher = readFileSync(join(base, 'bare/glass'), 'utf8');
    const sum = createHash('sha512').update(readFileSync(ARCHIVE)).digest('hex');
    const line = new RegExp(`^NODE_SHA512_${pinned}=.*$`, 'm');
    writeFileSync(join(this.checkout, 'glass'), launcher.replace(line, `NODE_SHA512_${pinned}=${sum}`));
    this.bin = fewPrograms(join(dirname(this.checkout), 'bin'), USES);
  }

  /** Puts a program first on PATH that writes down how it is called. */
  has(name: string, script: string): this {
    rmSync(join(this.bin, name), { force: true });
    writeFileSync(join(this.bin, name), `#!/bin/sh\necho "$*" >>'${this.#asked(name)}'\n${script}\n`, { mode: 0o755 });
    return this;
  }

  hasPackages(): this {
    cpSync(PACKAGES, join(this.checkout, 'node_modules'), { recursive: true });
    return this;
  }

  get env(): NodeJS.ProcessEnv {
    return { PATH: this.bin, HOME: dirname(this.checkout) };
  }

  run(...args: string[]): SpawnSyncReturns<string> {
    const program = join(this.checkout, 'glass');
    return spawnSync(program, args.length === 0 ? ['--version'] : args, { env: this.env, encoding: 'utf8' });
  }

  /** The calls of a program that it `has`. */
  asked(name: string): string[] {
    return existsSync(this.#asked(name)) ? readFileSync(this.#asked(name), 'utf8').trimEnd().split('\n') : [];
  }

  get stages(): string[] {
    return globSync('.node/stage.*', { cwd: this.checkout });
  }

  get node(): string {
    return join(this.checkout, '.node', VERSION, 'bin/node');
  }

  #asked(name: string): string {
    return join(dirname(this.checkout), `asked-${name}`);
  }
}

function runs({ status, stdout, stderr, signal, error }: SpawnSyncReturns<string>): void {
  assert.equal(status, 0, `${signal ?? error} ${stderr}`);
  assert.match(stdout, /^\d+\.\d+\.\d+\n$/);
}

function failsWith(code: number, sentence: RegExp, { status, stderr }: SpawnSyncReturns<string>): void {
  assert.equal(status, code, stderr);
  assert.match(stderr.trimEnd().split('\n').at(-1)!, sentence);
}

for (const [name, machine, pinned] of [
  ['x64', 'x86_64', 'X64'],
  ['x64', 'amd64', 'X64'],
  ['arm64', 'aarch64', 'ARM64'],
  ['arm64', 'arm64', 'ARM64'],
] as const) {
  const uname = `[ "$1" = -m ] && echo ${machine} || echo Linux`;

  test(`on ${machine} Node comes from npm as node-linux-${name}, in the version and with the sum of this checkout`, () => {
    const made = new Machine(pinned).has('npm', NPM).has('uname', uname);
    const first = made.run();
    runs(first);
    assert.match(
      first.stderr,
      /^glass: getting Node .* \(50 MB\)\nglass: getting the packages of package-lock\.json\n$/,
    );
    const [pack, ci] = made.asked('npm');
    assert.equal(pack, `pack --silent node-linux-${name}@${VERSION}`);
    assert.match(ci!, /^ci --omit=dev --ignore-scripts /);
    const again = made.run();
    runs(again);
    assert.deepEqual([again.stderr, made.asked('npm').length, made.stages], ['', 2, []]);
  });

  test(`on ${machine} another archive than this version was made with is refused with 7, and nothing of it is kept`, () => {
    const made = new Machine(pinned === 'X64' ? 'ARM64' : 'X64').has('npm', NPM).has('uname', uname);
    failsWith(7, /^glass: the archive of Node .* is not the one this version was made with$/, made.run());
    assert.deepEqual([existsSync(made.node), made.stages, made.asked('npm').length], [false, [], 1]);
  });
}

test('on another system or processor it says where it runs', () => {
  for (const [system, machine] of [
    ['Darwin', 'arm64'],
    ['Linux', 'riscv64'],
  ]) {
    const made = new Machine().has('npm', NPM).has('uname', `[ "$1" = -m ] && echo ${machine} || echo ${system}`);
    failsWith(6, new RegExp(`runs on Linux on x64 and arm64; this is ${system} on ${machine}$`), made.run());
    assert.deepEqual(made.asked('npm'), []);
  }
});

test('where the C library is not glibc it names the way out, and gets nothing', () => {
  const made = new Machine('X64').has('npm', NPM).has('getconf', 'exit 1');
  failsWith(
    6,
    /^glass: there is no Node for this C library \(musl\?\): install Node 24\.15 or newer from your/,
    made.run(),
  );
  assert.deepEqual([made.asked('getconf'), made.asked('npm'), made.stages], [['GNU_LIBC_VERSION'], [], []]);
});

test('a Node that does not run on this machine is not put in place', () => {
  const made = new Machine('X64').has('npm', NPM).has('uname', '[ "$1" = -m ] && echo x86_64 || echo Linux');
  made.has('tar', `/bin/tar "$@" || exit; for last; do :; done; echo 'exit 127' >"$4/$last"`);
  failsWith(6, /does not run on this machine: it needs glibc 2\.28 or newer$/, made.run());
  assert.ok(!existsSync(made.node));
});

for (const [version, taken] of [
  ['v24.14.9', false],
  ['v24.15.0', true],
  ['v25.0.0', true],
  ['v23.99.0', false],
  ['v3.24.15', false],
  ['nonsense', false],
] as const)
  test(`a Node on PATH that says ${version} is ${taken ? 'taken' : 'passed over'}`, () => {
    const node = `if [ "$1" = --version ]; then echo ${version}; else exec '${process.execPath}' "$@"; fi`;
    const made = new Machine('X64').hasPackages().has('npm', 'exit 1').has('node', node);
    const ran = made.run();
    if (taken) runs(ran);
    else failsWith(6, /^glass: Node .* could not be fetched; is the npm registry reachable from here\?$/, ran);
    assert.deepEqual([made.asked('node').length, made.asked('npm').length], taken ? [2, 0] : [1, 1]);
  });

/** A Debian whose npm is not installed; `script` comes first. */
function debian(script = ''): Machine {
  const made = new Machine('X64').has('uname', '[ "$1" = -m ] && echo x86_64 || echo Linux').has('id', 'echo 0');
  const npm = join(dirname(made.checkout), 'npm');
  writeFileSync(npm, `#!/bin/sh\n${NPM}\n`, { mode: 0o755 });
  return made.has('apt-get', `${script}\n[ "$1" = update ] || cp '${npm}' '${made.bin}/npm'`);
}

const INSTALL = 'install -y --no-install-recommends npm';

test('npm that is missing is a Debian package', () => {
  const made = debian();
  const ran = made.run();
  runs(ran);
  assert.match(ran.stderr, /^glass: installing the Debian package npm\nglass: getting Node/);
  assert.deepEqual(made.asked('apt-get'), [INSTALL]);
});

test('a Debian that knows no packages yet is told to look, and asked once more', () => {
  const made = debian(
    `[ "$1" = update ] && : >"$0.looked"; [ -e "$0.looked" ] || { echo 'E: no package npm' >&2; exit 100; }`,
  );
  const ran = made.run();
  runs(ran);
  assert.deepEqual(made.asked('apt-get'), [INSTALL, 'update', INSTALL]);
  assert.doesNotMatch(ran.stderr, /E:/);
});

test('a Debian that has no npm to give is quoted', () => {
  for (const [script, asked] of [
    ['[ "$1" = update ] || { echo "E: no package npm" >&2; exit 100; }', [INSTALL, 'update', INSTALL]],
    ['echo "E: no package npm" >&2; exit 100', [INSTALL, 'update']],
  ] as const) {
    const made = debian(script);
    const ran = made.run();
    failsWith(6, /^glass: npm is missing: install it \(Debian, Ubuntu: apt install npm\), then run this again$/, ran);
    assert.equal(ran.stderr.match(/^E: no package npm$/gm)?.length, 1, ran.stderr);
    assert.deepEqual(made.asked('apt-get'), asked);
  }
});

test('an ordinary user’s Debian package is installed by a sudo that asks for no password, or not at all', () => {
  const may = debian()
    .has('id', 'echo 1000')
    .has('sudo', '[ "$1" = -n ] || exit 1; shift; [ "$1" = true ] || exec "$@"');
  runs(may.run());
  assert.deepEqual(may.asked('sudo'), ['-n true', `-n env DEBIAN_FRONTEND=noninteractive apt-get ${INSTALL}`]);
  const mayNot = debian().has('id', 'echo 1000').has('sudo', 'exit 1');
  failsWith(6, /^glass: npm is missing/, mayNot.run());
  assert.deepEqual([mayNot.asked('sudo'), mayNot.asked('apt-get')], [['-n true'], []]);
});

for (const word of ['pack', 'ci'])
  test(`a first run that is killed while npm works at ${word} leaves nothing that the next one trips over`, async () => {
    const made = new Machine('X64').has('uname', '[ "$1" = -m ] && echo x86_64 || echo Linux');
    // What there is of the work is half of it.
    made.has(
      'npm',
      `${NPM}\n[ $1 = ${word} ] || exit 0; rm -rf node_modules/zod; for each in *.tgz; do echo >"$each"; done; sleep 60`,
    );
    const first = spawn(join(made.checkout, 'glass'), ['--version'], {
      env: made.env,
      stdio: 'ignore',
      detached: true,
    });
    const gone = once(first, 'exit');
    await until('npm works', async () => assert.ok(made.asked('npm').at(-1)?.startsWith(word)));
    process.kill(-first.pid!, 'SIGKILL');
    await gone;
    const ran = made.has('npm', NPM).run();
    runs(ran);
    assert.doesNotMatch(ran.stderr, /waiting/);
    assert.ok(existsSync(join(made.checkout, 'node_modules/zod/package.json')), 'all packages are there');
    assert.deepEqual(made.stages, [], 'what the killed one had begun is gone');
    const again = made.run('help');
    assert.deepEqual([again.status, again.stderr], [0, '']);
  });

test('a first run that is told to end takes what it has begun with it', async () => {
  const made = new Machine('X64').has('npm', 'sleep 60');
  const first = spawn(join(made.checkout, 'glass'), ['--version'], { env: made.env, stdio: 'ignore', detached: true });
  const gone = once(first, 'exit');
  await until('npm works', async () => assert.equal(made.asked('npm').length, 1));
  process.kill(-first.pid!, 'SIGTERM');
  assert.deepEqual((await gone)[0], 130);
  assert.deepEqual(made.stages, []);
});
