import type { RawCall } from '../../../protocol/inspection.ts';
import { DENIED, EXAMINED, type SeccompArch, type SyscallNumbers } from '../../../runtimes/seccomp_table.ts';
import type { Probe, ProbeGroup } from './probe.ts';

/**
 * System calls that are tried with their numbers. The arguments are such that a call which is let through changes
 * nothing that outlives the process that made it.
 */

/** Name and number of the call, the arguments, the attack. */
interface CallProbe {
  id: string;
  call: string;
  args: readonly (number | string)[];
  what: string;
  answer: string;
  /** Where a filter of libseccomp's stands around ours: an engine's always, that of the host's own service where it has one. */
  outer?: string;
}

const SIGCHLD = 17;
const AT_FDCWD = -100;
const S_IFBLK = 0o060600;
const FIRST_DISK = 0x0800;
const NAMESPACES: readonly [name: string, flag: number][] = [
  ['mount', 0x00020000],
  ['cgroup', 0x02000000],
  ['uts', 0x04000000],
  ['ipc', 0x08000000],
  ['user', 0x10000000],
  ['pid', 0x20000000],
  ['net', 0x40000000],
];

function denied(call: string, what: string, ...args: (number | string)[]): CallProbe {
  return { id: call, call, args, what, answer: 'EPERM' };
}

const MOUNTS_AND_NAMESPACES: readonly CallProbe[] = [
  denied('mount', 'mount a file system', 'none', '/tmp', 'tmpfs', 0, 0),
  denied('umount2', 'unmount what hides the host', '/tmp', 2),
  denied('pivot_root', 'exchange the root', '/', '/'),
  denied('chroot', 'change the root', '/'),
  denied('fsopen', 'make a mount by the newer calls', 'tmpfs', 0),
  denied('open_tree', 'take a mount tree along', AT_FDCWD, '/', 0),
  denied('move_mount', 'move a mount', -1, '', AT_FDCWD, '/', 0),
  denied('mount_setattr', 'make a read-only mount writable', -1, '', 0, 0, 0),
  denied('setns', 'enter a namespace by its descriptor', -1, 0),
  ...NAMESPACES.map(([name, flag]) => ({
    id: `unshare.${name}`,
    call: 'unshare',
    args: [flag],
    what: `make a ${name} namespace, to hold capabilities in it`,
    answer: 'EPERM',
  })),
  ...NAMESPACES.map(([name, flag]) => ({
    id: `clone.${name}`,
    call: 'clone',
    args: [flag | SIGCHLD, 0, 0, 0, 0],
    what: `start a process in a ${name} namespace of its own`,
    answer: 'EPERM',
  })),
  { id: 'clone3', call: 'clone3', args: [0, 0], what: 'hide the flags of clone behind a pointer', answer: 'ENOSYS' },
  denied('open_by_handle_at', 'open a file by its handle, past all mounts', -1, 0, 0),
  denied('name_to_handle_at', 'get a handle for that', AT_FDCWD, '/', 0, 0, 0),
];

const PROCESSES_AND_KERNEL: readonly CallProbe[] = [
  denied('ptrace', 'trace another process', 0, 0, 0, 0),
  denied('process_vm_readv', 'read the memory of another process', 1, 0, 0, 0, 0, 0),
  denied('process_vm_writev', 'write the memory of another process', 1, 0, 0, 0, 0, 0),
  denied('pidfd_getfd', 'take a descriptor from another process', -1, 0, 0),
  denied('kcmp', 'compare kernel pointers', 1, 1, 0, 0, 0),
  denied('add_key', 'put a key into a kernel keyring', 'user', 'glass', 'x', 1, -3),
  denied('request_key', 'ask a kernel keyring for a key', 'user', 'glass', 0, -3),
  denied('keyctl', 'reach the kernel keyrings', 0, -3, 0),
  denied('syslog', 'read the kernel log', 10, 0, 0),
  denied('io_uring_setup', 'make calls that no filter sees', 1, 0),
  denied('bpf', 'load a program into the kernel', 0, 0, 0),
  denied('perf_event_open', 'measure other processes', 0, 0, -1, -1, 0),
  denied('userfaultfd', 'hold the kernel in a page fault', 0),
  denied('fanotify_init', 'watch whole file systems', 0, 0),
  denied('kexec_load', 'replace the kernel', 0, 0, 0, 0),
  denied('init_module', 'load a kernel module', 0, 0, ''),
  denied('finit_module', 'load a kernel module from a file', -1, '', 0),
  denied('delete_module', 'unload a kernel module', 'glass_none', 0),
  denied('reboot', 'restart the machine', 0, 0, 0, 0),
  denied('swapon', 'add swap space', '/none', 0),
  denied('swapoff', 'remove swap space', '/none'),
  denied('acct', 'switch process accounting', '/none'),
  denied('quotactl', 'change quotas', 0, 0, 0, 0),
  denied('sethostname', 'change the host name', 'sandbox', 7),
  denied('settimeofday', 'set the clock', 0, 0),
  denied('clock_settime', 'set the clock by the newer call', 0, 0),
  denied('adjtimex', 'tune the clock', 0),
  denied('iopl', 'reach input and output ports', 0),
  { id: 'personality', call: 'personality', args: [0x400000], what: 'weaken the memory protection', answer: 'EPERM' },
  {
    id: 'x32',
    call: 'x32_getpid',
    args: [],
    what: 'pass the filter by the numbers of another ABI',
    answer: 'EPERM',
    // libseccomp ends whoever tries (SIGSYS).
    outer: 'signal 31',
  },
  {
    id: 'ioctl.tiocsti',
    call: 'ioctl',
    args: [0, 0x5412, 'x'],
    what: 'type into the terminal of the host',
    answer: 'EPERM',
  },
];

