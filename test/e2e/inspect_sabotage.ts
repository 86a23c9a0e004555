/** The guards of bubblewrap's sandboxes, as what has to be replaced in the source to take one out, and what must turn red then. */

export interface Sabotage {
  /** What is taken away, as the rest of "without …". */
  without: string;
  /** File, what stands there, and what stands there without the guard. */
  patches: readonly (readonly [file: string, from: string, to: string])[];
  /** Probes that must fail: others may too. `all`: nothing can be started any more. */
  red: readonly string[] | 'all';
  /** The removal cannot be seen from inside, because something else holds: then nothing may fail. */
  hidden?: string;
  depth?: 'full';
  /** Only where the tests run as root, or as somebody else. */
  only?: 'root' | 'user';
  /** An open folder is handed to the host that starts the sandbox. */
  leak?: true;
  /** The workspace is a file system of its own, mounted by the copy. */
  image?: true;
  /** The home is a mount that can be shared with others, as all are where systemd runs. */
  shared?: true;
}

const ARGV = 'src/runtimes/bubblewrap_argv.ts';
const BUBBLEWRAP = 'src/runtimes/bubblewrap.ts';
const LAUNCH = 'src/runtimes/launch.sh';
const CGROUP = 'src/runtimes/cgroup.ts';
const FILTER = 'src/runtimes/seccomp.ts';

const NO_FILTER = [ARGV, "'--seccomp', String(SECCOMP_FD), ", ''] as const;
const NO_DISABLE_USERNS = [ARGV, "'--disable-userns',", ''] as const;
const SETTINGS = 'settings(this.#version, controller, limits, disks)';

function withoutLimit(controller: 'pids' | 'memory' | 'cpu' | 'io'): Sabotage['patches'] {
  return [[CGROUP, SETTINGS, `controller === '${controller}' ? [] : ${SETTINGS}`]];
}

const NAMESPACES: readonly Sabotage[] = [
  {
    without: '--unshare-user: bubblewrap refuses to start',
    patches: [[ARGV, "'--unshare-user', ", '']],
    red: 'all',
  },
  {
    without: '--unshare-user and --disable-userns',
    patches: [[ARGV, "'--unshare-user', ", ''], NO_DISABLE_USERNS],
    red: [],
    hidden: 'an ordinary account has no other way: bubblewrap makes a user namespace all the same',
  },
  {
    without: '--disable-userns',
    patches: [NO_DISABLE_USERNS],
    red: [],
    hidden: 'the filter refuses unshare and clone before the kernel looks at the limit',
  },
  {
    without: '--disable-userns and the filter',
    patches: [NO_DISABLE_USERNS, NO_FILTER],
    red: ['call.unshare.user', 'call.clone.user'],
  },
  {
    without: '--unshare-pid',
    patches: [[ARGV, "'--unshare-pid', ", '']],
    red: ['namespace.pid', 'read./proc/1/mem'],
  },
  { without: '--unshare-ipc', patches: [[ARGV, "'--unshare-ipc', ", '']], red: ['namespace.ipc'] },
  {
    without: '--unshare-uts and --hostname',
    patches: [
      [ARGV, "'--unshare-uts', ", ''],
      [ARGV, ", '--hostname', 'sandbox'", ''],
    ],
    red: ['namespace.uts', 'hostname'],
  },
  { without: '--hostname', patches: [[ARGV, ", '--hostname', 'sandbox'", '']], red: ['hostname'] },
  {
    without: '--unshare-net',
    patches: [[ARGV, "'--unshare-net', ", '']],
    red: ['namespace.net', 'dial.loopback', 'dial.abstract', 'network.abstract', 'dial.host'],
  },
  { without: '--unshare-cgroup-try', patches: [[ARGV, ", '--unshare-cgroup-try'", '']], red: ['namespace.cgroup'] },
];

