import type { Exception, Expectation, Probe, ProbeGroup, Profile } from './probe.ts';

/** What can be seen and written of the file system, and whether its mounts are the declared ones. */

const REFUSED: Expectation = { one_of: ['EROFS', 'EACCES', 'EPERM', 'ENOENT'] };
const READ_ONLY: Expectation = { one_of: ['EROFS'] };
const OF_ROOT: Expectation = { one_of: ['EPERM'] };
const NONE: Expectation = { one_of: ['none'] };
const OK: Expectation = { one_of: ['ok'] };
const ABSENT: Expectation = { one_of: ['ENOENT'] };
const OF_AN_IMAGE: Expectation = { not_run: 'an image brings its own' };

/** Opened for writing, without writing. A running program answers ETXTBSY on a writable mount too, so Node is below. */
export const OPENED: readonly [path: string, what: string][] = [
  ['/etc/passwd', 'add a user'],
  ['/etc/hosts', 'redirect a name'],
  ['/etc/ld.so.cache', 'load another library into every program'],
  ['/usr/bin/env', 'replace a program'],
  ['/opt/glass/app/package.json', 'change the code of all sandboxes'],
  ['/proc/sys/kernel/core_pattern', 'have the host’s kernel start a program'],
  ['/proc/sys/kernel/modprobe', 'have the host’s kernel start another program'],
  ['/proc/sys/vm/drop_caches', 'change the host’s memory management'],
  ['/proc/sys/net/ipv4/ip_forward', 'change how packets are forwarded'],
  ['/proc/sysrq-trigger', 'send a system request'],
  ['/sys/kernel/uevent_helper', 'have device events start a program'],
  ['/sys/power/state', 'suspend the machine'],
  ['/sys/fs/cgroup/release_agent', 'have a control group start a program'],
  ['/sys/fs/cgroup/memory/memory.limit_in_bytes', 'raise the own memory limit'],
  ['/sys/fs/cgroup/pids/pids.max', 'raise the own limit of processes'],
  ['/sys/fs/cgroup/cgroup.procs', 'leave the own control group'],
  ['/dev/kmsg', 'write to the kernel’s log'],
  ['/dev/mem', 'write physical memory'],
  ['/dev/sda', 'write the first disk'],
  ['/dev/fuse', 'mount a file system by FUSE'],
  ['/dev/net/tun', 'make a network interface'],
  ['/dev/kvm', 'start a virtual machine'],
];

/** Their mode is set to what it is: only a read-only mount answers EROFS, whoever owns them. */
export const TOUCHED: readonly [path: string, what: string][] = [
  ['/', 'change the root folder'],
  ['/etc', 'change the system’s configuration'],
  ['/usr', 'change the system’s programs'],
  ['/usr/bin/env', 'change a program'],
  ['/run', 'change the folder of sockets'],
  ['/run/glass', 'exchange the session’s sockets'],
  ['/opt/glass/app/package.json', 'change the runner'],
  ['/opt/glass/node/bin/node', 'change the Node of all sandboxes'],
];

const WRITES: readonly Probe[] = [
  ...OPENED.map(([path, what]) => quick('system files', `open.${path}`, `${what} (open ${path} for writing)`, REFUSED)),
  ...TOUCHED.map(([path, what]) => quick('system files', `touch.${path}`, `${what} (${path})`, READ_ONLY)),
  {
    ...quick('system files', 'touch./dev', 'add an entry to /dev', READ_ONLY),
    // The engine's /dev is a tmpfs of root's; device nodes need a capability.
    except: { docker: OF_ROOT, podman: OF_ROOT, gvisor: OF_ROOT },
  },
  quick('system files', 'etc.extra', 'read a file of the host’s /etc', NONE, OF_AN_IMAGE),
  quick('system files', 'etc.missing', 'find the generated /etc complete (must work)', NONE, OF_AN_IMAGE),
  quick('system files', 'root.extra', 'find a folder of the host at the root', NONE, OF_AN_IMAGE),
  {
    ...quick('system files', 'absent.canary', 'read a world-readable file of the host’s /etc', ABSENT),
    control: 'control.canary',
  },
  quick('system files', 'host.image', 'be made of another image than the declared one', { one_of: ['as declared'] }),
  quick('system files', 'resolver.foreign', 'learn the host’s name servers', NONE),
  {
    ...quick('system files', 'sys', 'look at the kernel’s devices in /sys', ABSENT),
    // An engine mounts it, read-only; `mounts.writable` and the attempts above hold it closed.
    except: { docker: OK, podman: OK, gvisor: OK },
  },
];

