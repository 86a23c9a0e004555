import { closeSync, fchmodSync, fsyncSync, openSync, renameSync, rmSync, writeSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { randomToken } from './ids.ts';

/** Files that are on disk whole or not at all: written as a draft beside their place, synced, then renamed. */
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

/** What was written to a file, or the names in a folder, is on the disk. */
export function syncFile(path: string): void {
  const fd = openSync(path, 'r');
  try {
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}
