import { UNTOLD } from './limits.ts';
import type { Exception, Expectation, Probe } from './probe.ts';

/**
 * What is right under gVisor, where that differs from Linux: by probe, with the reason. Seen with runsc of December 2022.
 *
 * Its kernel (the sentry, a process of the host) answers what a sandbox calls, and our filter is not in it. An attempt that
 * succeeds in there has reached nothing of the host and is `not_run`, never passed; the boundary is the sentry's own
 * process, which the `host.` probes look at from outside.
 */

/** A refusal of gVisor's kernel, whichever it gives; ENOTSUP where it has the number only. */
const REFUSED: Exception = {
  one_of: ['EPERM', 'EACCES', 'ENOSYS', 'ENOTSUP', 'EINVAL', 'EAFNOSUPPORT', 'ESOCKTNOSUPPORT', 'EBADF'],
};

/** Without an interface it has no host to go through, where Linux has no network; that there is none, the host sees. */
const UNREACHABLE: Exception = { one_of: ['EHOSTUNREACH', 'ENETUNREACH'] };

/** It asks for the owner before it asks the mount; `mounts.access` has what its table says, `touch./run/glass` an owner's try. */
const NOT_MINE: Exception = { one_of: ['EPERM', 'EROFS'] };

const inside = (what: string): Expectation => ({ not_run: `${what} within gVisor’s kernel: says nothing of the host` });
const unsaid = (where: string): Expectation => ({ not_run: `gVisor’s ${where} does not say` });
/** Refused at first, and allowed to who makes a user namespace: the refusal is no guard. */
const RIGHT_INSIDE = inside('allowed, in a user namespace');
const NAMESPACE_INSIDE = inside('allowed, in a namespace');
const UNSEEN: Expectation = { not_run: 'no control group is mounted inside; the host looks from outside' };

const IDENTITY: Record<string, Exception> = {
  'status.CapAmb': unsaid('/proc'),
  'status.NoNewPrivs': {
    not_run: 'gVisor’s /proc does not say; host.no_new_privs has the sentry’s',
  },
  'status.Seccomp': { not_run: 'the sandbox has a kernel of its own; host.seccomp has the sentry’s' },
  kernel: { one_of: ['own'] },
  // The sentry is `nobody`, in a user namespace that maps nobody else.
  'host.uid': { one_of: ['uid 65534'] },
  'host.gid': { one_of: ['gid 65534'] },
  // CAP_SYS_PTRACE and CAP_SYS_CHROOT, in that user namespace: it traces its own processes.
  'host.caps': { one_of: ['0000000000240000', '0000000000000000'] },
};

/** What the sandbox is shown of namespaces is made up: those of the sentry's process count. */
const NAMESPACES: Record<string, Exception> = {
  ...Object.fromEntries(
    ['ipc', 'mnt', 'net', 'user', 'uts'].map((name) => [
      `namespace.${name}`,
      { reads: `host.namespace.${name}`, one_of: ['own'] },
    ]),
  ),
  'namespace.pid': {
    not_built: 'gVisor’s own process stays in the host’s; its sandbox sees processes of its own only',
  },
  'namespace.cgroup': { not_built: 'gVisor’s own process stays in the host’s; nothing of it is shown inside' },
};

const CALLS: Record<string, Exception> = {
  ...Object.fromEntries(
    ['mount', 'cgroup', 'user'].flatMap((name) => [
      [`call.unshare.${name}`, NAMESPACE_INSIDE],
      [`call.clone.${name}`, NAMESPACE_INSIDE],
    ]),
  ),
  'call.ptrace': inside('allowed, on its own processes'),
  'call.syslog': inside('answered with a log that is made up'),
  'call.io_uring_setup': inside('there is one'),
  'call.socket.raw': RIGHT_INSIDE,
  'call.socket.packet': RIGHT_INSIDE,
  // ENXIO when it is opened; in the workspace it is refused.
  'call.mknod': inside('made on a /tmp'),
  // No processor events in it; no such ioctl of any terminal; no such family of netlink.
  'call.perf_event_open': { one_of: ['ENODEV', 'EPERM', 'ENOSYS'] },
  'call.ioctl.tiocsti': { one_of: ['ENOTTY', 'EPERM'] },
  'call.socket.netlink_audit': { one_of: ['EPROTONOSUPPORT', 'EAFNOSUPPORT', 'EPERM'] },
};

const NETWORK: Record<string, Exception> = Object.fromEntries(
  ['metadata', 'metadata6', 'private', 'bridge', 'public', 'public6', 'udp', 'host'].map((name) => [
    `dial.${name}`,
    UNREACHABLE,
  ]),
);

const FILES: Record<string, Exception> = {
  'open./dev/fuse': inside('there is one'),
  'open./dev/net/tun': inside('there is one'),
  // Those two again: it makes its own /dev.
  'dev.extra': { one_of: ['fuse\nnet', 'fuse', 'none'] },
  ...Object.fromEntries(
    [
      ...['/', '/etc', '/usr', '/usr/bin/env', '/run'],
      ...['/opt/glass/app/package.json', '/opt/glass/node/bin/node'],
    ].map((path) => [`touch.${path}`, NOT_MINE]),
  ),
  'mounts.sources': unsaid('mount table'),
  'mounts.shared': unsaid('mount table'),
  'mounts.suid': unsaid('mount table'),
  'mounts.dev': unsaid('mount table'),
  'workspace.flags': unsaid('mount table'),
  'binds.suid': { reads: 'own', one_of: ['EPERM'] },
  'binds.dev': { not_built: 'an engine’s binds cannot be nodev; no capabilities stand in' },
  'read./proc/1/mem': { one_of: ['EACCES', 'EPERM', 'ENOENT'] },
};

const LIMITS: Record<string, Exception> = {
  'limit.pids': UNSEEN,
  'limit.memory': UNSEEN,
  'limit.cpus': UNSEEN,
  // The engine does not always tell why the sentry was killed. In an inspection nobody else kills it: the inspection's own
  // end is told apart, and where no limit holds, the observer ends by itself.
  'exhaust.memory': { one_of: ['out of memory', 'ended with 137', UNTOLD] },
  // Its own threads count. At the limit it cannot start one more, and ends with its sandbox: Go's code for that is 2.
  'exhaust.processes': { one_of: ['EAGAIN', 'ended with 2'] },
};

export const GVISOR: Readonly<Record<string, Exception>> = {
  ...IDENTITY,
  ...NAMESPACES,
  ...CALLS,
  ...NETWORK,
  ...FILES,
  ...LIMITS,
};

/** The probe with what is right under gVisor, if that is another answer. */
export function underGvisor(probe: Probe): Probe {
  const gvisor =
    'not_run' in probe.expect ? undefined : (GVISOR[probe.id] ?? (probe.id.startsWith('call.') ? REFUSED : undefined));
  return gvisor === undefined ? probe : { ...probe, except: { ...probe.except, gvisor } };
}
