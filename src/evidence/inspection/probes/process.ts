import type { Expectation, Probe, ProbeGroup } from './probe.ts';

/** What the process is: who, with which rights, in which namespaces, with what in its hands. */

const NO_CAPABILITIES: Expectation = { one_of: ['0000000000000000'] };
const OWN: Expectation = { one_of: ['own'] };
const NONE: Expectation = { one_of: ['none'] };
/** EINVAL: the user namespace has no such id at all. */
const NOT_ROOT: Expectation = { one_of: ['EPERM', 'EINVAL'] };

/** An engine without user namespaces: an account without any right stands in, the group's own where the host is root. */
const SHARED_USERS: Expectation = {
  not_built: 'an engine’s sandboxes share the host’s user namespace: outside they are whom they are inside',
};

/** Paths of control groups can be read, and none can be written: `open./sys/fs/cgroup/…` tries. */
const SHARED_CGROUPS: Expectation = {
  not_built:
    'Podman keeps the host’s under control groups v1; its sandbox sees paths there, and its own group read-only',
};

const IDENTITY: readonly Probe[] = [
  quick('identity', 'status.Uid', 'run as another user', { fact: 'uids' }),
  quick('identity', 'status.Gid', 'run in another group', { fact: 'gids' }),
  quick('identity', 'groups.foreign', 'use a supplementary group', NONE),
  ...['CapInh', 'CapPrm', 'CapEff', 'CapBnd', 'CapAmb'].map((set) =>
    quick('identity', `status.${set}`, `hold a capability (${set})`, NO_CAPABILITIES),
  ),
  quick('identity', 'status.NoNewPrivs', 'gain rights by executing a program', { one_of: ['1'] }),
  quick('identity', 'status.Seccomp', 'make calls without the filter', { one_of: ['2'] }),
  quick('identity', 'set.uid', 'become root', NOT_ROOT),
  quick('identity', 'set.gid', 'enter the group root', NOT_ROOT),
  quick('identity', 'set.groups', 'add a supplementary group', { one_of: ['EPERM'] }),
  quick('identity', 'set_id.raised', 'run a set-uid program with its rights', NONE),
  quick('identity', 'host.uid', 'run under another account of the host', { one_of: ['as declared'] }),
  quick('identity', 'host.gid', 'run in another group of the host', { one_of: ['as declared'] }),
  quick('identity', 'host.groups', 'use another supplementary group of the host', NONE),
  quick('identity', 'host.caps', 'hold a capability, as the host sees it', NO_CAPABILITIES),
  quick('identity', 'host.no_new_privs', 'gain rights, as the host sees it', { one_of: ['1'] }),
  {
    ...quick('identity', 'host.seccomp', 'make calls without a filter, as the host sees it', { one_of: ['2'] }),
    except: { bubblewrap: { not_run: 'the process that the host knows is bubblewrap’s own, outside of the filter' } },
  },
];

const ENVIRONMENT: readonly Probe[] = [
  quick('environment', 'env.names', 'read a variable that is not declared', { fact: 'env_names' }),
  quick('environment', 'env.secrets', 'find a credential in the environment', NONE),
  quick('environment', 'env.first.foreign', 'read the environment of the first process', NONE),
  quick('environment', 'descriptors', 'use an inherited descriptor', NONE),
  quick('environment', 'hostname', 'learn the host’s name', { one_of: ['sandbox'] }),
  quick('environment', 'session', 'signal, or type to, the session that started it', OWN),
];

const NAMESPACES: readonly Probe[] = [
  {
    ...quick('namespaces', 'namespace.cgroup', 'share the host’s cgroup namespace', OWN),
    // Podman 4.3 under control groups v1 ignores `CgroupnsMode`.
    except: { podman: SHARED_CGROUPS },
  },
  ...['ipc', 'mnt', 'net', 'pid', 'uts'].map((name) =>
    quick('namespaces', `namespace.${name}`, `share the host’s ${name} namespace`, OWN),
  ),
  {
    ...quick('namespaces', 'namespace.user', 'share the host’s user namespace', OWN),
    except: { docker: SHARED_USERS, podman: SHARED_USERS },
  },
];

const SHARED_KERNEL: Expectation = { not_built: 'the kernel is shared; gVisor puts one of its own between' };

const KERNEL: readonly Probe[] = [
  quick('system calls', 'kernel', 'call the host’s kernel', SHARED_KERNEL),
  quick('system calls', 'read./proc/kcore', 'read the kernel’s memory', { one_of: ['EACCES', 'EPERM', 'ENOENT'] }),
  quick('system calls', 'read./proc/kmsg', 'read the kernel’s log', { one_of: ['EACCES', 'EPERM', 'ENOENT'] }),
];

export const PROCESS_PROBES: readonly Probe[] = [...IDENTITY, ...ENVIRONMENT, ...NAMESPACES, ...KERNEL];

function quick(group: ProbeGroup, id: string, what: string, expect: Expectation): Probe {
  return { id, group, what, reads: id, expect, depth: 'quick' };
}
