import assert from 'node:assert/strict';
import { cpSync, existsSync, globSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { type Paths, pathsOf, ROOT } from '../../src/base/paths.ts';
import { installForSecret, installForStart } from '../../src/cli/harness.ts';
import type { Io } from '../../src/cli/io.ts';
import { installPackages } from '../../src/operations/package_install.ts';
import { isInstalled, packagesOf } from '../../src/sessions/harnesses.ts';
import { temporaryFolder } from '../fakes/ledger_kit.ts';
import { ARRIVES, FAILS, type FakeNpm, fakeNpm } from '../fakes/npm.ts';

/** The packages of a harness come when something needs it first, by an npm that is a script. */

interface World {
  paths: Paths;
  npm: FakeNpm;
  io: Io;
  said: string[];
}

/** A checkout with harnesses and a home with groups; `groups`: their `group.yaml`. */
function worldOf(context: TestContext, script: string, groups: Record<string, string> = {}): World {
  const folder = temporaryFolder(context);
  const home = join(folder, 'home');
  const paths = { ...pathsOf(home, { XDG_RUNTIME_DIR: folder }), root: join(folder, 'checkout') };
  for (const name of ['native', 'claude'])
    for (const file of ['package.json', 'package-lock.json'])
      cpSync(join(ROOT, 'sandbox/harnesses', name, file), join(paths.root, 'sandbox/harnesses', name, file));
  mkdirSync(home);
  writeFileSync(paths.config, readFileSync(join(ROOT, 'templates/glass.yaml')));
  for (const [name, yaml] of Object.entries(groups)) {
    mkdirSync(paths.group(name).folder, { recursive: true });
    writeFileSync(paths.group(name).yaml, yaml);
  }
  const said: string[] = [];
  const io = { out: () => {}, err: (line: string) => void said.push(line), json: false, colour: false };
  return { paths, npm: fakeNpm(context, folder, script), io, said };
}

function nativeOf({ paths, said }: World): Promise<boolean> {
  return installPackages(paths.root, packagesOf(paths.root, 'native')!, (line) => said.push(line));
}

function installed({ paths }: World): string[] {
  return (['native', 'claude'] as const).filter((name) => isInstalled(paths.root, name));
}

function stages({ paths }: World): string[] {
  return globSync('.node/packages-*', { cwd: paths.root });
}

const AUTO = 'harness: auto\nmodel: {provider: anthropic, name: claude-sonnet-5}\n';

test('packages come as the lock file says, without scripts of theirs and without what needs another C library', async (context) => {
  const world = worldOf(context, ARRIVES);
  assert.equal(await nativeOf(world), true);
  const modules = join(world.paths.root, 'sandbox/harnesses/native/node_modules');
  const lock = 'sandbox/harnesses/native/package-lock.json';
  assert.deepEqual(readFileSync(join(modules, 'lock-of-npm')), readFileSync(join(ROOT, lock)));
  assert.deepEqual(
    [existsSync(join(modules, '@fake/bin-gnu')), existsSync(join(modules, '@fake/bin-musl'))],
    [true, false],
  );
  assert.match(world.npm.asked(), /^ci --ignore-scripts .*--omit=dev [^\n]*\n$/);
  assert.match(
    world.said.join('\n'),
    /^Installing .* the harness native \(30 MB\)\nThe packages .* are installed \(\d+ s\)$/,
  );
  assert.deepEqual([installed(world), stages(world)], [['native'], []]);
  assert.equal(await nativeOf(world), false);
  assert.equal(world.npm.asked().split('\n').length, 2, 'the second time nobody is asked');
});

test('while npm works, it is said every five seconds', async (context) => {
  context.mock.timers.enable({ apis: ['setInterval'] });
  const world = worldOf(context, `until [ -e "$0.go" ]; do sleep 0.02; done\n${ARRIVES}`);
  const done = nativeOf(world);
  context.mock.timers.tick(15_000);
  writeFileSync(`${world.npm.file}.go`, '');
  await done;
  assert.equal(world.said.filter((line) => /^… \d+ s$/.test(line)).length, 3);
});

test('what npm could not get is one sentence, and leaves nothing but what was there', async (context) => {
  const world = worldOf(context, FAILS);
  const older = join(world.paths.root, 'sandbox/harnesses/native/node_modules/of-another-version');
  mkdirSync(older, { recursive: true });
  const failure = { code: 'unavailable', message: 'npm could not get the packages: 404 there is no such package' };
  await assert.rejects(nativeOf(world), failure);
  assert.deepEqual([installed(world), stages(world), existsSync(older)], [[], [], true]);
});

test('a secret brings the harness that its groups run from then on, once, and no other', async (context) => {
  const groups = { assistant: AUTO, second: AUTO, named: 'harness: probe\n', broken: 'harness: [' };
  const world = worldOf(context, ARRIVES, groups);
  await installForSecret('openai', new Set(['openai', 'anthropic']), world.paths, world.io);
  assert.deepEqual([installed(world), world.said], [[], []], 'of another model');
  await installForSecret('anthropic', new Set(['anthropic']), world.paths, world.io);
  assert.deepEqual([installed(world), stages(world)], [['claude'], []]);
  assert.match(
    world.said.join('\n'),
    /^The group \w+ runs the harness claude from now on\.\nInstalling .*\nThe packages .*$/,
  );
  await installForSecret('anthropic', new Set(['anthropic']), world.paths, world.io);
  assert.equal(world.said.length, 3);
});

test('a start brings what the default group names; of one that it does not name, it renews what is there', async (context) => {
  const named = worldOf(context, ARRIVES, { assistant: AUTO.replace('auto', 'native'), other: AUTO });
  await installForStart(named.paths, named.io);
  assert.deepEqual([installed(named), named.said.length], [['native'], 2]);
  const auto = worldOf(context, ARRIVES, { assistant: AUTO });
  await installForStart(auto.paths, auto.io);
  assert.deepEqual([installed(auto), auto.said], [[], []], 'only the vault knows which one it is');
  mkdirSync(join(auto.paths.root, 'sandbox/harnesses/claude/node_modules'));
  await installForStart(auto.paths, auto.io);
  assert.deepEqual([installed(auto), stages(auto)], [['claude'], []]);
});

for (const [what, run] of [
  ['secret', ({ paths, io }: World) => installForSecret('anthropic', new Set(['anthropic']), paths, io)],
  ['start', ({ paths, io }: World) => installForStart(paths, io)],
] as const)
  test(`a registry that is away fails no ${what}: it is said who cannot answer, and what to do`, async (context) => {
    const harness = what === 'secret' ? 'claude' : 'native';
    const world = worldOf(context, FAILS, { assistant: what === 'secret' ? AUTO : AUTO.replace('auto', harness) });
    await run(world);
    const [why, next] = world.said.slice(-2);
    assert.match(why!, new RegExp(`^Groups that run ${harness} cannot answer yet: .*404 there is no such package`));
    assert.equal(next, `Try again with ./glass harness install ${harness}`);
    assert.deepEqual([installed(world), stages(world)], [[], []]);
  });
