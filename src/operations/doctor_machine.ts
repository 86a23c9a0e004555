import { execFile } from 'node:child_process';
import { existsSync, readFileSync, statfsSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { InstallConfig } from '../base/config.ts';
import {
  CLOCK_AHEAD_MS,
  INODES_FREE_MIN,
  INOTIFY_INSTANCES_MIN,
  OPEN_FILES_MIN,
  PROCESSES_MIN,
  VERSION_ASK_MS,
} from '../base/limits/telemetry.ts';
import { answers } from '../base/lock.ts';
import type { Paths } from '../base/paths.ts';
import { KINDS } from '../channels/kinds.ts';
import { LAUNCH_ENV } from '../runtimes/bubblewrap_check.ts';
import { type Finding, well } from './finding.ts';
import { serviceFiles, UNITS } from './service.ts';

/** The rest of the machine: what a process may have of it, its clock, its disk, its programs, its ports, its units. */
export interface Surroundings {
  uid: number;
  node: string;
  /** Null: without a limit. */
  open_files: number | null;
  processes: number | null;
  inotify_instances: number | null;
  /** Null: the file system counts none. */
  inodes_free: number | null;
  /** Null: nobody here can say. */
  clock_synchronised: boolean | null;
  now_ms: number;
  /** The newest thing that host and gateway have written, by the clock of that moment; null: nothing yet. */
  newest_ms: number | null;
  git: boolean;
}

export async function readSurroundings(paths: Paths): Promise<Surroundings> {
  const limits = readFileSync('/proc/self/limits', 'utf8');
  return {
    uid: process.getuid!(),
    node: process.versions.node,
    open_files: limitOf(limits, 'Max open files', 'hard'),
    processes: limitOf(limits, 'Max processes', 'soft'),
    inotify_instances: Number(textOf('/proc/sys/fs/inotify/max_user_instances') ?? Number.NaN) || null,
    inodes_free: inodesAt(paths.home),
    clock_synchronised: await synchronised(),
    now_ms: Date.now(),
    newest_ms: newestOf([paths.ledger, `${paths.ledger}-wal`, paths.audit, join(paths.logs, 'host.log')]),
    git: LAUNCH_ENV.PATH.split(':').some((folder) => existsSync(join(folder, 'git'))),
  };
}

/** Pure: a row of `/proc/<pid>/limits`; null: unlimited, or not there. */
export function limitOf(limits: string, name: string, which: 'soft' | 'hard'): number | null {
  const [, soft, hard] = new RegExp(`^${name}\\s+(\\S+)\\s+(\\S+)`, 'm').exec(limits) ?? [];
  const value = Number(which === 'soft' ? soft : hard);
  return Number.isNaN(value) ? null : value;
}

function inodesAt(folder: string): number | null {
  try {
    const { files, ffree } = statfsSync(folder);
    return files === 0 ? null : ffree;
  } catch {
    return null;
  }
}

async function synchronised(): Promise<boolean | null> {
  try {
    const words = ['show', '--property=NTPSynchronized', '--value'];
    const { stdout } = await promisify(execFile)('timedatectl', words, { timeout: VERSION_ASK_MS });
    return stdout.trim() === 'yes';
  } catch {
    return null;
  }
}

function newestOf(files: string[]): number | null {
  const times = files.flatMap((file) => statSync(file, { throwIfNoEntry: false })?.mtimeMs ?? []);
  return times.length === 0 ? null : Math.max(...times);
}

function textOf(file: string): string | null {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return null;
  }
}

const NODE_MIN = [24, 15];

export function surroundingFindings(found: Surroundings): Finding[] {
  return [nodeFinding(found.node), ...limitFindings(found), ...clockFindings(found), ...programFindings(found)];
}

function nodeFinding(version: string): Finding {
  const [major = 0, minor = 0] = version.split('.').map(Number);
  const good = major > NODE_MIN[0]! || (major === NODE_MIN[0] && minor >= NODE_MIN[1]!);
  if (good) return well('node', `${version} runs the sources as they are`);
  const says = `${version} is too old: ${NODE_MIN.join('.')} brought what the code relies on`;
  return { what: 'node', state: 'problem', says, fix: 'run ./glass, which brings its own; or install a newer one' };
}

