import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync } from 'node:fs';
import { homedir, tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { NO_PACKAGES } from '../../src/authority/packages.ts';
import { imageId } from '../../src/runtimes/build.ts';
import { DEBIAN } from '../../src/runtimes/debian.ts';
import { PODMAN } from '../../src/runtimes/dialect.ts';
import { DockerRuntime, SANDBOX_IMAGE } from '../../src/runtimes/docker.ts';
import { Engine, engineSocket } from '../../src/runtimes/engine.ts';
import { pruneGroupImages } from '../../src/runtimes/group_image.ts';
import { packagesHash, packagesPrefix } from '../../src/runtimes/packages.ts';
import { pruneRoots } from '../../src/runtimes/roots.ts';
import { Install, until } from '../fakes/install.ts';
import { remove } from '../fakes/remove.ts';
import { Terminal } from '../fakes/terminal.ts';
import { IS_ROOT } from './inspect_kit.ts';
import { ownEngine, podmanArgv } from './runtimes_engines.ts';

/** What nobody uses any more is removed when an authority is applied, and nothing else. */

const folder = mkdtempSync(join(tmpdir(), 'glass-prune-'));
after(() => remove(folder));

test('roots go that are not used, and drafts that nobody can still be making; a closed folder in them does not matter', async () => {
  const root = (name: string): string => join(folder, 'roots', name);
  for (const name of ['used', 'old', 'draft-new']) mkdirSync(join(root(name), 'usr/closed/deep'), { recursive: true });
  execFileSync('chmod', ['0', join(root('old'), 'usr/closed')]);
  assert.deepEqual(await pruneRoots(folder, new Set([root('used'), null])), [root('old')]);
  assert.deepEqual(readdirSync(join(folder, 'roots')).sort(), ['draft-new', 'used']);
  assert.deepEqual(await pruneRoots(join(folder, 'none'), new Set()), []);
});

const docker = new Engine(engineSocket(process.env) ?? '/no/such.sock');
const noDocker = await new DockerRuntime({ socket: engineSocket(process.env), cache: folder, run: folder }).check();
const run = mkdtempSync(IS_ROOT ? '/run/glass-p-' : join(tmpdir(), 'glass-p-'));
const podman = IS_ROOT
  ? await ownEngine(run, podmanArgv(run), PODMAN)
  : { skip: 'needs root', socket: '', end: async () => {} };
after(async () => {
  await podman.end();
  remove(run);
});

const ENGINES: [engine: Engine, skip: string | false][] = [
  [docker, noDocker.join('; ') || false],
  [new Engine(podman.socket, PODMAN), podman.skip],
];
for (const [engine, skip] of ENGINES)
  test(`images of ${engine.dialect.name} lose this install’s name when they are not used, and no other name`, {
    skip,
  }, async (context) => {
    const [ours, theirs] = ['prunetest1', 'prunetest2'].map((install) => `${packagesPrefix(install)}a`) as [
      string,
      string,
    ];
    const has = async (name: string): Promise<boolean> => (await imageId(engine, name)) !== null;
    context.after(() => engine.expect('DELETE', `/images/${theirs}`, undefined, [404]));
    for (const name of [ours, theirs]) {
      const [repo, tag] = name.split(':');
      await engine.expect('POST', `/images/${SANDBOX_IMAGE}/tag?repo=${repo}&tag=${tag}`);
    }
    const id = await imageId(engine, SANDBOX_IMAGE);
    assert.deepEqual(await pruneGroupImages(engine, 'prunetest1', new Set([id])), []);
    assert.ok(await has(ours));
    assert.equal((await pruneGroupImages(engine, 'prunetest1', new Set([null]))).length, 1);
    assert.ok(!(await has(ours)));
    assert.ok((await has(theirs)) && (await has(SANDBOX_IMAGE)));
  });

/** Made by the tests of roots, and kept between runs. */
const MADE = join(homedir(), '.cache/glassclaw-test/roots');

test('a root goes two authorities after its own, and not while a session runs on it', {
  skip: existsSync(MADE) && readdirSync(MADE).length > 0 ? false : 'no root was made on this machine yet',
}, async (context) => {
  const install = new Install();
  context.after(async () => {
    install.explain(context);
    await install.stop();
  });
  const place = (name: string): string =>
    join(install.paths.cache, 'roots', packagesHash(DEBIAN, { ...NO_PACKAGES, apt: [name] }));
  const yaml = (name: string): string =>
    `harness: probe\nuserland: image\npackages: {apt: [${name}]}\nlimits: {idle: 3s}\n`;
  const names = ['one', 'two', 'three', 'four'];
  mkdirSync(place('one'), { recursive: true });
  execFileSync('cp', ['-aT', join(MADE, readdirSync(MADE)[0]!), place('one')]);
  install.group('assistant', yaml('one'));
  await install.start();
  const chat = await Terminal.open(install.control, 'long');
  await chat.say('sleep 8');
  const running = async (): Promise<void> =>
    assert.ok(
      (await install.ready()).sessions.some(({ state, image }) => state === 'running' && image === place('one')),
    );
  await until('its turn runs', running);
  // They are there already, so that nothing is made: an apply takes what is in the place.
  for (const name of names.slice(1)) {
    mkdirSync(place(name));
    await install.change('assistant', yaml(name));
  }
  const there = (): string[] => names.filter((name) => existsSync(place(name)));
  await until('it is pruned', async () => assert.deepEqual(there(), ['one', 'three', 'four']));
  await running();
  await chat.hears(/./);
  await until('its session ends', async () => assert.deepEqual((await install.ready()).sessions, []));
  await install.change('assistant', yaml('three'));
  const roots = (): string[] => readdirSync(join(install.paths.cache, 'roots'));
  await until('the rest is pruned, and removed', async () => assert.equal(roots().length, 2));
  assert.deepEqual(there(), ['three', 'four']);
  assert.match(readFileSync(join(install.paths.logs, 'host.log'), 'utf8'), /"image.removed"/);
});
