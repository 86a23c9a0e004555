import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

/** Where `glass backup` says, in the home, which proven backup is the newest. */
export const LAST_BACKUP = 'backups/last.json';

/** The time that the newest proven backup is of, in milliseconds; null: there is none, or not any more. */
export function lastBackup(home: string): number | null {
  try {
    const { at, folder } = JSON.parse(readFileSync(join(home, LAST_BACKUP), 'utf8')) as Record<string, string>;
    const at_ms = Date.parse(at ?? '');
    return Number.isFinite(at_ms) && existsSync(join(folder ?? '', 'manifest.json')) ? at_ms : null;
  } catch {
    return null;
  }
}