const DEVICES: readonly CallProbe[] = [
  {
    id: 'mknod',
    call: 'mknodat',
    args: [AT_FDCWD, '/tmp/glass-inspect-disk', S_IFBLK, FIRST_DISK],
    what: 'make a device file of the first disk',
    answer: 'EPERM',
  },
];

const STREAM = 1;
const RAW = 3;
const NETLINK_AUDIT = 9;

function family(id: string, number: number, type: number, what: string): CallProbe {
  return { id: `socket.${id}`, call: 'socket', args: [number, type, 0], what, answer: 'EAFNOSUPPORT' };
}

const SOCKETS: readonly CallProbe[] = [
  { id: 'socket.raw', call: 'socket', args: [2, RAW, 1], what: 'forge packets', answer: 'EPERM' },
  family('packet', 17, RAW, 'read packets from the wire'),
  family('alg', 38, 5, 'reach the kernel’s cryptography'),
  family('vsock', 40, STREAM, 'reach the hypervisor'),
  family('bluetooth', 31, RAW, 'reach bluetooth devices'),
  family('can', 29, RAW, 'reach a vehicle bus'),
  family('tipc', 30, STREAM, 'reach a cluster’s protocol'),
  family('key', 15, RAW, 'reach the keys of IPsec'),
  family('xdp', 44, RAW, 'reach a network card directly'),
  {
    id: 'socket.netlink_audit',
    call: 'socket',
    args: [16, RAW, NETLINK_AUDIT],
    what: 'reach the kernel’s audit',
    answer: 'EAFNOSUPPORT',
  },
  {
    id: 'socketpair.vsock',
    call: 'socketpair',
    args: [40, STREAM, 0, 0],
    what: 'make a pair of a foreign family',
    answer: 'EAFNOSUPPORT',
  },
];

const GROUPS: readonly [ProbeGroup, readonly CallProbe[]][] = [
  ['namespaces', MOUNTS_AND_NAMESPACES],
  ['system calls', PROCESSES_AND_KERNEL],
  ['devices', DEVICES],
  ['network', SOCKETS],
];

/** Not in the filter's tables: refused for want of a capability, or because of its table. */
const OWN_NUMBERS: Record<string, SyscallNumbers> = {
  mknodat: { x64: 259, arm64: 33 },
  x32_getpid: { x64: 0x40000027, arm64: null },
};

function numberOf(call: string, arch: SeccompArch): number | null {
  const numbers: Record<string, SyscallNumbers> = { ...DENIED, ...EXAMINED, ...OWN_NUMBERS };
  return numbers[call]![arch];
}

export function callProbes(arch: SeccompArch): Probe[] {
  return GROUPS.flatMap(([group, calls]) => calls.map((call) => probeOf(call, group, arch)));
}

function probeOf({ id, call, what, answer, outer }: CallProbe, group: ProbeGroup, arch: SeccompArch): Probe {
  const common = { id: `call.${id}`, group, what, reads: `call.${id}`, depth: 'quick' } as const;
  if (numberOf(call, arch) === null) return { ...common, expect: { not_run: 'this architecture has no such call' } };
  const engine = { one_of: [outer ?? answer] };
  return {
    ...common,
    expect: { one_of: outer === undefined ? [answer] : [answer, outer] },
    except: { docker: engine, podman: engine },
  };
}

/** What the observer is to call. */
export function rawCalls(arch: SeccompArch): RawCall[] {
  return GROUPS.flatMap(([, probes]) =>
    probes.flatMap(({ id, call, args }) => {
      const number = numberOf(call, arch);
      return number === null ? [] : [{ key: id, number, args }];
    }),
  );
}