const IDENTITY: readonly Sabotage[] = [
  {
    without: '--uid and --gid',
    patches: [[ARGV, "'--uid', String(INNER_ID), '--gid', String(INNER_ID), ", '']],
    red: ['status.Uid', 'status.Gid'],
  },
  {
    without: '--cap-drop ALL',
    patches: [[ARGV, "'--cap-drop', 'ALL', ", '']],
    red: [],
    hidden: 'bubblewrap drops all capabilities of a program that is not root inside',
  },
  {
    without: '--cap-drop ALL, but with --cap-add ALL',
    patches: [[ARGV, "'--cap-drop', 'ALL', ", "'--cap-add', 'ALL', "]],
    red: ['status.CapEff', 'status.CapBnd'],
  },
  {
    without: 'the clearing of inheritable capabilities',
    patches: [[LAUNCH, ' --inh-caps=-all', '']],
    red: [],
    hidden: 'bubblewrap drops them with all others',
    only: 'root',
  },
  { without: '--new-session', patches: [[ARGV, ", '--new-session'", '']], red: ['session'] },
  {
    without: '--die-with-parent',
    patches: [[ARGV, ", '--die-with-parent'", '']],
    red: [],
    hidden: 'nothing inside shows it; the tests of the runtime kill the host and count what is left',
  },
  { without: '--clearenv', patches: [[ARGV, "'--clearenv', ", '']], red: ['env.names'] },
  {
    without: 'an environment of its own for the launcher',
    patches: [[BUBBLEWRAP, 'env: LAUNCH_ENV', "env: { ...LAUNCH_ENV, HOST_VARIABLE: 'x' }"]],
    red: ['env.first.foreign'],
  },
  { without: 'the filter', patches: [NO_FILTER], red: ['status.Seccomp', 'call.io_uring_setup', 'call.socket.vsock'] },
  {
    without: 'the end of the handshake descriptor',
    // biome-ignore lint/suspicious/noTemplateCurlyInString: it is source
    patches: [[ARGV, ' ${HANDSHAKE_FD}>&-`', '`']],
    red: ['descriptors'],
  },
  {
    without: 'the cover over inherited descriptors',
    patches: [[BUBBLEWRAP, 'inherited: inheritedDescriptors()', 'inherited: []']],
    red: ['descriptors'],
    leak: true,
  },
  {
    without: 'the change of account: bubblewrap runs as root',
    patches: [[LAUNCH, '--reuid=$uid --regid=$uid --clear-groups --inh-caps=-all', '--inh-caps=-all']],
    red: ['host.uid', 'open./proc/sys/kernel/core_pattern', 'control.socket'],
    only: 'root',
  },
  {
    without: 'the change of group',
    patches: [[LAUNCH, '--regid=$uid --clear-groups', '--keep-groups']],
    red: ['host.gid'],
    only: 'root',
  },
  {
    without: 'the clearing of supplementary groups',
    patches: [[LAUNCH, '--clear-groups', '--groups=27']],
    red: ['host.groups'],
    only: 'root',
  },
];

function unexamined(call: string, ...red: string[]): Sabotage {
  return { without: `the filter’s look at ${call}`, patches: [[FILTER, `...whenNumber(arch, '${call}'),`, '']], red };
}

const CALLS: readonly Sabotage[] = [
  {
    without: 'the filter’s list of refused calls',
    patches: [[FILTER, '...deniedNumbers(arch).map(', '...[].map(']],
    red: ['ptrace', 'process_vm_readv', 'kcmp', 'keyctl', 'add_key', 'io_uring_setup', 'open_tree', 'unshare.user'].map(
      (call) => `call.${call}`,
    ),
  },
  unexamined('clone', 'call.clone.user'),
  unexamined('socket', 'call.socket.vsock', 'call.socket.netlink_audit'),
  unexamined('socketpair', 'call.socketpair.vsock'),
  unexamined('ioctl', 'call.ioctl.tiocsti'),
  unexamined('personality', 'call.personality'),
  {
    without: 'the filter’s refusal of clone3',
    patches: [[FILTER, "value: EXAMINED.clone3[arch], yes: 'enosys'", "value: EXAMINED.clone3[arch], yes: 'allow'"]],
    red: ['call.clone3'],
  },
  {
    without: 'the filter’s look at the x32 table',
    patches: [[FILTER, "...(arch === 'x64' ?", '...(arch === null ?']],
    red: ['call.x32'],
  },
  {
    without: 'the filter’s ceiling',
    patches: [[FILTER, "value: REVIEWED_MAX, yes: 'enosys'", "value: REVIEWED_MAX, yes: 'allow'"]],
    red: [],
    hidden: 'this kernel has no call above it; an interpreter of the filter tests it',
  },
];

const AS_BIND = [ARGV, "bind.access === 'write' ? '--bind' : '--ro-bind'", "'--bind'"] as const;
const STAGED_WRITABLE = [ARGV, "bind.access === 'write' ? 'rw' : 'ro'", "'rw'"] as const;
const STAGED = 'bubblewrap’s own mount of it is closed all the same';

