import { existsSync, readlinkSync } from 'node:fs';
import { networkInterfaces, release } from 'node:os';
import { rootUserland, userlandOf } from '../../runtimes/userland.ts';
import type { HostFacts } from './declared.ts';
import type { Observation } from './derive.ts';

/** What this host is, for comparison with what is seen inside. */

export const NAMESPACES = ['cgroup', 'ipc', 'mnt', 'net', 'pid', 'user', 'uts'];

/** `unpacked`: the root that bubblewrap takes system files from; null: the host's own. */
export function hostFacts(unpacked: string | null): HostFacts {
  const { folders, links } = unpacked === null ? userlandOf('/', '/etc') : rootUserland(unpacked);
  return {
    uid: process.geteuid!(),
    gid: process.getegid!(),
    groups: process.getgroups!(),
    kernel: release(),
    namespaces: Object.fromEntries(NAMESPACES.map((name) => [name, readlinkSync(`/proc/self/ns/${name}`)])),
    userland: { folders: folders.map(({ target }) => target), links },
  };
}

/** An address of this host that other machines use, or null. */
export function hostAddress(): string | null {
  const addresses = Object.values(networkInterfaces()).flatMap((found) => found ?? []);
  return addresses.find(({ internal, family }) => !internal && family === 'IPv4')?.address ?? null;
}

/** Whether the planted file is there at all. */
export function canaryControl(canary: string | null): Observation {
  if (canary === null) return { not_run: 'no file was put into the host’s /etc' };
  return { value: existsSync(canary) ? 'ok' : 'it is not there on the host either' };
}
