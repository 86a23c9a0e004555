import type { Sabotage } from './inspect_sabotage.ts';

/** The guards of a container, each a field of the request for it. */

const REQUEST = 'src/runtimes/docker_request.ts';

function field(name: string, from: string, to: string, ...red: string[]): Sabotage {
  return { without: name, patches: [[REQUEST, from, to]], red };
}

function hiddenField(name: string, from: string, to: string, hidden: string): Sabotage {
  return { ...field(name, from, to), hidden };
}

/* biome-ignore-start lint/suspicious/noTemplateCurlyInString: it is source */
export const DOCKER_SABOTAGES: readonly Sabotage[] = [
  field(
    'NetworkMode none',
    "NetworkMode: 'none'",
    "NetworkMode: 'host'",
    'namespace.net',
    'dial.loopback',
    'dial.abstract',
  ),
  field('ReadonlyRootfs', 'ReadonlyRootfs: true', 'ReadonlyRootfs: false', 'touch./', 'touch./usr', 'mounts.writable'),
  field('CapDrop', "CapDrop: ['ALL'],", '', 'status.CapBnd'),
  {
    without: 'User and CapDrop',
    patches: [
      [REQUEST, 'User: `${user.uid}:${user.gid}`', "User: '0:0'"],
      [REQUEST, "CapDrop: ['ALL'],", ''],
    ],
    red: ['binds.suid', 'binds.dev'],
  },
  {
    without: 'nosuid and nodev of its own workspace',
    patches: [['src/runtimes/image_tools.ts', 'loop,rw,nosuid,nodev,', 'loop,rw,']],
    red: ['workspace.flags'],
    image: true,
    only: 'root',
  },
  field('no-new-privileges', "'no-new-privileges', ", '', 'status.NoNewPrivs'),
  field(
    'our filter: the engine’s own remains',
    ', `seccomp=${seccomp}`',
    '',
    'call.io_uring_setup',
    'call.socket.vsock',
    'call.ptrace',
  ),
  field('any filter', '`seccomp=${seccomp}`', "'seccomp=unconfined'", 'status.Seccomp', 'call.unshare.user'),
  field('Privileged false', 'Privileged: false', 'Privileged: true', 'status.CapBnd', 'dev.extra'),
  field('IpcMode private', "IpcMode: 'private'", "IpcMode: 'host'", 'namespace.ipc', 'size./dev/shm'),
  field('CgroupnsMode private', "CgroupnsMode: 'private'", "CgroupnsMode: 'host'", 'namespace.cgroup'),
  field('a pid namespace', "IpcMode: 'private'", "PidMode: 'host', IpcMode: 'private'", 'namespace.pid'),
  field('User', 'User: `${user.uid}:${user.gid}`', "User: '0:0'", 'status.Uid', 'host.uid', 'set.uid'),
  field('the group in User', 'User: `${user.uid}:${user.gid}`', 'User: String(user.uid)', 'status.Gid', 'host.gid'),
  field('Hostname', "Hostname: 'sandbox',", '', 'hostname'),
  field('Dns', "Dns: ['127.0.0.1'],", '', 'resolver.foreign'),
  // Not every host has a search domain that the engine could copy: one stands there instead.
  field('DnsSearch', "DnsSearch: ['.'],", "DnsSearch: ['of-the-host.example'],", 'resolver.foreign'),
  {
    without: 'Memory as it is declared',
    patches: [
      [REQUEST, 'Memory: limits.memory_bytes,', 'Memory: 2 * limits.memory_bytes,'],
      [REQUEST, 'MemorySwap: limits.memory_bytes,', 'MemorySwap: 2 * limits.memory_bytes,'],
    ],
    red: ['limit.memory', 'host.memory'],
  },
  field('MemorySwap', 'MemorySwap: limits.memory_bytes,', 'MemorySwap: -1,', 'host.swap'),
  field(
    'PidsLimit',
    'PidsLimit: limits.pids + (oci_runtime === null ? 0 : OCI_RUNTIME_PIDS),',
    '',
    'limit.pids',
    'host.pids',
  ),
  field('NanoCpus', 'NanoCpus: Math.round(limits.cpus * 1e9),', '', 'limit.cpus', 'host.cpus'),
  field('BlkioDeviceWriteBps', 'BlkioDeviceWriteBps: writes(limits.disk_write_bytes),', '', 'host.disk_write'),
  field(
    'BlkioDeviceWriteIOps',
    'BlkioDeviceWriteIOps: writes(Math.max(1, Math.round(limits.disk_write_bytes / DISK_WRITE_UNIT_BYTES))),',
    '',
    'host.disk_writes',
  ),
  field('ShmSize', 'ShmSize: limits.shm_bytes,', 'ShmSize: 2 * limits.shm_bytes,', 'size./dev/shm'),
  field('the limit of core files', "ulimit('core', 0),", '', 'limit.core'),
  field('the limit of open files', "ulimit('nofile', limits.open_files),", '', 'limit.open_files'),
  field('the size of /tmp', ',size=${spec.limits.tmp_bytes}', '', 'size./tmp'),
  field('nosuid and nodev of /tmp', 'rw,exec,nosuid,nodev,', 'rw,exec,suid,dev,', 'mounts.suid', 'mounts.dev'),
  field(
    'ReadOnly of the declared mounts',
    "ReadOnly: bind.access === 'read',",
    'ReadOnly: false,',
    'mounts.access',
    'mounts.writable',
    'touch.declared',
  ),
  {
    ...field('Propagation', "'rprivate'", "bind.target === '/workspace' ? 'rshared' : 'rprivate'", 'mounts.shared'),
    shared: true,
    only: 'root',
  },
  hiddenField('Init', 'Init: true', 'Init: false', 'who collects the dead is no boundary'),
  hiddenField('LogConfig', "LogConfig: { Type: 'none' },", '', 'it bounds a file of the engine’s, outside'),
  hiddenField(
    'RestartPolicy',
    "RestartPolicy: { Name: 'no' },",
    '',
    'it is the engine’s default, and bounds what happens after the end',
  ),
];
/* biome-ignore-end lint/suspicious/noTemplateCurlyInString: it is source */
