import assert from 'node:assert/strict';
import { after, describe, test } from 'node:test';
import { DockerRuntime } from '../../src/runtimes/docker.ts';
import { seccompArch } from '../../src/runtimes/seccomp.ts';
import * as kit from './runtimes_kit.ts';

const home = new kit.Home();
const runtime = home.runtime('docker');
const problems = await runtime.check();
const skip = problems.length > 0 ? problems.join('; ') : false;

after(() => home.remove());

test('a docker runtime without an engine says so, with the fix', async () => {
  const [problem] = await new DockerRuntime({ socket: '/no/such.sock' }).check();
  assert.match(problem!, /^No container engine at .*: install/);
  const [remote] = await new DockerRuntime({ socket: null }).check();
  assert.match(remote!, /not a unix socket/);
  await assert.rejects(
    new DockerRuntime({ socket: '/no/such.sock' }).start(home.spec('x', 'true'), () => {}),
    {
      code: 'unavailable',
    },
  );
});

describe('a docker sandbox', { skip }, () => {
  test('holds every guard, as seen from inside', async () => {
    const spec = home.spec('guards', kit.probeScript(seccompArch(process.arch)!));
    const { output, exit } = await kit.ran(runtime, spec);
    assert.deepEqual(exit, { code: 0, signal: null, reason: null });
    kit.assertGuards(output, { uid: String(spec.uid ?? process.geteuid!()) });
  });

  test('reports exit codes', async () => {
    assert.equal((await kit.ran(runtime, home.spec('code', 'echo x; exit 7'))).exit.code, 7);
  });

  test('can be killed twice, and leaves no container', async () => {
    const sandbox = await kit.started(runtime, home.spec('kill', home.linger));
    sandbox.kill();
    sandbox.kill();
    assert.equal((await sandbox.exited).code, 137);
    assert.equal(home.lingering(), 0);
    assert.equal(await runtime.reap(home.install), 0);
  });

  test('ends when an outsider kills its one pid', { skip: kit.IS_ROOT ? false : 'needs root' }, async () => {
    const sandbox = await kit.started(runtime, home.spec('outsider', home.linger));
    process.kill(sandbox.pid, 'SIGKILL');
    await sandbox.exited;
    assert.equal(home.lingering(), 0);
  });

  test('survives its host, until the next one of its install reaps it', async () => {
    const other = new kit.Home();
    const host = await kit.hostProcess(home, 'docker', home.spec('orphan', home.linger));
    const foreign = await kit.started(runtime, other.spec('foreign', 'echo ready; sleep 60'));
    host.kill('SIGKILL');
    await kit.until(() => home.lingering() === 2, 'the orphan goes on');
    assert.equal(await runtime.reap(home.install), 1);
    assert.equal(home.lingering(), 0);
    assert.equal(await runtime.reap(other.install), 1, 'the other install’s sandbox went on');
    await foreign.exited;
    other.remove();
  });

  test('cannot fork without end', async () => {
    const { output } = await kit.ran(runtime, home.spec('bomb', kit.FORK_BOMB));
    const forks = Number(/forks=(\d+)/.exec(output)?.[1]);
    assert.ok(forks > 10 && forks < 40, `${forks} forks of 40`);
  });

  test('ends "out of memory" when it takes too much', async () => {
    const { exit, output } = await kit.ran(runtime, home.spec('hog', kit.MEMORY_HOG));
    assert.equal(exit.reason, 'out of memory');
    assert.ok(!output.includes('allocated'));
  });

  test('cannot fill /tmp beyond its size', async () => {
    const { output } = await kit.ran(runtime, home.spec('tmp', kit.TMP_FILL));
    assert.match(output, /size=8388608/);
  });
});
