import { existsSync, realpathSync } from 'node:fs';
import { join } from 'node:path';
import { OperatingError } from '../../base/errors.ts';
import { FETCH_MS, GIT_MS } from '../../base/limits/upgrade.ts';
import { type Ran, reasonOf, runProgram } from './programs.ts';
import { parseVersion, type Relation } from './versions.ts';

/** What git is asked of a checkout. Its hooks and helpers are not run, and nobody is asked for a password. */
export class Git {
  readonly root: string;

  constructor(root: string) {
    this.root = root;
  }

  run(args: readonly string[], ms = GIT_MS, onLine?: (line: string) => void): Promise<Ran> {
    const quiet = ['-c', 'core.hooksPath=/dev/null', '-c', 'core.fsmonitor=false', '-c', 'advice.detachedHead=false'];
    const what = onLine === undefined ? {} : { onLine, what: `git ${args[0]}` };
    return runProgram('git', [...quiet, ...args], { cwd: this.root, env: gitEnv(), ms, ...what });
  }

  /** Its output without the last line end. Rejects with `OperatingError('unavailable')`. */
  async text(...args: string[]): Promise<string> {
    const ran = await this.run(args);
    if (ran.status !== 0) throw failed(args, ran);
    return ran.stdout.replace(/\n$/, '');
  }

  /** Null: it says no. */
  async maybe(...args: string[]): Promise<string | null> {
    const { status, stdout } = await this.run(args);
    return status === 0 ? stdout.replace(/\n$/, '') : null;
  }

  async lines(...args: string[]): Promise<string[]> {
    const text = await this.text(...args);
    return text.split(args.includes('-z') ? '\0' : '\n').filter((line) => line !== '');
  }
}

/** Where git was called from, as for a hook, says nothing about this checkout. */
function gitEnv(): NodeJS.ProcessEnv {
  const own = Object.fromEntries(Object.entries(process.env).filter(([name]) => !/^GIT_(?!SSH|SSL|PROXY)/.test(name)));
  const ssh = process.env['GIT_SSH_COMMAND'] ?? 'ssh -o BatchMode=yes -o ConnectTimeout=20';
  return { ...own, LC_ALL: 'C', GIT_TERMINAL_PROMPT: '0', GIT_ASKPASS: '/bin/true', GIT_SSH_COMMAND: ssh };
}

function failed(args: readonly string[], ran: Ran): OperatingError {
  return new OperatingError('unavailable', `git ${args[0]} failed: ${reasonOf(ran)}`, 'run it by hand in the checkout');
}

const BY_HAND =
  'by hand: ./glass backup, ./glass down, put the new version in its place, ./glass up --trial, ./glass up';

/** What is checked out. */
export interface Checkout {
  commit: string;
  version: string;
  branch: string | null;
  /** That versions come from. */
  remote: string;
  /** `origin/main`; null: the branch follows none. */
  upstream: string | null;
}

/** Rejects with `OperatingError` and what to do where this is no clone, or one of somebody else. */
export async function readCheckout(git: Git): Promise<Checkout> {
  const top = await git.run(['rev-parse', '--show-toplevel']);
  if (/dubious ownership/.test(top.stderr))
    throw new OperatingError(
      'refused',
      `${git.root} belongs to another account, and git takes no orders in it`,
      'run ./glass upgrade as its owner',
    );
  if (top.status === null && !top.isLate && /ENOENT/.test(top.stderr))
    throw new OperatingError('unavailable', 'git is missing', `apt install git, or ${BY_HAND}`);
  if (top.status !== 0 || realpathSync(top.stdout.trim()) !== realpathSync(git.root))
    throw new OperatingError('refused', `${git.root} is no clone of a repository`, BY_HAND);
  const branch = await git.maybe('symbolic-ref', '--quiet', '--short', 'HEAD');
  const upstream = await git.maybe('rev-parse', '--abbrev-ref', '--symbolic-full-name', '@{upstream}');
  const followed = branch === null ? null : await git.maybe('config', `branch.${branch}.remote`);
  const remote = followed !== null && followed !== '.' ? followed : 'origin';
  if ((await git.maybe('remote', 'get-url', remote)) === null)
    throw new OperatingError(
      'refused',
      `this clone has no ${remote} that new versions could come from`,
      `git remote add origin <address>, or ${BY_HAND}`,
    );
  const commit = await git.text('rev-parse', 'HEAD');
  return { commit, branch, upstream, remote, version: await versionAt(git, commit) };
}

