import { OperatingError } from '../base/errors.ts';
import {
  FILE_NAME_BYTES_MAX,
  MESSAGE_FILES_BYTES_MAX,
  MESSAGE_FILES_MAX,
  SHOWN_NAME_BYTES_MAX,
} from '../base/limits/messages.ts';
import { cutBytes } from '../base/text.ts';
import { storeBlob } from '../ledger/blobs.ts';
import type { FileFacts } from '../ledger/files.ts';
import type { IncomingFile } from './channel.ts';

/** What people send as files: how much of it is taken, under which names, and as what. */

/** Checks files and puts their bytes on disk, before any row names them. Throws `OperatingError`: then no row may. */
export function takeFiles(blobsFolder: string, files: IncomingFile[]): FileFacts[] {
  checkFiles(files);
  const names = harmlessNames(files.map((file) => file.name));
  return files.map(({ data }, index) => ({
    name: names[index]!,
    type: sniffType(data),
    bytes: data.length,
    sha256: storeBlob(blobsFolder, data),
  }));
}

/** Throws `OperatingError('usage')` for files that no message may have. */
export function checkFiles(files: IncomingFile[]): void {
  if (files.length > MESSAGE_FILES_MAX) refuse(`a message has at most ${MESSAGE_FILES_MAX} files`);
  if (files.some((file) => Buffer.byteLength(file.name) > FILE_NAME_BYTES_MAX))
    refuse(`the name of a file has at most ${FILE_NAME_BYTES_MAX} bytes`);
  const empty = files.find((file) => file.data.length === 0);
  if (empty !== undefined) refuse(`the file "${harmlessName(empty.name)}" is empty`);
  if (files.reduce((sum, file) => sum + file.data.length, 0) > MESSAGE_FILES_BYTES_MAX)
    refuse(`the files of a message have at most ${MESSAGE_FILES_BYTES_MAX / 1024 ** 2} MiB together`);
}

function refuse(what: string): never {
  throw new OperatingError('usage', what, 'put it into a file of the workspace, or send it in parts');
}

/** Controls, directions, zero-width and other invisible characters, line separators, halves of characters. */
const INVISIBLE = /[\p{Cc}\p{Cf}\p{Cs}\p{Co}\p{Cn}\p{Zl}\p{Zp}]/gu;

/** The last part of whatever path it was, as the visible name of a plain file. */
export function harmlessName(given: string): string {
  const last = given.split(/[/\\]/).findLast((part) => part !== '') ?? '';
  const visible = last
    .normalize('NFC')
    .replace(INVISIBLE, '')
    .replace(/^[.\s]+|\s+$/g, '');
  return visible === '' ? 'file' : cutName(visible, '');
}

/** The names of one message's files, in order, no two the same. */
export function harmlessNames(given: string[]): string[] {
  const names: string[] = [];
  for (const name of given.map(harmlessName)) {
    let free = name;
    for (let number = 2; names.includes(free); number += 1) free = cutName(name, `-${number}`);
    names.push(free);
  }
  return names;
}

/** Within the limit with `suffix` before its extension. */
function cutName(name: string, suffix: string): string {
  const extension = /(?<=.)\.[^.\s]{1,10}$/u.exec(name)?.[0] ?? '';
  const tail = suffix + extension;
  const stem = name.slice(0, name.length - extension.length);
  return cutBytes(stem, SHOWN_NAME_BYTES_MAX - Buffer.byteLength(tail)) + tail;
}

const SIGNATURES: readonly [type: string, test: RegExp][] = [
  ['image/png', /^\x89PNG\r\n\x1a\n/],
  ['image/jpeg', /^\xff\xd8\xff/],
  ['image/gif', /^GIF8[79]a/],
  ['image/webp', /^RIFF[\s\S]{4}WEBP/],
  ['application/pdf', /^%PDF-/],
];

/** What a file is, by its bytes as they come; a name says nothing. */
export class Sniffer {
  readonly #decoder = new TextDecoder('utf-8', { fatal: true });
  #known: string | null = null;
  #isFirst = true;
  #isText = true;

  update(bytes: Buffer): void {
    if (this.#isFirst) {
      const head = bytes.toString('latin1', 0, 16);
      this.#known = SIGNATURES.find(([, signature]) => signature.test(head))?.[0] ?? null;
    }
    this.#isFirst = false;
    if (this.#isText && this.#known === null) this.#isText = !bytes.includes(0) && this.#decodes(bytes, true);
  }

  /** Once all of it has come. */
  type(): string {
    if (this.#known !== null) return this.#known;
    return this.#isText && this.#decodes(Buffer.alloc(0), false) ? 'text/plain' : 'application/octet-stream';
  }

  #decodes(bytes: Buffer, stream: boolean): boolean {
    try {
      this.#decoder.decode(bytes, { stream });
      return true;
    } catch {
      return false;
    }
  }
}

export function sniffType(data: Buffer): string {
  const sniffer = new Sniffer();
  sniffer.update(data);
  return sniffer.type();
}
