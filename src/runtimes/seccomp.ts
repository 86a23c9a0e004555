import { assert } from '../base/errors.ts';
import {
  AF_INET,
  AF_INET6,
  AF_NETLINK,
  AF_UNIX,
  ALLOWED_PERSONALITIES,
  CLONE_NAMESPACE_FLAGS,
  DENIED,
  DENIED_IOCTLS,
  EXAMINED,
  REVIEWED_MAX,
  type SeccompArch,
} from './seccomp_table.ts';

/**
 * The sandbox's filter as a classic BPF program. Pure: bytes out, nothing loaded here. bubblewrap installs it just
 * before it executes the program, so its own mounts are not hit.
 *
 * Order: architecture, x32, ceiling, calls with arguments, denied list, allow. The kernel caches calls that are
 * always allowed (5.11 and later), so the length of the list costs nothing on the hot path.
 */

const AUDIT_ARCH: Record<SeccompArch, number> = { x64: 0xc000003e, arm64: 0xc00000b7 };

const EPERM = 1;
const ENOSYS = 38;
const EAFNOSUPPORT = 97;

const RET_KILL_PROCESS = 0x80000000;
const RET_ALLOW = 0x7fff0000;
const retErrno = (errno: number): number => 0x00050000 | errno;

/** Offsets in `struct seccomp_data`; both architectures are little-endian, so an argument's low word comes first. */
const OFFSET_NUMBER = 0;
const OFFSET_ARCH = 4;
const offsetOfArg = (index: number): number => 16 + 8 * index;

/** Calls of the x32 ABI carry this bit; their numbers are another table. */
const X32_BIT = 0x40000000;

/** A jump's target: a label further down, or `next`. */
type Label = 'kill' | 'allow' | 'eperm' | 'enosys' | 'family' | `at_${string}`;
type Line =
  | { op: 'load'; offset: number }
  | { op: 'label'; name: Label }
  | { op: 'ret'; value: number }
  | { op: 'jump'; test: 'eq' | 'ge' | 'gt' | 'any_bit'; value: number; yes: Label | 'next'; no: Label | 'next' };

const OPCODE = { load: 0x20, ret: 0x06, eq: 0x15, gt: 0x25, ge: 0x35, any_bit: 0x45 } as const;

/** The filter for one architecture: eight bytes an instruction, as `--seccomp FD` of bubblewrap reads it. */
export function seccompProgram(arch: SeccompArch): Buffer {
  return assemble([
    { op: 'load', offset: OFFSET_ARCH },
    { op: 'jump', test: 'eq', value: AUDIT_ARCH[arch], yes: 'next', no: 'kill' },
    { op: 'load', offset: OFFSET_NUMBER },
    ...(arch === 'x64' ? [{ op: 'jump', test: 'ge', value: X32_BIT, yes: 'eperm', no: 'next' } as const] : []),
    { op: 'jump', test: 'gt', value: REVIEWED_MAX, yes: 'enosys', no: 'next' },
    // glibc falls back from clone3 to clone, whose flags a filter can read; clone3 hides them behind a pointer.
    { op: 'jump', test: 'eq', value: EXAMINED.clone3[arch], yes: 'enosys', no: 'next' },
    ...whenNumber(arch, 'clone'),
    ...whenNumber(arch, 'socket'),
    ...whenNumber(arch, 'socketpair'),
    ...whenNumber(arch, 'ioctl'),
    ...whenNumber(arch, 'personality'),
    ...deniedNumbers(arch).map((value) => ({ op: 'jump', test: 'eq', value, yes: 'eperm', no: 'next' }) as const),
    { op: 'ret', value: RET_ALLOW },
    ...examinations(),
    { op: 'label', name: 'allow' },
    { op: 'ret', value: RET_ALLOW },
    { op: 'label', name: 'eperm' },
    { op: 'ret', value: retErrno(EPERM) },
    { op: 'label', name: 'enosys' },
    { op: 'ret', value: retErrno(ENOSYS) },
    { op: 'label', name: 'family' },
    { op: 'ret', value: retErrno(EAFNOSUPPORT) },
    { op: 'label', name: 'kill' },
    { op: 'ret', value: RET_KILL_PROCESS },
  ]);
}

