import { createHash, type Hash } from 'node:crypto';
import { join } from 'node:path';
import { messageOf } from '../base/errors.ts';
import { FILE_BYTES_MAX, FILE_CHUNK_BYTES_MAX, FILES_OPEN_MAX } from '../base/limits/messages.ts';
import { type Draft, dropDraft, finishDraft, openDraft, writeAll } from '../base/whole_file.ts';
import { harmlessName, Sniffer } from '../channels/files.ts';
import { touchBlob } from '../ledger/blobs.ts';
import type { FileFacts } from '../ledger/files.ts';
import type { HostFrame } from '../protocol/frames.ts';

/**
 * Files that a sandbox streams over the hatch: collected in order, capped, hashed, and put under their own hash into
 * `blobs/`. The host never opens a path that a sandbox names; the name is data.
 */
export type AnnouncedFile = Omit<FileFacts, 'type'>;

/**
 * `refused`: this file is not kept, once said; the rest of its chunks is swallowed. `violation`: the frames themselves
 * are out of order, which only a broken or hostile runner does.
 */
export type ChunkResult =
  | { kind: 'more' }
  | { kind: 'stored'; file: FileFacts }
  | { kind: 'refused'; reason: string }
  | { kind: 'violation'; reason: string };

/** What the sandbox is told of it; null: nothing yet. */
export function fileReceipt(call: number, result: ChunkResult): HostFrame | null {
  if (result.kind === 'stored') return { t: 'receipt', call, ok: true, value: result.file };
  return result.kind === 'refused' ? { t: 'receipt', call, ok: false, value: result.reason } : null;
}

interface Incoming {
  name: string;
  bytes: number;
  sha256: string;
  hash: Hash;
  sniffer: Sniffer;
  received: number;
  seq: number;
  /** Null: refused, its chunks are only counted. */
  stored: Draft | null;
}

export class FileReceiver {
  readonly #folder: string;
  readonly #open = new Map<number, Incoming>();

  constructor(blobsFolder: string) {
    this.#folder = blobsFolder;
  }

  /** Announces a file; its chunks follow. An empty file is stored at once. */
  begin(announced: AnnouncedFile & { call: number }): ChunkResult {
    const { call, name, bytes, sha256 } = announced;
    if (this.#open.has(call)) return violation(`file ${call} was announced twice`);
    if (this.#open.size >= FILES_OPEN_MAX) return violation(`more than ${FILES_OPEN_MAX} files at once`);
    if (bytes > FILE_BYTES_MAX) return violation(`a file of more than ${FILE_BYTES_MAX} bytes`);
    const file: Incoming = {
      ...{ name: harmlessName(name), bytes, sha256, received: 0, seq: 0, stored: null },
      ...{ hash: createHash('sha256'), sniffer: new Sniffer() },
    };
    this.#open.set(call, file);
    try {
      file.stored = openDraft(this.#folder);
    } catch (error) {
      return this.#refuse(call, file, error);
    }
    return bytes === 0 ? this.#finish(call, file) : { kind: 'more' };
  }

  chunk(call: number, seq: number, data: string): ChunkResult {
    const file = this.#open.get(call);
    if (file === undefined) return violation('a chunk of a file that was not announced');
    const bytes = Buffer.from(data, 'base64');
    const fits = bytes.length > 0 && bytes.length <= FILE_CHUNK_BYTES_MAX && file.received + bytes.length <= file.bytes;
    if (seq !== file.seq || !fits) return violation('a file chunk out of order or too long');
    file.seq += 1;
    file.received += bytes.length;
    file.hash.update(bytes);
    file.sniffer.update(bytes);
    try {
      if (file.stored !== null) writeAll(file.stored.fd, bytes);
    } catch (error) {
      return this.#refuse(call, file, error);
    }
    return file.received === file.bytes ? this.#finish(call, file) : { kind: 'more' };
  }

  /** Drops what is unfinished: its sandbox has ended. */
  close(): void {
    for (const file of this.#open.values()) drop(file);
    this.#open.clear();
  }

  #finish(call: number, file: Incoming): ChunkResult {
    this.#open.delete(call);
    if (file.stored === null) return { kind: 'more' };
    const sha256 = file.hash.digest('hex');
    try {
      if (sha256 !== file.sha256) throw new Error('its hash is not the announced one');
      const blob = join(this.#folder, sha256);
      if (touchBlob(blob)) drop(file);
      else finishDraft(file.stored, blob);
      return { kind: 'stored', file: { name: file.name, type: file.sniffer.type(), bytes: file.bytes, sha256 } };
    } catch (error) {
      drop(file);
      return { kind: 'refused', reason: notStored(error) };
    }
  }

  #refuse(call: number, file: Incoming, error: unknown): ChunkResult {
    drop(file);
    if (file.received === file.bytes) this.#open.delete(call);
    return { kind: 'refused', reason: notStored(error) };
  }
}

function drop(file: Incoming): void {
  const { stored } = file;
  file.stored = null;
  if (stored !== null) dropDraft(stored);
}

function notStored(error: unknown): string {
  return `the file could not be stored: ${messageOf(error)}`;
}

function violation(reason: string): ChunkResult {
  return { kind: 'violation', reason };
}
