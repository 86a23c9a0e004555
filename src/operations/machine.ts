import { existsSync, readFileSync, statfsSync, statSync } from 'node:fs';
import { userInfo } from 'node:os';
import { join } from 'node:path';
import type { Paths } from '../base/paths.ts';
import { LAUNCH_ENV } from '../runtimes/bubblewrap_check.ts';

/** What this machine says of itself, as far as sandboxes and state depend on it. Reading it changes nothing. */
export interface Machine {
  uid: number;
  /** Null: the account has no name. */
  user: string | null;
  /** `/proc/sys` values; null where this kernel has none. */
  apparmor_restricts: boolean | null;
  userns_clone: boolean | null;
  max_user_namespaces: number | null;
  /** Whether our own copy of bubblewrap and the profile for it are in place. */
  own_bwrap: boolean;
  apparmor_profile: boolean;
  /** Whether the account has ranges in `/etc/subuid` and `/etc/subgid`. */
  subordinate_ids: boolean;
  /** Whether the programs are there that map them. */
  uidmap: boolean;
  loop_devices: boolean;
  /** Bytes free where the home lies; null when there is no home yet. */
  free_bytes: number | null;
  /** Whom the home belongs to, and its mode; null when there is none yet. */
  home: { uid: number; gid: number; mode: number } | null;
}

/** A copy of bubblewrap here is preferred to the one on PATH: AppArmor gives rights by path. */
export const OWN_BWRAP = '/usr/local/lib/glassclaw/bwrap';
export const APPARMOR_PROFILE = '/etc/apparmor.d/glassclaw-bwrap';

export function readMachine(paths: Paths): Machine {
  const uid = process.getuid?.() ?? 0;
  const user = nameOr(null);
  return {
    uid,
    user,
    apparmor_restricts: flagOf('/proc/sys/kernel/apparmor_restrict_unprivileged_userns'),
    userns_clone: flagOf('/proc/sys/kernel/unprivileged_userns_clone'),
    max_user_namespaces: numberOf('/proc/sys/user/max_user_namespaces'),
    own_bwrap: existsSync(OWN_BWRAP),
    apparmor_profile: existsSync(APPARMOR_PROFILE),
    subordinate_ids: ['/etc/subuid', '/etc/subgid'].every((file) => hasRange(file, user, uid)),
    uidmap: ['newuidmap', 'newgidmap'].every((program) =>
      LAUNCH_ENV.PATH.split(':').some((folder) => existsSync(join(folder, program))),
    ),
    loop_devices: existsSync('/dev/loop-control'),
    free_bytes: freeAt(paths.home),
    home: homeOf(paths.home),
  };
}

function hasRange(file: string, user: string | null, uid: number): boolean {
  const lines = (textOf(file) ?? '').split('\n');
  return lines.some((line) => line.startsWith(`${uid}:`) || (user !== null && line.startsWith(`${user}:`)));
}

function freeAt(folder: string): number | null {
  try {
    const { bavail, bsize } = statfsSync(folder);
    return bavail * bsize;
  } catch {
    return null;
  }
}

function homeOf(folder: string): Machine['home'] {
  const stat = statSync(folder, { throwIfNoEntry: false });
  return stat === undefined ? null : { uid: stat.uid, gid: stat.gid, mode: stat.mode & 0o777 };
}

function nameOr(otherwise: null): string | null {
  try {
    return userInfo().username;
  } catch {
    return otherwise;
  }
}

function flagOf(file: string): boolean | null {
  const value = numberOf(file);
  return value === null ? null : value !== 0;
}

function numberOf(file: string): number | null {
  const text = textOf(file);
  return text === null ? null : Number(text.trim());
}

function textOf(file: string): string | null {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return null;
  }
}
