import { closeSync, existsSync, fsyncSync, lstatSync, mkdirSync, openSync, readdirSync, rmSync } from 'node:fs';
import { isAbsolute, join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { messageOf, OperatingError } from '../../base/errors.ts';
import { TRIAL_GONE_MS } from '../../base/limits/backups.ts';
import type { Paths } from '../../base/paths.ts';
import { writeWhole } from '../../base/whole_file.ts';
import { LAST_BACKUP } from '../../evidence/last_backup.ts';
import { removeTree } from '../../runtimes/image_tools.ts';
import { mountsBelow } from '../../runtimes/mounts.ts';
import { unmountWorkspace } from '../../runtimes/workspace_image.ts';
import { MANIFEST, type Manifest, PROOF, type Proof, readManifest, readProof } from './manifest.ts';
import { TRIAL_HOME } from './names.ts';
import { forgetPlaces } from './places.ts';

/** Where backups stand, one folder each, by the time that they are of; and what a killed run has left there. */
const NAME = /^\d{4}-\d\d-\d\dT\d\d-\d\d-\d\dZ-[0-9a-f]{6}$/;
/** Of a run that was killed: worth nothing. */
const LEFT_OVER = /^\.(?:draft|trial|from-gateway|restore)-/;

export interface Shelved {
  name: string;
  folder: string;
  at: string;
  bytes: number;
  version: string;
  schema: number;
  proof: Proof | null;
}

export function shelfOf(paths: Paths): string {
  return join(paths.home, 'backups');
}

export function backupName(at: string, sha256: string): string {
  return `${at.slice(0, 19).replaceAll(':', '-')}Z-${sha256.slice(0, 6)}`;
}

/** Makes it, or says in one sentence why it cannot. */
export function makeShelf(shelf: string): void {
  try {
    mkdirSync(shelf, { recursive: true, mode: 0o700 });
    if (!lstatSync(shelf).isDirectory()) throw new Error('it is no folder');
  } catch (error) {
    throw new OperatingError('storage', `${shelf} cannot be used: ${messageOf(error)}`, 'name another one with -o');
  }
}

/** The newest first. What is no backup is not among them. */
export function listShelf(shelf: string): Shelved[] {
  if (!existsSync(shelf)) return [];
  return readdirSync(shelf)
    .filter((name) => NAME.test(name))
    .sort()
    .reverse()
    .flatMap((name) => {
      try {
        return [describe(name, join(shelf, name))];
      } catch {
        return [];
      }
    });
}

function describe(name: string, folder: string): Shelved {
  const { at, files, version, schema } = readManifest(folder);
  const bytes = files.reduce((sum, file) => sum + file.bytes, 0);
  return { name, folder, at, bytes, version, schema, proof: readProof(folder) };
}

/** The folder that is meant: a backup of the shelf by its name, or any folder by its path. Throws `OperatingError('not_found')`. */
export function findBackup(shelf: string, named: string): string {
  const folder = NAME.test(named) ? join(shelf, named) : resolve(named);
  if (NAME.test(named) || isAbsolute(named) || named.includes('/')) {
    if (existsSync(folder)) return folder;
  }
  throw new OperatingError(
    'not_found',
    `there is no backup "${named}"`,
    './glass backup list, or the path of its folder',
  );
}

/** What runs that were killed have left, and folders of our names that never got a manifest. The caller holds the lock. Returns how many went. */
export async function sweepShelf(shelf: string): Promise<number> {
  let swept = 0;
  for (const name of existsSync(shelf) ? readdirSync(shelf) : []) {
    const folder = join(shelf, name);
    const isEmpty = NAME.test(name) && !existsSync(join(folder, MANIFEST));
    if (!LEFT_OVER.test(name) && !isEmpty) continue;
    await removeHome(folder);
    if (name.startsWith(TRIAL_HOME)) forgetPlaces(folder);
    swept += 1;
  }
  return swept;
}

/** Removes a folder in which an install may have run: through no mount, and without following anything. */
export async function removeHome(folder: string): Promise<void> {
  const end = performance.now() + TRIAL_GONE_MS;
  for (;;) {
    try {
      return await removeNow(folder);
    } catch (error) {
      // The trial of a run that was killed ends with it, a moment later.
      if (performance.now() > end) throw error;
      await sleep(AGAIN_MS);
    }
  }
}

const AGAIN_MS = 200;

async function removeNow(folder: string): Promise<void> {
  for (const { target } of mountsBelow(folder)) await unmountWorkspace(target);
  const still = mountsBelow(folder)[0];
  if (still !== undefined)
    throw new OperatingError('unavailable', `${still.target} does not let go`, `umount ${still.target}`);
  await removeTree(folder);
  if (existsSync(folder)) throw new OperatingError('storage', `${folder} cannot be removed`, 'remove it by hand');
}

/** Its manifest goes first: whatever ends this, what is left is no backup. */
export async function removeBackup(folder: string): Promise<void> {
  for (const name of [MANIFEST, PROOF]) rmSync(join(folder, name), { force: true });
  syncFolder(folder);
  await removeHome(folder);
}

/** Keeps the newest `keep` that are proven; older ones go, but never the last proven one. Returns the names of those that went. */
export async function keepNewest(shelf: string, keep: number): Promise<string[]> {
  const all = listShelf(shelf);
  const proven = all.filter(({ proof }) => proof?.ok === true);
  const oldest = proven[Math.max(keep, 1) - 1];
  if (oldest === undefined) return [];
  const older = all.filter(({ name }) => name < oldest.name);
  for (const { folder } of older) await removeBackup(folder);
  return older.map(({ name }) => name);
}

export function writeManifest(folder: string, manifest: Manifest): void {
  writeWhole(join(folder, MANIFEST), Buffer.from(`${JSON.stringify(manifest, null, 2)}\n`), 0o600);
  syncFolder(folder);
}

export function writeProof(folder: string, proof: Proof): void {
  writeWhole(join(folder, PROOF), Buffer.from(`${JSON.stringify(proof, null, 2)}\n`), 0o600);
  syncFolder(folder);
}

/** For status: where the newest proven one is, which need not be on the shelf. */
export function rememberProven(paths: Paths, folder: string, at: string): void {
  makeShelf(shelfOf(paths));
  writeWhole(join(paths.home, LAST_BACKUP), Buffer.from(`${JSON.stringify({ at, folder })}\n`), 0o600);
}

export function syncFolder(folder: string): void {
  const fd = openSync(folder, 'r');
  try {
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}
