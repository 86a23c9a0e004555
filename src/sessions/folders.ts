import { chmodSync, existsSync, lchownSync, lstatSync, mkdirSync, renameSync, rmSync, symlinkSync } from 'node:fs';
import { basename, join } from 'node:path';
import type { Paths } from '../base/paths.ts';
import { EGRESS_FOLDER } from '../protocol/proxy.ts';
import { removeTree } from '../runtimes/image_tools.ts';

/** The folders of one sandbox, made and owned before it starts. `session` is a shown id: `s7`. */
export function prepareFolders(paths: Paths, session: string, group: string, uid: number | null): void {
  const own = paths.session(session);
  rmSync(own.run, { recursive: true, force: true });
  for (const folder of [own.run, own.state, paths.group(group).workspace]) {
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    giveTo(folder, uid);
  }
  // What is inside knows one place of its socket; this leads nowhere but there.
  const { egress } = own;
  if (paths.isService) symlinkSync(join(EGRESS_FOLDER, basename(egress)), join(own.run, basename(egress)));
  // The host's own: it stays with the host's uid, and whoever gets it mounted may read it (the home above it is 0700).
  mkdirSync(own.inbox, { recursive: true });
  chmodSync(own.inbox, 0o755);
}

/**
 * Puts a session's state away after a turn that was given up, or when it is over its cap: an agent may have damaged it so
 * that no harness can open it, and the ledger's own transcript replaces it. The last one is kept for the operator. Only
 * while no sandbox has it. Never rejects: a disk that fails here fails the next start too, which says so.
 *
 * The one before is removed beside the event loop: an agent may have made millions of files.
 */
export async function setStateAside(paths: Paths, session: string): Promise<void> {
  const { state } = paths.session(session);
  if (!existsSync(state)) return;
  const aside = `${state}.set-aside`;
  if (existsSync(aside)) await removeTree(aside);
  try {
    renameSync(state, aside);
  } catch {}
}

/** The folder itself goes to the group's uid; what is below it was written by that uid already. */
function giveTo(folder: string, uid: number | null): void {
  if (uid !== null && lstatSync(folder).uid !== uid) lchownSync(folder, uid, uid);
}
