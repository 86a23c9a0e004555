import { existsSync, statSync } from 'node:fs';
import { resolve } from 'node:path';
import { describeError, OperatingError } from '../base/errors.ts';
import { BACKUP_TELL_MS } from '../base/limits/backups.ts';
import { holdLock } from '../base/lock.ts';
import type { Paths } from '../base/paths.ts';
import { showBytes } from '../base/text.ts';
import { createBackup } from '../operations/backup/create.ts';
import { type Manifest, type Proof, readManifest } from '../operations/backup/manifest.ts';
import {
  findBackup,
  keepNewest,
  listShelf,
  makeShelf,
  rememberProven,
  removeBackup,
  type Shelved,
  shelfOf,
  sweepShelf,
  writeProof,
} from '../operations/backup/shelf.ts';
import { prove } from './backup_proof.ts';
import { ControlClient } from './control_client.ts';
import { bold, type Io, printable, red } from './io.ts';
import { span } from './status_rows.ts';
import { split } from './words.ts';

/**
 * `glass backup`: makes a backup, running or not, and has a restore of it answer a message before it says that there is one. Exit code 0:
 * it is proven; 1: it is kept, and did not answer.
 */
const USAGE =
  'glass backup [create] [-o <folder>] [--keep <n>] [--with-key] | list | prove <name> [--rehearse] | remove <name> [--yes]';

export async function backup(args: string[], paths: Paths, io: Io): Promise<number> {
  const { words, values, flags } = split(
    args.map((word) => (word === '-o' ? '--out' : word)),
    ['out', 'keep'],
    ['with-key', 'yes', 'rehearse'],
    USAGE,
  );
  refuseService(paths);
  const [verb = 'create', name] = words;
  const shelf = values['out'] === undefined ? shelfOf(paths) : resolve(values['out']);
  if (words.length > (verb === 'create' || verb === 'list' ? 1 : 2)) throw new OperatingError('usage', USAGE);
  if (verb === 'list') return list(shelf, io);
  if (verb !== 'create' && name === undefined) throw new OperatingError('usage', USAGE);
  await holdBackups(paths);
  switch (verb) {
    case 'create':
      return create(paths, io, { shelf, keep: keepOf(values['keep']), withKey: flags.has('with-key') });
    case 'prove':
      return proveOne(findBackup(shelf, name!), flags.has('rehearse'), paths, io);
    case 'remove':
      return remove(findBackup(shelf, name!), shelf, flags.has('yes'), io);
    default:
      throw new OperatingError('usage', USAGE);
  }
}

export function refuseService(paths: Paths): void {
  if (!paths.isService) return;
  const what = 'of a service, whose two accounts keep their files apart, no backup can be made by this verb yet';
  throw new OperatingError('refused', what, 'see "Backups" in docs/OPERATIONS.md for what to copy, and when');
}

/** One backup or restore of a home at a time. */
export function holdBackups(paths: Paths): Promise<void> {
  return holdLock(`${paths.install}/backup`, 'a backup or a restore is running already', 'wait for its end');
}

function keepOf(text: string | undefined): number | null {
  if (text === undefined) return null;
  if (/^[1-9]\d{0,3}$/.test(text)) return Number(text);
  throw new OperatingError('usage', `--keep takes how many are kept, at least 1, and not "${text}"`, USAGE);
}

/** Says what goes on, once something lasts: also the one step that does. An empty text ends it. */
export function teller(io: Io): (text: string) => void {
  const began = performance.now();
  let waiting: NodeJS.Timeout | undefined;
  return (text) => {
    clearTimeout(waiting);
    if (io.json || text === '') return;
    const say = (): void => io.err(`${printable(text)}…`);
    const wait_ms = BACKUP_TELL_MS - (performance.now() - began);
    if (wait_ms <= 0) say();
    else waiting = setTimeout(say, wait_ms).unref();
  };
}

interface Asked {
  shelf: string;
  keep: number | null;
  withKey: boolean;
}

