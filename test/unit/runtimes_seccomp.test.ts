import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, test } from 'node:test';
import { seccompProgram } from '../../src/runtimes/seccomp.ts';
import { dockerSeccompProfile } from '../../src/runtimes/seccomp_docker.ts';
import { DENIED, EXAMINED, REVIEWED_MAX, type SeccompArch } from '../../src/runtimes/seccomp_table.ts';

const ARCHES: SeccompArch[] = ['x64', 'arm64'];
const AUDIT_ARCH = { x64: 0xc000003e, arm64: 0xc00000b7 };
const AUDIT_ARCH_I386 = 0x40000003;
const ALLOW = 0x7fff0000;
const KILL = 0x80000000;
const errno = (code: number): number => 0x00050000 | code;
const EPERM = errno(1);
const ENOSYS = errno(38);
const EAFNOSUPPORT = errno(97);

/** The policy by name, written out here so that one that is lost from the table is missed. */
const REFUSED = `
  add_key request_key keyctl
  ptrace process_vm_readv process_vm_writev pidfd_getfd kcmp
  userfaultfd io_uring_setup io_uring_enter io_uring_register bpf perf_event_open fanotify_init lookup_dcookie
  kexec_load kexec_file_load init_module finit_module delete_module create_module get_kernel_syms query_module
  mount umount2 pivot_root move_mount open_tree open_tree_attr fsopen fsconfig fsmount fspick mount_setattr
  chroot setns unshare name_to_handle_at open_by_handle_at
  swapon swapoff reboot sethostname setdomainname acct quotactl quotactl_fd syslog vhangup
  settimeofday clock_settime adjtimex clock_adjtime iopl ioperm
  uselib nfsservctl _sysctl sysfs ustat`
  .trim()
  .split(/\s+/);

/** Number of each call by its name, from the kernel's headers. */
const NUMBERS: Record<SeccompArch, Map<string, number>> = { x64: new Map(), arm64: new Map() };
for (const line of readFileSync(new URL('../fixtures/system_calls.txt', import.meta.url), 'utf8')
  .trim()
  .split('\n')) {
  const [name = '', x64, arm64] = line.split(' ');
  if (name === '#') continue;
  if (x64 !== '-') NUMBERS.x64.set(name, Number(x64));
  if (arm64 !== '-') NUMBERS.arm64.set(name, Number(arm64));
}

/** A classic BPF machine with the instructions that a seccomp filter of ours may use; anything else is an error. */
function run(program: Buffer, auditArch: number, number: number, args: (number | bigint)[] = []): number {
  const data = Buffer.alloc(64);
  data.writeUInt32LE(number >>> 0, 0);
  data.writeUInt32LE(auditArch, 4);
  for (const [i, value] of args.entries()) data.writeBigUInt64LE(BigInt.asUintN(64, BigInt(value)), 16 + 8 * i);
  let accumulator = 0;
  for (let at = 0; at < program.length; at += 8) {
    const value = program.readUInt32LE(at + 4);
    const jump = (taken: boolean): void => {
      at += 8 * program.readUInt8(at + (taken ? 2 : 3));
    };
    switch (program.readUInt16LE(at)) {
      case 0x20:
        assert.equal(value % 4, 0, 'loads are aligned');
        accumulator = data.readUInt32LE(value);
        break;
      case 0x06:
        return value;
      case 0x15:
        jump(accumulator === value);
        break;
      case 0x25:
        jump(accumulator > value);
        break;
      case 0x35:
        jump(accumulator >= value);
        break;
      case 0x45:
        jump((accumulator & value) !== 0);
        break;
      default:
        assert.fail(`unknown instruction at ${at / 8}`);
    }
  }
  return assert.fail('the program ended without a return');
}

