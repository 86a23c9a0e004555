import { randomBytes } from 'node:crypto';
import { closeSync, fsyncSync, linkSync, openSync, unlinkSync, writeSync } from 'node:fs';
import { dirname } from 'node:path';
import { OperatingError, systemCodeOf } from '../base/errors.ts';
import { type Faults, guarded } from '../base/faults.ts';
import { readPrivate } from '../base/private_file.ts';
import { KEY_BYTES, type Kek, kekOf } from './seal.ts';

/** Where the key-encryption key comes from. The source is named in the configuration; there is no silent fallback. */
export interface KeySource {
  /**
   * The key. `create` is true only for a vault that holds nothing yet: a new key for an old vault would lock it.
   * Throws `OperatingError` with one sentence when the key is missing or not safe to use.
   */
  load(create: boolean): Kek;
}

/** A file of 32 random bytes, readable by its owner only. */
export function fileKeySource(path: string, faults: Faults): KeySource {
  return {
    load(create) {
      const found = read(path);
      if (found !== null) return kekOf(found);
      if (!create) {
        throw new OperatingError(
          'config',
          `${path} is missing, and the vault was sealed with it`,
          'restore it from your backup; without it the secrets must be set again in a new vault',
        );
      }
      guarded(faults, 'vault.key', () => writeNew(path));
      return kekOf(read(path)!);
    },
  };
}

function read(path: string): Buffer | null {
  const key = readPrivate(path, {
    kind: 'put the key file back',
    owner: 'give it to the user of the gateway',
    mode: `run: chmod 600 ${path}`,
  });
  if (key !== null && key.length !== KEY_BYTES) {
    const what = `${path} has ${key.length} bytes instead of ${KEY_BYTES}`;
    throw new OperatingError('config', what, 'restore it from your backup');
  }
  return key;
}

/** Whole or not at all: a crash in the middle must not leave a short key file, which would refuse every later start. */
function writeNew(path: string): void {
  const draft = `${path}.new`;
  removeIfThere(draft);
  const fd = openSync(draft, 'wx', 0o600);
  try {
    const key = randomBytes(KEY_BYTES);
    writeSync(fd, key);
    key.fill(0);
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
  linkSync(draft, path); // Like O_EXCL: fails when somebody else has made the key meanwhile.
  removeIfThere(draft);
  const folder = openSync(dirname(path), 'r');
  fsyncSync(folder);
  closeSync(folder);
}

function removeIfThere(path: string): void {
  try {
    unlinkSync(path);
  } catch (error) {
    if (systemCodeOf(error) !== 'ENOENT') throw error;
  }
}
