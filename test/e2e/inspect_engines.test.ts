import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import { pathToFileURL } from 'node:url';
import { ROOT } from '../../src/base/paths.ts';
import { type Inspection, inspectSandbox } from '../../src/evidence/inspection/inspection.ts';
import { type Dialect, DOCKER, PODMAN } from '../../src/runtimes/dialect.ts';
import type { DockerRuntime } from '../../src/runtimes/docker.ts';
import { type Patch, PatchedTree } from '../fakes/patched_tree.ts';
import { remove } from '../fakes/remove.ts';
import { InspectedHome, IS_ROOT, redLines } from './inspect_kit.ts';
import type { Sabotage } from './inspect_sabotage.ts';
import { judgeSabotage, sentenceOf } from './inspect_sabotage_kit.ts';
import { dockerdArgv, type OwnEngine, ownEngine, podmanArgv, RUNSC, RUNSC_ARGS } from './runtimes_engines.ts';

/** The self-check under engines of a test's own. */

const REQUEST = 'src/runtimes/docker_request.ts';
const DIALECT = 'src/runtimes/dialect.ts';
const LIMITS = 'src/base/limits/sandbox.ts';
/** A runtime of an operator who gives sandboxes the network of the host. */
const OPEN = 'runsc-open';
const WITH_NETWORK: Patch = [REQUEST, "NetworkMode: 'none'", "NetworkMode: 'host'"];
/** One that is never reached, but not the whole machine. */
const WITHOUT_MEMORY: Patch[] = ['Memory', 'MemorySwap'].map((name) => [
  REQUEST,
  ` ${name}: limits.memory_bytes,`,
  ` ${name}: 2 ** 30,`,
]);
/** CAP_SYS_RESOURCE: without it an engine cannot give a container the limit that it would have by itself, and starts none. */
const MAY_RAISE_LIMITS =
  (BigInt(`0x${/^CapEff:\t(\w+)/m.exec(readFileSync('/proc/self/status', 'utf8'))![1]}`) >> 24n) % 2n === 1n;
/** Ten times what it takes on a small machine. */
const MOST_MS = 60_000;

type OciSabotage = Sabotage & {
  /** Instead of the case's. */
  oci?: string;
};

/** The same field under either engine; what it closes, gVisor alone keeps closed. */
const OPEN_MOUNTS: OciSabotage = {
  without: 'read-only mounts',
  patches: [[REQUEST, "ReadOnly: bind.access === 'read'", 'ReadOnly: false']],
  red: ['mounts.access', 'mounts.writable', 'touch./run/glass'],
};

interface Case {
  name: string;
  dialect: Dialect;
  /** gVisor, or the engine's own. */
  oci: 'runsc' | null;
  /** `folder` may be large; `run` is for sockets. */
  argv(folder: string, run: string): string[];
  /** Fewer under gVisor: what succeeds within its own kernel is no guard. */
  passed_min: number;
  /** Without a guard, and the probes that must turn red. */
  sabotages: OciSabotage[];
}

const CASES: Case[] = [
  {
    name: 'podman',
    dialect: PODMAN,
    oci: null,
    argv: (_, run) => podmanArgv(run),
    passed_min: 150,
    sabotages: [
      {
        without: 'the cover of /run',
        patches: [[DIALECT, "closed: ['/run', '/var/tmp']", "closed: ['/var/tmp']"]],
        red: ['mounts.writable', 'touch./run'],
      },
      {
        without: 'the cover of /var/tmp',
        patches: [[DIALECT, "closed: ['/run', '/var/tmp']", "closed: ['/run']"]],
        red: ['mounts.writable'],
      },
      {
        without: 'a limit of its user’s processes',
        patches: [[DIALECT, 'limitsUserProcesses: true', 'limitsUserProcesses: false']],
        ...(MAY_RAISE_LIMITS ? { red: [], hidden: 'the control group has one of its own' } : { red: 'all' }),
      },
      { without: 'a network of its own', patches: [WITH_NETWORK], red: ['namespace.net', 'dial.loopback'] },
      {
        without: 'a limit of memory',
        patches: WITHOUT_MEMORY,
        red: ['exhaust.memory'],
        depth: 'full',
      },
    ],
  },
  {
    name: 'gVisor under docker',
    dialect: DOCKER,
    oci: 'runsc',
    argv: dockerd,
    passed_min: 160,
    sabotages: [
      {
        without: 'a network of its own',
        patches: [WITH_NETWORK],
        red: [],
        hidden: 'with --network=none gVisor makes one whatever the engine says',
      },
      {
        without: 'a network of its own and --network=none',
        patches: [WITH_NETWORK],
        red: ['namespace.net', 'dial.loopback'],
        oci: OPEN,
      },
      OPEN_MOUNTS,
      {
        without: 'limits of processes and memory',
        patches: [[LIMITS, 'OCI_RUNTIME_PIDS = 256', 'OCI_RUNTIME_PIDS = 20_000'], ...WITHOUT_MEMORY],
        red: ['host.memory', 'exhaust.processes', 'exhaust.memory'],
        depth: 'full',
      },
    ],
  },
  {
    name: 'gVisor under podman',
    dialect: PODMAN,
    oci: 'runsc',
    argv: (_, run) => podmanArgv(run, 'runsc'),
    passed_min: 160,
    sabotages: [OPEN_MOUNTS],
  },
];

