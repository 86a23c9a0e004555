import assert from 'node:assert/strict';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { createServer } from '../../src/base/http.ts';
import { PODMAN } from '../../src/runtimes/dialect.ts';
import { containerTests } from './runtimes_containers.ts';
import { ownEngine, podmanArgv } from './runtimes_engines.ts';
import * as kit from './runtimes_kit.ts';

const home = new kit.Home();
const engine = await ownEngine(home.run, podmanArgv(home.run), PODMAN);
const runtime = home.runtime('podman', engine.socket);
const problems = engine.skip === false ? await runtime.check() : [engine.skip];

after(async () => {
  await engine.end();
  home.remove();
});

test('a podman runtime without a service says so, with the fix', async () => {
  const [problem] = await home.runtime('podman', '/no/such.sock').check();
  assert.match(problem!, /^No container engine at .*podman\.socket/);
  const [remote] = await home.runtime('podman', null).check();
  assert.match(remote!, /^CONTAINER_HOST is not a unix socket/);
});

test('a podman service of an ordinary user is refused, at the check and at each start', async () => {
  const server = createServer((_, response) => response.end(JSON.stringify({ Rootless: true })));
  const socket = join(home.run, 'rootless.sock');
  await new Promise<void>((resolve) => server.listen(socket, resolve));
  const rootless = home.runtime('podman', socket);
  await assert.rejects(
    rootless.start(home.spec('x', 'true'), () => {}),
    { code: 'unavailable', message: /ordinary user/ },
  );
  assert.match((await rootless.check())[0]!, /ordinary user/);
  server.close();
});

await containerTests({
  runtime,
  home,
  socket: engine.socket,
  skip: problems.length > 0 ? problems.join('; ') : false,
  outOfMemory: /out of memory/,
});