const FILES: readonly Sabotage[] = [
  {
    without: '--propagation private',
    patches: [[ARGV, "'--propagation', 'private', ", '']],
    red: [],
    hidden: 'it is what unshare does when nothing is said',
    only: 'root',
  },
  {
    without: '--perms of /tmp and /dev/shm',
    patches: [
      [ARGV, "'--perms', '1777', '--tmpfs', '/dev/shm'", "'--tmpfs', '/dev/shm'"],
      [ARGV, "'--perms', '1777', '--tmpfs', '/tmp'", "'--tmpfs', '/tmp'"],
    ],
    red: [],
    hidden: 'the one account inside owns both, and there is no other that the mode could keep out',
  },
  {
    without: '--ro-bind of /usr',
    patches: [[ARGV, "({ ...folder, access: 'read' })", "({ ...folder, access: 'write' })"]],
    red: ['touch./usr', 'mounts.writable'],
  },
  {
    without: '--ro-bind of the declared mounts',
    patches: [AS_BIND],
    red: ['mounts.access', 'touch.declared', 'touch./run/glass'],
    only: 'user',
  },
  {
    without: '--ro-bind of the declared mounts',
    patches: [AS_BIND],
    red: [],
    hidden: 'as root the launcher’s staging mounts are read-only too',
    only: 'root',
  },
  { without: 'read-only staging mounts', patches: [STAGED_WRITABLE], red: [], hidden: STAGED, only: 'root' },
  {
    without: '--ro-bind and read-only staging mounts',
    patches: [AS_BIND, STAGED_WRITABLE],
    red: ['mounts.access', 'touch.declared', 'touch./etc'],
    only: 'root',
  },
  {
    without: 'nosuid and nodev of the staging mounts',
    patches: [[ARGV, ',nosuid,nodev`', '`']],
    red: [],
    hidden: 'bubblewrap’s own mount of it is nosuid and nodev',
    only: 'root',
  },
  {
    without: '--remount-ro of the root',
    patches: [[ARGV, ", '--remount-ro', '/'", '']],
    red: ['touch./', 'mounts.writable'],
  },
  {
    without: '--remount-ro of /dev',
    patches: [[ARGV, "'--remount-ro', '/dev', ", '']],
    red: ['touch./dev', 'mounts.writable'],
  },
  {
    without: 'a /dev of its own',
    patches: [[ARGV, "'--dev', '/dev'", "'--dev-bind', '/dev', '/dev'"]],
    red: ['dev.extra'],
  },
  {
    without: 'a generated /etc',
    patches: [[BUBBLEWRAP, "userlandOf('/', generatedEtc(this.#folders.cache))", "userlandOf('/', '/etc')"]],
    red: ['etc.extra'],
  },
  {
    without: 'the list of mounts: the host’s /var comes along',
    patches: [[ARGV, "...['--dir', '/run'],", "...['--dir', '/run', '--ro-bind', '/var', '/var'],"]],
    red: ['mounts.extra', 'root.extra'],
  },
  {
    without: 'the pairing of sources and targets',
    patches: [[ARGV, 'sources[i]!, bind.target]', "bind.target === '/inbox' ? '/usr' : sources[i]!, bind.target]"]],
    red: ['mounts.sources'],
  },
  {
    without: '--size of /tmp',
    patches: [[ARGV, "['--size', String(spec.limits.tmp_bytes), ", '[']],
    red: ['size./tmp'],
  },
  {
    without: '--size of /dev/shm',
    patches: [[ARGV, "['--size', String(spec.limits.shm_bytes), ", '[']],
    red: ['size./dev/shm'],
  },
];

const LIMITS: readonly Sabotage[] = [
  { without: 'the limit of core files', patches: [[LAUNCH, 'ulimit -c 0', ':']], red: ['limit.core'] },
  {
    without: 'the limit of open files',
    patches: [[LAUNCH, 'ulimit -n "$open_files"', ':']],
    red: ['limit.open_files'],
  },
  {
    without: 'the control group’s limit of processes',
    patches: withoutLimit('pids'),
    red: ['host.pids', 'exhaust.processes'],
    depth: 'full',
    only: 'root',
  },
  {
    without: 'the limit of processes in its user namespace',
    patches: [[BUBBLEWRAP, "limitProcessesInside: cgroups.missing('pids') !== null", 'limitProcessesInside: false']],
    red: ['host.pids', 'exhaust.processes'],
    depth: 'full',
    only: 'user',
  },
  {
    without: 'the control group’s limit of memory',
    patches: withoutLimit('memory'),
    red: ['host.memory', 'exhaust.memory'],
    depth: 'full',
    only: 'root',
  },
  {
    without: 'a limit of swap',
    patches: [
      [CGROUP, "['memory.memsw.limit_in_bytes', memory, false],", ''],
      [CGROUP, "['memory.swap.max', '0', false],", ''],
    ],
    red: ['host.swap'],
    only: 'root',
  },
  {
    without: 'the control group’s limit of processor time',
    patches: withoutLimit('cpu'),
    red: ['host.cpus'],
    only: 'root',
  },
  {
    without: 'the control group’s limit of writing',
    patches: withoutLimit('io'),
    red: ['host.disk_write', 'host.disk_writes'],
    only: 'root',
  },
  {
    without: 'the control group’s limit of the number of writes',
    patches: [
      // biome-ignore lint/suspicious/noTemplateCurlyInString: it is source
      [CGROUP, "['blkio.throttle.write_iops_device', `${id} ${writes}`, true],", ''],
      // biome-ignore lint/suspicious/noTemplateCurlyInString: it is source
      [CGROUP, ' wiops=${writes}`', '`'],
    ],
    red: ['host.disk_writes'],
    only: 'root',
  },
  {
    without: 'joining the control groups',
    patches: [[LAUNCH, 'for join in $joins; do echo $$ >"$join"; done', ':']],
    red: ['host.pids', 'host.memory', 'host.cpus', 'host.disk_write'],
    only: 'root',
  },
];

export const BUBBLEWRAP_SABOTAGES: readonly Sabotage[] = [...NAMESPACES, ...IDENTITY, ...CALLS, ...FILES, ...LIMITS];
