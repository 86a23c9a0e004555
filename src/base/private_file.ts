import { closeSync, constants, fstatSync, openSync, readFileSync } from 'node:fs';
import { OperatingError, systemCodeOf } from './errors.ts';

/** What to do about a private file that is not as it must be. */
export interface PrivateFixes {
  /** It is a folder, a pipe or a link. */
  kind: string;
  /** Another account has written it. */
  owner: string;
  /** Others could have read it. */
  mode: string;
}

/**
 * Reads a file that only this account may have written and read: a key. Null when there is none. Nothing is followed, and
 * what was checked is what is read. Throws `OperatingError('config')` with the fix.
 */
export function readPrivate(path: string, fixes: PrivateFixes): Buffer | null {
  let fd: number;
  try {
    // A pipe would be waited for.
    fd = openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  } catch (error) {
    if (systemCodeOf(error) === 'ENOENT') return null;
    throw new OperatingError('config', `${path} cannot be read (${systemCodeOf(error)})`, undefined, error);
  }
  try {
    const stat = fstatSync(fd);
    const refuse = (what: string, fix: string): never => {
      throw new OperatingError('config', `${path} ${what}`, fix);
    };
    if (!stat.isFile()) refuse('is not a regular file', fixes.kind);
    if (stat.uid !== process.getuid?.()) refuse(`belongs to uid ${stat.uid}`, fixes.owner);
    if ((stat.mode & 0o077) !== 0) refuse('can be read by others', fixes.mode);
    return readFileSync(fd);
  } finally {
    closeSync(fd);
  }
}
