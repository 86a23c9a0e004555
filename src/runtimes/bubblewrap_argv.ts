import type { Bind, SandboxSpec } from './runtime.ts';
import { bindOrder, labelOf } from './spec.ts';
import { INNER_ID, type Userland } from './userland.ts';

/**
 * From a spec to argument vectors: pure, so that tests can read what would be executed.
 *
 * Descriptors of the started process: 3 is the seccomp program, 4 gets bubblewrap's status (JSON lines), 5 is the
 * handshake of the sandbox's first program with the host, 6 the launcher's watcher (see `launch.sh`).
 */

export const SECCOMP_FD = 3;
export const STATUS_FD = 4;
export const HANDSHAKE_FD = 5;
export const WATCHER_FD = 6;
/** Stands before the message of a program that cannot be executed. */
export const START_NAME = 'glass-start';

/**
 * The first program inside. It says that the sandbox is set up, so that its init dies with bubblewrap from here on, and
 * goes on only when a living host answers: the end of a host that died meanwhile is read as end-of-file.
 */
const START = `echo >&${HANDSHAKE_FD}; read -r go <&${HANDSHAKE_FD} || exit 1; exec "$@" ${HANDSHAKE_FD}>&-`;

/** Carries `<install>/<session>` in the arguments, where `reap` reads it from outside. */
export const LABEL_VARIABLE = 'GLASS_LABEL';

export interface BubblewrapPlan {
  spec: SandboxSpec;
  userland: Userland;
  /** True: no pids control group, so the limit is set inside, where it counts the sandbox's own processes only. */
  limitProcessesInside: boolean;
}

/** The binds of a plan in mount order, the system files first. */
export function bindsOf(plan: BubblewrapPlan): Bind[] {
  const system = plan.userland.folders.map((folder): Bind => ({ ...folder, access: 'read' }));
  return [...system, ...bindOrder(plan.spec.binds)];
}

/**
 * Arguments of bubblewrap, its own name first. `sources` are the host paths of `bindsOf(plan)`, in that order:
 * the staged copies when a launcher made some, else the sources themselves.
 */
export function bubblewrapArgv(plan: BubblewrapPlan, sources: string[]): string[] {
  const { spec, userland } = plan;
  return [
    'bwrap',
    ...isolation(),
    ...userland.links.flatMap(([link, target]) => ['--symlink', target, link]),
    ...['--proc', '/proc', '--dev', '/dev'],
    ...['--size', String(spec.limits.shm_bytes), '--perms', '1777', '--tmpfs', '/dev/shm'],
    ...['--size', String(spec.limits.tmp_bytes), '--perms', '1777', '--tmpfs', '/tmp'],
    ...['--dir', '/run'],
    ...bindsOf(plan).flatMap((bind, i) => [bind.access === 'write' ? '--bind' : '--ro-bind', sources[i]!, bind.target]),
    // Last: everything above still needed to make its mount points.
    ...['--remount-ro', '/dev', '--remount-ro', '/'],
    ...environment(spec),
    ...['--chdir', spec.cwd, '--seccomp', String(SECCOMP_FD), '--json-status-fd', String(STATUS_FD), '--'],
    ...['/bin/sh', '-c', START, START_NAME],
    ...(plan.limitProcessesInside ? ['/usr/bin/prlimit', `--nproc=${spec.limits.pids}`, '--'] : []),
    ...spec.argv,
  ];
}

function isolation(): string[] {
  return [
    ...['--unshare-user', '--unshare-pid', '--unshare-ipc', '--unshare-uts', '--unshare-net', '--unshare-cgroup-try'],
    // The program must not make user namespaces of its own: in one it would hold capabilities again.
    '--disable-userns',
    ...['--uid', String(INNER_ID), '--gid', String(INNER_ID), '--hostname', 'sandbox'],
    ...['--cap-drop', 'ALL', '--new-session', '--die-with-parent'],
  ];
}

function environment(spec: SandboxSpec): string[] {
  const variables = { ...spec.env, [LABEL_VARIABLE]: labelOf(spec) };
  return ['--clearenv', ...Object.entries(variables).flatMap(([name, value]) => ['--setenv', name, value])];
}

/** What `launch.sh` does before it executes bubblewrap. */
export interface LaunchPlan {
  /** Pid of this process: the launcher gives up when its parent is another by the time it is done. */
  parent: number;
  openFiles: number;
  /** `cgroup.procs` files to join. */
  joins: string[];
  /** When root: where to stage the sources, and the uid to run as. */
  stage: { folder: string; uid: number } | null;
}

/** Where the launcher puts each source: names by position, so that no byte of a source's path matters. */
export function stagedSources(count: number, folder: string): string[] {
  return Array.from({ length: count }, (_, i) => `${folder}/${i}`);
}

/** The whole command: program and arguments of the one process that becomes bubblewrap by a chain of exec. */
export function launchArgv(script: string, launch: LaunchPlan, binds: StagedBind[], bubblewrap: string[]): string[] {
  const { stage } = launch;
  const words = [
    '/bin/sh',
    script,
    String(launch.parent),
    String(launch.openFiles),
    launch.joins.join(' '),
    stage === null ? '' : stage.folder,
    stage === null ? '' : String(stage.uid),
    stage === null ? '' : binds.flatMap((bind, i) => (bind.folder ? [`${i}`] : [])).join(' '),
    stage === null ? '' : binds.flatMap((bind, i) => (bind.folder ? [] : [`${i}`])).join(' '),
    stage === null ? '' : binds.map((bind, i) => fstabLine(bind, `${stage.folder}/${i}`)).join(''),
    ...bubblewrap,
  ];
  return stage === null ? words : ['unshare', '--mount', '--propagation', 'private', '--', ...words];
}

/** A bind and whether its source is a folder: a mount point must be of the same kind. */
export type StagedBind = Bind & { folder: boolean };

/** `mount --all` takes its mounts from a table in one process; a `mount` for each would cost 2 ms each. */
function fstabLine(bind: StagedBind, target: string): string {
  const options = `rbind,${bind.access === 'write' ? 'rw' : 'ro'},nosuid,nodev`;
  return `${fstabEscape(bind.source)} ${fstabEscape(target)} none ${options} 0 0\n`;
}

function fstabEscape(path: string): string {
  return path.replace(/[\s\\#]/g, (byte) => `\\${byte.charCodeAt(0).toString(8).padStart(3, '0')}`);
}
