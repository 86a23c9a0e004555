import assert from 'node:assert/strict';
import { existsSync, mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, afterEach, before, beforeEach, describe, test } from 'node:test';
import { DOCKER, PODMAN } from '../../src/runtimes/dialect.ts';
import { DockerRuntime } from '../../src/runtimes/docker.ts';
import { engineSocket } from '../../src/runtimes/engine.ts';
import { remove } from '../fakes/remove.ts';
import { shell } from '../fakes/scripted_group.ts';
import { Terminal } from '../fakes/terminal.ts';
import { SECRET, ServiceWorld, type WorldOptions } from '../kits/service_world.ts';
import { dockerdArgv, type OwnEngine, ownEngine, podmanArgv, RUNSC, RUNSC_ARGS } from './runtimes_engines.ts';

/** What `egress_sandbox.test.ts` shows in the sandbox without an image, in those of container engines: one install each. */

interface Case {
  name: string;
  dialect: typeof DOCKER;
  engine(folder: string, run: string): Promise<OwnEngine>;
  world(socket: string): WorldOptions;
}

const IS_ROOT = process.geteuid!() === 0;

const CASES: Case[] = [
  {
    name: 'docker',
    dialect: DOCKER,
    engine: async () => ({ socket: engineSocket(process.env) ?? '', skip: false, end: async () => {} }),
    world: () => ({ install: 'runtime: docker\n' }),
  },
  {
    name: 'podman',
    dialect: PODMAN,
    engine: (_, run) => ownEngine(run, podmanArgv(run), PODMAN),
    world: (socket) => ({ install: 'runtime: podman\n', env: { CONTAINER_HOST: `unix://${socket}` } }),
  },
  {
    name: 'gVisor under docker',
    dialect: DOCKER,
    engine: async (folder, run) =>
      existsSync(RUNSC)
        ? ownEngine(run, dockerdArgv(folder, run, { runsc: RUNSC_ARGS }), DOCKER)
        : { socket: '', skip: 'runsc is not installed', end: async () => {} },
    world: (socket) => ({
      install: 'runtime: docker\n',
      group: 'oci_runtime: runsc\n',
      env: { DOCKER_HOST: `unix://${socket}` },
    }),
  },
];

/** Why this case cannot be tried here, or false. */
async function skipOf({ dialect }: Case, { skip, socket }: OwnEngine, run: string): Promise<string | false> {
  if (skip !== false) return skip;
  const problems = await new DockerRuntime({ socket, dialect, cache: run, run }).check();
  return problems.join('; ') || false;
}

for (const it of CASES) {
  const folder = mkdtempSync(join(tmpdir(), 'ge-'));
  // Short: a socket's path may have 107 characters.
  const run = mkdtempSync(IS_ROOT ? '/run/ge-' : join(tmpdir(), 'ge-'));
  const engine = await it.engine(folder, run);
  const skip = await skipOf(it, engine, run);

  describe(`in a sandbox of ${it.name}`, { skip }, () => {
    const world = new ServiceWorld(it.world(engine.socket));
    const { install, api, code, other } = world;
    let agent: Terminal;

    before(async () => {
      await world.start();
      agent = await Terminal.open(install.control, 'agent');
    });
    beforeEach(() => world.reset());
    afterEach((context) => install.explain(context));
    after(() => world.stop());

    test('curl asks a service, and the secret is there that it never saw', async () => {
      const said = await shell(agent, `curl -sS https://${api.place}/items/1; env; uname -v`);
      assert.match(said, /\{"items":3\}/);
      assert.ok(!said.includes(SECRET));
      assert.deepEqual(api.values('authorization'), [`Bearer ${SECRET}`]);
      assert.deepEqual(await world.requests(), [['allow', 200, `GET ${api.place}/items/1`, 'api-token']]);
    });

    test('what is not allowed is refused, and reaches nobody', async () => {
      const said = await shell(
        agent,
        // One stream, so that what comes first is said first.
        `exec 2>&1; curl -sS https://${api.place}/users; curl -sS https://${other.place}/; echo " $?"
curl -sS --noproxy '*' https://${api.place}/items/1; echo " $?"
curl -sS --noproxy '*' -k https://127.0.0.1:${api.port}/items/1; echo " $?"; tail -n +3 /proc/net/dev | cut -d: -f1`,
      );
      assert.match(said, /no rule for api\.example\.com allows GET \/users/);
      assert.match(said, /response 403/);
      assert.match(said, /Could not resolve host/);
      assert.match(said, /(Failed|Couldn't) .*connect.*\s 7\s+lo\s*$/);
      assert.deepEqual([api.received, api.connections, other.connections], [[], 0, 0]);
      assert.deepEqual(await world.requests(), [
        ['deny', 403, `GET ${api.place}/users`, null],
        ['deny', 403, `CONNECT ${other.place}`, null],
      ]);
    });

    test('git clones over HTTPS, and does not push', async () => {
      const said = await shell(
        agent,
        `git clone -q https://${code.place}/app.git && cd app && cat file.txt && git log --oneline | wc -l
git -c user.name=a -c user.email=a@example.com commit -q --allow-empty -m x && git push -q; echo "push $?"`,
      );
      assert.match(said, /version 3\n3\n/);
      assert.match(said, /error: 403[\s\S]*push 128/);
      const basic = Buffer.from(`x-access-token:${SECRET}`).toString('base64');
      assert.deepEqual(code.values('authorization'), [`Basic ${basic}`]);
    });

    test('Node’s fetch goes the same way', async () => {
      const script = `fetch("https://${api.place}/items/3").then(async (reply) => console.log(reply.status, await reply.text()))`;
      assert.match(await shell(agent, `node -e '${script}'`), /200 \{"items":3\}/);
    });

    test('Python’s own client goes the same way', async (context) => {
      // Images of an earlier recipe have only the smallest part of Python.
      const absent = await shell(agent, "python3 -c 'import http.client, ssl' || echo absent");
      if (absent.includes('absent'))
        return context.skip('the image is old: node src/runtimes/image.ts makes a new one');
      const script = `from urllib.request import urlopen; print(urlopen("https://${api.place}/items/2").read())`;
      assert.match(await shell(agent, `python3 -c '${script}'`), /b'\{"items":3\}'/);
      assert.deepEqual(api.values('authorization'), [`Bearer ${SECRET}`]);
    });
  });

  after(async () => {
    await engine.end();
    for (const path of [folder, run]) remove(path);
  });
}
