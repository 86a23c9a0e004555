import { readFile } from 'node:fs/promises';
import { FILE_NAME_BYTES_MAX, MESSAGE_FILES_BYTES_MAX, MESSAGE_FILES_MAX } from '../../base/limits/messages.ts';
import { cutBytes, visible } from '../../base/text.ts';
import type { IncomingFile, OutgoingFile } from '../channel.ts';
import type { Api } from './api.ts';
import { FILE_MS } from './limits.ts';
import * as payloads from './payloads.ts';

export interface Fetched {
  files: IncomingFile[];
  /** A line for each that was left out. */
  notes: string[];
}

/** What a message may have of these; never rejects. Their addresses are signed and need no token. */
export async function fetchFiles(api: Api, given: unknown[]): Promise<Fetched> {
  const fetched: Fetched = { files: [], notes: [] };
  let room = MESSAGE_FILES_BYTES_MAX;
  for (const each of given) {
    const read = payloads.attachment.safeParse(each);
    const name = cutBytes(read.data?.filename || 'file', FILE_NAME_BYTES_MAX);
    const leftOut = (why: string): number => fetched.notes.push(`[the file "${visible(name)}" was left out: ${why}]`);
    if (!read.success || !api.keepsFiles(read.data.url)) leftOut('it is not kept by Discord');
    else if (fetched.files.length >= MESSAGE_FILES_MAX) leftOut(`a message has at most ${MESSAGE_FILES_MAX}`);
    else if (read.data.size === 0) leftOut('it is empty');
    else if (read.data.size > room) leftOut('it is too large');
    else {
      const data = await fetchFile(read.data.url, room);
      if (typeof data === 'string') leftOut(data);
      else {
        fetched.files.push({ name, data });
        room -= data.length;
      }
    }
  }
  return fetched;
}

const UNFETCHED = 'it could not be fetched';

/** The bytes, or why there are none. Asked for twice: to ask again does no harm. */
async function fetchFile(address: string, room: number): Promise<Buffer | string> {
  const first = await attempt(address, room);
  return first === UNFETCHED ? attempt(address, room) : first;
}

async function attempt(address: string, room: number): Promise<Buffer | string> {
  try {
    const response = await fetch(address, { redirect: 'error', signal: AbortSignal.timeout(FILE_MS) });
    if (response.status === 404) return 'Discord does not have it';
    if (!response.ok || response.body === null) return UNFETCHED;
    const parts: Uint8Array[] = [];
    let bytes = 0;
    for await (const part of response.body) {
      bytes += part.length;
      if (bytes > room) return 'it is too large';
      parts.push(part);
    }
    return bytes === 0 ? 'it is empty' : Buffer.concat(parts);
  } catch {
    return UNFETCHED;
  }
}

/** As the call takes it: within the limit it is read as a whole. */
export async function uploadOf({ path, name }: OutgoingFile): Promise<{ name: string; data: Buffer }> {
  return { name, data: await readFile(path) };
}
