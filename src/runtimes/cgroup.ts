import {
  accessSync,
  constants,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmdirSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { messageOf, OperatingError, systemCodeOf } from '../base/errors.ts';
import { CPU_PERIOD_US, DISK_WRITE_UNIT_BYTES, SANDBOX_GONE_MS } from '../base/limits/sandbox.ts';
import type { Disk } from './disks.ts';
import type { LimitState, SandboxLimits } from './runtime.ts';

/**
 * Control groups of bubblewrap sandboxes: `…/glassclaw/<install>/sandboxes/<session>` in each hierarchy, joined by the
 * launcher before bubblewrap starts, removed after the end. Version 1 as root; version 2 as root or in a delegated subtree.
 * The host sits beside, in `…/<install>/host`, and its sandboxes are idle to it: when both want a processor, it comes first.
 * What is not possible on this machine is `absent` with the reason, never an error at start.
 */

export type Controller = 'memory' | 'pids' | 'cpu' | 'io';
const CONTROLLERS: Controller[] = ['memory', 'pids', 'cpu', 'io'];
const HOST_GROUP = 'host';
const SANDBOXES_GROUP = 'sandboxes';

/** Where one controller's groups go, or why there are none. */
type Place = { folder: string } | { reason: string };

export interface CgroupHost {
  /** `/sys/fs/cgroup`; a folder of a test otherwise. */
  root: string;
  /** Content of `/proc/self/cgroup`. */
  self: string;
  uid: number;
  pid: number;
}

export function thisHost(): CgroupHost {
  return {
    root: '/sys/fs/cgroup',
    self: readText('/proc/self/cgroup') ?? '',
    uid: process.geteuid!(),
    pid: process.pid,
  };
}

/** The control group of one sandbox. */
export interface Cgroup {
  /** `cgroup.procs` files that the launcher writes its pid to. */
  joins: string[];
  /** Processes that the kernel ended for lack of memory so far. */
  oomKills(): number;
  /** Waits until the group is empty, for a bounded time, and removes it. Never rejects. */
  remove(): Promise<void>;
}

export class Cgroups {
  readonly #version: 1 | 2;
  readonly #pid: number;
  /** Whether this process is in a group of our own already: version 2, in a delegated subtree. */
  readonly #moved: boolean;
  readonly #places: Record<Controller, Place>;

  /** Looks, and under version 2 prepares the subtree. Never throws. */
  constructor(host: CgroupHost) {
    this.#pid = host.pid;
    this.#version = existsSync(join(host.root, 'cgroup.controllers')) ? 2 : 1;
    this.#places = this.#version === 2 ? placesV2(host) : placesV1(host);
    const { cpu } = this.#places;
    this.#moved = this.#version === 2 && 'folder' in cpu && cpu.folder !== join(host.root, 'glassclaw');
  }

  /** Why a controller is not there, or null when it is. */
  missing(controller: Controller): string | null {
    const place = this.#places[controller];
    return 'reason' in place ? place.reason : null;
  }

  state(name: keyof SandboxLimits, controller: Controller): LimitState {
    const reason = this.missing(controller);
    if (reason !== null) return { name, state: 'absent', reason };
    return { name, state: 'enforced', reason: `control group, version ${this.#version}` };
  }

  /**
   * Makes the group with its limits, those of writing on each of `disks`. Throws `OperatingError('unavailable')` when a
   * limit that counts as enforced cannot be set.
   */
  create(install: string, session: string, limits: SandboxLimits, disks: readonly Disk[]): Cgroup {
    const folders = this.#folders(install).map((folder) => join(folder, session));
    try {
      for (const folder of this.#folders(install)) this.#prepare(folder);
      this.#giveWay(install);
      for (const folder of folders) mkdirSync(folder, { recursive: true });
      for (const controller of CONTROLLERS)
        this.#limit(controller, inside(install, session), settings(this.#version, controller, limits, disks));
    } catch (error) {
      throw new OperatingError('unavailable', `A control group cannot be made (${messageOf(error)})`, undefined, error);
    }
    return {
      joins: folders.map((folder) => join(folder, 'cgroup.procs')),
      oomKills: () => this.#oomKills(install, session),
      remove: () => removeAll(folders),
    };
  }

  /** Pids in the groups of an install. */
  pids(install: string): number[] {
    return this.#leftovers(install).flatMap((folder) => {
      const lines = readText(join(folder, 'cgroup.procs'))?.split('\n') ?? [];
      return lines.filter((line) => line !== '').map(Number);
    });
  }

  /** Removes the emptied groups of an install. Never rejects. */
  async sweep(install: string): Promise<void> {
    await removeAll(this.#leftovers(install));
  }

  /** Distinct: under version 2 all controllers share one folder. */
  #folders(install: string): string[] {
    const bases = CONTROLLERS.flatMap((controller) => {
      const place = this.#places[controller];
      return 'folder' in place ? [join(place.folder, inside(install))] : [];
    });
    return [...new Set(bases)];
  }

  #leftovers(install: string): string[] {
    return this.#folders(install).flatMap((folder) => {
      if (!existsSync(folder)) return [];
      const groups = readdirSync(folder, { withFileTypes: true }).filter((entry) => entry.isDirectory());
      return groups.map((entry) => join(folder, entry.name));
    });
  }

  #prepare(folder: string): void {
    mkdirSync(folder, { recursive: true });
    if (this.#version === 1) return;
    const usable = CONTROLLERS.filter((controller) => this.missing(controller) === null);
    for (const level of [dirname(folder), folder]) enable(level, usable);
  }

  /**
   * A sandbox that keeps every processor busy would make each step of the host wait for the end of a time slice. An older
   * kernel has no idle groups.
   */
  #giveWay(install: string): void {
    const place = this.#places.cpu;
    if ('reason' in place) return;
    if (this.#version === 1 || this.#moved) moveTo(join(place.folder, install, HOST_GROUP), this.#pid);
    const idle = join(place.folder, inside(install), 'cpu.idle');
    if (existsSync(idle)) writeFileSync(idle, '1');
  }

  #limit(controller: Controller, group: string, values: [string, string, boolean][]): void {
    const place = this.#places[controller];
    if ('reason' in place) return;
    for (const [name, value, needed] of values) {
      const file = join(place.folder, group, name);
      if (needed || existsSync(file)) writeFileSync(file, value);
    }
  }

  #oomKills(install: string, session: string): number {
    const place = this.#places.memory;
    if ('reason' in place) return 0;
    const file = this.#version === 2 ? 'memory.events' : 'memory.oom_control';
    const text = readText(join(place.folder, inside(install, session), file)) ?? '';
    return Number(/^oom_kill (\d+)$/m.exec(text)?.[1] ?? 0);
  }
}