async function create(paths: Paths, io: Io, { shelf, keep, withKey }: Asked): Promise<number> {
  if (!existsSync(paths.ledger))
    throw new OperatingError('not_found', `there is no install in ${paths.home}`, 'set GLASS_HOME to where it is');
  const { uid } = statSync(paths.home);
  if (uid !== process.geteuid!())
    throw new OperatingError(
      'refused',
      `${paths.home} belongs to uid ${uid}`,
      `run it as that account: sudo -u '#${uid}' …`,
    );
  if (withKey && !io.json)
    io.err('! The key of the vault goes in: whoever has this backup has every secret. Keep it where you keep those.');
  const tell = teller(io);
  try {
    makeShelf(shelf);
    await sweepShelf(shelf);
    await sweepShelf(shelfOf(paths));
    const { folder, manifest } = await createBackup({ paths, shelf, withKey, tell });
    const proof = await proved(folder, manifest, paths, io);
    const removed = proof.ok && keep !== null ? await keepNewest(shelf, keep) : [];
    return told(folder, manifest, proof, removed, io);
  } catch (error) {
    await alarm(paths, describeError(error));
    throw error;
  }
}

/** `rehearses`: it says something about the version that tries it, and nothing is written about the backup. */
async function proveOne(folder: string, rehearses: boolean, paths: Paths, io: Io): Promise<number> {
  await sweepShelf(shelfOf(paths));
  const manifest = readManifest(folder);
  const proof = rehearses ? await prove(folder, paths, teller(io)) : await proved(folder, manifest, paths, io);
  return told(folder, manifest, proof, [], io);
}

/** The result stands beside the manifest, and people are told of a bad one. */
async function proved(folder: string, manifest: Manifest, paths: Paths, io: Io): Promise<Proof> {
  const proof = await prove(folder, paths, teller(io));
  writeProof(folder, proof);
  if (proof.ok) rememberProven(paths, folder, manifest.at);
  await alarm(paths, proof.ok ? null : `${folder}: ${proof.says}`);
  return proof;
}

/** An install that does not run has nobody to tell. */
async function alarm(paths: Paths, failed: string | null): Promise<void> {
  const client = new ControlClient(paths.controlSocket);
  await client.call('backup_told', { failed: failed?.slice(0, 1000) ?? null }).catch(() => {});
  client.close();
}

function told(folder: string, manifest: Manifest, proof: Proof, removed: string[], io: Io): number {
  const { at, version, commit, schema, files, without, key } = manifest;
  const bytes = files.reduce((sum, file) => sum + file.bytes, 0);
  if (io.json) {
    io.out(JSON.stringify({ folder, at, version, commit, schema, bytes, key, without, proof, removed }));
    return proof.ok ? 0 : 1;
  }
  io.out(`${folder}: ${showBytes(bytes)}, GlassClaw ${version}, schema ${schema}`);
  for (const { what, why } of without) io.out(`  not in it: ${printable(what)} (${why})`);
  if (key !== null) io.out(`  ! to put it back you need ${printable(key)}: keep a copy of that apart from this`);
  for (const name of removed) io.out(`  removed: ${name}`);
  if (proof.ok) io.out(bold(io, `proven: ${printable(proof.says)}`));
  else io.out(red(io, `✗ not proven: ${printable(proof.says)}`));
  return proof.ok ? 0 : 1;
}

function list(shelf: string, io: Io): number {
  const found = listShelf(shelf);
  if (io.json) io.out(JSON.stringify({ backups: found }));
  else if (found.length === 0) io.out(`there is no backup in ${shelf}`);
  else for (const each of found) io.out(lineOf(each));
  return 0;
}

function lineOf({ name, at, bytes, version, proof }: Shelved): string {
  const age = span(Date.now() - Date.parse(at));
  const state = proof === null ? 'not tried' : proof.ok ? `proven ${proof.at.slice(0, 10)}` : `✗ ${proof.says}`;
  return printable(`${name}  ${showBytes(bytes).padStart(9)}  ${age.padStart(8)} old  ${version}  ${state}`);
}

async function remove(folder: string, shelf: string, yes: boolean, io: Io): Promise<number> {
  const proven = listShelf(shelf).filter(({ proof }) => proof?.ok === true);
  if (!yes && proven.length === 1 && proven[0]!.folder === folder)
    throw new OperatingError(
      'refused',
      'this is the only backup that is proven',
      'add --yes, or make another one first',
    );
  readManifest(folder); // Nothing but a backup is removed here.
  await removeBackup(folder);
  io.out(io.json ? JSON.stringify({ removed: folder }) : `${folder} is removed`);
  return 0;
}
