import { existsSync, mkdirSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { randomToken, shortHash } from '../base/ids.ts';

/**
 * The file `<folder>/<name>-<hash>`, named by its content and made when it is not there: two processes of an install
 * write the same. Throws the system's error when the folder is not writable.
 */
export function cachedFile(folder: string, name: string, content: Buffer): string {
  const file = join(folder, `${name}-${shortHash(content.toString('base64'))}`);
  if (existsSync(file)) return file;
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const draft = `${file}.${randomToken(6)}`;
  writeFileSync(draft, content, { mode: 0o600 });
  renameSync(draft, file);
  return file;
}
