import { createHash } from 'node:crypto';
import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  readFileSync,
  renameSync,
  statfsSync,
  statSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { readInstall } from '../../base/config.ts';
import { messageOf, OperatingError } from '../../base/errors.ts';
import { randomToken } from '../../base/ids.ts';
import { BACKUP_SPARE_BYTES } from '../../base/limits/backups.ts';
import type { Paths } from '../../base/paths.ts';
import { showBytes } from '../../base/text.ts';
import { VERSION } from '../../base/version.ts';
import { syncFile } from '../../base/whole_file.ts';
import { bytesOf, selectionOf, wasDisturbed, writeArchive } from './archive.ts';
import { copyDatabases } from './databases.ts';
import { ARCHIVE, type BackupFile, DATABASES, describeFile, type KEYS, type Manifest } from './manifest.ts';
import { backupName, removeHome, syncFolder, writeManifest } from './shelf.ts';

/** What is to be made, and where. */
export interface BackupAsked {
  paths: Paths;
  shelf: string;
  /** Whether the key of the vault goes in: then whoever has the backup has the secrets. */
  withKey: boolean;
  /** What goes on, in words. */
  tell(text: string): void;
}

/**
 * Makes a backup of an install, running or not. It has its name, and so is one, only when everything of it is on the disk; whatever ends
 * this before that leaves a draft, which the next one removes. The caller holds the lock. Rejects with `OperatingError`.
 */
export async function createBackup(asked: BackupAsked): Promise<{ folder: string; manifest: Manifest }> {
  const { shelf, paths } = asked;
  await needRoom(asked);
  const draft = join(shelf, `.draft-${randomToken(9)}`);
  mkdirSync(draft, { mode: 0o700 });
  try {
    const manifest = await fill(draft, asked);
    const folder = join(
      shelf,
      backupName(manifest.at, createHash('sha256').update(JSON.stringify(manifest)).digest('hex')),
    );
    writeManifest(draft, manifest);
    renameSync(draft, folder);
    syncFolder(shelf);
    return { folder, manifest };
  } catch (error) {
    await removeHome(draft).catch(() => {});
    if (error instanceof OperatingError) throw error;
    throw new OperatingError('storage', `${paths.home} cannot be backed up: ${messageOf(error)}`, undefined, error);
  }
}

async function fill(draft: string, asked: BackupAsked): Promise<Manifest> {
  const { paths, tell, withKey } = asked;
  const at = new Date().toISOString();
  const copied = await copyDatabases(paths, draft, tell);
  tell('copying files');
  const unread = await archive(draft, paths);
  const key = keyOf(paths);
  if (withKey) addKey(draft, key);
  const names: BackupFile['path'][] = [...DATABASES, ARCHIVE, ...(withKey && key.file !== null ? [key.file] : [])];
  tell('checking what was copied');
  const files: BackupFile[] = [];
  for (const name of names) {
    chmodSync(join(draft, name), 0o600);
    syncFile(join(draft, name));
    files.push(await describeFile(draft, name));
  }
  const without = [
    { what: 'logs, cache, reports', why: 'an install needs none of them to answer' },
    { what: 'packages of harnesses and channels', why: './glass up installs them again' },
    ...(withKey ? [] : [{ what: key.where, why: 'with it, whoever has the backup has the secrets' }]),
    ...(unread.length === 0 ? [] : [{ what: unread.join('; '), why: 'they could not be read' }]),
  ];
  return {
    ...{
      format: 1,
      at,
      version: VERSION,
      commit: commitOf(paths.root),
      home: paths.home,
      uid: statSync(paths.home).uid,
    },
    ...{ files, key: withKey ? null : key.where, without, ...copied },
  };
}

/** A workspace at rest is archived as its image; one that was taken up meanwhile is not of one moment. */
async function archive(draft: string, paths: Paths): Promise<string[]> {
  const file = join(draft, ARCHIVE);
  for (let tries = 0; tries < ARCHIVE_TRIES; tries += 1) {
    const selection = selectionOf(paths);
    const unread = await writeArchive(paths, selection, file);
    if (!wasDisturbed(paths, selection)) return unread;
    await removeHome(file);
  }
  throw new OperatingError('unavailable', 'groups begin to work faster than their workspaces are copied', 'try again');
}

const ARCHIVE_TRIES = 5;

/** Where the key of the vault is. `file`: its name in a backup; null: it is in no file of ours. */
export function keyOf(paths: Paths): { file: (typeof KEYS)[number] | null; where: string } {
  const { key } = readInstall(paths.config).vault;
  switch (key) {
    case 'file':
      return { file: 'vault.key', where: paths.vaultKey };
    case 'azure':
      return { file: 'vault.key.azure', where: `${paths.vaultKey}.azure, and the key in Azure that opens it` };
    case 'keyring':
      return { file: null, where: 'the key in the keyring of this account' };
    case 'systemd':
      return { file: null, where: 'the credential of systemd' };
  }
}

function addKey(draft: string, { file, where }: ReturnType<typeof keyOf>): void {
  if (file === null)
    throw new OperatingError('refused', `the key of this vault is no file: it is ${where}`, 'leave out --with-key');
  copyFileSync(where.split(',')[0]!, join(draft, file));
}

/** Twice what it takes: the backup, and the copy of it that has to answer. */
async function needRoom({ paths, shelf, tell }: BackupAsked): Promise<void> {
  tell('looking how much there is');
  const databases = [paths.ledger, paths.vault, paths.audit].filter((file) => existsSync(file));
  const bytes = databases.reduce((sum, file) => sum + statSync(file).size, await bytesOf(paths, selectionOf(paths)));
  const isOne = statSync(shelf).dev === statSync(paths.home).dev;
  for (const [folder, copies] of isOne
    ? ([[shelf, 2]] as const)
    : ([
        [shelf, 1],
        [paths.home, 1],
      ] as const)) {
    const { bavail, bsize } = statfsSync(folder);
    const needed = copies * bytes + BACKUP_SPARE_BYTES;
    if (bavail * bsize >= needed) continue;
    const what = `a backup needs ${showBytes(needed)} on the disk of ${folder}, and ${showBytes(bavail * bsize)} are free`;
    throw new OperatingError('storage', what, 'make room, or name a folder on another disk with -o');
  }
}

/** Of a checkout by git, without asking git: the commit that HEAD is at. Null: it is none, or packed away. */
export function commitOf(root: string): string | null {
  const read = (path: string): string => readFileSync(path, 'utf8').trim();
  try {
    const dot = join(root, '.git');
    const folder = statSync(dot).isDirectory() ? dot : read(dot).replace(/^gitdir: /, '');
    const head = read(join(folder, 'HEAD'));
    if (!head.startsWith('ref: ')) return /^[0-9a-f]{40,64}$/.test(head) ? head : null;
    const ref = head.slice('ref: '.length);
    // Of a worktree the branches lie beside the first checkout's.
    const places = [folder, dirname(dirname(folder))].map((each) => join(each, ref));
    const found = places.find((each) => existsSync(each));
    return found === undefined ? null : read(found).slice(0, 64);
  } catch {
    return null;
  }
}