function whenNumber(arch: SeccompArch, name: keyof typeof EXAMINED): Line[] {
  return [{ op: 'jump', test: 'eq', value: EXAMINED[name][arch], yes: `at_${name}`, no: 'next' }];
}

function deniedNumbers(arch: SeccompArch): number[] {
  return Object.values(DENIED).flatMap((numbers) => numbers[arch] ?? []);
}

/** The kernel takes these arguments as 32-bit values, so the low word is all there is to compare. */
function examinations(): Line[] {
  const mask = CLONE_NAMESPACE_FLAGS.reduce((bits, flag) => bits | flag, 0);
  return [
    { op: 'label', name: 'at_clone' },
    { op: 'load', offset: offsetOfArg(0) },
    { op: 'jump', test: 'any_bit', value: mask, yes: 'eperm', no: 'allow' },
    { op: 'label', name: 'at_socket' },
    { op: 'load', offset: offsetOfArg(0) },
    ...[AF_UNIX, AF_INET, AF_INET6].map((value) => equals(value, 'allow')),
    { op: 'jump', test: 'eq', value: AF_NETLINK, yes: 'next', no: 'family' },
    { op: 'load', offset: offsetOfArg(2) },
    { op: 'jump', test: 'eq', value: 0, yes: 'allow', no: 'family' },
    { op: 'label', name: 'at_socketpair' },
    { op: 'load', offset: offsetOfArg(0) },
    { op: 'jump', test: 'eq', value: AF_UNIX, yes: 'allow', no: 'family' },
    { op: 'label', name: 'at_ioctl' },
    { op: 'load', offset: offsetOfArg(1) },
    ...DENIED_IOCTLS.map((value) => equals(value, 'eperm')),
    { op: 'ret', value: RET_ALLOW },
    { op: 'label', name: 'at_personality' },
    { op: 'load', offset: offsetOfArg(0) },
    ...ALLOWED_PERSONALITIES.map((value) => equals(value, 'allow')),
    { op: 'ret', value: retErrno(EPERM) },
  ];
}

function equals(value: number, yes: Label): Line {
  return { op: 'jump', test: 'eq', value, yes, no: 'next' };
}

/** Two passes: where each label stands, then the instructions. A jump reaches at most 255 instructions ahead. */
function assemble(lines: Line[]): Buffer {
  const labels = new Map<Label, number>();
  const code: Exclude<Line, { op: 'label' }>[] = [];
  for (const line of lines) {
    if (line.op === 'label') labels.set(line.name, code.length);
    else code.push(line);
  }
  const distance = (from: number, to: Label | 'next'): number => {
    if (to === 'next') return 0;
    const target = labels.get(to);
    assert(target !== undefined && target > from && target - from - 1 <= 255, `BPF jump to ${to} is in reach`);
    return target - from - 1;
  };
  const program = Buffer.alloc(code.length * 8);
  code.forEach((line, at) => {
    const jump = line.op === 'jump';
    program.writeUInt16LE(jump ? OPCODE[line.test] : OPCODE[line.op], at * 8);
    program.writeUInt8(jump ? distance(at, line.yes) : 0, at * 8 + 2);
    program.writeUInt8(jump ? distance(at, line.no) : 0, at * 8 + 3);
    program.writeUInt32LE((line.op === 'load' ? line.offset : line.value) >>> 0, at * 8 + 4);
  });
  return program;
}

/** The architecture of this process, where we have a table for it. */
export function seccompArch(arch: string): SeccompArch | null {
  return arch === 'x64' || arch === 'arm64' ? arch : null;
}
