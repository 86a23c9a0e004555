import {
  AF_INET,
  AF_INET6,
  AF_NETLINK,
  AF_UNIX,
  CLONE_NAMESPACE_FLAGS,
  DENIED,
  DENIED_IOCTLS,
  type SeccompArch,
} from './seccomp_table.ts';

/**
 * The policy of `seccomp_table.ts` as a Docker profile. The engine compiles it with libseccomp, which allows one
 * comparison for an argument in a rule; so it differs in two places, each stated at its rule. Rules of one call are or-ed.
 */

export interface DockerSeccompRule {
  names: string[];
  action: 'SCMP_ACT_ERRNO';
  errnoRet: number;
  args?: { index: number; value: number; valueTwo?: number; op: string }[];
}

export interface DockerSeccompProfile {
  defaultAction: 'SCMP_ACT_ALLOW';
  architectures: string[];
  syscalls: DockerSeccompRule[];
}

const EPERM = 1;
const ENOSYS = 38;
const EAFNOSUPPORT = 97;
/** Other architectures, x32 among them, are ended by libseccomp's own check. */
const ARCHITECTURE: Record<SeccompArch, string> = { x64: 'SCMP_ARCH_X86_64', arm64: 'SCMP_ARCH_AARCH64' };

export function dockerSeccompProfile(arch: SeccompArch): DockerSeccompProfile {
  return {
    defaultAction: 'SCMP_ACT_ALLOW',
    architectures: [ARCHITECTURE[arch]],
    // There is no ceiling here: libseccomp names calls, so a call newer than the table is allowed. First difference.
    syscalls: [
      deny(
        Object.keys(DENIED).filter((name) => DENIED[name]![arch] !== null),
        EPERM,
      ),
      deny(['clone3'], ENOSYS),
      ...CLONE_NAMESPACE_FLAGS.map((flag) =>
        deny(['clone'], EPERM, { index: 0, value: flag, valueTwo: flag, op: 'SCMP_CMP_MASKED_EQ' }),
      ),
      ...DENIED_IOCTLS.map((request) =>
        deny(['ioctl'], EPERM, { index: 1, value: 0xffffffff, valueTwo: request, op: 'SCMP_CMP_MASKED_EQ' }),
      ),
      ...socketRules(),
      deny(['socketpair'], EAFNOSUPPORT, { index: 0, value: AF_UNIX, op: 'SCMP_CMP_NE' }),
      // Second difference: only 0, for "one of three values" is not one comparison. Sanitizers lose their re-execution.
      deny(['personality'], EPERM, { index: 0, value: 0, op: 'SCMP_CMP_NE' }),
    ],
  };
}

function socketRules(): DockerSeccompRule[] {
  const allowed = [AF_UNIX, AF_INET, AF_INET6, AF_NETLINK] as number[];
  const families = Array.from({ length: AF_NETLINK }, (_, family) => family).filter(
    (family) => !allowed.includes(family),
  );
  return [
    ...families.map((value) => deny(['socket'], EAFNOSUPPORT, { index: 0, value, op: 'SCMP_CMP_EQ' })),
    deny(['socket'], EAFNOSUPPORT, { index: 0, value: AF_NETLINK, op: 'SCMP_CMP_GT' }),
    deny(
      ['socket'],
      EAFNOSUPPORT,
      { index: 0, value: AF_NETLINK, op: 'SCMP_CMP_EQ' },
      { index: 2, value: 0, op: 'SCMP_CMP_NE' },
    ),
  ];
}

function deny(names: string[], errnoRet: number, ...args: NonNullable<DockerSeccompRule['args']>): DockerSeccompRule {
  return { names, action: 'SCMP_ACT_ERRNO', errnoRet, ...(args.length > 0 ? { args } : {}) };
}
