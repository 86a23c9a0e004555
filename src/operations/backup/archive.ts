import { spawn } from 'node:child_process';
import { createWriteStream, existsSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { pipeline } from 'node:stream/promises';
import { messageOf, OperatingError } from '../../base/errors.ts';
import { ARCHIVE_LINES_MAX, ARCHIVE_MS } from '../../base/limits/backups.ts';
import type { Paths } from '../../base/paths.ts';
import { LAUNCH_ENV } from '../../runtimes/bubblewrap_check.ts';
import { mountAt } from '../../runtimes/mounts.ts';

/**
 * Everything of a home but its databases, as one archive of GNU tar. What is in workspaces and states was written by agents: tar walks
 * from folder to folder without following a link, opens nothing but files and folders, and reads each no further than its size when
 * it came to it. Holes stay holes.
 */
const PARTS = ['glass.yaml', 'prices.json', 'ca.key', 'groups', 'authorities', 'sessions', 'channels', 'blobs'];

/** What of the home goes in, and what of it does not: a workspace once, as its files or as its image. */
export interface Selection {
  parts: string[];
  excluded: string[];
  /** Groups whose workspace is in it as an image: nobody has it mounted. */
  images: string[];
}

export function selectionOf(paths: Paths): Selection {
  const parts = PARTS.filter((name) => existsSync(join(paths.home, name)));
  const excluded: string[] = [];
  const images: string[] = [];
  for (const name of foldersOf(paths.groups)) {
    const { image, workspace } = paths.group(name);
    const relative = `groups/${name}/workspace`;
    // A draft is of a start that was killed, and worth nothing.
    excluded.push(`${relative}.draft`, `${relative}.img.draft`);
    if (!existsSync(image)) continue;
    const isMounted = mountAt(workspace) !== null;
    if (!isMounted) images.push(name);
    excluded.push(isMounted ? `${relative}.img` : relative, `${relative}.plain`);
  }
  return { parts, excluded, images };
}

function foldersOf(folder: string): string[] {
  if (!existsSync(folder)) return [];
  return readdirSync(folder, { withFileTypes: true }).flatMap((entry) => (entry.isDirectory() ? [entry.name] : []));
}

/** Whether a workspace that was archived as an image was mounted meanwhile: then it is not of one moment. */
export function wasDisturbed(paths: Paths, { images }: Selection): boolean {
  return images.some((name) => mountAt(paths.group(name).workspace) !== null);
}

/** What the disk holds of it, in bytes. Rejects with `OperatingError`. */
export async function bytesOf(paths: Paths, { parts, excluded }: Selection): Promise<number> {
  const argv = ['-sk', ...excluded.map((name) => `--exclude=./${name}`), '--', ...parts.map((name) => `./${name}`)];
  let kib = 0;
  const { code, says } = await runTool('du', argv, paths.home, (line) => {
    kib += Number(/^(\d+)\t/.exec(line)?.[1] ?? 0);
  });
  // What changes or cannot be read meanwhile is no reason: it is an estimate.
  if (code > 1) throw failed('the size of the home', 'du', code, says);
  return kib * 1024;
}

/** Writes the archive. Resolves with what could not be read, as tar says it. Rejects with `OperatingError`; the file is then worth nothing. */
export async function writeArchive(paths: Paths, { parts, excluded }: Selection, file: string): Promise<string[]> {
  const argv = [
    ...[
      '--create',
      '--format=posix',
      '--sparse',
      '--numeric-owner',
      '--ignore-failed-read',
      '--no-wildcards',
      '--anchored',
    ],
    ...excluded.map((name) => `--exclude=${name}`),
    ...['--', ...parts],
  ];
  const child = start('tar', argv, paths.home, 'pipe');
  const { lines, ended } = listen(child);
  try {
    await pipeline(child.stdout!, createWriteStream(file, { flags: 'wx', mode: 0o600, flush: true }));
  } catch (error) {
    child.kill('SIGKILL');
    throw new OperatingError(
      'storage',
      `${file} cannot be written: ${messageOf(error)}`,
      'make room on that disk',
      error,
    );
  }
  const code = await ended;
  // 1: a file was changed while it was read, as files of a running agent are.
  if (code === 0 || code === 1) return lines.filter((line) => !IN_PASSING.test(line));
  throw failed('the files of the home', 'tar', code, lines.at(-1) ?? '');
}

/** Nobody misses it: it was changed meanwhile, or cannot be kept at all. */
const IN_PASSING = /file changed as we read it|socket ignored|File removed before we read it|Removing leading/;

/** Unpacks into a folder that is empty. `owners`: each file is given to whom it belonged. Rejects with `OperatingError`. */
export async function readArchive(file: string, into: string, owners: boolean): Promise<void> {
  const argv = [
    ...[
      '--extract',
      `--file=${file}`,
      '--force-local',
      '--numeric-owner',
      '--preserve-permissions',
      '--delay-directory-restore',
    ],
    ...['--keep-old-files', owners ? '--same-owner' : '--no-same-owner'],
  ];
  const { code, says } = await runTool('tar', argv, into, () => {});
  if (code !== 0) throw failed(`${statSync(file).size} bytes of files`, 'tar', code, says);
}

async function runTool(
  tool: string,
  argv: string[],
  cwd: string,
  onLine: (line: string) => void,
): Promise<{ code: number; says: string }> {
  const child = start(tool, argv, cwd, 'pipe');
  createInterface({ input: child.stdout! }).on('line', onLine);
  const { lines, ended } = listen(child);
  const code = await ended;
  return { code, says: lines.at(-1) ?? '' };
}

function start(tool: string, argv: string[], cwd: string, stdout: 'pipe') {
  return spawn(tool, argv, { cwd, env: LAUNCH_ENV, stdio: ['ignore', stdout, 'pipe'], timeout: ARCHIVE_MS });
}

/** The first lines of what it says besides, and its exit code; -1: it could not run, or not to its end. */
function listen(child: ReturnType<typeof start>): { lines: string[]; ended: Promise<number> } {
  const lines: string[] = [];
  createInterface({ input: child.stderr! }).on('line', (line) => {
    if (lines.length < ARCHIVE_LINES_MAX) lines.push(line.slice(0, 200));
  });
  const ended = new Promise<number>((resolve) => {
    child.once('error', (error) => {
      lines.push(error.message);
      resolve(-1);
    });
    child.once('close', (code) => resolve(code ?? -1));
  });
  return { lines, ended };
}

function failed(what: string, tool: string, code: number, says: string): OperatingError {
  const why = says === '' ? `${tool} ended with ${code}` : says;
  return new OperatingError('storage', `${what} cannot be copied: ${why}`, `look at the disk; ${tool} must be there`);
}
