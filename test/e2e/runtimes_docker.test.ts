import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { DockerRuntime } from '../../src/runtimes/docker.ts';
import { engineSocket } from '../../src/runtimes/engine.ts';
import { containerTests } from './runtimes_containers.ts';
import * as kit from './runtimes_kit.ts';

const home = new kit.Home();
const runtime = home.runtime('docker');
const problems = await runtime.check();

after(() => home.remove());

test('a docker runtime without an engine says so, with the fix', async () => {
  const folders = { cache: home.folder, run: home.run };
  const absent = new DockerRuntime({ ...folders, socket: '/no/such.sock' });
  const [problem] = await absent.check();
  assert.match(problem!, /^No container engine at .*: install/);
  const [remote] = await new DockerRuntime({ ...folders, socket: null }).check();
  assert.match(remote!, /not a unix socket/);
  await assert.rejects(
    absent.start(home.spec('x', 'true'), () => {}),
    { code: 'unavailable' },
  );
});

await containerTests({
  runtime,
  home,
  socket: engineSocket(process.env) ?? '',
  skip: problems.length > 0 ? problems.join('; ') : false,
});
