import { lstatSync, readdirSync, type Stats } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { DOCTOR_FILES_MAX } from '../base/limits/telemetry.ts';
import type { Paths } from '../base/paths.ts';
import type { Finding } from './finding.ts';

/** Folders, modes and owners of what lies in the home. What sandboxes write to (workspaces, states) is not looked into. */

/** One entry as it is. */
export interface Entry {
  path: string;
  uid: number;
  mode: number;
  kind: 'file' | 'folder' | 'link' | 'other';
}

/** Where something is said of an install: as many findings as there are things to do, or one that all is well. */
export function filesFindings(paths: Paths, entries: readonly Entry[], owner: { uid: number; gid: number }): Finding[] {
  const found = entries.flatMap((entry) => [...ownerFinding(entry, owner), ...modeFinding(paths, entry)]);
  const there = new Set(entries.map(({ path }) => path));
  const missing = foldersOf(paths).filter((folder) => !there.has(folder));
  const made = missing.map((path): Finding => {
    const mend = { do: 'folder', path, mode: 0o700 } as const;
    return { what: 'folder', state: 'weak', says: `${path} is missing`, fix: `mkdir -m 700 ${path}`, mend };
  });
  const all = [...found, ...made];
  return all.length > 0
    ? all
    : [{ what: 'files', state: 'well', says: `${entries.length} have their modes and owner`, fix: null }];
}

function foldersOf({ groups, authorities, sessions, blobs, cache, logs }: Paths): string[] {
  return [groups, authorities, sessions, blobs, cache, logs, join(logs, 'sessions')];
}

function ownerFinding({ path, uid }: Entry, owner: { uid: number; gid: number }): Finding[] {
  if (uid === owner.uid) return [];
  const says = `${path} belongs to uid ${uid}, the home to uid ${owner.uid}`;
  const fix = `sudo chown -h ${owner.uid}:${owner.gid} ${path}`;
  return [{ what: 'owner', state: 'problem', says, fix, mend: { do: 'owner', path, ...owner } }];
}

function modeFinding(paths: Paths, { path, mode, kind }: Entry): Finding[] {
  const name = relative(paths.home, path);
  if (kind === 'link' && SECRET.test(name)) {
    const fix = `put the file itself there, with mode 600`;
    return [{ what: 'mode', state: 'problem', says: `${path} is a link, and is not followed`, fix }];
  }
  const refused = kind === 'link' ? 0 : refusedBits(name, kind);
  if ((mode & refused) === 0) return [];
  const right = mode & ~refused;
  const others = (mode & refused & 0o022) === 0 ? 'read' : 'change';
  return [
    {
      what: 'mode',
      state: SECRET.test(name) ? 'problem' : 'weak',
      says: `other accounts may ${others} ${path} (mode ${mode.toString(8)})`,
      fix: `chmod ${right.toString(8)} ${path}`,
      mend: { do: 'mode', path, mode: right },
    },
  ];
}

/** Keys and databases: whoever reads one has everything. */
const SECRET = /^(?:vault\.key(?:\.azure|\.next)?|ca\.key|(?:vault|audit|ledger)\.db(?:-wal|-shm|\.before-\d+)?)$/;
/** Others may read these, were the home open: what is in them is no secret, or is mounted read-only into sandboxes. */
const READABLE = /^(?:glass\.yaml|prices\.json|ca\.pem|groups\/(?!.*\/workspace\.img$))/;
/** The gateway's account reads these where it has one of its own. */
const OF_GROUP = /^authorities\//;

function refusedBits(name: string, kind: Entry['kind']): number {
  if (READABLE.test(name)) return 0o022;
  if (OF_GROUP.test(name)) return 0o027;
  return kind === 'folder' || kind === 'file' ? 0o077 : 0;
}

/** Below the home, without what belongs to sandboxes. Bounded: a home of a million files is looked at in part. */
export function entriesOf(paths: Paths): Entry[] {
  const found: Entry[] = [];
  const waiting = [paths.home];
  for (let folder = waiting.pop(); folder !== undefined && found.length < DOCTOR_FILES_MAX; folder = waiting.pop()) {
    for (const name of namesIn(folder)) {
      const path = join(folder, name);
      if (isOfSandboxes(paths, path)) continue;
      const stat = lstatSync(path, { throwIfNoEntry: false });
      if (stat === undefined) continue;
      const kind = kindOf(stat);
      found.push({ path, uid: stat.uid, mode: stat.mode & 0o777, kind });
      if (kind === 'folder') waiting.push(path);
    }
  }
  return found;
}

/**
 * Workspaces, states and inboxes, also those of an install that a restore has set aside, and the caches that are made again whenever they
 * are missing.
 */
function isOfSandboxes({ home, groups, sessions, cache }: Paths, path: string): boolean {
  if (dirname(path) === join(home, 'backups')) return true;
  if (dirname(path) === cache) return true;
  if (dirname(path) === sessions) return true;
  return dirname(dirname(path)) === groups && path.endsWith('/workspace');
}

function namesIn(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch {
    return []; // closed to us: its own entry says so
  }
}

function kindOf(stat: Stats): Entry['kind'] {
  if (stat.isSymbolicLink()) return 'link';
  return stat.isDirectory() ? 'folder' : stat.isFile() ? 'file' : 'other';
}