/** Path of an install's sandboxes, or of one of them, below a controller's folder. */
function inside(install: string, ...session: string[]): string {
  return join(install, SANDBOXES_GROUP, ...session);
}

/** `[file, value, needed]`. Swap is closed where the kernel counts it, or a hog would only get slower. */
function settings(
  version: 1 | 2,
  controller: Controller,
  limits: SandboxLimits,
  disks: readonly Disk[],
): [string, string, boolean][] {
  const quota = Math.max(1000, Math.round(limits.cpus * CPU_PERIOD_US));
  const memory = String(limits.memory_bytes);
  switch (controller) {
    case 'memory':
      if (version === 2)
        return [
          ['memory.max', memory, true],
          ['memory.swap.max', '0', false],
        ];
      return [
        ['memory.limit_in_bytes', memory, true],
        ['memory.memsw.limit_in_bytes', memory, false],
      ];
    case 'pids':
      return [['pids.max', String(limits.pids), true]];
    case 'cpu':
      if (version === 2) return [['cpu.max', `${quota} ${CPU_PERIOD_US}`, true]];
      return [
        ['cpu.cfs_period_us', String(CPU_PERIOD_US), true],
        ['cpu.cfs_quota_us', String(quota), true],
      ];
    case 'io': {
      const bytes = limits.disk_write_bytes;
      const writes = Math.max(1, Math.round(bytes / DISK_WRITE_UNIT_BYTES));
      return disks.flatMap(({ id }): [string, string, boolean][] =>
        version === 2
          ? [['io.max', `${id} wbps=${bytes} wiops=${writes}`, true]]
          : [
              ['blkio.throttle.write_bps_device', `${id} ${bytes}`, true],
              ['blkio.throttle.write_iops_device', `${id} ${writes}`, true],
            ],
      );
    }
  }
}