for (const arch of ARCHES) {
  describe(`the seccomp program for ${arch}`, () => {
    const program = seccompProgram(arch);
    const answer = (number: number, ...args: (number | bigint)[]): number =>
      run(program, AUDIT_ARCH[arch], number, args);
    const examined = (name: keyof typeof EXAMINED, ...args: (number | bigint)[]): number =>
      answer(EXAMINED[name][arch], ...args);

    test('denies exactly the calls of the table, and everything newer than the review is unknown', () => {
      const denied = new Set(Object.values(DENIED).flatMap((numbers) => numbers[arch] ?? []));
      const special = new Set<number>(Object.values(EXAMINED).map((numbers) => numbers[arch]));
      for (let number = 0; number <= 1000; number += 1) {
        if (special.has(number)) continue;
        const expected = denied.has(number) ? EPERM : number > REVIEWED_MAX ? ENOSYS : ALLOW;
        assert.equal(answer(number), expected, `call ${number}`);
      }
    });

    test('refuses each call that is to be refused, and no other, by the numbers of the kernel’s own headers', () => {
      const known = REFUSED.filter((name) => NUMBERS[arch].has(name));
      assert.equal(known.length, arch === 'x64' ? REFUSED.length : REFUSED.length - 9);
      for (const name of known) assert.equal(answer(NUMBERS[arch].get(name)!), EPERM, name);
      for (const [name, number] of NUMBERS[arch])
        if (!REFUSED.includes(name) && !(name in EXAMINED)) assert.equal(answer(number), ALLOW, name);
      for (const [name, numbers] of Object.entries(EXAMINED))
        assert.equal(numbers[arch], NUMBERS[arch].get(name), name);
    });

    test('kills a process that calls through another architecture', () => {
      const other = arch === 'x64' ? AUDIT_ARCH.arm64 : AUDIT_ARCH.x64;
      for (const wrong of [other, AUDIT_ARCH_I386, 0]) assert.equal(run(program, wrong, 0), KILL);
    });

    test('refuses every number with the x32 bit and negative numbers', () => {
      const expected = arch === 'x64' ? EPERM : ENOSYS;
      for (let number = 0; number <= 1000; number += 1) assert.equal(answer(0x40000000 + number), expected);
      assert.equal(answer(-1), expected);
    });

    test('lets clone make threads and processes, but no namespace; clone3 does not exist', () => {
      assert.equal(examined('clone', 0x3d0f00), ALLOW, 'the flags of pthread_create');
      assert.equal(examined('clone', 0x01200011), ALLOW, 'the flags of fork');
      assert.equal(examined('clone', 0x4111), ALLOW, 'the flags of vfork and posix_spawn');
      for (const bit of [17, 25, 26, 27, 28, 29, 30])
        assert.equal(examined('clone', 2 ** bit + 17), EPERM, `bit ${bit}`);
      assert.equal(examined('clone3'), ENOSYS);
    });

    test('opens unix, internet and route sockets only', () => {
      const allowed = new Set([1, 2, 10]);
      for (let family = 0; family < 64; family += 1) {
        if (family === 16) continue;
        assert.equal(examined('socket', family, 1, 0), allowed.has(family) ? ALLOW : EAFNOSUPPORT, `family ${family}`);
        assert.equal(examined('socketpair', family, 1, 0), family === 1 ? ALLOW : EAFNOSUPPORT, `pair ${family}`);
      }
      assert.equal(examined('socket', 16, 3, 0), ALLOW);
      for (const protocol of [4, 9, 12, 15, 16]) assert.equal(examined('socket', 16, 3, protocol), EAFNOSUPPORT);
    });

    test('compares what the kernel reads: the low word of a family and of an ioctl request', () => {
      assert.equal(examined('socket', 0x1_0000_0028n), EAFNOSUPPORT);
      assert.equal(examined('ioctl', 0, 0x1_0000_5412n), EPERM);
    });

    test('refuses to put characters into a terminal', () => {
      assert.equal(examined('ioctl', 0, 0x5412), EPERM);
      assert.equal(examined('ioctl', 0, 0x541c), EPERM);
      assert.equal(examined('ioctl', 0, 0x5413), ALLOW, 'the window size');
    });

    test('lets a process ask for its personality, and turn address randomisation off for a child', () => {
      for (const value of [0, 0xffffffff, 0x40000]) assert.equal(examined('personality', value), ALLOW);
      for (const value of [8, 0x0400000, 0x20000, 0x440000]) assert.equal(examined('personality', value), EPERM);
    });

    test('has a number for each denied call that the architecture knows', () => {
      const without = Object.keys(DENIED).filter((name) => DENIED[name]![arch] === null);
      const old = [
        'create_module',
        'get_kernel_syms',
        'query_module',
        'iopl',
        'ioperm',
        'uselib',
        '_sysctl',
        'sysfs',
        'ustat',
      ];
      assert.deepEqual(without, arch === 'x64' ? [] : old);
      const numbers = Object.values(DENIED).flatMap((entry) => entry[arch] ?? []);
      assert.equal(new Set(numbers).size, numbers.length, 'no number stands twice');
    });

    test('is small enough for the kernel, and is made of whole instructions', () => {
      assert.equal(program.length % 8, 0);
      assert.ok(program.length / 8 < 200);
    });

    test('is the same policy in the Docker profile', () => {
      const profile = dockerSeccompProfile(arch);
      const always = profile.syscalls.filter((rule) => rule.args === undefined && rule.errnoRet === 1);
      const expected = Object.keys(DENIED).filter((name) => DENIED[name]![arch] !== null);
      assert.deepEqual(
        always.flatMap((rule) => rule.names),
        expected,
      );
      const named = new Set(profile.syscalls.flatMap((rule) => rule.names));
      for (const name of Object.keys(EXAMINED)) assert.ok(named.has(name), `${name} has a rule`);
      assert.deepEqual(profile.syscalls.find((rule) => rule.names.includes('clone3'))?.errnoRet, 38);
    });
  });
}