/** What stands in package.json there; rejects with `OperatingError('refused')` where there is none. */
export async function versionAt(git: Git, commit: string): Promise<string> {
  const text = await git.maybe('show', `${commit}:package.json`);
  try {
    const { name, version } = JSON.parse(text ?? '') as { name?: string; version?: string };
    if (name === 'glassclaw' && version !== undefined && parseVersion(version) !== null) return version;
  } catch {
    // said below
  }
  throw new OperatingError('refused', `${commit.slice(0, 12)} is no version of GlassClaw`, 'name another one');
}

/** Files that a move would lose: changed ones that git knows. */
export async function editsOf(git: Git): Promise<string[]> {
  const status = await git.lines('status', '--porcelain', '-z', '--untracked-files=no', '--no-renames');
  return status.map((line) => line.slice(3));
}

/** Files that only lie here, where the other version has one of its own: git would write over them. */
export async function inTheWay(git: Git, from: string, to: string): Promise<string[]> {
  const added = await git.lines('diff', '--name-only', '-z', '--no-renames', '--diff-filter=A', from, to);
  return added.filter((path) => existsSync(join(git.root, path)));
}

/** Rejects with `OperatingError('unavailable')` when the origin cannot be reached. */
export async function fetchNews(git: Git, remote: string, onLine: (line: string) => void): Promise<void> {
  const ran = await git.run(['fetch', '--tags', '--no-recurse-submodules', remote], FETCH_MS, (line) => {
    if (line.startsWith('…')) onLine(line);
  });
  if (ran.status === 0) return;
  if (/would clobber existing tag/.test(ran.stderr))
    throw new OperatingError(
      'refused',
      `a tag at ${remote} is another one than here: a version was made anew under its old name`,
      `look why, then git fetch --tags --force ${remote}`,
    );
  const said = ran.stderr.split('\n').find((line) => /^(?:fatal|ssh|error|remote):/.test(line));
  throw new OperatingError(
    'unavailable',
    `${remote} cannot be reached, so nothing is known of newer versions (${said?.replace(/^\w+: /, '') ?? reasonOf(ran)})`,
    'nothing was changed; try again when it can be',
  );
}

/** Tags of versions that are there now: one that was withdrawn is still known here. Rejects with `OperatingError('unavailable')`. */
export async function tagsAt(git: Git, remote: string): Promise<string[]> {
  const args = ['ls-remote', '--tags', '--refs', remote, 'refs/tags/v*'];
  const ran = await git.run(args, FETCH_MS);
  if (ran.status !== 0) throw failed(args, ran);
  return ran.stdout.split('\n').flatMap((line) => line.split('\trefs/tags/')[1] ?? []);
}

/** Rejects with `OperatingError('not_found')`. */
export async function commitOf(git: Git, ref: string, remote: string): Promise<string> {
  const tries = ref.startsWith('-') ? [] : [ref, `${remote}/${ref}`];
  for (const name of [...tries.slice(1), ...tries.slice(0, 1)]) {
    const commit = await git.maybe('rev-parse', '--verify', '--quiet', '--end-of-options', `${name}^{commit}`);
    if (commit !== null) return commit;
  }
  throw new OperatingError('not_found', `there is no version "${ref}"`, `git tag, and git branch -r, list them`);
}

export async function relationOf(git: Git, here: string, there: string): Promise<Relation> {
  if (here === there) return 'same';
  const isIn = async (a: string, b: string): Promise<boolean> =>
    (await git.run(['merge-base', '--is-ancestor', a, b])).status === 0;
  if (await isIn(here, there)) return 'newer';
  return (await isIn(there, here)) ? 'older' : 'aside';
}

/** Commits that are here alone. */
export async function ownCommits(git: Git, commit: string): Promise<number> {
  return Number(await git.text('rev-list', '--count', commit, '--not', '--remotes', '--tags'));
}