function placesV1(host: CgroupHost): Record<Controller, Place> {
  const place = (controller: Controller): Place => {
    const hierarchy = controller === 'io' ? 'blkio' : controller;
    const folder = join(host.root, hierarchy);
    if (!existsSync(folder)) return { reason: `this kernel has no ${hierarchy} control group mounted` };
    if (controller === 'io' && !existsSync(join(folder, 'blkio.throttle.write_bps_device')))
      return { reason: 'this kernel cannot throttle a disk' };
    if (host.uid !== 0) return { reason: 'control groups of version 1 need root' };
    if (!writable(folder)) return { reason: `${folder} is read-only` };
    return { folder: join(folder, 'glassclaw') };
  };
  return { memory: place('memory'), pids: place('pids'), cpu: place('cpu'), io: place('io') };
}

/**
 * Version 2 gives controllers only to the children of a group without processes of its own (the root excepted), so a
 * host in a delegated group first moves itself to a leaf.
 */
function placesV2(host: CgroupHost): Record<Controller, Place> {
  const own = join(host.root, /^0::(.*)$/m.exec(host.self)?.[1] ?? '/');
  const failures: string[] = [];
  for (const base of host.uid === 0 ? [host.root, own] : [own]) {
    const offered = (readText(join(base, 'cgroup.controllers')) ?? '').split(/\s+/);
    const usable = CONTROLLERS.filter((controller) => offered.includes(controller));
    try {
      if (!writable(base)) throw new Error('the control group is not delegated to this user');
      const folder = join(base, 'glassclaw');
      mkdirSync(folder, { recursive: true });
      if (base === own && own !== host.root) moveTo(join(folder, HOST_GROUP), host.pid);
      enable(base, usable);
      enable(folder, usable);
      const place = (controller: Controller): Place =>
        usable.includes(controller) ? { folder } : { reason: `the ${controller} controller is not delegated` };
      return { memory: place('memory'), pids: place('pids'), cpu: place('cpu'), io: place('io') };
    } catch (error) {
      const busy = systemCodeOf(error) === 'EBUSY';
      failures.push(busy ? 'other processes share the control group of this one' : messageOf(error));
    }
  }
  const reason = `${failures.at(-1)}: run it as a systemd unit with Delegate=yes`;
  return { memory: { reason }, pids: { reason }, cpu: { reason }, io: { reason } };
}

function moveTo(group: string, pid: number): void {
  mkdirSync(group, { recursive: true });
  writeFileSync(join(group, 'cgroup.procs'), String(pid));
}

function enable(folder: string, controllers: Controller[]): void {
  writeFileSync(join(folder, 'cgroup.subtree_control'), controllers.map((name) => `+${name}`).join(' '));
}

/** A group that still has a process answers EBUSY; the kernel needs some milliseconds after a SIGKILL. */
async function removeAll(folders: string[]): Promise<void> {
  const deadline = performance.now() + SANDBOX_GONE_MS;
  for (const folder of folders) {
    for (let wait_ms = 1; ; wait_ms = Math.min(wait_ms * 2, 50)) {
      try {
        rmdirSync(folder);
        break;
      } catch (error) {
        if (systemCodeOf(error) !== 'EBUSY' || performance.now() > deadline) break;
      }
      await sleep(wait_ms);
    }
  }
}

function writable(folder: string): boolean {
  try {
    accessSync(folder, constants.W_OK);
    return true;
  } catch {
    return false;
  }
}

function readText(path: string): string | null {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return null;
  }
}
