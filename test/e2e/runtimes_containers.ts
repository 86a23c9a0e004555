import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { request } from '../../src/base/http.ts';
import type { Runtime } from '../../src/runtimes/runtime.ts';
import { seccompArch } from '../../src/runtimes/seccomp.ts';
import * as kit from './runtimes_kit.ts';
import { limitTests } from './runtimes_limits.ts';

/** What holds for the sandboxes of every container engine. */

export interface EngineUnderTest {
  runtime: Runtime;
  home: kit.Home;
  socket: string;
  skip: string | false;
  /** How it tells of a sandbox that took too much memory. */
  outOfMemory?: RegExp;
}

export async function containerTests({ runtime, home, socket, skip, outOfMemory }: EngineUnderTest): Promise<void> {
  const limits = await runtime.limits();
  describe(`a ${runtime.name} sandbox`, { skip }, () => {
    test('holds every guard, as seen from inside', async () => {
      const spec = home.spec('guards', kit.probeScript(seccompArch(process.arch)!));
      const { output, exit } = await kit.ran(runtime, spec);
      assert.deepEqual(exit, { code: 0, signal: null, reason: null });
      kit.assertGuards(output, { uid: String(spec.uid ?? process.geteuid!()) });
    });

    test('reports exit codes', async () => {
      assert.equal((await kit.ran(runtime, home.spec('code', 'echo x; exit 7'))).exit.code, 7);
    });

    test('keeps its output out of the engine’s own log', async () => {
      const sandbox = await kit.started(runtime, home.spec('silent', 'echo ready; sleep 60'));
      const { HostConfig } = await containerOf(socket, `glass-${home.install}-silent`);
      assert.equal(HostConfig.LogConfig.Type, 'none');
      sandbox.kill();
      await sandbox.exited;
    });

    test('can be killed twice, and leaves no container', async () => {
      const sandbox = await kit.started(runtime, home.spec('kill', home.linger));
      sandbox.kill();
      sandbox.kill();
      const exit = await sandbox.exited;
      assert.deepEqual([exit.code, exit.reason], [137, null]);
      assert.equal(home.lingering(), 0);
      assert.equal(await runtime.reap(home.install), 0);
    });

    test('takes the place of a container that was left over under its name', async () => {
      const name = `glass-${home.install}-left`;
      const left = await kit.started(runtime, home.spec('left', 'echo ready; sleep 60'));
      const { Id } = await containerOf(socket, name);
      const sandbox = await kit.started(runtime, home.spec('left', 'echo ready; sleep 60'));
      await left.exited;
      assert.notEqual((await containerOf(socket, name)).Id, Id);
      sandbox.kill();
      await sandbox.exited;
    });

    test('ends when an outsider kills its one pid', { skip: kit.IS_ROOT ? false : 'needs root' }, async () => {
      const sandbox = await kit.started(runtime, home.spec('outsider', home.linger));
      process.kill(sandbox.pid, 'SIGKILL');
      await sandbox.exited;
      assert.equal(home.lingering(), 0);
    });

    test('survives its host, until the next one of its install reaps it', async () => {
      const other = new kit.Home();
      const host = await kit.hostProcess(home, runtime.name, home.spec('orphan', home.linger), null, socket);
      const foreign = await kit.started(runtime, other.spec('foreign', 'echo ready; sleep 60'));
      host.kill('SIGKILL');
      await kit.until(() => home.lingering() === 2, 'the orphan goes on');
      assert.equal(await runtime.reap(home.install), 1);
      assert.equal(home.lingering(), 0);
      assert.equal(await runtime.reap(other.install), 1, 'the other install’s sandbox went on');
      await foreign.exited;
      other.remove();
    });

    test('has the image that its spec names', async () => {
      const userland = { kind: 'image', ref: `sha256:${'0'.repeat(64)}` } as const;
      await assert.rejects(
        runtime.start(home.spec('image', 'true', { userland }), () => {}),
        { code: 'unavailable' },
      );
    });

    test('is refused with an OCI runtime that the engine would not use', async () => {
      await assert.rejects(
        runtime.start(home.spec('oci', 'true', { oci_runtime: 'nosuch' }), () => {}),
        { code: 'unavailable', message: /nosuch/ },
      );
      assert.equal(await runtime.reap(home.install), 0);
    });

    limitTests(runtime, limits, home, outOfMemory);
  });
}

async function containerOf(
  socket: string,
  name: string,
): Promise<{ Id: string; HostConfig: { LogConfig: { Type: string } } }> {
  const text = await new Promise<string>((resolve, reject) => {
    const call = request({ socketPath: socket, path: `/v1.41/containers/${name}/json` }, (response) => {
      let body = '';
      response.on('data', (chunk) => {
        body += chunk;
      });
      response.on('end', () => resolve(body));
    });
    call.on('error', reject).end();
  });
  return JSON.parse(text);
}
