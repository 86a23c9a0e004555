import {
  cpSync,
  existsSync,
  globSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  renameSync,
  rmSync,
  statSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { type Paths, ROOT } from '../../src/base/paths.ts';
import { codeCacheOf } from '../../src/operations/warm_up.ts';

/**
 * Compiled code of sandboxes, handed on from one throw-away home to the next: each would spend a processor second on its own. Node
 * checks every entry against the source that it belongs to, so a sabotaged copy takes nothing wrong. A change of the sources
 * begins anew, or what was compiled of older ones would stand in the place of a warm-up for good.
 */
const SHARED = join(
  tmpdir(),
  `gc-sandbox-code-${process.geteuid!()}`,
  String(newest(['sandbox', 'src/base', 'src/protocol'])),
);

/** When the last of the sources was changed, in milliseconds. */
function newest(folders: string[]): number {
  const files = folders.flatMap((folder) =>
    globSync(`${folder}/**/*.ts`, { cwd: ROOT, exclude: ['**/node_modules/**'] }),
  );
  return Math.max(...files.map((file) => Math.round(statSync(join(ROOT, file)).mtimeMs)));
}

/** Before a home's first start. */
export function takeWarmCode(paths: Paths): void {
  const folder = codeCacheOf(paths);
  const kept = join(SHARED, basename(folder));
  if (existsSync(kept) && !existsSync(folder)) cpSync(kept, folder, { recursive: true });
}

/** Before a home is removed: what it has warmed up and nobody before it had. */
export function keepWarmCode(paths: Paths): void {
  const folder = codeCacheOf(paths);
  const kept = join(SHARED, basename(folder));
  if (!existsSync(folder)) return;
  mkdirSync(kept, { recursive: true });
  for (const harness of readdirSync(folder).filter((name) => !name.startsWith('.'))) {
    if (existsSync(join(kept, harness)) || readdirSync(join(folder, harness)).length === 0) continue;
    const draft = mkdtempSync(join(SHARED, 'draft-'));
    cpSync(join(folder, harness), join(draft, harness), { recursive: true });
    try {
      renameSync(join(draft, harness), join(kept, harness));
    } catch {
      // Another one was quicker.
    }
    rmSync(draft, { recursive: true, force: true });
  }
}
