import { chmodSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import type { HarnessName } from '../base/config.ts';

/**
 * What the sandboxes of a harness get as compiled code: a folder of the host, empty until a warm-up has filled it. Each
 * sandbox must be able to read it under its own uid, whatever the umask; it only ever has it mounted read-only.
 */
export function openCodeFolder(base: string, harness: HarnessName): string {
  const folder = join(base, harness);
  mkdirSync(folder, { recursive: true });
  chmodSync(folder, 0o755);
  return folder;
}