const DEVICES: readonly Probe[] = [
  quick('devices', 'dev.extra', 'use a device that is not on the list', NONE),
  quick('devices', 'dev.missing', 'find the usual devices (must work)', NONE),
];

/** An engine's binds cannot be nosuid and nodev: there, no such file can be made, which is tried. */
const NOT_MADE = (reads: string): Partial<Record<Profile, Exception>> => {
  const refused = { reads, one_of: ['EPERM'] };
  return { docker: refused, podman: refused };
};

const MOUNTS: readonly Probe[] = [
  quick('mounts', 'mounts.extra', 'use a mount that is not declared', NONE),
  quick('mounts', 'mounts.missing', 'find every declared mount (must work)', NONE),
  quick('mounts', 'mounts.access', 'write a mount that is declared read-only, or the other way round', NONE),
  quick('mounts', 'mounts.sources', 'see another folder of the host than the declared one', NONE),
  quick('mounts', 'mounts.writable', 'use a writable mount that is not declared', NONE),
  quick('mounts', 'mounts.shared', 'pass a mount on to the host', NONE),
  quick('mounts', 'mounts.exec', 'start a program from /proc, /sys or /dev/pts', NONE),
  quick('mounts', 'touch.declared', 'change what is declared read-only', NONE),
  quick('mounts', 'mounts.suid', 'keep a set-uid file on a scratch mount', NONE),
  quick('mounts', 'mounts.dev', 'keep a device file on a scratch mount', NONE),
  {
    ...quick('mounts', 'workspace.flags', 'keep a set-uid or device file in a workspace of its own file system', NONE),
    limit: 'workspace_bytes',
  },
  {
    ...quick('mounts', 'binds.suid', 'keep a set-uid file of root’s in the workspace', NONE),
    except: NOT_MADE('own'),
  },
  { ...quick('mounts', 'binds.dev', 'keep a device file in the workspace', NONE), except: NOT_MADE('call.mknod') },
];

const NEIGHBOURS: readonly Probe[] = [
  quick('neighbours', 'absent.all', 'see a folder of the install beside the declared ones', NONE),
  quick('neighbours', 'run.foreign', 'see the sockets of other sessions in /run', NONE, OF_AN_IMAGE),
  {
    ...quick('neighbours', 'escape.symlink', 'follow a symbolic link out of the workspace', ABSENT),
    control: 'write./workspace',
  },
  {
    ...quick('neighbours', 'escape.hardlink', 'carry a read-only file into the workspace by a hard link', NONE),
    control: 'write./workspace',
  },
  quick('neighbours', 'escape.parent', 'climb above the root (`..` must end there)', OK),
  quick('neighbours', 'write./workspace', 'write the workspace (must work)', OK),
  quick('neighbours', 'read.declared', 'read everything that is declared (must work)', NONE),
  {
    ...quick('neighbours', 'read./proc/1/mem', 'read the memory of the sandbox’s first process', REFUSED),
    // Sharp edge: what runs under the session's own account is open to it; nothing in there is trusted.
    except: { bubblewrap: OK, docker: OK, podman: OK },
  },
];

export const FILE_PROBES: readonly Probe[] = [...WRITES, ...DEVICES, ...MOUNTS, ...NEIGHBOURS];

/** `ofEngines`: where the userland is an image's. */
function quick(group: ProbeGroup, id: string, what: string, expect: Expectation, ofEngines?: Expectation): Probe {
  const except = ofEngines === undefined ? {} : { docker: ofEngines, podman: ofEngines, gvisor: ofEngines };
  return { id, group, what, reads: id, expect, except, depth: 'quick' };
}
