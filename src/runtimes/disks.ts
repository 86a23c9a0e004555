import { existsSync, readFileSync, realpathSync, statSync } from 'node:fs';
import { dirname } from 'node:path';
import type { LimitState, SandboxSpec } from './runtime.ts';

/** The block devices that a sandbox can write to: what its disk limit is set on. */

export interface Disk {
  /** As control groups name it, `7:1`. */
  id: string;
  /** As container engines name it, `/dev/loop1`. */
  node: string;
}

/** The whole disk below a path, because the kernel throttles no partition; null: memory, or a file system of many disks. */
export function diskOf(path: string): Disk | null {
  const found = statSync(path, { throwIfNoEntry: false });
  const link = `/sys/dev/block/${found === undefined ? 'none' : deviceId(found.dev)}`;
  if (!existsSync(link)) return null;
  const device = realpathSync(link);
  const disk = existsSync(`${device}/partition`) ? dirname(device) : device;
  const name = /^DEVNAME=(.+)$/m.exec(readFileSync(`${disk}/uevent`, 'utf8'))?.[1];
  return name === undefined ? null : { id: readFileSync(`${disk}/dev`, 'utf8').trim(), node: `/dev/${name}` };
}

/** Of everything that is bound writable. */
export function writtenDisks(spec: SandboxSpec): Disk[] {
  const disks = spec.binds.flatMap(({ source, access }) => (access === 'write' ? (diskOf(source) ?? []) : []));
  return [...new Map(disks.map((disk) => [disk.id, disk])).values()];
}

/** `offered`: how the machine would hold it, for disks that can be throttled at all. `folder`: one of the install's own. */
export function diskLimit(folder: string, offered: LimitState): LimitState {
  if (offered.state === 'absent' || diskOf(folder) !== null) return offered;
  return { ...offered, state: 'absent', reason: 'the file system of this install is on no single disk' };
}

/** The kernel's 64-bit `dev_t`, as the C library packs it. */
function deviceId(dev: number): string {
  const wide = BigInt(dev);
  const major = ((wide >> 8n) & 0xfffn) | ((wide >> 32n) & ~0xfffn);
  const minor = (wide & 0xffn) | ((wide >> 12n) & ~0xffn);
  return `${major}:${BigInt.asUintN(32, minor)}`;
}
