import { existsSync, globSync, mkdirSync, readFileSync, rmSync, symlinkSync } from 'node:fs';
import { basename, join } from 'node:path';
import { OperatingError } from '../../base/errors.ts';
import { GIT_MS, STAGE_MS } from '../../base/limits/upgrade.ts';
import { writeWhole } from '../../base/whole_file.ts';
import type { Git } from './git.ts';
import { linkPackages, sameLock, setsOf, stampOf } from './packages.ts';
import { reasonOf, runProgram } from './programs.ts';
import type { Places } from './record.ts';

/** What installs the packages of one set in a tree: `installPackages`, which is no part of what mends. */
export type InstallSet = (tree: string, set: string) => Promise<void>;

/**
 * Makes the tree of a version below the checkout, with all packages that the checkout has in use, and proves that it starts. Nothing
 * of the checkout is touched but git's list of worktrees. A tree that is there and whole is taken as it is. Rejects with
 * `OperatingError`.
 */
export async function stageTree(git: Git, places: Places, commit: string, install: InstallSet): Promise<string> {
  const tree = places.tree(commit);
  if (await isWhole(git, places, commit)) return tree;
  await removeTree(git, places, tree);
  mkdirSync(places.folder, { recursive: true, mode: 0o755 });
  // Twice: a git that was killed here has left its place locked.
  const made = await git.run(['worktree', 'add', '--detach', '--force', '--force', tree, commit], GIT_MS);
  if (made.status !== 0)
    throw new OperatingError(
      'storage',
      `version ${commit.slice(0, 12)} could not be put beside this one: ${reasonOf(made)}`,
    );
  // Node is kept by its version: another one is got beside the one that runs, once for all trees.
  mkdirSync(join(places.root, '.node'), { recursive: true });
  symlinkSync('../../.node', join(tree, '.node'));
  for (const set of setsOf(tree)) {
    if (stampOf(places.root, set) === null) continue;
    if (sameLock(places.root, tree, set)) await linkPackages(places, places.root, tree, set);
    else if (set !== '.') await install(tree, set);
  }
  await proveStart(tree);
  writeWhole(places.ready(commit), Buffer.from(`${commit}\n`), 0o644);
  return tree;
}

/** Its launcher gets what is still missing, and its code says which version it is. */
async function proveStart(tree: string): Promise<void> {
  // What this process's own launcher has found is for this version.
  const { GLASS_NPM: _, NODE_COMPILE_CACHE: __, ...env } = process.env;
  const ran = await runProgram(join(tree, 'glass'), ['--version'], { cwd: tree, env, ms: STAGE_MS });
  const { version } = JSON.parse(readFileSync(join(tree, 'package.json'), 'utf8')) as { version: string };
  const says = ran.stdout.trim();
  if (ran.status === 0 && says === version) return;
  const why =
    ran.status === 0
      ? `the new version says that it is ${says.slice(0, 40)}, and its package.json ${version}`
      : `the new version does not start on this machine: ${reasonOf(ran)}`;
  throw new OperatingError('unavailable', why);
}

async function isWhole(git: Git, places: Places, commit: string): Promise<boolean> {
  const tree = places.tree(commit);
  if (!existsSync(places.ready(commit)) || !existsSync(join(tree, 'glass'))) return false;
  const same = (await git.maybe('-C', tree, 'rev-parse', 'HEAD')) === commit;
  const edits = same ? await git.maybe('-C', tree, 'status', '--porcelain', '--untracked-files=no') : null;
  return edits === '' && setsOf(tree).every((set) => stampOf(places.root, set) === null || stampOf(tree, set) !== null);
}

/** Also what a killed process has left of it. */
async function removeTree(git: Git, places: Places, tree: string): Promise<void> {
  if (basename(tree) === '' || !tree.startsWith(`${places.folder}/`)) throw new Error(`${tree} is no tree of ours`);
  rmSync(`${tree}.ready`, { force: true });
  rmSync(tree, { recursive: true, force: true });
  await git.run(['worktree', 'prune']);
}

/** Trees of versions that nobody goes back to. */
export async function sweepTrees(git: Git, places: Places, keep: readonly string[]): Promise<void> {
  const kept = keep.map((commit) => basename(places.tree(commit)));
  for (const name of globSync('????????????', { cwd: places.folder }))
    if (/^[0-9a-f]{12}$/.test(name) && !kept.includes(name)) await removeTree(git, places, join(places.folder, name));
}
