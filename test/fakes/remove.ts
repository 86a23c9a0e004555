import { execFileSync } from 'node:child_process';
import { rmSync } from 'node:fs';
import { mountsBelow } from '../../src/runtimes/mounts.ts';

/** Removes a throw-away folder. What a sandbox that is just dying still writes into it is left to the system's cleaner: it is no result of a test. */
export function remove(folder: string): void {
  try {
    unmountBelow(folder);
    rmSync(folder, { recursive: true, force: true, maxRetries: 20, retryDelay: 100 });
  } catch (error) {
    process.stderr.write(`${folder} is left behind: ${error}\n`);
  }
}

/** Workspaces that a killed host has left mounted. */
export function unmountBelow(folder: string): void {
  for (const { target } of mountsBelow(folder)) execFileSync('umount', ['--lazy', target], { stdio: 'pipe' });
}
