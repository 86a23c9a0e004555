import { spawnSync } from 'node:child_process';
import { cpSync, globSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { ROOT } from '../source_tree.ts';

/** Copies of this checkout, and what the launcher finds on a machine. */

/** What a clone holds; with `complete` also what the launcher would get, without another download. */
export function copyCheckout(to: string, complete: boolean): void {
  const files = globSync('{glass,*.json,{src,sandbox,templates}/**}', {
    cwd: ROOT,
    exclude: ['**/node_modules/**'],
    withFileTypes: true,
  });
  for (const entry of files.filter((file) => file.isFile())) {
    const from = join(entry.parentPath, entry.name);
    const target = join(to, from.slice(ROOT.length));
    mkdirSync(dirname(target), { recursive: true });
    cpSync(from, target);
  }
  if (!complete) return;
  const node = join(to, '.node', pinnedVersion(), 'bin/node');
  mkdirSync(dirname(node), { recursive: true });
  cpSync(process.execPath, node);
  for (const name of Object.keys(JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')).dependencies))
    cpSync(join(ROOT, 'node_modules', name), join(to, 'node_modules', name), { recursive: true });
  const sum = spawnSync('cksum', { input: readFileSync(join(to, 'package-lock.json')), encoding: 'utf8' });
  writeFileSync(join(to, 'node_modules/.glass-stamp'), `needed ${sum.stdout}`);
}

export function pinnedVersion(): string {
  return /^NODE_VERSION=([\d.]+)/m.exec(readFileSync(join(ROOT, 'glass'), 'utf8'))![1]!;
}

/** Makes a folder for PATH with what the launcher always uses, and that. */
export function fewPrograms(bin: string, more: string[]): string {
  mkdirSync(bin);
  for (const program of ['sh', 'readlink', 'dirname', 'mktemp', 'id', 'rm', 'cat', 'cksum', ...more])
    symlinkSync(
      spawnSync('sh', ['-c', `command -v ${program}`], { encoding: 'utf8' }).stdout.trim(),
      join(bin, program),
    );
  return bin;
}
