import { createHash } from 'node:crypto';
import { utimesSync } from 'node:fs';
import { join } from 'node:path';
import { messageOf, OperatingError, systemCodeOf } from '../base/errors.ts';
import { writeWhole } from '../base/whole_file.ts';

/**
 * In `blobs/` each file lies under its own hash, so that the same bytes are one file, and one that is there is never
 * written again. Returns the hash under which the bytes are on disk from now on. Throws `OperatingError('storage')`.
 */
export function storeBlob(folder: string, bytes: Buffer): string {
  const sha256 = createHash('sha256').update(bytes).digest('hex');
  const path = join(folder, sha256);
  try {
    if (!touchBlob(path)) writeWhole(path, bytes, 0o600);
    return sha256;
  } catch (error) {
    throw new OperatingError('storage', `the file could not be stored: ${messageOf(error)}`, undefined, error);
  }
}

/**
 * Whether the bytes are there. Then they count as new, so that no prune removes them before a row names them: what has
 * just been stored is left alone (`operations/retention.ts`).
 */
export function touchBlob(path: string): boolean {
  const now = new Date();
  try {
    utimesSync(path, now, now);
    return true;
  } catch (error) {
    if (systemCodeOf(error) === 'ENOENT') return false;
    throw error;
  }
}