function limitFindings({ open_files, processes, inotify_instances, inodes_free }: Surroundings): Finding[] {
  const least = (what: string, value: number | null, min: number, fix: string): Finding[] => {
    if (value === null || value >= min) return [];
    return [{ what, state: 'weak', says: `${value}, and forty sandboxes need ${min}`, fix }];
  };
  const sysctl = ['sysctl', '-w', `fs.inotify.max_user_instances=${INOTIFY_INSTANCES_MIN * 4}`];
  const found = [
    ...least('open files', open_files, OPEN_FILES_MIN, 'ulimit -Hn 65536, or LimitNOFILE=65536 in the unit'),
    ...least('processes', processes, PROCESSES_MIN, 'ulimit -u 16384, or nproc in /etc/security/limits.conf'),
    ...least('inotify', inotify_instances, INOTIFY_INSTANCES_MIN, `sudo ${sysctl.join(' ')}`).map((finding) => ({
      ...finding,
      mend: { do: 'command', argv: sysctl, ask: `Run ${sysctl.join(' ')} (until the next boot)?` } as const,
    })),
  ];
  if (inodes_free !== null && inodes_free < INODES_FREE_MIN) {
    const says = `${inodes_free} are free where the home lies: no file can be made when there are none`;
    found.push({ what: 'inodes', state: 'weak', says, fix: 'remove what is many and small there: df -i' });
  }
  return found.length > 0 ? found : [well('limits', 'of files, processes, watches and inodes are wide enough')];
}

function clockFindings({ now_ms, newest_ms, clock_synchronised }: Surroundings): Finding[] {
  const ahead = newest_ms === null ? 0 : newest_ms - now_ms;
  if (ahead > CLOCK_AHEAD_MS) {
    const says = `it was set back: what was written last says ${new Date(newest_ms!).toISOString()}, ${Math.round(ahead / 60_000)} minutes from now`;
    const fix = 'set the clock right before ./glass up: tasks, budgets and approvals go by it';
    return [{ what: 'clock', state: 'problem', says, fix }];
  }
  if (clock_synchronised !== false) return [well('clock', 'is not behind what was written')];
  const argv = ['timedatectl', 'set-ntp', 'true'];
  const says = 'nothing keeps it right: tasks, budgets and approvals go by it';
  const mend = { do: 'command', argv, ask: `Run ${argv.join(' ')}?` } as const;
  return [{ what: 'clock', state: 'weak', says, fix: `sudo ${argv.join(' ')}`, mend }];
}

function programFindings({ git }: Surroundings): Finding[] {
  if (git) return [];
  const says = 'is missing: agents in the host’s userland cannot clone, and ./glass cannot be updated by it';
  return [{ what: 'git', state: 'weak', says, fix: 'sudo apt install git' }];
}

/** Of an install whose host does not run: where it will listen, somebody else must not. */
export async function portFindings(install: InstallConfig): Promise<Finding[]> {
  const hooks = Object.values(install.channels).some(
    ({ kind }) => KINDS.find((known) => known.kind === kind)?.webhook !== 'never',
  );
  const wanted = [
    ...(hooks ? [{ what: 'webhooks', key: 'webhooks.listen', ...install.webhooks.listen }] : []),
    ...(install.metrics === undefined
      ? []
      : [{ what: 'metrics', key: 'metrics.prometheus', ...install.metrics.prometheus }]),
  ];
  const looked = wanted.map(async ({ what, key, host, port }): Promise<Finding[]> => {
    if (!(await answers({ host, port }))) return [];
    const says = `another program listens on ${host}:${port}`;
    return [{ what, state: 'problem', says, fix: `end it, or change ${key} in glass.yaml` }];
  });
  return (await Promise.all(looked)).flat();
}

/** Whether the units on this machine are those of this checkout; nothing where there are none. */
export function unitFindings(root: string, below: string): Finding[] {
  // A checkout that no unit can name has none.
  if (!UNITS.some((unit) => existsSync(join(below, '/etc/systemd/system', unit)))) return [];
  const files = serviceFiles(root, process.execPath, below).filter(({ isKept }) => !isKept);
  const other = files.filter(({ path, text }) => textOf(join(below, path)) !== text).map(({ path }) => path);
  if (other.length === 0) return [well('units', 'are those of this checkout')];
  const says = `of another checkout or version: ${other.join(', ')}`;
  const argv = [process.execPath, join(root, 'src/cli/main.ts'), 'service', 'install'];
  const ask = 'Write the units anew and restart both services?';
  const mend = { do: 'command', argv, ask } as const;
  return [{ what: 'units', state: 'weak', says, fix: 'sudo ./glass service install', mend }];
}
