import { readFileSync, readlinkSync } from 'node:fs';
import { systemCodeOf } from '../../base/errors.ts';
import { limitFile } from '../../runtimes/limit_hits.ts';
import type { Sandbox } from '../../runtimes/runtime.ts';
import type { Observation } from './derive.ts';
import { NAMESPACES } from './host.ts';

/** What the host's kernel says of a sandbox's first process: no user namespace or private mount can dress it up. */
export interface OutsideView {
  /** Id of the image that it was made of, by its engine; `none` without one. */
  image: string;
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
  /** Of memory and swap together under version 1, of swap alone under version 2. */
  swap: string;
  /** Microseconds of each period. */
  cpus: string;
  /** Bytes a second, of the disks that have a limit: one figure, unless they differ. */
  disk_write: string;
  /** Writes a second, likewise. */
  disk_writes: string;
  /** Links of its `ns`, or the code of the refusal to read one. */
  namespaces: Record<string, string>;
}

/** A process that has ended already is `unknown` in every respect, which no probe takes for an answer. */
export function outsideView({ pid, image = 'none' }: Pick<Sandbox, 'pid' | 'image'>): OutsideView {
  const status = textOf(`/proc/${pid}/status`);
  const groups = textOf(`/proc/${pid}/cgroup`);
  const first = (field: string): string => new RegExp(`^${field}:\\t([0-9a-f]+)`, 'm').exec(status)?.[1] ?? 'unknown';
  const limit = (controller: string, v1: string, v2: string): string =>
    groups === '' ? 'unknown' : limitOf(groups, controller, v1, v2);
  return {
    image,
    uid: first('Uid'),
    gid: first('Gid'),
    groups: /^Groups:\t(.*)$/m.exec(status)?.[1]?.trim() ?? 'unknown',
    caps: first('CapEff'),
    no_new_privs: first('NoNewPrivs'),
    seccomp: first('Seccomp'),
    pids: limit('pids', 'pids.max', 'pids.max'),
    memory: limit('memory', 'memory.limit_in_bytes', 'memory.max'),
    swap: limit('memory', 'memory.memsw.limit_in_bytes', 'memory.swap.max'),
    // Version 2 puts the period behind the quota.
    cpus: limit('cpu', 'cpu.cfs_quota_us', 'cpu.max').split(' ')[0]!,
    disk_write: ratesOf(limit('blkio', 'blkio.throttle.write_bps_device', 'io.max'), 'wbps'),
    disk_writes: ratesOf(limit('blkio', 'blkio.throttle.write_iops_device', 'io.max'), 'wiops'),
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
export function ratesOf(text: string, key: 'wbps' | 'wiops'): string {
  const rates = [...text.matchAll(new RegExp(`^\\d+:\\d+ (?:.*\\b${key}=)?(\\d+)`, 'gm'))].map((line) => line[1]!);
  return rates.length === 0 ? text : [...new Set(rates)].join(' ');
}

function limitOf(groups: string, controller: string, v1: string, v2: string): string {
  return textOf(limitFile(groups, controller, v1, v2)).trim() || 'none';
}

function textOf(path: string): string {
  try {
    return readFileSync(path, 'latin1');
  } catch {
    return '';
  }
}
