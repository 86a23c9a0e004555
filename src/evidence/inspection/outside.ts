import { readFileSync } from 'node:fs';
import { join } from 'node:path';

/** What the host's kernel says of a sandbox's first process: no user namespace or private mount can dress it up. */
export interface OutsideView {
  uid: string;
  gid: string;
  /** Supplementary groups, separated by spaces. */
  groups: string;
  /** Limits of its control groups; `none` where it is in no group that has one. */
  pids: string;
  memory: string;
  /** Microseconds of each period. */
  cpus: string;
}

const CGROUPS = '/sys/fs/cgroup';

/** A process that has ended already is `unknown` in every respect, which no probe takes for an answer. */
export function outsideView(pid: number): OutsideView {
  const status = textOf(`/proc/${pid}/status`);
  const groups = textOf(`/proc/${pid}/cgroup`);
  const first = (field: string): string => new RegExp(`^${field}:\\t(\\d+)`, 'm').exec(status)?.[1] ?? 'unknown';
  const limit = (controller: string, v1: string, v2: string): string =>
    groups === '' ? 'unknown' : limitOf(groups, controller, v1, v2);
  return {
    uid: first('Uid'),
    gid: first('Gid'),
    groups: /^Groups:\t(.*)$/m.exec(status)?.[1]?.trim() ?? 'unknown',
    pids: limit('pids', 'pids.max', 'pids.max'),
    memory: limit('memory', 'memory.limit_in_bytes', 'memory.max'),
    // Version 2 puts the period behind the quota.
    cpus: limit('cpu', 'cpu.cfs_quota_us', 'cpu.max').split(' ')[0]!,
  };
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
