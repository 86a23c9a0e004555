import {
  chmodSync,
  copyFileSync,
  existsSync,
  globSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statfsSync,
} from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { messageOf, OperatingError } from '../../base/errors.ts';
import { randomToken } from '../../base/ids.ts';
import { BACKUP_SPARE_BYTES } from '../../base/limits/backups.ts';
import type { Paths } from '../../base/paths.ts';
import { showBytes } from '../../base/text.ts';
import { writeWhole } from '../../base/whole_file.ts';
import { mountsBelow } from '../../runtimes/mounts.ts';
import { unmountWorkspace } from '../../runtimes/workspace_image.ts';
import { readArchive } from './archive.ts';
import { checkCopies } from './databases.ts';
import { ARCHIVE, DATABASES, KEYS, type Manifest, readManifest, verifyFiles } from './manifest.ts';
import { RESTORED, RESTORING } from './names.ts';
import { removeHome, shelfOf, syncFolder } from './shelf.ts';

/** Verifies a backup to the last byte, and that this version can use it. Rejects with `OperatingError('config')`. */
export async function verifyBackup(folder: string, root: string, tell: (text: string) => void): Promise<Manifest> {
  const manifest = readManifest(folder);
  const known = newestSchema(root);
  if (manifest.schema > known)
    throw new OperatingError(
      'config',
      `${folder} was made by GlassClaw ${manifest.version} with schema ${manifest.schema}, this one knows ${known}`,
      'run that version, or a newer one',
    );
  await verifyFiles(folder, manifest, (path) => tell(`checking ${path}`));
  checkCopies(folder);
  return manifest;
}

function newestSchema(root: string): number {
  const names = globSync('[0-9]*_*.sql', { cwd: join(root, 'src/ledger/migrations') });
  return Math.max(0, ...names.map((name) => Number.parseInt(name, 10)));
}

/** Puts what a verified backup holds into a folder that is made for it. `key`: the file of the vault's key; null: the one in the backup, if any. */
export async function unpack(folder: string, manifest: Manifest, home: string, key: string | null): Promise<void> {
  mkdirSync(home, { recursive: true, mode: 0o700 });
  needRoom(manifest, home);
  // Only root can give files to the accounts that they belonged to, and only what a root has made needs that.
  const owners = process.geteuid!() === 0 && manifest.uid === 0;
  await readArchive(join(folder, ARCHIVE), home, owners);
  for (const name of [...KEYS, ...DATABASES]) {
    if (manifest.files.some(({ path }) => path === name)) copyPrivate(join(folder, name), join(home, name));
  }
  // What was left out is made anew, closed as it was.
  for (const name of ['cache', 'logs']) mkdirSync(join(home, name), { mode: 0o700 });
  if (key !== null) copyPrivate(key, join(home, key.endsWith('.azure') ? 'vault.key.azure' : 'vault.key'));
  syncFolder(home);
}

function needRoom({ files }: Manifest, home: string): void {
  const { bavail, bsize } = statfsSync(home);
  const needed = files.reduce((sum, { bytes }) => sum + bytes, BACKUP_SPARE_BYTES);
  if (bavail * bsize >= needed) return;
  const what = `putting it back needs ${showBytes(needed)} on the disk of ${home}, and ${showBytes(bavail * bsize)} are free`;
  throw new OperatingError('storage', what, 'make room on that disk');
}

function copyPrivate(from: string, to: string): void {
  try {
    copyFileSync(from, to);
    chmodSync(to, 0o600);
  } catch (error) {
    throw new OperatingError('storage', `${from} cannot be copied: ${messageOf(error)}`, undefined, error);
  }
}

/**
 * A restore is made ready in a folder of its own, and then put in force by renames that a note in the home lists: what was there goes aside,
 * what was made ready comes in. Neither half starts while the note is there, and whoever comes next ends it: it is read, not guessed.
 */
const noteSchema = z.strictObject({ stage: z.string(), aside: z.string(), old: z.array(z.string()) });

export interface Restored {
  /** Where what was there before is now; null: there was nothing. */
  aside: string | null;
}

/** The caller holds the locks, and has looked whether the home may be replaced. Rejects with `OperatingError`. */
export async function restoreInto(
  paths: Paths,
  folder: string,
  manifest: Manifest,
  key: string | null,
): Promise<Restored> {
  const shelf = shelfOf(paths);
  mkdirSync(shelf, { recursive: true, mode: 0o700 });
  const stage = join(shelf, `.restore-${randomToken(9)}`);
  const at = new Date().toISOString();
  try {
    await unpack(folder, manifest, stage, key);
    const mark = { of: manifest.at, at, home: manifest.home };
    writeWhole(join(stage, RESTORED), Buffer.from(`${JSON.stringify(mark)}\n`), 0o600);
    syncFolder(stage);
  } catch (error) {
    await removeHome(stage).catch(() => {});
    throw error;
  }
  for (const { target } of mountsBelow(paths.groups)) await unmountWorkspace(target); // of a host that was killed
  const old = readdirSync(paths.home).filter((name) => name !== 'backups');
  const aside = join(shelf, `replaced-${at.slice(0, 19).replaceAll(':', '-')}Z`);
  if (old.length > 0) mkdirSync(aside, { mode: 0o700 });
  const note = Buffer.from(`${JSON.stringify({ stage, aside, old })}\n`);
  writeWhole(join(paths.home, RESTORING), note, 0o600);
  syncFolder(paths.home);
  endRestore(paths);
  return { aside: old.length > 0 ? aside : null };
}

/** Ends a restore that was cut short after it had begun to count. Returns whether there was one. Safe to repeat. */
export function endRestore(paths: Paths): boolean {
  const file = join(paths.home, RESTORING);
  if (!existsSync(file)) return false;
  const { stage, aside, old } = noteOf(file);
  for (const name of old) {
    if (existsSync(join(paths.home, name)) && !existsSync(join(aside, name)))
      renameSync(join(paths.home, name), join(aside, name));
  }
  for (const name of existsSync(stage) ? readdirSync(stage) : []) renameSync(join(stage, name), join(paths.home, name));
  syncFolder(paths.home);
  rmSync(file);
  syncFolder(paths.home);
  rmSync(stage, { recursive: true, force: true });
  return true;
}

function noteOf(file: string): z.infer<typeof noteSchema> {
  try {
    return noteSchema.parse(JSON.parse(readFileSync(file, 'utf8')));
  } catch (error) {
    throw new OperatingError('config', `${file} cannot be used: ${messageOf(error)}`, 'restore again, with --replace');
  }
}