function dockerd(folder: string, run: string): string[] {
  return dockerdArgv(folder, run, { runsc: RUNSC_ARGS, [OPEN]: ['--network=host', '--host-uds=open'] });
}

async function started({ oci, argv, dialect }: Case, folder: string, run: string): Promise<OwnEngine> {
  const missing = !IS_ROOT ? 'needs root' : oci !== null && !existsSync(RUNSC) ? 'runsc is not installed' : null;
  if (missing !== null) return { socket: '/no/such.sock', skip: missing, end: async () => {} };
  return ownEngine(run, argv(folder, run), dialect);
}

/** The runtime of this source, or of a copy of it. */
async function runtimeAt(root: string, socket: string, { dialect }: Case, { paths }: InspectedHome) {
  const load = (file: string): Promise<unknown> => import(pathToFileURL(join(root, 'src/runtimes', file)).href);
  const docker = (await load('docker.ts')) as typeof import('../../src/runtimes/docker.ts');
  const dialects = (await load('dialect.ts')) as typeof import('../../src/runtimes/dialect.ts');
  const own = dialect.name === 'podman' ? dialects.PODMAN : dialects.DOCKER;
  return new docker.DockerRuntime({ socket, cache: paths.cache, run: paths.run, dialect: own });
}

for (const it of CASES) {
  const home = new InspectedHome();
  const folder = mkdtempSync(join(tmpdir(), 'glass-engine-'));
  // Short: a socket's path may have 107 characters.
  const run = IS_ROOT ? mkdtempSync('/run/glass-e-') : mkdtempSync(join(tmpdir(), 'glass-e-'));
  const engine = await started(it, folder, run);
  const runtime = await runtimeAt(ROOT, engine.socket, it, home);
  const problems = engine.skip === false ? await runtime.check() : [engine.skip];
  after(async () => {
    await engine.end();
    home.remove();
    for (const path of [folder, run]) remove(path);
  });

  const inspect = async (from: DockerRuntime, depth: 'quick' | 'full', oci: string | null): Promise<Inspection> => {
    const input = await home.input(from, depth);
    return inspectSandbox(
      oci === null ? input : { ...input, profile: 'gvisor', spec: { ...input.spec, oci_runtime: oci } },
    );
  };

  describe(`an inspection of a sandbox of ${it.name}`, {
    skip: problems.length > 0 ? problems.join('; ') : false,
  }, () => {
    for (const depth of ['quick', 'full'] as const) {
      test(`finds every guard in its place, ${depth}`, async (context) => {
        const inspection = await inspect(runtime, depth, it.oci);
        const count = (state: string): number => inspection.probes.filter((probe) => probe.state === state).length;
        const sums = ['passed', 'not_run', 'not_built'].map((state) => `${count(state)} ${state}`);
        context.diagnostic(`${sums.join(', ')}: ${inspection.ms} ms`);
        assert.deepEqual(redLines(inspection), []);
        assert.ok(inspection.ok);
        assert.ok(count('passed') >= it.passed_min, `${count('passed')} probes passed`);
        assert.ok(inspection.ms < MOST_MS, `${inspection.ms} ms`);
      });
    }

    for (const sabotage of it.sabotages) {
      test(sentenceOf(sabotage), async (context) => {
        using tree = new PatchedTree(sabotage.patches);
        const from = await runtimeAt(tree.root, engine.socket, it, home);
        const inspection = await inspect(from, sabotage.depth ?? 'quick', sabotage.oci ?? it.oci);
        const failed = inspection.probes.filter(({ state }) => state === 'failed').map(({ id }) => id);
        context.diagnostic(`${inspection.ms} ms, ${failed.length} red: ${failed.slice(0, 8).join(', ')}`);
        judgeSabotage(sabotage, inspection, failed);
      });
    }
  });
}
