import { readFileSync, readlinkSync } from 'node:fs';
import { join } from 'node:path';
import { systemCodeOf } from '../../base/errors.ts';
import type { Observation } from './derive.ts';
import { NAMESPACES } from './host.ts';

/** What the host's kernel says of a sandbox's first process: no user namespace or private mount can dress it up. */
export interface OutsideView {
  uid: string;
  gid: string;
  /** Supplementary groups, separated by spaces. */
  groups: string;
  /** The effective set, in hexadecimal. */
  caps: string;
  no_new_privs: string;
  /** Mode of its filter. */
  seccomp: string;
  /** Limits of its control groups; `none` where it is in no group that has one. */
  pids: string;
  memory: string;
  /** Microseconds of each period. */
  cpus: string;
  /** Bytes a second, of the disks that have a limit: one figure, unless they differ. */
  disk_write: string;
  /** Links of its `ns`, or the code of the refusal to read one. */
  namespaces: Record<string, string>;
}

const CGROUPS = '/sys/fs/cgroup';

/** A process that has ended already is `unknown` in every respect, which no probe takes for an answer. */
export function outsideView(pid: number): OutsideView {
  const status = textOf(`/proc/${pid}/status`);
  const groups = textOf(`/proc/${pid}/cgroup`);
  const first = (field: string): string => new RegExp(`^${field}:\\t([0-9a-f]+)`, 'm').exec(status)?.[1] ?? 'unknown';
  const limit = (controller: string, v1: string, v2: string): string =>
    groups === '' ? 'unknown' : limitOf(groups, controller, v1, v2);
  return {
    uid: first('Uid'),
    gid: first('Gid'),
    groups: /^Groups:\t(.*)$/m.exec(status)?.[1]?.trim() ?? 'unknown',
    caps: first('CapEff'),
    no_new_privs: first('NoNewPrivs'),
    seccomp: first('Seccomp'),
    pids: limit('pids', 'pids.max', 'pids.max'),
    memory: limit('memory', 'memory.limit_in_bytes', 'memory.max'),
    // Version 2 puts the period behind the quota.
    cpus: limit('cpu', 'cpu.cfs_quota_us', 'cpu.max').split(' ')[0]!,
    disk_write: ratesOf(limit('blkio', 'blkio.throttle.write_bps_device', 'io.max')),
    namespaces: Object.fromEntries(NAMESPACES.map((name) => [name, linkOf(`/proc/${pid}/ns/${name}`)])),
  };
}

/** By key of an observation. */
export function hostObservations({ namespaces, ...rest }: OutsideView): [string, Observation][] {
  return [
    ...Object.entries(rest).map(([name, value]): [string, Observation] => [`host.${name}`, { value }]),
    ...Object.entries(namespaces).map(([name, link]): [string, Observation] => [
      `host.namespace.${name}`,
      link === 'EACCES' ? { not_run: 'only root may look at another account’s namespaces' } : { value: link },
    ]),
  ];
}

function linkOf(path: string): string {
  try {
    return readlinkSync(path);
  } catch (error) {
    return systemCodeOf(error) ?? 'unknown';
  }
}

/** Pure: from `7:1 20971520`, or `7:1 rbps=max wbps=20971520 …`, a line for each disk. */
function ratesOf(text: string): string {
  const rates = [...text.matchAll(/^\d+:\d+ (?:.*\bwbps=)?(\d+)/gm)].map((line) => line[1]!);
  return rates.length === 0 ? text : [...new Set(rates)].join(' ');
}

function limitOf(groups: string, controller: string, v1: string, v2: string): string {
  return textOf(limitFile(groups, controller, v1, v2)).trim() || 'none';
}

/**
 * Where a controller's limit stands. `groups`: lines of `/proc/<pid>/cgroup`, `4:cpu,cpuacct:/path` under version 1 and
 * `0::/path` under version 2; a machine may have both, and a controller belongs to one of them.
 */
export function limitFile(groups: string, controller: string, v1: string, v2: string): string {
  const lines = groups.split('\n').map((line) => line.split(':'));
  const own = lines.find(([, names]) => names?.split(',').includes(controller))?.[2];
  if (own !== undefined) return join(CGROUPS, controller, own, v1);
  const unified = lines.find(([id, names]) => id === '0' && names === '')?.[2];
  return join(CGROUPS, unified ?? '/', v2);
}

function textOf(path: string): string {
  try {
    return readFileSync(path, 'latin1');
  } catch {
    return '';
  }
}
