import { execFile } from 'node:child_process';
import { chmodSync, lchownSync, lstatSync, mkdirSync, readdirSync, rmdirSync, rmSync, type Stats } from 'node:fs';
import { basename, join } from 'node:path';
import { promisify } from 'node:util';
import { describeError, messageOf, OperatingError, unreachable } from '../base/errors.ts';
import { MEND_COMMAND_MS } from '../base/limits/telemetry.ts';
import type { Finding, Mend } from './finding.ts';
import { installPackages } from './package_install.ts';

/** What `glass doctor --fix` does with what it found. */
export interface Mended {
  what: string;
  done: boolean;
  /** What was done, or why nothing was. */
  says: string;
}

export interface MendWith {
  uid: number;
  /** Rejects with `OperatingError` where there is nobody to ask. */
  confirm(question: string): Promise<boolean>;
  onProgress(line: string): void;
}

/** Does what the findings name, one after the other; one that fails keeps no other from being done. Never rejects. */
export async function mendAll(findings: readonly Finding[], how: MendWith): Promise<Mended[]> {
  const done: Mended[] = [];
  for (const { what, mend, fix } of findings) {
    if (mend === undefined) {
      if (fix !== null) done.push({ what, done: false, says: `this is for you to do: ${fix}` });
      continue;
    }
    done.push({ what, ...(await mendOne(mend, how)) });
  }
  return done;
}

async function mendOne(mend: Mend, how: MendWith): Promise<Omit<Mended, 'what'>> {
  const question = questionOf(mend);
  try {
    if (question !== null && how.uid !== 0)
      return { done: false, says: `it needs root: run sudo ./glass doctor --fix, or do it by hand (${question})` };
    if (question !== null && !(await how.confirm(question))) return { done: false, says: 'you said no' };
    return { done: true, says: await act(mend, how) };
  } catch (error) {
    return {
      done: false,
      says: error instanceof OperatingError ? describeError(error) : `it failed: ${messageOf(error)}`,
    };
  }
}

/** Null: it is safe, and done without asking. */
function questionOf(mend: Mend): string | null {
  if (mend.do === 'owner') return `Give ${mend.path} to uid ${mend.uid}?`;
  return mend.do === 'command' ? mend.ask : null;
}

/** Returns what was done. Throws when it could not be. */
async function act(mend: Mend, { onProgress }: MendWith): Promise<string> {
  switch (mend.do) {
    case 'mode':
      chmodNoLink(mend.path, mend.mode);
      return `${mend.path} has mode ${mend.mode.toString(8)} now`;
    case 'folder':
      mkdirSync(mend.path, { recursive: true, mode: mend.mode });
      return `made ${mend.path}`;
    case 'remove':
      for (const path of mend.paths) removeHarmless(path);
      return `removed ${mend.paths.join(', ')}`;
    case 'unmount':
      await run(['umount', mend.target]);
      return `unmounted ${mend.target}`;
    case 'reap':
      return `ended ${await mend.runtime.reap(mend.install)} sandboxes, and what they had`;
    case 'packages':
      await installPackages(mend.root, mend.set, onProgress);
      return `installed the packages of ${mend.set.title}`;
    case 'owner':
      lchownSync(mend.path, mend.uid, mend.gid);
      return `${mend.path} belongs to uid ${mend.uid} now`;
    case 'command':
      await run(mend.argv);
      return `ran ${mend.argv.join(' ')}`;
    default:
      return unreachable(mend);
  }
}

/** A link's target is somebody else's. */
function chmodNoLink(path: string, mode: number): void {
  if (lstatSync(path).isSymbolicLink()) throw new Error(`${path} is a link by now`);
  chmodSync(path, mode);
}

/** Names of what a process has begun to write and given up, and of pid files in a run folder. */
export const DRAFT = /^(?:\.incoming-[\w-]{12}|ledger\.db\.migrating(?:-wal|-shm|-journal)?)$/;
export const PID_FILE = /^(?:host|gateway|sandbox-s\d+)\.pid$/;

/** Throws for whatever could be somebody's: it was looked at before, and looked at again now. */
function removeHarmless(path: string): void {
  const stat = lstatSync(path, { throwIfNoEntry: false });
  if (stat === undefined) return;
  if (stat.isDirectory()) {
    for (const name of readdirSync(path)) removeHarmless(join(path, name));
    return rmdirSync(path);
  }
  if (!isHarmless(path, stat)) throw new Error(`${path} is a file of somebody`);
  rmSync(path);
}

function isHarmless(path: string, stat: Stats): boolean {
  const name = basename(path);
  return stat.isSocket() || stat.isSymbolicLink() || (stat.isFile() && (DRAFT.test(name) || PID_FILE.test(name)));
}

async function run([program, ...args]: string[]): Promise<void> {
  await promisify(execFile)(program!, args, { timeout: MEND_COMMAND_MS });
}
