import { accessSync, constants, existsSync, mkdirSync, statSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { messageOf, OperatingError } from '../base/errors.ts';
import { answers, holdLock } from '../base/lock.ts';
import { homeFrom, type Paths, pathsOf } from '../base/paths.ts';
import { keyOf } from '../operations/backup/create.ts';
import { type Manifest, readProof } from '../operations/backup/manifest.ts';
import { endRestore, restoreInto, verifyBackup } from '../operations/backup/restore.ts';
import { findBackup, shelfOf, sweepShelf } from '../operations/backup/shelf.ts';
import { holdBackups, refuseService, teller } from './backup.ts';
import { confirmed } from './confirm.ts';
import { bold, type Io, printable } from './io.ts';
import { split } from './words.ts';

/**
 * `glass restore`: puts a backup into an empty home, or with `--replace` in the place of the install that is there, which goes aside.
 * Every byte is checked first. What comes up is stopped as a whole, because what waited then may have been sent since.
 */
const USAGE = 'glass restore <name|folder> [--home <folder>] [--key <file>] [--replace] [--yes]';

export async function restore(args: string[], paths: Paths, io: Io): Promise<number> {
  const { words, values, flags } = split(args, ['home', 'key'], ['replace', 'yes'], USAGE);
  if (words.length !== 1) throw new OperatingError('usage', USAGE);
  refuseService(paths);
  const folder = findBackup(shelfOf(paths), words[0]!);
  const home = values['home'];
  const target =
    home === undefined ? paths : pathsOf(homeFrom({ ...process.env, GLASS_HOME: resolve(home) }), process.env);
  const key = keyFor(values['key'], paths, target);
  const tell = teller(io);
  const manifest = await verifyBackup(folder, paths.root, tell);
  if (manifest.key !== null && key === null)
    throw new OperatingError(
      'usage',
      `the vault was sealed with ${manifest.key}, which is not in the backup`,
      'name it: --key <file>',
    );
  await holdAll(target);
  makeHome(target.home);
  endRestore(target);
  await sweepShelf(shelfOf(target));
  if (existsSync(target.ledger) && !flags.has('replace'))
    throw new OperatingError(
      'conflict',
      `${target.home} holds an install`,
      'name an empty folder with --home, or add --replace: it goes aside',
    );
  tell('');
  if (!io.json && readProof(folder)?.ok !== true)
    io.err('! no restore of this backup has answered yet: ./glass backup prove tries it, without touching anything');
  if (!(await agreed(target, manifest, flags.has('yes'), io))) return 1;
  tell('putting it back');
  const { aside } = await restoreInto(target, folder, manifest, manifest.key === null ? null : key);
  return told({ target, folder, manifest, aside, from: key }, io);
}

/** The file of the key: what was named, else the one that lies where this install, or the one that is replaced, has it. */
function keyFor(named: string | undefined, ...places: Paths[]): string | null {
  if (named === undefined) return places.map(keyAt).find((path) => existsSync(path)) ?? null;
  if (!existsSync(named)) throw new OperatingError('not_found', `there is no key ${named}`);
  return resolve(named);
}

function keyAt(paths: Paths): string {
  const file = existsSync(paths.config) ? keyOf(paths).file : null;
  return join(paths.gatewayHome, file ?? 'vault.key');
}

/** Nothing may start there, nor may another one of us work there, until this ends. What is just ending is waited for. */
async function holdAll(target: Paths): Promise<void> {
  await holdBackups(target);
  const fix = 'stop it: ./glass down, or name an empty folder with --home';
  const running = (): OperatingError => new OperatingError('conflict', `GlassClaw is running on ${target.home}`, fix);
  const hold = async (): Promise<void> => {
    if (await answers({ path: target.vaultSocket })) throw running();
    await holdLock(`${target.install}/host`, running().message, fix);
  };
  const end = performance.now() + ENDING_MS;
  for (;;) {
    try {
      return await hold();
    } catch (error) {
      if (performance.now() > end) throw error;
      await sleep(AGAIN_MS);
    }
  }
}

const ENDING_MS = 5000;
const AGAIN_MS = 100;

function makeHome(home: string): void {
  try {
    mkdirSync(home, { recursive: true, mode: 0o700 });
    if (statSync(home).uid !== process.geteuid!()) throw new Error('it belongs to another account');
    accessSync(home, constants.W_OK);
  } catch (error) {
    throw new OperatingError(
      'storage',
      `${home} cannot be used: ${messageOf(error)}`,
      'name a folder of your own with --home',
    );
  }
}

async function agreed({ home, ledger }: Paths, { at, version }: Manifest, yes: boolean, io: Io): Promise<boolean> {
  if (yes || !existsSync(ledger)) return true;
  if (!io.json)
    io.err(`${home} gets what it had at ${at} (GlassClaw ${version}). What it has now goes aside, into backups/.`);
  return confirmed('Go on?', '--yes');
}

interface Done {
  target: Paths;
  folder: string;
  manifest: Manifest;
  aside: string | null;
  from: string | null;
}

function told({ target, folder, manifest: { at, counts, key }, aside, from }: Done, io: Io): number {
  if (io.json) {
    io.out(JSON.stringify({ restored: folder, home: target.home, at, ...counts, aside, key: from }));
    return 0;
  }
  io.out(
    bold(io, `${printable(target.home)} is as it was at ${at}: ${counts.messages} messages, ${counts.secrets} secrets`),
  );
  if (key !== null) io.out(`  the key of its vault came from ${printable(from ?? '')}`);
  if (aside !== null) io.out(`  what was there before is in ${printable(aside)}`);
  io.out('It comes up stopped as a whole: what waited then may have been answered or sent since.');
  io.out(`Next: GLASS_HOME=${target.home} ./glass up, look at ./glass status, then ./glass resume --all [--drop-held]`);
  return 0;
}
