import { readFileSync } from 'node:fs';
import { join } from 'node:path';

/** What control groups say that they have stopped in a sandbox that goes on: its limits cost a process of it, not the whole. */

const CGROUPS = '/sys/fs/cgroup';

export interface LimitHits {
  /** Processes that the kernel ended for lack of memory. */
  oom_kills: number;
  /** Processes that could not be started, for there were too many. */
  forks_refused: number;
}

/** Since the sandbox whose process this is was started. What cannot be read, and what is not its own group, counts nothing. */
export function limitHits(pid: number): LimitHits {
  const [groups, ours] = [textOf(`/proc/${pid}/cgroup`), textOf('/proc/self/cgroup')];
  const count = (controller: string, v1: string, v2: string, key: string): number => {
    const file = limitFile(groups, controller, v1, v2);
    return file === limitFile(ours, controller, v1, v2) ? 0 : countOf(textOf(file), key);
  };
  return {
    oom_kills: count('memory', 'memory.oom_control', 'memory.events', 'oom_kill'),
    forks_refused: count('pids', 'pids.events', 'pids.events', 'max'),
  };
}

/** Pure: `max 7` of lines of such. */
export function countOf(text: string, key: string): number {
  return Number(new RegExp(`^${key} (\\d+)$`, 'm').exec(text)?.[1] ?? 0);
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
