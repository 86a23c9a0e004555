import { rmSync } from 'node:fs';

/** Removes a throw-away folder. What a sandbox that is just dying still writes into it is left to the system's cleaner: it is no result of a test. */
export function remove(folder: string): void {
  try {
    rmSync(folder, { recursive: true, force: true, maxRetries: 20, retryDelay: 100 });
  } catch (error) {
    process.stderr.write(`${folder} is left behind: ${error}\n`);
  }
}
