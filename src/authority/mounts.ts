import { readdirSync, readFileSync, realpathSync, statSync } from 'node:fs';
import { homedir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { OperatingError, systemCodeOf } from '../base/errors.ts';
import { MOUNT_ENTRIES_MAX } from '../base/limits/sandbox.ts';
import type { Labels } from './egress.ts';

/**
 * What of the operator's files a group may be given. A source is resolved once, when an authority is applied, and looked
 * at again at every start: what leads somewhere else by then, or has become dangerous, is refused.
 */
export interface Mount extends Labels {
  /** Absolute, without links: what is bound. */
  source: string;
  target: string;
  access: 'read' | 'write';
}

/** What the disk says of a source. */
export interface MountFacts {
  /** The path without links. */
  real: string;
  kind: 'folder' | 'file' | 'other';
  /** Names at the top of a folder, at most `MOUNT_ENTRIES_MAX`. */
  entries: string[];
  /** Those of them that are sockets. */
  sockets: string[];
}

/** What another group has. */
export interface GivenMount extends Pick<Mount, 'source' | 'access'> {
  group: string;
}

/** Places that decide what is dangerous; all absolute, without links. */
export interface MountPlaces {
  /** `$GLASS_HOME`, and the folder of the sockets: who reaches a session's socket acts as that session. */
  state: string[];
  /** The checkout: what is trusted runs from it. */
  root: string;
  /** Home folders of all accounts of this machine. */
  homes: string[];
  /** Folders of the container engines' sockets: who reaches one is root here. */
  engines: string[];
  /** Below these a mount may be writable. */
  writable: string[];
  /** In force for other groups. */
  others: readonly GivenMount[];
}

/** Top-level folders that belong to the system: nothing in the first list, and not the second ones as a whole. */
const SYSTEM = ['/boot', '/dev', '/etc', '/proc', '/run', '/sys', '/var/run', '/var/lib'];
const TOPS = [
  '/',
  '/bin',
  '/home',
  '/lib',
  '/lib64',
  '/media',
  '/mnt',
  '/opt',
  '/root',
  '/sbin',
  '/srv',
  '/tmp',
  '/usr',
  '/var',
];

/** Below it are accounts of the system, by the custom of every distribution. */
const PEOPLE_UID_FIRST = 1000;

/** Where programs keep credentials, whatever lies above. */
const SECRET_NAME =
  /^(?:\.(?:ssh|aws|azure|gnupg|kube|docker|gcloud|netrc|npmrc|pypirc|pgpass|my\.cnf|git-credentials|password-store|vault-token|terraform\.d)|\.env(?:\.(?!example$|sample$|template$).+)?|id_(?:rsa|dsa|ecdsa|ed25519))$/;

/** Why a source must not be mounted so; null: it may. Pure. */
export function judgeMount(facts: MountFacts, access: Mount['access'], places: MountPlaces): string | null {
  const { real } = facts;
  if (facts.kind === 'other') return 'is neither a file nor a folder';
  if (TOPS.includes(real)) return 'is a folder of the system';
  const system = SYSTEM.find((top) => isWithin(real, top));
  if (system !== undefined) return `lies in ${system}, where the system keeps its own`;
  if (places.homes.includes(real)) return 'is the home of an account: mount a folder in it';
  const home = places.homes.find((folder) => isWithin(folder, real));
  if (home !== undefined) return `contains ${home}, the home of an account`;
  if (places.state.some((folder) => isWithin(real, folder) || isWithin(folder, real)))
    return 'is where GlassClaw keeps its state';
  if (places.engines.some((folder) => isWithin(folder, real))) return 'holds the socket of a container engine';
  const named = real.split('/').find((part) => SECRET_NAME.test(part));
  if (named !== undefined) return `leads into ${named}, where credentials lie`;
  if (places.homes.some((folder) => isWithin(real, folder) && real.slice(folder.length + 1).startsWith('.')))
    return 'is a hidden part of a home, where programs keep credentials';
  const holds = facts.entries.find((entry) => SECRET_NAME.test(entry));
  if (holds !== undefined) return `holds ${holds}, where credentials lie: mount what is beside it`;
  const socket = facts.sockets[0];
  if (socket !== undefined) return `holds ${socket}, a socket: who reaches it has what listens there`;
  return access === 'write' ? judgeWrite(real, places) : null;
}

/**
 * Why these mounts of a group must not be beside one another, and beside the other groups'; null: they may. What lies in a
 * folder that an agent writes, it can replace by a link between our look and the mount. Pure.
 */
export function judgeNesting(mounts: readonly Mount[], others: readonly GivenMount[]): string | null {
  const all = [...mounts.map((mount) => ({ ...mount, group: null })), ...others];
  for (const outer of all.filter(({ access }) => access === 'write'))
    for (const inner of all) {
      const ours = outer.group === null || inner.group === null;
      if (!ours || inner.source === outer.source || !isWithin(inner.source, outer.source)) continue;
      return `${inner.source}${ofGroup(inner.group)} lies in ${outer.source}, which ${outer.group === null ? 'it' : `the group ${outer.group}`} may write`;
    }
  return null;
}

function ofGroup(group: string | null): string {
  return group === null ? '' : ` of the group ${group}`;
}

function judgeWrite(real: string, places: MountPlaces): string | null {
  if (isWithin(real, places.root) || isWithin(places.root, real))
    return 'holds the code of GlassClaw, which no agent may write';
  if (places.writable.some((folder) => isWithin(real, folder))) return null;
  return 'may not be written: mounts.write of glass.yaml does not list it';
}

/** Whether `path` is `folder` or lies in it. */
export function isWithin(path: string, folder: string): boolean {
  return path === folder || path.startsWith(folder === '/' ? '/' : `${folder}/`);
}

/** Looks at a source. Throws `OperatingError('config')` when it is not there or cannot be looked at. */
export function lookAt(source: string): MountFacts {
  try {
    const real = realpathSync(source);
    const stat = statSync(real);
    const kind = stat.isDirectory() ? 'folder' : stat.isFile() ? 'file' : 'other';
    if (kind !== 'folder') return { real, kind, entries: [basename(real)], sockets: [] };
    const found = readdirSync(real, { withFileTypes: true }).slice(0, MOUNT_ENTRIES_MAX);
    const names = (list: typeof found): string[] => list.map(({ name }) => name);
    return { real, kind, entries: names(found), sockets: names(found.filter((entry) => entry.isSocket())) };
  } catch (error) {
    const code = systemCodeOf(error);
    const why = code === 'ENOENT' || code === 'ENOTDIR' ? 'does not exist' : `cannot be looked at (${code})`;
    throw new OperatingError('config', `the mount ${source} ${why}`, undefined, error);
  }
}

/** The places of this machine. */
export function placesOf({ state, root, writable, engines, others }: Omit<MountPlaces, 'homes'>): MountPlaces {
  return {
    state: state.map(realOr),
    root: realOr(root),
    homes: [...new Set([homedir(), ...homesOfAccounts()].map(realOr))].filter((home) => dirname(home) !== home),
    engines: engines.map(realOr),
    writable: writable.map((path) => realOr(expandHome(path))),
    others,
  };
}

/** `~/notes` is below the operator's home. */
export function expandHome(path: string): string {
  return path.startsWith('~/') ? join(homedir(), path.slice(2)) : path.replace(/(?<=.)\/+$/, '');
}

/**
 * Looks again at what was applied. Throws `OperatingError('refused')` when a source leads elsewhere by now, or would not
 * be applied any more.
 */
export function checkMounts(mounts: Mount[], places: MountPlaces): void {
  for (const { source, access } of mounts) {
    const facts = lookAt(source);
    const moved = facts.real === source ? null : `leads to ${facts.real} now`;
    const reason = moved ?? judgeMount(facts, access, places);
    if (reason !== null)
      throw new OperatingError('refused', `the mount ${source} ${reason}`, 'plan and apply it again');
  }
  const nested = judgeNesting(mounts, places.others);
  if (nested !== null) throw new OperatingError('refused', `the mount ${nested}`, 'plan and apply it again');
}

function homesOfAccounts(): string[] {
  try {
    return homesIn(readFileSync('/etc/passwd', 'utf8'));
  } catch {
    return [];
  }
}

/** From `/etc/passwd`, the homes of people, wherever they lie, and those of others below one of the usual folders. Pure. */
export function homesIn(passwd: string): string[] {
  return passwd.split('\n').flatMap((line) => {
    const [, , uid, , , home = ''] = line.split(':');
    const usual = /^\/(?:home|root|Users|export)\b/.test(home);
    return home.startsWith('/') && (Number(uid) >= PEOPLE_UID_FIRST || usual) ? [home] : [];
  });
}

function realOr(path: string): string {
  try {
    return realpathSync(path);
  } catch {
    return path;
  }
}
