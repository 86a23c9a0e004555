import { existsSync, globSync, mkdirSync, mkdtempSync, readFileSync, realpathSync, renameSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { OperatingError } from '../../base/errors.ts';
import { STAGE_MS } from '../../base/limits/upgrade.ts';
import { reasonOf, runProgram } from './programs.ts';
import type { Places } from './record.ts';

/**
 * Packages of a tree: the root's, and those of harnesses, channels and exporters that are in use. From one tree to another they go
 * as hard links: at once, without the network, at no cost of space, and what they come from stays whole.
 */
const SETS = ['.', 'sandbox/harnesses/*', 'src/channels/*', 'src/evidence/telemetry'];
const MODULES = 'node_modules';
/** The last file of an installation: of the launcher's, of the others'. What it says holds for one lock file. */
const STAMPS = ['.glass-stamp', '.glass-complete'];

/** Folders of a tree that have packages of their own, relative to it; the root's first. */
export function setsOf(tree: string): string[] {
  return SETS.flatMap((pattern) =>
    pattern.includes('*') ? globSync(pattern, { cwd: tree }).sort() : [pattern],
  ).filter((folder) => existsSync(join(tree, folder, 'package-lock.json')));
}

/** Null: there are none, or they are not complete. */
export function stampOf(tree: string, set: string): string | null {
  for (const stamp of STAMPS) {
    try {
      return readFileSync(join(tree, set, MODULES, stamp), 'utf8').trim();
    } catch {
      // another kind of set
    }
  }
  return null;
}

/** Whether both have the same lock file, so that packages of the one are packages of the other. */
export function sameLock(a: string, b: string, set: string): boolean {
  const [x, y] = [a, b].map((tree) => readOrNull(join(tree, set, 'package-lock.json')));
  return x !== null && x === y;
}

/**
 * Gives `to` the packages of `from`, in one rename: before it there are the old ones, after it the new ones, and when it was cut
 * short between, none, which the next call mends. Rejects with `OperatingError('storage')`.
 */
export async function linkPackages(places: Places, from: string, to: string, set: string): Promise<void> {
  mkdirSync(places.folder, { recursive: true, mode: 0o755 });
  const stage = mkdtempSync(join(places.folder, 'packages-'));
  try {
    await linkFolder(realpathSync(join(from, set, MODULES)), join(stage, MODULES));
    const target = join(to, set, MODULES);
    mkdirSync(dirname(target), { recursive: true });
    if (existsSync(target)) renameSync(target, join(stage, 'old'));
    renameSync(join(stage, MODULES), target);
  } finally {
    rmSync(stage, { recursive: true, force: true });
  }
}

async function linkFolder(from: string, to: string): Promise<void> {
  const env = { PATH: process.env['PATH'] ?? '/usr/bin:/bin', LC_ALL: 'C' };
  const ran = await runProgram('cp', ['--archive', '--link', '--', from, to], { cwd: '/', env, ms: STAGE_MS });
  if (ran.status === 0) return;
  // Another file system, or files of another account: links are refused there, and a copy is as good.
  rmSync(to, { recursive: true, force: true });
  const copied = await runProgram('cp', ['--archive', '--', from, to], { cwd: '/', env, ms: STAGE_MS });
  if (copied.status !== 0)
    throw new OperatingError(
      'storage',
      `packages could not be put into ${dirname(to)}: ${reasonOf(copied)}`,
      'free some space',
    );
}

/** Of a process that was killed while it linked. */
export function sweepPackages(places: Places): void {
  for (const left of globSync('packages-??????', { cwd: places.folder }))
    rmSync(join(places.folder, left), { recursive: true, force: true });
}

function readOrNull(path: string): string | null {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return null;
  }
}
