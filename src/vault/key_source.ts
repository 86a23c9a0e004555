import { OperatingError } from '../base/errors.ts';
import { KEY_BYTES } from './seal.ts';

/** `next`: from the beginning of a rotation to its end, when it takes the place of the current one. */
export type Slot = 'current' | 'next';

/**
 * Where the key-encryption key comes from. It is named in the configuration; there is no silent fallback. Every method rejects
 * with an `OperatingError` of one sentence when the key is not safe to use or its place cannot be asked.
 */
export interface KeySource {
  /** How sentences call its current key. */
  readonly name: string;
  /** Null when there is surely none. */
  read(slot: Slot): Promise<Buffer | null>;
  /** Makes a new key, and returns it when it is kept for good. */
  make(slot: Slot): Promise<Buffer>;
  /** The next key becomes the current one, and the old one is gone. Safe to repeat. Returns what is left to the operator. */
  settle(): Promise<string | null>;
}

/** Returns the key itself. Throws `OperatingError('config')` for anything that is none. */
export function checkedKey(key: Buffer, name: string): Buffer {
  if (key.length === KEY_BYTES) return key;
  const what = `${name} has ${key.length} bytes instead of ${KEY_BYTES}`;
  throw new OperatingError('config', what, 'restore it from your backup');
}
