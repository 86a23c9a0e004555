import { dirname } from 'node:path';
import { CPU_PERIOD_US, DISK_WRITE_UNIT_BYTES, OCI_RUNTIME_PIDS } from '../../base/limits/sandbox.ts';
import { EGRESS_FOLDER } from '../../protocol/proxy.ts';
import { LABEL_VARIABLE } from '../../runtimes/bubblewrap_argv.ts';
import type { Runtime, SandboxSpec } from '../../runtimes/runtime.ts';
import { INNER_ID } from '../../runtimes/userland.ts';
import { ownMounts } from './mounts.ts';
import type { Facts, Profile } from './probes/probe.ts';
import { CONTROL_SOCKET, RUN_TARGET } from './shown.ts';

/** What must be seen inside, worked out from the spec alone. Pure: what it needs of this machine it is given. */

/** What the host says of itself. */
export interface HostFacts {
  uid: number;
  gid: number;
  groups: readonly number[];
  /** Release of the kernel. */
  kernel: string;
  /** Links of `/proc/self/ns`, by name. */
  namespaces: Record<string, string>;
  /** `major:minor` of the file system of each source, by the source. */
  devices: Readonly<Record<string, string>>;
  /** Top-level folders and links that bubblewrap takes from the host or from an unpacked root. */
  userland: { folders: readonly string[]; links: readonly (readonly [string, string])[] };
}

/** Lists to compare with, beside the facts that a probe names. */
export interface Declared {
  facts: Facts;
  spec: SandboxSpec;
  /** The most that the workspace may hold, where it is a file system of its own. */
  workspace_bytes: number;
  runtime: Runtime['name'];
  profile: Profile;
  host: HostFacts;
  own: ReturnType<typeof ownMounts>;
  /** Names that the first process may have: the declared ones, and those of a launcher's shell. */
  env_first: readonly string[];
  devices: { needed: readonly string[]; allowed: readonly string[] };
  /** Paths that the inspection's own socket is seen at. */
  sockets: readonly string[];
  /** Account of the host that the sandbox's processes have, and the groups that it may have there. */
  host_ids: { uid: number; gid: number; groups: readonly number[] };
}

const DEVICES = [
  'fd',
  'full',
  'null',
  'ptmx',
  'pts',
  'random',
  'shm',
  'stderr',
  'stdin',
  'stdout',
  'tty',
  'urandom',
  'zero',
];
/** A link to `/proc/kcore`, and POSIX message queues: only some runtimes make them. */
const DEVICES_OF_SOME = ['core', 'mqueue'];

/** `runtime`: who makes the sandbox; `profile`: whose answers are right in it. They differ under gVisor only. */
export function declaredOf(
  spec: SandboxSpec,
  workspace_bytes: number,
  { runtime, profile }: { runtime: Runtime['name']; profile: Profile },
  host: HostFacts,
): Declared {
  const ids = spec.uid === null ? host : { uid: spec.uid, gid: spec.uid, groups: [] };
  const inside = runtime === 'bubblewrap' ? { uid: INNER_ID, gid: INNER_ID } : ids;
  const env = envNames(spec, runtime);
  const { limits } = spec;
  return {
    facts: {
      uids: fourTimes(inside.uid),
      gids: fourTimes(inside.gid),
      env_names: env.join('\n'),
      tmp_bytes: String(limits.tmp_bytes),
      shm_bytes: String(limits.shm_bytes),
      open_files: `${limits.open_files} ${limits.open_files}`,
      pids: String(limits.pids),
      host_pids: String(limits.pids + (spec.oci_runtime === null ? 0 : OCI_RUNTIME_PIDS)),
      cpu_quota_us: String(Math.round(limits.cpus * CPU_PERIOD_US)),
      memory_bytes: String(limits.memory_bytes),
      disk_write_bytes: String(limits.disk_write_bytes),
      disk_writes: String(Math.max(1, Math.round(limits.disk_write_bytes / DISK_WRITE_UNIT_BYTES))),
    },
    spec,
    workspace_bytes,
    runtime,
    profile,
    host,
    own: ownMounts(runtime, host.userland.folders),
    env_first: [...env, 'PATH', 'PWD', 'OLDPWD'],
    devices: { needed: DEVICES, allowed: [...DEVICES, ...DEVICES_OF_SOME] },
    sockets: [RUN_TARGET, EGRESS_FOLDER].map((folder) => `${folder}/${CONTROL_SOCKET}`),
    host_ids: { uid: ids.uid, gid: ids.gid, groups: [ids.gid, ...ids.groups] },
  };
}

function fourTimes(id: number): string {
  return Array(4).fill(id).join(' ');
}

/** The spec's own, and what each runtime adds: bubblewrap's label and its shell's folder, an engine's host name and home. */
function envNames(spec: SandboxSpec, runtime: Runtime['name']): string[] {
  const added = { bubblewrap: [LABEL_VARIABLE, 'PWD'], docker: ['HOME', 'HOSTNAME'] };
  const own = added[runtime === 'bubblewrap' ? 'bubblewrap' : 'docker'];
  const podman = runtime === 'podman' ? ['container', 'TERM'] : [];
  return [...new Set([...Object.keys(spec.env), ...own, ...podman])].sort();
}

/** Folders of the host beside what is declared: the group's other files, other sessions' sockets. */
export function absentFolders(spec: SandboxSpec, userland: readonly string[]): string[] {
  const shared = ['/', '/tmp', '/run', '/opt', '/var', '/etc'];
  const inUserland = (path: string): boolean => userland.some((top) => path === top || path.startsWith(`${top}/`));
  const beside = spec.binds
    .filter(({ access, target }) => access === 'write' || target === '/run/glass')
    .map(({ source }) => dirname(source));
  return [...new Set(beside)].filter((path) => !shared.includes(path) && !inUserland(path));
}

/** Files that a generated `/etc` may have, and those that it must have. */
export const ETC_NEEDED: readonly string[] = ['passwd', 'group', 'hosts', 'hostname', 'nsswitch.conf', 'resolv.conf'];
const ETC_ALLOWED: readonly string[] = [
  ...ETC_NEEDED,
  ...['ld.so.cache', 'localtime', 'services', 'protocols', 'ssl/openssl.cnf', 'ssl/certs/ca-certificates.crt'],
];

/** A list of our own, not the generator's: a change there is to be noticed here. */
export function isGeneratedEtc(name: string): boolean {
  return ETC_ALLOWED.includes(name) || /^alternatives\/[^/]+$/.test(name);
}
