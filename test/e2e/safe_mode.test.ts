import assert from 'node:assert/strict';
import { existsSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { after, afterEach, test } from 'node:test';
import { OPERATIONS } from '../../src/control/operations.ts';
import { refuseInSafeMode } from '../../src/control/safe_mode.ts';
import type { Status } from '../../src/evidence/status.ts';
import type { GroupShown } from '../../src/operations/groups.ts';
import { codeCacheOf } from '../../src/operations/warm_up.ts';
import { Install, until } from '../fakes/install.ts';
import { Terminal } from '../fakes/terminal.ts';

/** `glass up --safe`, as an operator types it, on a home that has never run. */

const install = new Install();
install.group('assistant', 'harness: probe\n');
afterEach((context) => install.explain(context));
after(async () => {
  install.glass('down');
  await install.stop();
});

const log = (): string => readFileSync(join(install.paths.logs, 'host.log'), 'utf8');
const inForce = async (): Promise<boolean> =>
  (await install.control.call<GroupShown>('group_show', { group: 'assistant' })).in_force !== null;

/** The first word on a connection to a host before this one is lost. */
const status = (): Promise<Status> => until('it answers', () => install.control.call<Status>('status'));

test('a safe start puts nothing in force and warms nothing up; a start without the word does', async () => {
  const safely = install.glass('up', '--detach', '--safe');
  assert.equal(safely.status, 0, safely.stderr);
  assert.match(safely.stdout, /is up on .*, in safe mode: nothing runs and nothing leaves\n/);
  const shown = install.glass('status');
  assert.equal(shown.status, 1);
  assert.match(
    shown.stdout,
    /^GlassClaw .*needs attention\n {2}safe {5}safe mode: nothing runs and nothing leaves\n {11}→ to leave it: /,
  );
  assert.deepEqual([(await status()).safe, await inForce()], [true, false]);
  await assert.rejects(install.control.call('clear_alerts'), { code: 'refused', message: /is in safe mode/ });
  assert.equal(install.glass('down').status, 0);
  assert.doesNotMatch(log(), /"event":"files\.pruned"/);
  assert.equal(install.glass('up', '--detach').status, 0);
  assert.deepEqual([(await status()).safe, await inForce()], [false, true]);
  await until('it has warmed up', async () => assert.ok(existsSync(codeCacheOf(install.paths))));
  await install.control.call('say', { chat: 'main', text: '/help', key: 'help-1' }); // its answer waits for a terminal
  assert.equal(install.glass('down').status, 0);
  rmSync(codeCacheOf(install.paths), { recursive: true });
  assert.equal(install.glass('up', '--detach', '--safe').status, 0);
  // The host hears of it before the gateway's next answer, and would warm up.
  await install.secret('anthropic', 'fake-secret-value');
  assert.equal((await status()).safe, true);
  const terminal = await Terminal.open(install.control, 'main');
  await status();
  assert.deepEqual(terminal.heard, []);
  terminal.close();
  assert.equal(install.glass('down').status, 0);
  assert.ok(!existsSync(codeCacheOf(install.paths)));
});

test('what may be asked in safe mode exists; what is not in its list is refused', () => {
  const names = OPERATIONS.map(({ name }) => name);
  const allowed = names.filter((name) => {
    try {
      refuseInSafeMode(name);
      return true;
    } catch {
      return false;
    }
  });
  assert.equal(allowed.length, 33);
  for (const name of [
    'say',
    'group_apply',
    'group_new',
    'group_image',
    'inspect',
    'approval_decide',
    'task_run',
    'pair',
    'x',
  ])
    assert.throws(() => refuseInSafeMode(name), { code: 'refused' }, name);
});
