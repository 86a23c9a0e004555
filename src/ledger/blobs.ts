import { createHash } from 'node:crypto';
import { closeSync, existsSync, fchmodSync, fsyncSync, openSync, renameSync, rmSync, writeSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { messageOf, OperatingError } from '../base/errors.ts';
import { randomToken } from '../base/ids.ts';

/**
 * Files that are on disk whole or not at all: written as a draft beside their place, synced, then renamed. In `blobs/`
 * each lies under its own hash, so that the same bytes are one file, and one that is there is never written again.
 */
export interface Draft {
  path: string;
  fd: number;
}

export function openDraft(folder: string): Draft {
  const path = join(folder, `.incoming-${randomToken(9)}`);
  return { path, fd: openSync(path, 'wx', 0o600) };
}

/** A nearly full disk takes a part of a write without an error; the next write then says so. */
export function writeAll(fd: number, bytes: Buffer): void {
  for (let at = 0; at < bytes.length; at += writeSync(fd, bytes, at)) {
    // goes on until everything is written
  }
}

export function finishDraft(draft: Draft, path: string): void {
  fsyncSync(draft.fd);
  closeSync(draft.fd);
  renameSync(draft.path, path);
}

/** What is left of a draft that was given up. A disk that fails here leaves a hidden file beside the others. */
export function dropDraft(draft: Draft): void {
  try {
    rmSync(draft.path, { force: true });
    closeSync(draft.fd);
  } catch {
    // The descriptor was closed before, or the disk fails.
  }
}

/** Writes a whole file. Throws when the disk does not take it; then nothing of it stays. */
export function writeWhole(path: string, bytes: Buffer, mode: number): void {
  const draft = openDraft(dirname(path));
  try {
    fchmodSync(draft.fd, mode);
    writeAll(draft.fd, bytes);
    finishDraft(draft, path);
  } catch (error) {
    dropDraft(draft);
    throw error;
  }
}

/** Returns the hash under which the bytes are on disk from now on. Throws `OperatingError('storage')`. */
export function storeBlob(folder: string, bytes: Buffer): string {
  const sha256 = createHash('sha256').update(bytes).digest('hex');
  const path = join(folder, sha256);
  try {
    if (!existsSync(path)) writeWhole(path, bytes, 0o600);
    return sha256;
  } catch (error) {
    throw new OperatingError('storage', `the file could not be stored: ${messageOf(error)}`, undefined, error);
  }
}
