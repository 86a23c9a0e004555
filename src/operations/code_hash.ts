import { createHash } from 'node:crypto';
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { shortHash } from '../base/ids.ts';

/** What makes a sandbox's boundary, and what stands inside of it before an agent does. */
const PARTS = [
  'src/runtimes',
  'src/evidence/inspection',
  'src/base/limits/sandbox.ts',
  'src/sessions/spec.ts',
  'src/sessions/folders.ts',
  'sandbox/runner',
  'sandbox/harnesses',
  'sandbox/inspect',
];
const BWRAP = ['/usr/local/lib/glassclaw/bwrap', '/usr/bin/bwrap'];

/** Of the code that makes the boundary, its inspection, and the sandboxing program: another one is proven anew. */
export function boundaryCodeHash(root: string): string {
  const hash = createHash('sha256');
  for (const part of PARTS) for (const file of filesOf(join(root, part))) hash.update(readFileSync(file));
  for (const path of BWRAP) {
    const stat = statSync(path, { throwIfNoEntry: false });
    hash.update(`${path} ${stat?.size ?? 0} ${stat?.mtimeMs ?? 0}`);
  }
  return shortHash(hash.digest('hex'));
}

/** Packages are known by their lock file, which lies beside them. */
function filesOf(path: string): string[] {
  if (statSync(path).isFile()) return [path];
  return readdirSync(path, { withFileTypes: true })
    .filter(({ name }) => name !== 'node_modules')
    .flatMap(({ name }) => filesOf(join(path, name)))
    .sort();
}
