import { existsSync, readFileSync, rmdirSync, rmSync, statSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { OperatingError } from '../../base/errors.ts';
import { LOOK_MS } from '../../base/limits/upgrade.ts';
import { writeWhole } from '../../base/whole_file.ts';
import { editsOf, type Git } from './git.ts';
import { linkPackages, setsOf, stampOf, sweepPackages } from './packages.ts';
import type { Place, Places } from './record.ts';

/** A git that outlived whoever started it has ended by then; its lock is then nobody's. */
const LOCK_GONE_MS = 10_000;

/**
 * Moves the checkout from one version to the other, with its packages, whatever an earlier move that was cut short has left of it: to
 * call it again ends it. The tree of `to` must be whole. The launcher is replaced first and in one rename, so that there is always a
 * whole one. Rejects with `OperatingError` when the checkout is not that version afterwards.
 */
export async function flip(git: Git, places: Places, from: Place, to: Place): Promise<void> {
  await waitForLock(git);
  const tree = places.tree(to.commit);
  writeWhole(join(places.root, 'glass'), readFileSync(join(tree, 'glass')), 0o755);
  // What the index knows is as it should be: git then leaves that file alone.
  await git.run(['add', 'glass']);
  await git.text('checkout', '--quiet', '--force', '--detach', to.commit);
  await removeOthers(git, from.commit, to.commit);
  await moveBranch(git, from, to);
  sweepPackages(places);
  for (const set of setsOf(tree)) {
    const wanted = stampOf(tree, set);
    if (wanted !== null && stampOf(places.root, set) !== wanted) await linkPackages(places, tree, places.root, set);
  }
  const edits = await editsOf(git);
  if (edits.length > 0 || (await git.text('rev-parse', 'HEAD')) !== to.commit)
    throw new OperatingError('storage', `the checkout is not version ${to.version} (${edits.slice(0, 5).join(', ')})`);
}

/**
 * Of a move that was cut short git knows nothing: files that it had made already would stay, a migration among them, and be taken for
 * part of the version.
 */
async function removeOthers(git: Git, from: string, to: string): Promise<void> {
  const others = await git.lines('diff', '--name-only', '-z', '--no-renames', '--diff-filter=D', from, to);
  for (const path of others) {
    const file = resolve(git.root, path);
    if (!file.startsWith(`${git.root}/`)) continue;
    rmSync(file, { force: true });
    removeEmpty(dirname(file), git.root);
  }
}

function removeEmpty(folder: string, root: string): void {
  try {
    for (let at = folder; at.startsWith(`${root}/`); at = dirname(at)) rmdirSync(at);
  } catch {
    // It holds something, or is gone.
  }
}

/** The branch goes along where it was named for that version: it then points at it, as after a pull. */
async function moveBranch(git: Git, from: Place, to: Place): Promise<void> {
  if (to.branch === null) return;
  const ref = `refs/heads/${to.branch}`;
  const at = await git.maybe('rev-parse', '--verify', '--quiet', ref);
  if (at !== from.commit && at !== to.commit) return; // somebody has moved it: it stays, and nothing is on it
  await git.text('update-ref', '-m', `glass: ${from.version} to ${to.version}`, ref, to.commit);
  await git.text('symbolic-ref', 'HEAD', ref);
}

async function waitForLock(git: Git): Promise<void> {
  const folder = await git.text('rev-parse', '--absolute-git-dir');
  for (const name of ['index.lock', 'HEAD.lock']) {
    const lock = join(folder, name);
    const end = performance.now() + LOCK_GONE_MS;
    while (existsSync(lock) && performance.now() < end) await sleep(LOOK_MS);
    if (!existsSync(lock)) continue;
    if (Date.now() - statSync(lock).mtimeMs < LOCK_GONE_MS)
      throw new OperatingError('conflict', `another git is at work in ${git.root}`, 'wait for its end');
    rmSync(lock, { force: true });
  }
}
