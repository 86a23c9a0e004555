import { cpSync, existsSync, mkdirSync, mkdtempSync, readdirSync, renameSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import type { Paths } from '../../src/base/paths.ts';
import { codeCacheOf } from '../../src/operations/warm_up.ts';

/**
 * Compiled code of sandboxes, handed on from one world to the next: each would spend a processor second on its own. Node
 * checks every entry against the source that it belongs to, so a sabotaged copy takes nothing wrong.
 */
const SHARED = join(tmpdir(), `gc-sandbox-code-${process.geteuid!()}`);

/** Before a world's first start. */
export function takeWarmCode(paths: Paths): void {
  const folder = codeCacheOf(paths);
  const kept = join(SHARED, basename(folder));
  if (existsSync(kept)) cpSync(kept, folder, { recursive: true });
}

/** When a world has ended: what it has warmed up and nobody before it had. */
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
      // Another world was quicker.
    }
    rmSync(draft, { recursive: true, force: true });
  }
}
