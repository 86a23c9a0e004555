import { SHOWN_LINES_MAX } from '../../base/limits/upgrade.ts';
import type { Git } from './git.ts';
import type { Place } from './record.ts';

/** What another version brings, for a person who decides. */
export interface Changes {
  /** Newest first; `count` may be more. */
  commits: string[];
  count: number;
  /** Lines that the changelog has more. */
  changelog: string[];
  /** Names of the migrations to come. */
  migrations: string[];
  node: { from: string; to: string } | null;
  /** Folders whose packages are others, `.` for the root's. */
  packages: string[];
}

const MIGRATIONS = 'src/ledger/migrations';

/** Rejects with `OperatingError` when git fails. */
export async function changesOf(git: Git, from: Place, to: Place): Promise<Changes> {
  const range = `${from.commit}..${to.commit}`;
  const log = ['log', '--no-show-signature', '--format=%h %s', `--max-count=${SHOWN_LINES_MAX}`, range];
  const files = await git.lines('diff', '--name-only', '--no-renames', from.commit, to.commit);
  const [before, after] = [await nodeAt(git, from.commit), await nodeAt(git, to.commit)];
  return {
    commits: await git.lines(...log),
    count: Number(await git.text('rev-list', '--count', range)),
    changelog: addedLines(await textAt(git, from.commit, 'CHANGELOG.md'), await textAt(git, to.commit, 'CHANGELOG.md')),
    migrations: await migrationsBetween(git, from.commit, to.commit),
    node: before === after ? null : { from: before, to: after },
    packages: files
      .filter((file) => file.endsWith('package-lock.json'))
      .map((file) => file.replace(/\/?package-lock\.json$/, '') || '.'),
  };
}

/** Each migration is a file: what the one version has more than the other. */
export async function migrationsBetween(git: Git, from: string, to: string): Promise<string[]> {
  const names = async (commit: string): Promise<string[]> =>
    (await git.lines('ls-tree', '--name-only', commit, `${MIGRATIONS}/`)).map((path) =>
      path.slice(MIGRATIONS.length + 1),
    );
  const known = new Set(await names(from));
  return (await names(to)).filter((name) => !known.has(name)).sort();
}

async function nodeAt(git: Git, commit: string): Promise<string> {
  return /^NODE_VERSION=([\w.]+)/m.exec(await textAt(git, commit, 'glass'))?.[1] ?? 'unknown';
}

async function textAt(git: Git, commit: string, path: string): Promise<string> {
  return (await git.maybe('show', `${commit}:${path}`)) ?? '';
}

/** Lines of the new text that the old one has not, in their order; blank ones and the same line twice left out. */
export function addedLines(before: string, after: string): string[] {
  const known = new Set(before.split('\n').map((line) => line.trim()));
  const added = after.split('\n').filter((line) => line.trim() !== '' && !known.has(line.trim()));
  return [...new Set(added)];
}

/** On the terminal. Lines of others may hold anything: the caller makes them printable. */
export function describeChanges({ commits, count, changelog, migrations, node, packages }: Changes): string[] {
  const cut = (lines: readonly string[], of: number): string[] => [
    ...lines.slice(0, SHOWN_LINES_MAX).map((line) => `  ${line}`),
    ...(of > SHOWN_LINES_MAX ? [`  … and ${of - SHOWN_LINES_MAX} more`] : []),
  ];
  return [
    `${count} ${count === 1 ? 'commit' : 'commits'}:`,
    ...cut(commits, count),
    ...(changelog.length > 0 ? ['New in the changelog:', ...cut(changelog, changelog.length)] : []),
    migrations.length > 0 ? `The ledger is migrated: ${migrations.join(', ')}` : 'The ledger keeps its schema.',
    ...(node === null ? [] : [`Node ${node.from} becomes ${node.to}`]),
    ...(packages.length === 0
      ? []
      : [`Packages change: ${packages.map((folder) => (folder === '.' ? 'the root' : folder)).join(', ')}`]),
  ];
}
