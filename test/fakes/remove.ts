import { execFileSync, spawnSync } from 'node:child_process';
import { globSync, rmSync } from 'node:fs';
import { shortHash } from '../../src/base/ids.ts';
import { mountsBelow } from '../../src/runtimes/mounts.ts';

/**
 * Removes a throw-away folder, and if it was a home its control groups. What a sandbox that is just dying still writes into it
 * is left to the system's cleaner: it is no result of a test.
 */
export function remove(folder: string): void {
  try {
    unmountBelow(folder);
    rmSync(folder, { recursive: true, force: true, maxRetries: 20, retryDelay: 100 });
    removeControlGroups(shortHash(folder));
  } catch (error) {
    process.stderr.write(`${folder} is left behind: ${error}\n`);
  }
}

/** Workspaces that a killed host has left mounted. */
export function unmountBelow(folder: string): void {
  for (const { target } of mountsBelow(folder)) execFileSync('umount', ['--lazy', target], { stdio: 'pipe' });
}

/** A host keeps its own: a home has three in each hierarchy. Of ten thousand homes they made all processes of a machine slower. */
function removeControlGroups(install: string): void {
  for (const group of globSync(`/sys/fs/cgroup/{,*/}glassclaw/${install}`))
    spawnSync('find', [group, '-depth', '-type', 'd', '-exec', 'rmdir', '{}', '+'], { stdio: 'ignore' });
}
