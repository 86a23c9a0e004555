/**
 * The system calls a sandbox may not make, as data: one table feeds the BPF program, the Docker profile and the tests.
 *
 * The policy is a deny list with a ceiling: everything not named here and not newer than `REVIEWED_MAX` is allowed,
 * because harnesses bring runtimes we do not choose (Node, Bun, Python, git); a call newer than the review gets ENOSYS,
 * which every libc takes as "old kernel". Namespaces, dropped capabilities and no_new_privs stand behind it: most
 * of these calls would fail anyway, and the filter removes the kernel code from reach.
 */

export type SeccompArch = 'x64' | 'arm64';

/** Number of a call per architecture; null where the architecture never had it. */
export type SyscallNumbers = Record<SeccompArch, number | null>;

/** Highest number read for this policy (file_setattr, Linux 6.17). From 424 on, both architectures number alike. */
export const REVIEWED_MAX = 469;

/** Refused with EPERM whatever the arguments. */
export const DENIED: Readonly<Record<string, SyscallNumbers>> = {
  // Kernel keyrings are not namespaced.
  add_key: { x64: 248, arm64: 217 },
  request_key: { x64: 249, arm64: 218 },
  keyctl: { x64: 250, arm64: 219 },
  // Other processes: the runner shares its uid with what the agent starts.
  ptrace: { x64: 101, arm64: 117 },
  process_vm_readv: { x64: 310, arm64: 270 },
  process_vm_writev: { x64: 311, arm64: 271 },
  pidfd_getfd: { x64: 438, arm64: 438 },
  kcmp: { x64: 312, arm64: 272 },
  // Large or often exploited kernel interfaces that no harness needs.
  userfaultfd: { x64: 323, arm64: 282 },
  io_uring_setup: { x64: 425, arm64: 425 },
  io_uring_enter: { x64: 426, arm64: 426 },
  io_uring_register: { x64: 427, arm64: 427 },
  bpf: { x64: 321, arm64: 280 },
  perf_event_open: { x64: 298, arm64: 241 },
  fanotify_init: { x64: 300, arm64: 262 },
  lookup_dcookie: { x64: 212, arm64: 18 },
  // Kernel images and modules.
  kexec_load: { x64: 246, arm64: 104 },
  kexec_file_load: { x64: 320, arm64: 294 },
  init_module: { x64: 175, arm64: 105 },
  finit_module: { x64: 313, arm64: 273 },
  delete_module: { x64: 176, arm64: 106 },
  create_module: { x64: 174, arm64: null },
  get_kernel_syms: { x64: 177, arm64: null },
  query_module: { x64: 178, arm64: null },
  // Mounts, roots and namespaces.
  mount: { x64: 165, arm64: 40 },
  umount2: { x64: 166, arm64: 39 },
  pivot_root: { x64: 155, arm64: 41 },
  move_mount: { x64: 429, arm64: 429 },
  open_tree: { x64: 428, arm64: 428 },
  open_tree_attr: { x64: 467, arm64: 467 },
  fsopen: { x64: 430, arm64: 430 },
  fsconfig: { x64: 431, arm64: 431 },
  fsmount: { x64: 432, arm64: 432 },
  fspick: { x64: 433, arm64: 433 },
  mount_setattr: { x64: 442, arm64: 442 },
  chroot: { x64: 161, arm64: 51 },
  setns: { x64: 308, arm64: 268 },
  unshare: { x64: 272, arm64: 97 },
  name_to_handle_at: { x64: 303, arm64: 264 },
  open_by_handle_at: { x64: 304, arm64: 265 },
  // The machine as a whole.
  swapon: { x64: 167, arm64: 224 },
  swapoff: { x64: 168, arm64: 225 },
  reboot: { x64: 169, arm64: 142 },
  sethostname: { x64: 170, arm64: 161 },
  setdomainname: { x64: 171, arm64: 162 },
  acct: { x64: 163, arm64: 89 },
  quotactl: { x64: 179, arm64: 60 },
  quotactl_fd: { x64: 443, arm64: 443 },
  syslog: { x64: 103, arm64: 116 },
  vhangup: { x64: 153, arm64: 58 },
  settimeofday: { x64: 164, arm64: 170 },
  clock_settime: { x64: 227, arm64: 112 },
  adjtimex: { x64: 159, arm64: 171 },
  clock_adjtime: { x64: 305, arm64: 266 },
  iopl: { x64: 172, arm64: null },
  ioperm: { x64: 173, arm64: null },
  // Leftovers of old kernels.
  uselib: { x64: 134, arm64: null },
  nfsservctl: { x64: 180, arm64: 42 },
  _sysctl: { x64: 156, arm64: null },
  sysfs: { x64: 139, arm64: null },
  ustat: { x64: 136, arm64: null },
};

/** Decided by their arguments, or with an answer of their own; see `seccomp.ts`. */
export const EXAMINED = {
  clone: { x64: 56, arm64: 220 },
  clone3: { x64: 435, arm64: 435 },
  ioctl: { x64: 16, arm64: 29 },
  personality: { x64: 135, arm64: 92 },
  socket: { x64: 41, arm64: 198 },
  socketpair: { x64: 53, arm64: 199 },
} as const satisfies Record<string, Record<SeccompArch, number>>;

/** Each flag of `clone` that makes a namespace. CLONE_NEWTIME exists for clone3 and unshare only. */
export const CLONE_NAMESPACE_FLAGS = [
  0x00020000, // CLONE_NEWNS
  0x02000000, // CLONE_NEWCGROUP
  0x04000000, // CLONE_NEWUTS
  0x08000000, // CLONE_NEWIPC
  0x10000000, // CLONE_NEWUSER
  0x20000000, // CLONE_NEWPID
  0x40000000, // CLONE_NEWNET
] as const;

export const AF_UNIX = 1;
export const AF_INET = 2;
export const AF_INET6 = 10;
/** Only with protocol 0 (route), which getifaddrs needs. AF_VSOCK (40) reaches the hypervisor, AF_ALG (38) the kernel's crypto. */
export const AF_NETLINK = 16;

/** Terminal requests that put characters into the terminal's own input. */
export const DENIED_IOCTLS = [0x5412 /* TIOCSTI */, 0x541c /* TIOCLINUX */] as const;

/** Linux, the query, and ADDR_NO_RANDOMIZE (sanitizers and debuggers re-execute themselves with it). */
export const ALLOWED_PERSONALITIES = [0, 0xffffffff, 0x00040000] as const;
