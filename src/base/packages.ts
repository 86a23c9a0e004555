import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

/** Packages of a part that is installed when it is first needed: a harness, a kind of channel. */
export interface PackageSet {
  /** In words for a person: "the harness claude". */
  title: string;
  /** With `package.json`, `package-lock.json`, and later `node_modules`. */
  folder: string;
  /** What a person waits for: megabytes on disk. */
  size_mb: number;
  /** The command that installs it. */
  command: string;
}

/** The file that an installation ends with, and what it then says: for which lock file the packages are complete. */
export function installStamp(folder: string): { file: string; content: string } {
  const content = createHash('sha256')
    .update(readFileSync(join(folder, 'package-lock.json')))
    .digest('hex');
  return { file: join(folder, 'node_modules/.glass-complete'), content };
}

/** False too when an installation was cut short, or was made for another version of GlassClaw. */
export function isComplete(folder: string): boolean {
  try {
    const stamp = installStamp(folder);
    return readFileSync(stamp.file, 'utf8').trim() === stamp.content;
  } catch {
    return false;
  }
}
