import { spawn } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, mkdtempSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { messageOf, OperatingError, systemCodeOf } from '../base/errors.ts';
import { installStamp, isComplete, type PackageSet } from '../base/packages.ts';

/**
 * Gets the packages of a harness or a channel: exactly those of its lock file, without package scripts. They are put together in a
 * folder of their own and moved into place when they are complete, so that neither an interruption nor a second
 * installation at the same time leaves half of them.
 */

/** Longer than 430 MB take on a slow line; npm has its own, shorter limits for a registry that does not answer. */
const INSTALL_MS = 30 * 60_000;
const PROGRESS_MS = 5000;
/** npm's last lines, kept to explain a failure. */
const OUTPUT_CHARS_MAX = 4000;

type OnProgress = (line: string) => void;

/**
 * Returns whether anything was to be done. Rejects with `OperatingError`: `unavailable` when npm is missing or fails,
 * `storage` when the checkout cannot be written.
 */
export async function installPackages(root: string, set: PackageSet, onProgress: OnProgress): Promise<boolean> {
  const { folder, title } = set;
  if (isComplete(folder)) return false;
  onProgress(`Installing the packages of ${title} (${set.size_mb} MB)`);
  const began = performance.now();
  const stage = makeStage(root, set);
  try {
    for (const file of ['package.json', 'package-lock.json', '.npmrc']) {
      const from = join(folder, file);
      if (existsSync(from)) cpSync(from, join(stage, file));
    }
    await runNpm(stage, onProgress);
    removeForeignLibc(join(stage, 'node_modules'));
    moveIntoPlace(folder, stage);
  } catch (error) {
    if (error instanceof OperatingError) throw error;
    throw new OperatingError('storage', `the packages of ${title} could not be put into ${root} (${messageOf(error)})`);
  } finally {
    rmSync(stage, { recursive: true, force: true });
  }
  onProgress(`The packages of ${title} are installed (${Math.round((performance.now() - began) / 1000)} s)`);
  return true;
}

/** In `.node`, which is on the same file system as their place, so that the last step is a rename. */
function makeStage(root: string, { title, command }: PackageSet): string {
  try {
    mkdirSync(join(root, '.node'), { recursive: true });
    return mkdtempSync(join(root, '.node/packages-'));
  } catch (error) {
    throw new OperatingError(
      'storage',
      `the packages of ${title} cannot be installed: ${root} cannot be written (${systemCodeOf(error)})`,
      `let the owner of that folder run ${command}`,
      error,
    );
  }
}

/** The launcher says which npm it found. It runs with this Node, which need not be the one that came with it. */
function runNpm(folder: string, onProgress: OnProgress): Promise<void> {
  const npm = process.env['GLASS_NPM'] ?? 'npm';
  const args = ['ci', '--ignore-scripts', '--no-audit', '--no-fund', '--omit=dev', '--libc=glibc', '--loglevel=error'];
  // As the launcher does: behind a company's proxy only the system's store knows its certificate.
  const env = { ...process.env, NODE_USE_SYSTEM_CA: '1' };
  const child = spawn(npm, args, { cwd: folder, env, stdio: ['ignore', 'pipe', 'pipe'] });
  // Not spawn's own timeout: of a program that is not there it keeps this process alive until it is over.
  const late = setTimeout(() => child.kill(), INSTALL_MS);
  let output = '';
  const keep = (chunk: Buffer): void => {
    output = (output + chunk.toString('utf8')).slice(-OUTPUT_CHARS_MAX);
  };
  child.stdout.on('data', keep);
  child.stderr.on('data', keep);
  const began = performance.now();
  const timer = setInterval(() => onProgress(`… ${Math.round((performance.now() - began) / 1000)} s`), PROGRESS_MS);
  return new Promise<void>((resolve, reject) => {
    child.once('error', (error) =>
      reject(new OperatingError('unavailable', `npm cannot be run (${messageOf(error)})`, 'apt install npm', error)),
    );
    child.once('close', (code) => (code === 0 ? resolve() : reject(npmFailed(output))));
  }).finally(() => {
    clearInterval(timer);
    clearTimeout(late);
  });
}

function npmFailed(output: string): OperatingError {
  const line = output.split('\n').find((text) => /^npm (error|ERR!) (?!code|A complete log)/.test(text)) ?? '';
  const reason = line.replace(/^npm (error|ERR!)\s*/, '') || 'no reason given';
  return new OperatingError('unavailable', `npm could not get the packages: ${reason}`, 'is the registry reachable?');
}

/** npm before version 10 knows no `--libc` and brings the packages for musl too: 200 MB that nothing here can run. */
function removeForeignLibc(modules: string): void {
  if (!existsSync(modules)) return;
  for (const scope of readdirSync(modules).filter((entry) => entry.startsWith('@'))) {
    for (const entry of readdirSync(join(modules, scope))) {
      if (entry.endsWith('-musl')) rmSync(join(modules, scope, entry), { recursive: true });
    }
  }
}

function moveIntoPlace(folder: string, stage: string): void {
  const { file, content } = installStamp(folder);
  const target = join(folder, 'node_modules');
  mkdirSync(join(stage, 'node_modules'), { recursive: true }); // a set of no packages at all
  writeFileSync(join(stage, 'node_modules/.glass-complete'), `${content}\n`);
  if (isComplete(folder)) return; // Somebody else was quicker; theirs may be in use already.
  if (existsSync(target)) renameSync(target, join(stage, 'old'));
  renameSync(join(stage, 'node_modules'), target);
  if (!existsSync(file)) throw new Error(`${file} is missing`);
}
