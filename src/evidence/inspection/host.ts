import { existsSync, readFileSync, readlinkSync, realpathSync } from 'node:fs';
import { networkInterfaces, release } from 'node:os';
import type { Bind } from '../../runtimes/runtime.ts';
import { rootUserland, userlandOf } from '../../runtimes/userland.ts';
import type { HostFacts } from './declared.ts';
import type { Observation } from './derive.ts';
import { deviceAt, parseMounts } from './mounts.ts';

/** What this host is, for comparison with what is seen inside. */

export const NAMESPACES = ['cgroup', 'ipc', 'mnt', 'net', 'pid', 'user', 'uts'];

/** `unpacked`: the root that bubblewrap takes system files from; null: the host's own. `binds`: what is mounted, while it is. */
export function hostFacts(unpacked: string | null, binds: readonly Bind[]): HostFacts {
  const { folders, links } = unpacked === null ? userlandOf('/', '/etc') : rootUserland(unpacked);
  return {
    uid: process.geteuid!(),
    gid: process.getegid!(),
    groups: process.getgroups!(),
    kernel: release(),
    namespaces: Object.fromEntries(NAMESPACES.map((name) => [name, readlinkSync(`/proc/self/ns/${name}`)])),
    devices: devicesOf(binds),
    userland: { folders: folders.map(({ target }) => target), links },
  };
}

/** By our own table, not by `stat`: an overlay or a subvolume answers there with another number than it is mounted with. */
function devicesOf(binds: readonly Bind[]): Record<string, string> {
  const mounts = parseMounts(readFileSync('/proc/self/mountinfo', 'utf8'));
  return Object.fromEntries(
    binds.flatMap(({ source }) => {
      const device = existsSync(source) ? deviceAt(mounts, realpathSync(source)) : undefined;
      return device === undefined ? [] : [[source, device]];
    }),
  );
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
