import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { describeError, OperatingError } from '../../src/base/errors.ts';
import { follow, imageId } from '../../src/runtimes/build.ts';
import type { Dialect } from '../../src/runtimes/dialect.ts';
import { SANDBOX_IMAGE } from '../../src/runtimes/docker.ts';
import { Engine, engineSocket } from '../../src/runtimes/engine.ts';

/** Engines of a test's own: started by it, ended by it through their pid, with the image of the machine's Docker engine. */

const START_MS = 20_000;

export const RUNSC = '/usr/bin/runsc';
/** What a sandbox under gVisor needs to reach its hatch, and no more. */
export const RUNSC_ARGS = ['--network=none', '--host-uds=open'];

/** A dockerd with OCI runtimes of its own, each with its arguments for runsc. `folder` may be large; `run` is for sockets. */
export function dockerdArgv(folder: string, run: string, runtimes: Record<string, string[]>): string[] {
  const known = Object.entries(runtimes).map(([name, runtimeArgs]) => [name, { path: RUNSC, runtimeArgs }]);
  const config = join(folder, 'daemon.json');
  writeFileSync(config, JSON.stringify({ runtimes: Object.fromEntries(known), bridge: 'none', iptables: false }));
  const roots = ['--data-root', join(folder, 'docker'), '--exec-root', join(run, 'docker')];
  const own = ['--pidfile', join(run, 'docker.pid'), '-H', `unix://${run}/engine.sock`, '--config-file', config];
  return ['dockerd', ...roots, ...own];
}

/** Podman's service, with the OCI runtime that it uses by default, where that one works, or with runsc. */
export function podmanArgv(run: string, oci: 'runsc' | null = null): string[] {
  const flags = RUNSC_ARGS.flatMap((flag) => ['--runtime-flag', flag.slice('--'.length)]);
  const own = isHybrid() ? ['--runtime', 'runc'] : [];
  const words = oci === null ? own : ['--runtime', oci, ...flags];
  return ['podman', ...words, 'system', 'service', '--time=0', `unix://${run}/engine.sock`];
}

/** Control groups of both versions with controllers in each: crun, Podman's own choice, refuses them. */
function isHybrid(): boolean {
  const controllers = '/sys/fs/cgroup/unified/cgroup.controllers';
  return existsSync(controllers) && readFileSync(controllers, 'utf8').trim() !== '';
}

export interface OwnEngine {
  socket: string;
  /** Why there is none here, or false. */
  skip: string | false;
  end(): Promise<void>;
}

/** Starts `argv`, which listens on the socket `engine.sock` in `folder`. Never rejects. */
export async function ownEngine(folder: string, argv: string[], dialect: Dialect): Promise<OwnEngine> {
  const socket = join(folder, 'engine.sock');
  const path = process.env['PATH']?.split(':') ?? [];
  if (!path.some((entry) => existsSync(join(entry, argv[0]!))))
    return { socket, skip: `${argv[0]} is not installed`, end: async () => {} };
  // Podman's helper leaves a file `oom` in the folder that the service was started in.
  const child = spawn(argv[0]!, argv.slice(1), { cwd: folder, stdio: ['ignore', 'ignore', 'pipe'] });
  let said = '';
  child.stderr!.on('data', (chunk: Buffer) => {
    said = (said + chunk.toString()).slice(-2000);
  });
  const gone = new Promise<void>((resolve) => child.once('close', () => resolve()).once('error', () => resolve()));
  const end = (): Promise<void> => ended(child, gone, socket);
  try {
    const engine = new Engine(socket, dialect);
    await answers(engine, child);
    await bringImage(engine);
    return { socket, skip: false, end };
  } catch (error) {
    await end();
    const reason = describeError(error).split('\n')[0];
    return { socket, skip: `no engine of the test's own: ${reason} ${said.split('\n').at(-2) ?? ''}`, end };
  }
}

async function answers(engine: Engine, child: ChildProcess): Promise<void> {
  const deadline = performance.now() + START_MS;
  for (;;) {
    try {
      await engine.expect('GET', '/info');
      return;
    } catch (error) {
      if (child.exitCode !== null || performance.now() > deadline) throw error;
    }
    await sleep(100);
  }
}

/** From the machine's Docker engine, unless it is there from an earlier run. */
async function bringImage(engine: Engine): Promise<void> {
  if ((await imageId(engine, SANDBOX_IMAGE)) !== null) return;
  const socket = engineSocket(process.env);
  if (socket === null) throw new OperatingError('unavailable', 'nothing to take the image from');
  const saved = await new Engine(socket).stream('GET', `/images/${SANDBOX_IMAGE}/get`);
  await follow(await engine.stream('POST', '/images/load', saved), () => {});
}

async function ended(child: ChildProcess, gone: Promise<void>, socket: string): Promise<void> {
  child.kill('SIGTERM');
  await Promise.race([gone, sleep(START_MS, undefined, { ref: false })]);
  child.kill('SIGKILL');
  await gone;
  rmSync(socket, { force: true });
}
