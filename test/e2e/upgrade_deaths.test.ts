import assert from 'node:assert/strict';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, watch } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { readLog, type Step } from '../../src/operations/upgrade/record.ts';
import { until } from '../fakes/install.ts';
import { Clone, Origin } from '../kits/upgrade_world.ts';

/**
 * A kill −9 at each step of an upgrade, when its record says that it begins: of the command alone, whose children live on, and of
 * everything that it has started, as when the machine loses power. The next start ends it, and never is it a mix.
 */
const origin = new Origin();
const clone = new Clone(origin, 'one');
const { places } = clone;

before(() => {
  start();
  clone.answers('one');
  origin.publish('0.2.0', [], { 'src/cli/only_new.ts': '// Only the new version has this file.\n' });
});

after(() => {
  clone.end();
  origin[Symbol.dispose]();
});

function start(): void {
  const up = clone.glass('up', '--detach');
  assert.equal(up.status, 0, up.stderr);
}

/** One version, whole, that runs and answers; nothing said is lost. */
async function holds(version: string): Promise<void> {
  assert.deepEqual(clone.checkout(), { version, branch: 'main', edits: '' });
  assert.equal(existsSync(join(clone.root, 'src/cli/only_new.ts')), version === '0.2.0');
  assert.ok(!existsSync(places.record) && !existsSync(places.mender));
  assert.deepEqual(
    readdirSync(places.folder).filter((name) => name.startsWith('packages-')),
    [],
  );
  const said = clone.said();
  assert.ok(await clone.runs());
  clone.answers(`after ${said.length}`);
  assert.deepEqual(clone.said(), [...said, `after ${said.length}`]);
}

/** Runs the command and kills it when its record says `step`, or `later_ms` after that. */
async function killAt(step: Step, who: 'it' | 'all', later_ms: number, ...words: string[]): Promise<void> {
  mkdirSync(places.folder, { recursive: true });
  const before = recordNow();
  const child = clone.begin(...words);
  const gone = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  const reached = Promise.withResolvers<boolean>();
  const watcher = watch(places.folder, () => {
    const now = recordNow();
    if (now !== before && now.includes(`"step":"${step}"`)) reached.resolve(true);
  });
  void gone.then(() => reached.resolve(false));
  const isReached = await reached.promise;
  watcher.close();
  assert.ok(isReached, `${words.join(' ')} ended before it was ${step}`);
  if (later_ms > 0) await sleep(later_ms);
  for (const pid of [child.pid!, ...(who === 'all' ? descendants(child.pid!) : [])]) kill(pid);
  await gone;
}

function recordNow(): string {
  try {
    return readFileSync(places.record, 'utf8');
  } catch {
    return '';
  }
}

/** Of everything that it has started; an install that was up before is none of them. */
function descendants(root: number): number[] {
  const parents = new Map<number, number>();
  for (const name of readdirSync('/proc').filter((entry) => /^\d+$/.test(entry))) {
    try {
      parents.set(Number(name), Number(/^PPid:\t(\d+)$/m.exec(readFileSync(`/proc/${name}/status`, 'utf8'))?.[1]));
    } catch {
      // It has ended.
    }
  }
  const below = (pid: number): number[] =>
    [...parents].filter(([, parent]) => parent === pid).flatMap(([child]) => [child, ...below(child)]);
  return below(root);
}

function kill(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // It has ended.
  }
}

/** What `glass up` says at most, and that it runs then. */
function upAgain(): string {
  const up = clone.glass('up', '--detach');
  assert.ok(up.status === 0 || /already running/.test(up.stderr), up.stderr);
  return up.stderr;
}

for (const step of ['staging', 'saving', 'rehearsing'] as const) {
  test(`killed while ${step}: nothing has changed, and it goes on running`, async () => {
    await killAt(step, step === 'saving' ? 'it' : 'all', 300, 'upgrade', '--yes');
    assert.ok(await clone.runs());
    const again = clone.glass('upgrade', 'log');
    assert.equal(again.status, 0);
    assert.equal(clone.checkout().version, '0.1.0');
  });
}

test('the next upgrade says what was cut short, and is made', async () => {
  // What a git leaves that was killed while it made the tree: a place that is locked, and gone.
  const commit = clone.git('rev-parse', 'v0.2.0^{commit}').trim();
  const tree = places.tree(commit);
  for (const left of [tree, `${tree}.ready`]) rmSync(left, { recursive: true, force: true });
  clone.git('worktree', 'add', '-f', '-f', '--lock', '--detach', tree, commit);
  rmSync(tree, { recursive: true });
  const done = clone.glass('upgrade', '--yes');
  assert.equal(done.status, 0, done.stderr);
  assert.match(done.stderr, /was cut short before anything was changed/);
  await holds('0.2.0');
});

/** By the way back, which takes the same steps, the other way round, without a backup. */
const back = ['upgrade', 'back', '--yes'];
for (const [step, who, later_ms] of [
  ['stopping', 'it', 0],
  ['keeping', 'all', 0],
  ['flipping', 'all', 0],
  ['flipping', 'all', 40],
  ['flipping', 'it', 80],
  ['trying', 'it', 0],
  ['trying', 'all', 700],
] as const) {
  test(`killed while ${step} (${who}, ${later_ms} ms later): the next start has the old version, whole`, async () => {
    await killAt(step, who, later_ms, ...back);
    if (step !== 'stopping') upAgain();
    else {
      const { status, stderr } = clone.glass('upgrade', '--check');
      assert.ok(status === 0, stderr);
    }
    await holds('0.2.0');
  });
}

test('killed while it waits for a running turn: who ends it waits for that too, and it runs again', async () => {
  const asked = clone.begin('chat', 'sleep 8');
  await until('the turn runs', async () =>
    assert.equal(clone.rows<{ n: number }>("SELECT count(*) AS n FROM turns WHERE state = 'running'")[0]!.n, 1),
  );
  await killAt('stopping', 'it', 600, ...back);
  const { status, stderr } = clone.glass('upgrade', '--check');
  assert.equal(status, 0, stderr);
  asked.kill('SIGKILL');
  await holds('0.2.0');
});

test('while one is between two versions, other verbs say so and touch nothing', async () => {
  await killAt('trying', 'all', 0, ...back);
  const status = clone.glass('status');
  assert.equal(status.status, 5);
  assert.match(status.stderr, /\.\/glass up ends it/);
  assert.ok(existsSync(places.record));
});

test('killed while it is taken back, twice: the third start has the old version, whole', async () => {
  await killAt('returning', 'all', 0, 'up', '--detach');
  await killAt('returned', 'all', 0, 'upgrade', '--check');
  const said = upAgain();
  assert.match(said, /0\.2\.0 is what runs|is back/);
  await holds('0.2.0');
  assert.equal(readLog(places).at(-1)?.outcome, 'returned');
  const alerts = (): string => clone.glass('alert', 'list').stdout;
  await until('who could not be told then is told now', async () => assert.match(alerts(), /upgrade\.returned/));
});

test('killed once it was tried: the next start goes on with what was tried', async () => {
  await killAt('starting', 'all', 0, ...back);
  upAgain();
  await holds('0.1.0');
  assert.equal(readLog(places).at(-1)?.outcome, 'done');
});
