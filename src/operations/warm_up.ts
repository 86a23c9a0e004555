import { chmodSync, chownSync, mkdirSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import type { Authority } from '../authority/authority.ts';
import type { HarnessName } from '../base/config.ts';
import { messageOf } from '../base/errors.ts';
import type { Log } from '../base/log.ts';
import type { Paths } from '../base/paths.ts';
import type { Runtime } from '../runtimes/runtime.ts';
import { warmUpSpec } from '../sessions/spec.ts';

/** Compiled code of the sandbox's own programs; each sandbox sees it read-only. One folder a version of Node. */
export function codeCacheOf(paths: Paths): string {
  return join(paths.cache, `code-${process.version}-${process.arch}`);
}

/** Longer than any load; a warm-up that hangs is only ended. */
const WARM_UP_MS = 30_000;

/**
 * Fills the folder of compiled code once for a harness, by loading it in a sandbox of its own in which nothing untrusted
 * runs. Never rejects: without it sandboxes only start slower. Returns whether anything was to be done.
 */
export async function warmUp(
  paths: Paths,
  runtime: Runtime,
  { authority, image, harness }: { authority: Authority; image: string | null; harness: HarnessName },
  /** On a host that runs as root: the uid that belongs to no group. */
  uid: number | null,
  log: Log,
): Promise<boolean> {
  const folder = join(codeCacheOf(paths), harness);
  mkdirSync(folder, { recursive: true });
  if (readdirSync(folder).length > 0) return false;
  const spec = warmUpSpec({
    paths,
    authority,
    image,
    session: `warm-${harness}`,
    harness,
    uid,
    node: process.execPath,
    codeCache: folder,
  });
  const began = performance.now();
  if (uid !== null) chownSync(folder, uid, uid);
  try {
    const sandbox = await runtime.start(spec, () => {});
    const timer = setTimeout(() => sandbox.kill(), WARM_UP_MS);
    const exit = await sandbox.exited;
    clearTimeout(timer);
    seal(folder);
    log.info('warm_up', { harness, ms: Math.round(performance.now() - began), code: exit.code });
  } catch (error) {
    log.warn('warm_up.failed', { harness, reason: messageOf(error) });
  }
  return true;
}

/** From now on every sandbox may read it. Only our own code has written here, so that plain paths are safe. */
function seal(folder: string): void {
  chmodSync(folder, 0o755);
  for (const entry of readdirSync(folder, { recursive: true, withFileTypes: true })) {
    chmodSync(join(entry.parentPath, entry.name), entry.isDirectory() ? 0o755 : 0o644);
  }
}
