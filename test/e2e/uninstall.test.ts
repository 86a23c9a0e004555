import assert from 'node:assert/strict';
import { existsSync, globSync, readdirSync } from 'node:fs';
import { after, beforeEach, test } from 'node:test';
import { findLeftovers } from '../../src/runtimes/leftovers.ts';
import { mountsBelow } from '../../src/runtimes/mounts.ts';
import { cannotDrop, passesForOrdinaryUser } from '../fakes/ordinary_user.ts';
import { Clone, Origin } from '../kits/upgrade_world.ts';

/** An install is taken off its machine, and only that one. */

const origin = new Origin();
const [clone, other] = [new Clone(origin, 'one'), new Clone(origin, 'two')];
const { paths } = clone;

beforeEach(() => {
  for (const each of [clone, other]) {
    const up = each.glass('up', '--detach');
    assert.ok(up.status === 0 || /already running/.test(up.stderr), up.stderr);
    each.answers('hello');
  }
});

after(() => {
  for (const each of [clone, other]) each.end();
  origin[Symbol.dispose]();
});

/** Nothing of it is on the machine but its home; the other one runs on. */
async function isGone(): Promise<void> {
  assert.ok(!(await clone.runs()));
  assert.deepEqual(findLeftovers(paths.install), []);
  assert.deepEqual(mountsBelow(paths.home), []);
  assert.deepEqual(globSync(`/sys/fs/cgroup/{,*/}glassclaw/${paths.install}`), []);
  assert.ok(!existsSync(paths.run));
  assert.ok(await other.runs());
  other.answers('still here');
}

test('it ends, its traces go, and its home stays and can be started again', async () => {
  const { status, stdout, stderr } = clone.glass('uninstall', '--yes');
  assert.equal(status, 0, stdout + stderr);
  assert.ok(stdout.includes(`kept: ${paths.home}`) && stdout.includes(`kept: ${clone.root}`), stdout);
  await isGone();
  assert.equal(clone.said().length, 1);
});

test('it is not removed by a slip: nobody was asked, or another name was typed', async () => {
  assert.equal(clone.glass('uninstall').status, 2);
  const typed = clone.typed('another\n', 'uninstall', '--purge', '--yes');
  assert.equal(typed.status, 2);
  assert.match(typed.stderr, /nothing was removed/);
  assert.ok(await clone.runs());
});

test('with the name of its home typed, that goes too, through no mount and with hostile files in its workspaces', async () => {
  clone.litter();
  const { status, stdout, stderr } = clone.typed('one-home\n', 'uninstall', '--purge');
  assert.equal(status, 0, stdout + stderr);
  await isGone();
  assert.ok(!existsSync(paths.home));
  assert.ok(readdirSync(origin.base).includes('two-home') && existsSync(clone.root));
});

test('the same for an ordinary user', { skip: cannotDrop() }, () => {
  passesForOrdinaryUser(import.meta.url, '--test-name-pattern=its home stays|typed, that goes');
});
