import { existsSync, statSync } from 'node:fs';
import { OperatingError } from '../../base/errors.ts';
import { UPGRADE_FREE_BYTES_MIN } from '../../base/limits/upgrade.ts';
import type { Paths } from '../../base/paths.ts';
import { type Changes, changesOf, describeChanges } from '../../operations/upgrade/changes.ts';
import { requireFree, requireSpace } from '../../operations/upgrade/databases.ts';
import {
  type Checkout,
  commitOf,
  editsOf,
  fetchNews,
  type Git,
  inTheWay,
  ownCommits,
  readCheckout,
  relationOf,
  tagsAt,
  versionAt,
} from '../../operations/upgrade/git.ts';
import type { Place } from '../../operations/upgrade/record.ts';
import { chooseRef, judge } from '../../operations/upgrade/versions.ts';
import { type Io, printable } from '../io.ts';
import { otherInstall, type Say, serviceRefused } from './rest.ts';

/** What an upgrade would do; `changes` is null when there is nothing to do. */
export interface Looked {
  from: Place;
  to: Place;
  ref: string;
  changes: Changes | null;
}

/** Looks at checkout and origin, and changes neither. Rejects with `OperatingError` and what to do where an upgrade is refused. */
export async function look(git: Git, asked: string | null, paths: Paths, say: Say): Promise<Looked> {
  const here = await readCheckout(git);
  refuseShared(git.root, paths);
  await refuseEdits(git);
  say(`looking what there is at ${here.remote}`);
  await fetchNews(git, here.remote, say);
  const choice = chooseRef(asked, await tagsAt(git, here.remote), here.upstream);
  if (choice === null)
    throw new OperatingError(
      'not_found',
      `${here.remote} has no version tags, and this branch follows none of its`,
      'name a version: ./glass upgrade <ref>',
    );
  const commit = await commitOf(git, choice.ref, here.remote);
  const to: Place = { commit, version: await versionAt(git, commit), branch: null };
  const relation = await relationOf(git, here.commit, commit);
  const own = relation === 'aside' ? await ownCommits(git, here.commit) : 0;
  const verdict = judge({ relation, here: here.version, there: to.version, kind: choice.kind, own });
  if (verdict.do === 'refuse') throw new OperatingError('refused', verdict.says, verdict.fix);
  const from: Place = { commit: here.commit, version: here.version, branch: here.branch };
  // A branch goes along where git would fast-forward it.
  if (relation === 'newer') to.branch = here.branch;
  if (verdict.do === 'nothing') return { from, to, ref: choice.ref, changes: null };
  await refuseInTheWay(git, here, commit);
  if (existsSync(paths.home)) requireSpace(paths);
  requireFree(git.root, UPGRADE_FREE_BYTES_MIN, 'the new version and its packages');
  return { from, to, ref: choice.ref, changes: await changesOf(git, from, to) };
}

/** The code of a checkout moves for all that run it. Throws `OperatingError`. */
export function refuseShared(root: string, paths: Paths): void {
  if (paths.isService) throw serviceRefused();
  const owner = existsSync(paths.home) ? statSync(paths.home).uid : process.geteuid!();
  if (owner !== process.geteuid!())
    throw new OperatingError(
      'refused',
      `${paths.home} belongs to uid ${owner}, which alone can start it`,
      'run it as that account',
    );
  const other = otherInstall(root, paths);
  if (other === 'the service of systemd') throw serviceRefused();
  if (other !== null)
    throw new OperatingError(
      'conflict',
      `another install runs from this checkout, too (${other}), and would get its code changed under it`,
      'end it first, or give each home a clone of its own',
    );
}

export async function refuseEdits(git: Git): Promise<void> {
  const edits = await editsOf(git);
  if (edits.length === 0) return;
  throw new OperatingError(
    'refused',
    `files of this checkout are edited, and that would be lost: ${named(edits)}`,
    'git stash, or commit them on a branch of your own',
  );
}

async function refuseInTheWay(git: Git, here: Checkout, commit: string): Promise<void> {
  const files = await inTheWay(git, here.commit, commit);
  if (files.length === 0) return;
  throw new OperatingError(
    'refused',
    `files of yours lie where the new version has its own: ${named(files)}`,
    'move them out of the checkout',
  );
}

function named(files: readonly string[]): string {
  const shown = files.slice(0, 10).map(printable).join(', ');
  return files.length > 10 ? `${shown} and ${files.length - 10} more` : shown;
}

/** Exit code of `--check`: 0, there is nothing to do; 1, there is. */
export function tellLooked({ from, to, ref, changes }: Looked, io: Io): number {
  const json = {
    ref,
    from: shown(from),
    to: shown(to),
    newer: changes !== null,
    ...(changes === null ? {} : { changes }),
  };
  if (io.json) io.out(JSON.stringify(json));
  else if (changes === null) io.out(`${nameOf(from)} is the newest: there is nothing to do`);
  else for (const line of tableOf({ from, to, ref, changes })) io.out(printable(line));
  return changes === null ? 0 : 1;
}

export function tableOf({ from, to, ref, changes }: Looked): string[] {
  return [`${nameOf(from)} → ${nameOf(to)}, ${ref}`, ...(changes === null ? [] : describeChanges(changes))];
}

export function nameOf({ version, commit }: Place): string {
  return `${version} (${commit.slice(0, 12)})`;
}

export function shown({ version, commit }: Place): { version: string; commit: string } {
  return { version, commit };
}
