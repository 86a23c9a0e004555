import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { OperatingError, systemCodeOf } from '../base/errors.ts';
import { writeWhole } from '../base/whole_file.ts';
import { AUTHORITY_VERSION, type Authority, bytesOf, hashOf } from './authority.ts';

/**
 * Applied authorities as files under their own hash. The ledger says which of them is in force; the gateway, which must
 * not open the ledger, reads the one whose hash the host names. A file never changes: another authority is another file.
 */

/** Writes it, if it is not there yet, and returns its hash. Throws the system's error when the disk does not take it. */
export function keepAuthority(folder: string, authority: Authority): string {
  const bytes = bytesOf(authority);
  const hash = hashOf(bytes);
  const path = fileOf(folder, hash);
  // The folder says who may: its owner, or a gateway of another account that is its group.
  if (!existsSync(path)) writeWhole(path, bytes, 0o640);
  return hash;
}

/** Throws `OperatingError('config')` when the file is missing, is not what its name says, or has another shape. */
export function keptAuthority(folder: string, hash: string): Authority {
  const path = fileOf(folder, hash);
  let bytes: Buffer;
  try {
    bytes = readFileSync(path);
  } catch (error) {
    throw new OperatingError(
      'config',
      `${path} cannot be read (${systemCodeOf(error)})`,
      'apply the group again',
      error,
    );
  }
  if (hashOf(bytes) !== hash) throw new OperatingError('config', `${path} was changed`, 'apply the group again');
  // Its hash says that it is what `readGroup` made.
  const authority = JSON.parse(bytes.toString()) as Authority;
  if (authority.version !== AUTHORITY_VERSION)
    throw new OperatingError('config', `${path} was applied by another version`, 'apply the group again');
  return authority;
}

function fileOf(folder: string, hash: string): string {
  return join(folder, `${hash}.json`);
}
