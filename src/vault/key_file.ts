import { randomBytes } from 'node:crypto';
import { closeSync, existsSync, fsyncSync, linkSync, openSync, renameSync, unlinkSync } from 'node:fs';
import { dirname } from 'node:path';
import { systemCodeOf } from '../base/errors.ts';
import { readPrivate } from '../base/private_file.ts';
import { writeAll } from '../base/whole_file.ts';
import { checkedKey, type KeySource, type Slot } from './key_source.ts';
import { KEY_BYTES } from './seal.ts';

/** What lies in the file instead of the key itself. */
export interface Wrapping {
  wrap(key: Buffer): Promise<Buffer>;
  unwrap(bytes: Buffer, name: string): Promise<Buffer>;
}

/** The key as it is: 32 random bytes. */
export const PLAIN: Wrapping = { wrap: async (key) => Buffer.from(key), unwrap: async (bytes) => bytes };

/** A file that only its owner can read; the next key lies beside it, as `<path>.next`. */
export function fileKeySource(path: string, wrapping: Wrapping): KeySource {
  const places: Record<Slot, string> = { current: path, next: `${path}.next` };
  const read = async (slot: Slot): Promise<Buffer | null> => {
    const place = places[slot];
    const found = readPrivate(place, {
      kind: 'put the key file back',
      owner: 'give it to the user of the gateway',
      mode: `run: chmod 600 ${place}`,
    });
    return found === null ? null : checkedKey(await wrapping.unwrap(found, place), place);
  };
  return {
    name: path,
    read,
    make: async (slot) => {
      const key = randomBytes(KEY_BYTES);
      writeNew(places[slot], await wrapping.wrap(key));
      key.fill(0);
      return (await read(slot))!;
    },
    settle: async () => {
      if (existsSync(places.next)) renameSync(places.next, places.current);
      syncFolder(dirname(path));
      return null;
    },
  };
}

/** Whole or not at all: a crash in the middle must not leave a short key file, which would refuse every later start. */
function writeNew(path: string, bytes: Buffer): void {
  const draft = `${path}.new`;
  removeIfThere(draft);
  const fd = openSync(draft, 'wx', 0o600);
  try {
    writeAll(fd, bytes);
    bytes.fill(0);
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
  linkSync(draft, path); // Like O_EXCL: fails when somebody else has made the key meanwhile.
  removeIfThere(draft);
  syncFolder(dirname(path));
}

function syncFolder(path: string): void {
  const folder = openSync(path, 'r');
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
