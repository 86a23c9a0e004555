import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { after, describe, test } from 'node:test';
import { DOCKER, PODMAN } from '../../src/runtimes/dialect.ts';
import { dockerdArgv, ownEngine, podmanArgv, RUNSC, RUNSC_ARGS } from './runtimes_engines.ts';
import * as kit from './runtimes_kit.ts';

const home = new kit.Home();

/** An engine of the test's own: the machine's is not to be restarted for a line of its configuration. */
function dockerd() {
  const runtimes = { runsc: RUNSC_ARGS, 'runsc-shut': ['--network=none'] };
  return ownEngine(home.run, dockerdArgv(home.folder, home.run, runtimes), DOCKER);
}

const podmanHome = new kit.Home();
const absent = !existsSync(RUNSC) ? 'runsc is not installed' : !kit.IS_ROOT ? 'needs root' : null;
const none = { socket: '/no/such.sock', skip: absent ?? false, end: async () => {} };
const engine = absent === null ? await dockerd() : none;
const service = absent === null ? await ownEngine(podmanHome.run, podmanArgv(podmanHome.run, 'runsc'), PODMAN) : none;

after(async () => {
  await engine.end();
  await service.end();
  home.remove();
  podmanHome.remove();
});

/** gVisor's own kernel answers: its threads are not ours, and it does not report no_new_privs or a filter as Linux does. */
const PROBE = `
  uname -v; echo uid=$(id -u); echo links=$(tail -n +3 /proc/net/dev | cut -d: -f1)
  grep -E '^Cap(Eff|Prm|Bnd):' /proc/self/status | tr -d '\\t ' | tr : =
  for folder in / /usr /etc /dev /run /var/tmp; do touch $folder/probe 2>/dev/null && echo wrote=$folder; done
  ( echo x > /workspace/notes/file ) 2>/dev/null && echo wrote=notes
  touch /workspace/mine && echo workspace=written
  echo notes=$(cat /workspace/notes/file)`;

function assertSealed(output: string, uid: number | null): void {
  assert.ok(!output.includes('wrote='), output);
  for (const line of [`uid=${uid}`, 'links=lo', 'workspace=written', 'notes=readable', 'CapEff=0000000000000000'])
    assert.ok(output.replaceAll('= ', '=').includes(line), `${line} in\n${output}`);
}

describe('gVisor under Docker', { skip: engine.skip }, () => {
  const runtime = home.runtime('docker', engine.socket);

  test('runs a sealed sandbox with another kernel, once it has proved that a hatch works', async () => {
    const spec = home.spec('sealed', PROBE, { oci_runtime: 'runsc' });
    const { output, exit } = await kit.ran(runtime, spec);
    assert.deepEqual(exit, { code: 0, signal: null, reason: null }, output);
    assertSealed(output, spec.uid);
  });

  test('is refused where a sandbox cannot reach a socket of the host, with the arguments that let it', async () => {
    await assert.rejects(
      runtime.start(home.spec('shut', 'true', { oci_runtime: 'runsc-shut' }), () => {}),
      { code: 'unavailable', message: /cannot connect to a socket of the host \(EPERM\).*--host-uds=open/ },
    );
    assert.equal(await runtime.reap(home.install), 0, 'the trial left nothing');
  });

  test('has the sizes of /tmp and /dev/shm', async () => {
    const fill = `${kit.TMP_FILL}; ${kit.SHM_FILL}`;
    const { output } = await kit.ran(runtime, home.spec('sizes', fill, { oci_runtime: 'runsc' }));
    assert.match(output, /size=8388608\s+size=4194304/);
  });

  test('can be killed, and is reaped by its own install', async () => {
    const sandbox = await kit.started(runtime, home.spec('kill', 'echo ready; sleep 60', { oci_runtime: 'runsc' }));
    sandbox.kill();
    assert.equal((await sandbox.exited).code, 137);
    const left = await kit.started(runtime, home.spec('left', 'echo ready; sleep 60', { oci_runtime: 'runsc' }));
    assert.equal(await runtime.reap(home.install), 1);
    await left.exited;
  });
});

describe('gVisor under Podman', { skip: service.skip }, () => {
  const runtime = podmanHome.runtime('podman', service.socket);

  test('runs a sealed sandbox when the service was started with it', async () => {
    const spec = podmanHome.spec('sealed', PROBE, { oci_runtime: 'runsc' });
    const { output, exit } = await kit.ran(runtime, spec);
    assert.deepEqual(exit, { code: 0, signal: null, reason: null }, output);
    assertSealed(output, spec.uid);
  });

  test('is refused when the service has another one, because Podman would use that without a word', async () => {
    await assert.rejects(
      runtime.start(podmanHome.spec('other', 'true', { oci_runtime: 'runc' }), () => {}),
      { code: 'unavailable', message: /starts every container with runsc/ },
    );
  });
});
