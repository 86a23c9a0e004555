import { CONTAINER_USER_PROCESSES, DISK_WRITE_UNIT_BYTES, OCI_RUNTIME_PIDS } from '../base/limits/sandbox.ts';
import type { Dialect } from './dialect.ts';
import type { Disk } from './disks.ts';
import type { Bind, SandboxSpec } from './runtime.ts';
import { bindOrder } from './spec.ts';

/** From a spec to the body of `POST /containers/create`: pure, so that tests can read what the engine is asked for. */

export const INSTALL_LABEL = 'glassclaw.install';
export const SESSION_LABEL = 'glassclaw.session';

export interface ContainerPlan {
  spec: SandboxSpec;
  user: { uid: number; gid: number };
  /** The install's image, for a spec that names none. */
  image: string;
  dialect: Dialect;
  /** The profile's text, or the path of a file with it, as the dialect says. */
  seccomp: string;
  /** Host folder of the generated `/etc`, which the dialect's covered files come from. */
  etc: string;
  /** Those that the spec's binds write to. */
  disks: readonly Disk[];
}

export function containerName(spec: SandboxSpec): string {
  return `glass-${spec.install}-${spec.session}`;
}

export function containerRequest(plan: ContainerPlan) {
  const { spec, user } = plan;
  return {
    Image: spec.userland.kind === 'image' ? spec.userland.ref : plan.image,
    User: `${user.uid}:${user.gid}`,
    // As the entry point, so that nothing an image declares stands before it.
    Entrypoint: spec.argv,
    Cmd: [],
    Env: Object.entries(spec.env).map(([name, value]) => `${name}=${value}`),
    WorkingDir: spec.cwd,
    Hostname: 'sandbox',
    AttachStdout: true,
    AttachStderr: true,
    Tty: false,
    Labels: { [INSTALL_LABEL]: spec.install, [SESSION_LABEL]: spec.session },
    HostConfig: {
      ...isolation(plan.seccomp),
      ...(spec.oci_runtime === null ? {} : { Runtime: spec.oci_runtime }),
      ...resources(plan),
      ...mounts(plan),
    },
  };
}

function isolation(seccomp: string) {
  return {
    NetworkMode: 'none',
    ReadonlyRootfs: true,
    CapDrop: ['ALL'],
    SecurityOpt: ['no-new-privileges', `seccomp=${seccomp}`],
    Privileged: false,
    IpcMode: 'private',
    CgroupnsMode: 'private',
    Init: true,
    // The engine would copy the host's name servers and search domains.
    Dns: ['127.0.0.1'],
    DnsSearch: ['.'],
    // Output goes to the attached host only; the engine would keep it in an uncapped file.
    LogConfig: { Type: 'none' },
    RestartPolicy: { Name: 'no' },
  };
}

function resources({ spec: { limits, oci_runtime }, dialect, disks }: ContainerPlan) {
  const writes = (Rate: number) => disks.map(({ node }) => ({ Path: node, Rate }));
  const ulimit = (Name: string, value: number) => ({ Name, Soft: value, Hard: value });
  return {
    Memory: limits.memory_bytes,
    // Memory and swap together: no swap on top.
    MemorySwap: limits.memory_bytes,
    PidsLimit: limits.pids + (oci_runtime === null ? 0 : OCI_RUNTIME_PIDS),
    NanoCpus: Math.round(limits.cpus * 1e9),
    BlkioDeviceWriteBps: writes(limits.disk_write_bytes),
    BlkioDeviceWriteIOps: writes(Math.max(1, Math.round(limits.disk_write_bytes / DISK_WRITE_UNIT_BYTES))),
    ShmSize: limits.shm_bytes,
    Ulimits: [
      ulimit('core', 0),
      ulimit('nofile', limits.open_files),
      ...(dialect.limitsUserProcesses ? [ulimit('nproc', CONTAINER_USER_PROCESSES)] : []),
    ],
  };
}

function mounts({ spec, dialect, etc }: ContainerPlan) {
  const covers = dialect.covered.map(
    (name): Bind => ({ source: `${etc}/${name}`, target: `/etc/${name}`, access: 'read' }),
  );
  return {
    Tmpfs: {
      ...Object.fromEntries(dialect.closed.map((folder) => [folder, 'ro,nosuid,nodev,size=4096,mode=755'])),
      '/tmp': `rw,exec,nosuid,nodev,size=${spec.limits.tmp_bytes},mode=1777`,
    },
    // Not `Binds`: those split at a colon, and make a missing source as root.
    Mounts: bindOrder([...covers, ...spec.binds]).map((bind) => ({
      Type: 'bind',
      Source: bind.source,
      Target: bind.target,
      ReadOnly: bind.access === 'read',
      BindOptions: { Propagation: 'rprivate' },
    })),
  };
}
