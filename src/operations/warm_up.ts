import { chmodSync, chownSync, mkdtempSync, readdirSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import type { Authority } from '../authority/authority.ts';
import type { HarnessName, RuntimeName } from '../base/config.ts';
import { messageOf } from '../base/errors.ts';
import type { Log } from '../base/log.ts';
import type { Paths } from '../base/paths.ts';
import type { UidRange } from '../ledger/chats.ts';
import type { Runtime, SandboxSpec } from '../runtimes/runtime.ts';
import { openCodeFolder } from '../sessions/code_folder.ts';
import type { Planner } from '../sessions/planner.ts';
import { warmUpSpec } from '../sessions/spec.ts';
import { groupNames } from './groups.ts';

/** Compiled code of the sandbox's own programs; each sandbox sees it read-only. One folder a version of Node. */
export function codeCacheOf(paths: Paths): string {
  return join(paths.cache, `code-${process.version}-${process.arch}`);
}

/** Longer than any load; a warm-up that hangs is only ended. */
const WARM_UP_MS = 30_000;

/**
 * Fills the folder of compiled code once for a harness, by loading it in a sandbox of its own in which nothing untrusted
 * runs: in a draft beside it, whose content is moved there when it is complete. A warm-up that is killed leaves sandboxes slower,
 * and nothing that they cannot read. Never rejects. Returns whether anything was to be done.
 */
export async function warmUp(
  paths: Paths,
  runtime: Runtime,
  { authority, image, harness }: { authority: Authority; image: string | null; harness: HarnessName },
  /** On a host that runs as root: the uid that belongs to no group. */
  uid: number | null,
  log: Log,
): Promise<boolean> {
  const base = codeCacheOf(paths);
  const folder = openCodeFolder(base, harness);
  if (readdirSync(folder).length > 0) return false;
  const draft = newDraft(base, harness);
  const spec = warmUpSpec({
    paths,
    authority,
    image,
    session: `warm-${harness}`,
    harness,
    uid,
    node: process.execPath,
    codeCache: draft,
  });
  const began = performance.now();
  try {
    if (uid !== null) chownSync(draft, uid, uid);
    const code = await ran(runtime, spec);
    seal(draft);
    // Its content, not the folder: a sandbox that is starting has the folder in its hands.
    for (const name of readdirSync(draft)) renameSync(join(draft, name), join(folder, name));
    log.info('warm_up', { harness, ms: Math.round(performance.now() - began), code });
  } catch (error) {
    log.warn('warm_up.failed', { harness, reason: messageOf(error) });
  }
  rmSync(draft, { recursive: true, force: true });
  return true;
}

/** Drafts that an earlier host left are removed: one host at a time has this home. */
function newDraft(base: string, harness: HarnessName): string {
  const prefix = `.${harness}-`;
  for (const name of readdirSync(base).filter((entry) => entry.startsWith(prefix)))
    rmSync(join(base, name), { recursive: true, force: true });
  return mkdtempSync(join(base, prefix));
}

async function ran(runtime: Runtime, spec: SandboxSpec): Promise<number | null> {
  const sandbox = await runtime.start(spec, () => {});
  const timer = setTimeout(() => sandbox.kill(), WARM_UP_MS);
  const exit = await sandbox.exited;
  clearTimeout(timer);
  return exit.code;
}

/** From now on every sandbox may read it. Only our own code has written here, so that plain paths are safe. */
function seal(folder: string): void {
  chmodSync(folder, 0o755);
  for (const entry of readdirSync(folder, { recursive: true, withFileTypes: true })) {
    chmodSync(join(entry.parentPath, entry.name), entry.isDirectory() ? 0o755 : 0o644);
  }
}

/** In the background: a first message that comes before it is done only starts slower. */
export async function warmUpAll({ paths, runtimes, uids, log }: Machine, planner: Planner): Promise<void> {
  const uid = process.getuid?.() === 0 ? uids.first + uids.count - 1 : null;
  for (const name of groupNames(paths)) {
    const plan = planner.harnessOf(name);
    const runtime = plan === null ? undefined : runtimes.get(plan.authority.runtime);
    if (plan !== null && runtime !== undefined) await warmUp(paths, runtime, plan, uid, log);
  }
}

interface Machine {
  paths: Paths;
  runtimes: ReadonlyMap<RuntimeName, Runtime>;
  uids: UidRange;
  log: Log;
}
