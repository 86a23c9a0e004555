import { constants } from 'node:fs';
import { open } from 'node:fs/promises';
import { MESSAGE_FILES_BYTES_MAX } from '../../src/base/limits/messages.ts';
import type { FrameFile, FrameMessage } from '../../src/protocol/frames.ts';
import { declaredPixels } from './pixels.ts';

/**
 * Files of messages that a model is shown as they are. The text of a message names all of them (`prompt.ts`); what is not
 * shown, because no model takes it or there is no room, the agent opens by its path.
 */
const IMAGES = ['image/png', 'image/jpeg', 'image/gif', 'image/webp'];
const PDF = 'application/pdf';

/** An image in base64: the endpoint's "5 MB" are counted there, so a photo of 4 MB is refused. */
const IMAGE_BASE64_MAX = 5 * 1024 * 1024;
/** Pixels of either side that an image says it has: endpoints refuse more, and with it the whole conversation from then on. */
const IMAGE_SIDE_MAX = 8000;
/** All files of one request in base64: below what the gateway (32 MiB) and the endpoint (32 MB) take of a whole one. */
const BASE64_MAX = 24 * 1024 * 1024;
/** Files of one request: with more than 20 images the endpoint refuses those of more than 2000 pixels. */
const FILES_MAX = 20;

/** Room for files in one request. */
export class Room {
  #bytes: number;
  #files: number;

  /** What the conversation has already: bytes of base64, and files. */
  constructor(used: { bytes: number; files: number }) {
    this.#bytes = BASE64_MAX - used.bytes;
    this.#files = FILES_MAX - used.files;
  }

  /** Whether a file of so many bytes still fits; then its place is taken. */
  take(bytes: number): boolean {
    const base64 = base64Bytes(bytes);
    if (this.#files === 0 || base64 > this.#bytes) return false;
    this.#bytes -= base64;
    this.#files -= 1;
    return true;
  }
}

/** The files that a model can be shown. */
export function showable(messages: FrameMessage[]): FrameFile[] {
  return messages
    .flatMap((message) => message.files)
    .filter((file) => !file.lost && (file.type === PDF || isImage(file)) && fits(file));
}

export function isImage(file: FrameFile): boolean {
  return IMAGES.includes(file.type);
}

function fits(file: FrameFile): boolean {
  return isImage(file) ? base64Bytes(file.bytes) <= IMAGE_BASE64_MAX : file.bytes <= MESSAGE_FILES_BYTES_MAX;
}

function base64Bytes(bytes: number): number {
  return Math.ceil(bytes / 3) * 4;
}

/**
 * The bytes of an image or a document as a model is shown it; a string: what it is told instead, because of what the image
 * says of itself. Null: there is no such file.
 */
export async function readShown(path: string, type: string): Promise<Buffer | string | null> {
  const data = await readAttachment(path);
  if (data === null || type === PDF) return data;
  const pixels = declaredPixels(data, type);
  if (pixels === null) return `[${path} is not shown: its beginning is not that of an image]`;
  const { width, height } = pixels;
  return Math.max(width, height) <= IMAGE_SIDE_MAX
    ? data
    : `[${path} is not shown: it says that it has ${width}×${height} pixels, more than ${IMAGE_SIDE_MAX} on a side]`;
}

/** The bytes of a regular file that no message may exceed; null when there is no such file. Never waits for a pipe. */
export async function readAttachment(path: string): Promise<Buffer | null> {
  const file = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK).catch(() => null);
  if (file === null) return null;
  try {
    const stat = await file.stat();
    return stat.isFile() && stat.size <= MESSAGE_FILES_BYTES_MAX ? await file.readFile() : null;
  } finally {
    await file.close();
  }
}
