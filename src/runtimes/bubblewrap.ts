import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, mkdirSync, openSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { messageOf, OperatingError } from '../base/errors.ts';
import { type BubblewrapPlan, bindsOf, bubblewrapArgv, launchArgv, stagedSources } from './bubblewrap_argv.ts';
import { checkBubblewrap, LAUNCH_ENV } from './bubblewrap_check.ts';
import { watch } from './bubblewrap_sandbox.ts';
import { cachedFile } from './cached_file.ts';
import { type Cgroup, Cgroups, thisHost } from './cgroup.ts';
import { inheritedDescriptors, maskedStdio } from './descriptors.ts';
import { diskLimit, writtenDisks } from './disks.ts';
import { endAll, findLeftovers } from './leftovers.ts';
import type { LimitState, Runtime, Sandbox, SandboxSpec } from './runtime.ts';
import { seccompArch, seccompProgram } from './seccomp.ts';
import { checkSpec, labelOf } from './spec.ts';
import { generatedEtc, rootUserland, type Userland, userlandOf } from './userland.ts';

/**
 * Sandboxes by bubblewrap: no daemon, no image. One spawned process becomes bubblewrap by a chain of exec (`launch.sh`);
 * bubblewrap's second process is the init of the sandbox's pid namespace. Each dies with its parent, so SIGKILL of the
 * spawned process, or of this one, ends everything inside.
 *
 * The parent-death signal watches the *thread* that spawned: call `start` from the main thread.
 */

const LAUNCHER = fileURLToPath(new URL('launch.sh', import.meta.url));

export interface BubblewrapFolders {
  /** `paths.cache`: for the generated `/etc` and the seccomp program. */
  cache: string;
  /** `paths.run`: as root, a mount point in it is staged over. Any uid must be able to traverse it. */
  run: string;
}

/** What is made once, at first use. */
interface Prepared {
  /** Of the host. */
  userland: Userland;
  filter: string;
  cgroups: Cgroups;
  /** Descriptors that a child would get besides the ones we give it. */
  inherited: number[];
}

export class BubblewrapRuntime implements Runtime {
  readonly name = 'bubblewrap';
  readonly #folders: BubblewrapFolders;
  #cgroups: Cgroups | null = null;
  #prepared: Prepared | null = null;

  constructor(folders: BubblewrapFolders) {
    this.#folders = folders;
  }

  check(): Promise<string[]> {
    return checkBubblewrap();
  }

  engine(): null {
    return null;
  }

  async limits(): Promise<LimitState[]> {
    const cgroups = this.#limiting();
    const pids = cgroups.state('pids', 'pids');
    return [
      cgroups.state('memory_bytes', 'memory'),
      pids.state === 'enforced'
        ? pids
        : { name: 'pids', state: 'enforced', reason: 'RLIMIT_NPROC in its user namespace' },
      cgroups.state('cpus', 'cpu'),
      { name: 'tmp_bytes', state: 'enforced', reason: 'size of the tmpfs' },
      { name: 'shm_bytes', state: 'enforced', reason: 'size of its tmpfs' },
      { name: 'open_files', state: 'enforced', reason: 'RLIMIT_NOFILE of each process' },
      diskLimit(this.#folders.cache, cgroups.state('disk_write_bytes', 'io')),
    ];
  }

  async start(spec: SandboxSpec, onOutput: (chunk: Buffer) => void): Promise<Sandbox> {
    checkSpec(spec, process.geteuid!());
    if (spec.oci_runtime !== null)
      throw new OperatingError('refused', `bubblewrap has no OCI runtimes, and the group asks for ${spec.oci_runtime}`);
    const { filter, cgroups, inherited, ...own } = this.#prepare();
    const userland = spec.userland.kind === 'image' ? rootUserland(spec.userland.ref) : own.userland;
    const plan = { spec, userland, limitProcessesInside: cgroups.missing('pids') !== null };
    const group = cgroups.create(spec.install, spec.session, spec.limits, writtenDisks(spec));
    try {
      const child = await spawned(this.#argv(plan, group), filter, inherited);
      return watch(child, group, labelOf(spec), onOutput);
    } catch (error) {
      await group.remove();
      throw new OperatingError('unavailable', `bubblewrap cannot be started (${messageOf(error)})`, undefined, error);
    }
  }

  async reap(install: string): Promise<number> {
    const { cgroups } = this.#prepare();
    const found = findLeftovers(install);
    await endAll([...new Set([...found.map(({ pid }) => pid), ...cgroups.pids(install)])]);
    await cgroups.sweep(install);
    return new Set(found.map(({ label }) => label)).size;
  }

  #argv(plan: BubblewrapPlan, group: Cgroup): string[] {
    const { spec } = plan;
    const binds = bindsOf(plan).map((bind) => ({ ...bind, folder: statSync(bind.source).isDirectory() }));
    const stage = spec.uid === null ? null : { folder: this.#stage(), uid: spec.uid };
    const sources = stage === null ? binds.map((bind) => bind.source) : stagedSources(binds.length, stage.folder);
    const launch = { parent: process.pid, openFiles: spec.limits.open_files, joins: group.joins, stage };
    return launchArgv(LAUNCHER, launch, binds, bubblewrapArgv(plan, sources));
  }

  /** The same empty folder for all: each launcher mounts over it in a namespace of its own. */
  #stage(): string {
    const folder = join(this.#folders.run, '.stage');
    mkdirSync(folder, { recursive: true, mode: 0o711 });
    return folder;
  }

  /** Without the rest: what can be limited is asked for also where nothing can be started. */
  #limiting(): Cgroups {
    this.#cgroups ??= new Cgroups(thisHost());
    return this.#cgroups;
  }

  #prepare(): Prepared {
    this.#prepared ??= {
      userland: userlandOf('/', generatedEtc(this.#folders.cache)),
      filter: filterFile(this.#folders.cache),
      cgroups: this.#limiting(),
      inherited: inheritedDescriptors(),
    };
    return this.#prepared;
  }
}

/** The seccomp program as a file, named by its content. */
function filterFile(cache: string): string {
  const arch = seccompArch(process.arch);
  if (arch === null) throw new OperatingError('unavailable', `There is no system call filter for ${process.arch}`);
  return cachedFile(cache, 'seccomp.bpf', seccompProgram(arch));
}

/** Resolves once the process exists. Own process group: a Ctrl-C on the host's terminal is the host's to handle. */
async function spawned(argv: string[], filter: string, inherited: number[]): Promise<ChildProcess> {
  // A fresh open file for each: bubblewrap reads it to its end, and a shared offset would give the next one nothing.
  const fd = openSync(filter, 'r');
  const covering = openSync('/dev/null', 'r');
  try {
    const child = spawn(argv[0]!, argv.slice(1), {
      env: LAUNCH_ENV,
      cwd: '/',
      detached: true,
      stdio: maskedStdio(['ignore', 'pipe', 'pipe', fd, 'pipe', 'pipe', 'pipe'], inherited, covering),
    });
    await new Promise<void>((resolve, reject) => child.once('spawn', resolve).once('error', reject));
    return child;
  } finally {
    closeSync(fd);
    closeSync(covering);
  }
}
