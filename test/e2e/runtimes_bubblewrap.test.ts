import assert from 'node:assert/strict';
import { existsSync, readdirSync } from 'node:fs';
import { after, describe, test } from 'node:test';
import { seccompArch } from '../../src/runtimes/seccomp.ts';
import { cannotDrop, passesForOrdinaryUser } from '../fakes/ordinary_user.ts';
import * as kit from './runtimes_kit.ts';
import { limitTests } from './runtimes_limits.ts';

const home = new kit.Home();
const runtime = home.runtime('bubblewrap');
const problems = await runtime.check();
const skip = problems.length > 0 ? problems.join('; ') : false;
const limits = await runtime.limits();
const limited = (name: string): boolean => limits.some((limit) => limit.name === name && limit.state === 'enforced');
const who = kit.IS_ROOT ? 'started by root' : 'started by an ordinary user';

after(() => home.remove());

describe(`a bubblewrap sandbox ${who}`, { skip }, () => {
  test('holds every guard, as seen from inside', async () => {
    const { output, exit } = await kit.ran(runtime, home.spec('guards', kit.probeScript(seccompArch(process.arch)!)));
    assert.deepEqual(exit, { code: 0, signal: null, reason: null });
    const variables = 'GLASS_LABEL HOME PATH PWD ';
    kit.assertGuards(output, { uid: '10001', host: '0', variables: variables.trim(), hosts: '2' });
  });

  test('reports exit codes, and a start that failed', async () => {
    assert.equal((await kit.ran(runtime, home.spec('code', 'exit 7'))).exit.code, 7);
    const missing = await kit.ran(runtime, home.spec('missing', '', { argv: ['/no/such/program'] }));
    assert.match(missing.exit.reason!, /^start failed: .*(not found|No such file)/);
  });

  test('is refused with an OCI runtime, which it has none of', async () => {
    const spec = home.spec('oci', 'true', { oci_runtime: 'runsc' });
    await assert.rejects(
      runtime.start(spec, () => {}),
      { code: 'refused', message: /runsc/ },
    );
  });

  test('keeps both output streams in order', async () => {
    const { output } = await kit.ran(runtime, home.spec('order', 'for i in 1 2 3; do echo o$i; echo e$i >&2; done'));
    assert.equal(output.replaceAll('\n', ' ').trim(), 'o1 e1 o2 e2 o3 e3');
  });

  test('can be killed twice, at any moment, and is gone when its end is told', async () => {
    const sandbox = await kit.started(runtime, home.spec('kill', home.linger));
    sandbox.kill();
    sandbox.kill();
    assert.deepEqual(await sandbox.exited, { code: null, signal: 'SIGKILL', reason: null });
    assert.equal(kit.processesOf(home.install), 0);
    sandbox.kill();
    for (const wait_ms of [0, 1, 3, 6, 12]) {
      const early = await runtime.start(home.spec(`early${wait_ms}`, home.linger), () => {});
      await new Promise((resolve) => setTimeout(resolve, wait_ms));
      early.kill();
      await early.exited;
      await kit.until(() => kit.processesOf(home.install) === 0, `killed after ${wait_ms} ms`);
    }
  });

  test('ends when an outsider kills its one pid', async () => {
    const sandbox = await kit.started(runtime, home.spec('outsider', home.linger));
    process.kill(sandbox.pid, 'SIGKILL');
    await sandbox.exited;
    assert.equal(kit.processesOf(home.install), 0);
    assert.equal(home.lingering(), 0);
  });

  test('ends with the process that started it', async () => {
    const host = await kit.hostProcess(home, 'bubblewrap', home.spec('orphan', home.linger));
    await kit.until(() => home.lingering() === 2, 'the sandbox runs');
    host.kill('SIGKILL');
    await kit.until(() => kit.processesOf(home.install) === 0 && home.lingering() === 0, 'something is left');
    await runtime.reap(home.install);
  });

  test('ends with a process that is killed while it starts sandboxes', async () => {
    for (const wait_ms of [1, 4, 8, 12, 16, 20, 25, 30]) {
      const host = await kit.hostProcess(home, 'bubblewrap', home.spec(`start${wait_ms}`, home.linger), wait_ms);
      await new Promise((resolve) => host.once('exit', resolve));
      await kit.until(() => kit.processesOf(home.install) === 0, `something is left after ${wait_ms} ms`);
    }
    await runtime.reap(home.install);
  });

  test('is reaped by its own install, and never by another', async () => {
    const other = new kit.Home();
    const own = await kit.started(runtime, home.spec('own', 'echo ready; sleep 60'));
    const foreign = await kit.started(other.runtime('bubblewrap'), other.spec('foreign', 'echo ready; sleep 60'));
    assert.equal(await runtime.reap(home.install), 1);
    await own.exited;
    assert.equal(kit.processesOf(home.install), 0);
    assert.ok(kit.processesOf(other.install) > 0, 'the other install’s sandbox goes on');
    foreign.kill();
    await foreign.exited;
    assert.equal(await runtime.reap(home.install), 0);
    other.remove();
  });

  limitTests(runtime, limits, home);

  test('leaves no control group behind', { skip: limited('memory_bytes') ? false : 'no control groups here' }, () => {
    const v1 = `/sys/fs/cgroup/memory/glassclaw/${home.install}/sandboxes`;
    const folder = existsSync(v1) ? v1 : `/sys/fs/cgroup/glassclaw/${home.install}/sandboxes`;
    const left = existsSync(folder)
      ? readdirSync(folder, { withFileTypes: true }).filter((entry) => entry.isDirectory())
      : [];
    assert.deepEqual(left, []);
  });
});

test('the same tests pass for an ordinary user', { skip: cannotDrop() }, () => {
  passesForOrdinaryUser(import.meta.url);
});
