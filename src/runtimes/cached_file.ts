import { existsSync, mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { shortHash } from '../base/ids.ts';
import { writeWhole } from '../base/whole_file.ts';

/**
 * The file `<folder>/<name>-<hash>`, named by its content and made when it is not there: two processes of an install
 * write the same. One that is there is read: a disk that failed had left it empty, under its name, and no sandbox started again.
 * Throws the system's error when the folder is not writable.
 */
export function cachedFile(folder: string, name: string, content: Buffer): string {
  const file = join(folder, `${name}-${shortHash(content.toString('base64'))}`);
  if (holds(file, content)) return file;
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  writeWhole(file, content, 0o600);
  return file;
}

/** Whether there is such a file with just that content. */
export function holds(file: string, content: Buffer): boolean {
  return existsSync(file) && readFileSync(file).equals(content);
}
