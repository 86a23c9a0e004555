import type { SandboxSpec } from './runtime.ts';
import { dockerSeccompProfile } from './seccomp_docker.ts';
import type { SeccompArch } from './seccomp_table.ts';
import { bindOrder } from './spec.ts';

/** From a spec to the body of `POST /containers/create`: pure, so that tests can read what the engine is asked for. */

export const INSTALL_LABEL = 'glassclaw.install';
export const SESSION_LABEL = 'glassclaw.session';

export interface ContainerIdentity {
  uid: number;
  gid: number;
}

export function containerName(spec: SandboxSpec): string {
  return `glass-${spec.install}-${spec.session}`;
}

export function containerRequest(spec: SandboxSpec, user: ContainerIdentity, image: string, arch: SeccompArch) {
  return {
    Image: image,
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
    HostConfig: { ...isolation(arch), ...resources(spec), ...mounts(spec) },
  };
}

function isolation(arch: SeccompArch) {
  return {
    NetworkMode: 'none',
    ReadonlyRootfs: true,
    CapDrop: ['ALL'],
    SecurityOpt: ['no-new-privileges', `seccomp=${JSON.stringify(dockerSeccompProfile(arch))}`],
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

function resources(spec: SandboxSpec) {
  const { limits } = spec;
  return {
    Memory: limits.memory_bytes,
    // Memory and swap together: no swap on top.
    MemorySwap: limits.memory_bytes,
    PidsLimit: limits.pids,
    NanoCpus: Math.round(limits.cpus * 1e9),
    ShmSize: limits.shm_bytes,
    Ulimits: [
      { Name: 'core', Soft: 0, Hard: 0 },
      { Name: 'nofile', Soft: limits.open_files, Hard: limits.open_files },
    ],
  };
}

function mounts(spec: SandboxSpec) {
  return {
    Tmpfs: { '/tmp': `rw,exec,nosuid,nodev,size=${spec.limits.tmp_bytes},mode=1777` },
    // Not `Binds`: those split at a colon, and make a missing source as root.
    Mounts: bindOrder(spec.binds).map((bind) => ({
      Type: 'bind',
      Source: bind.source,
      Target: bind.target,
      ReadOnly: bind.access === 'read',
      BindOptions: { Propagation: 'rprivate' },
    })),
  };
}
