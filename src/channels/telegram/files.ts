import { setTimeout as sleep } from 'node:timers/promises';
import { GrammyError, HttpError } from 'grammy';
import { FILE_NAME_BYTES_MAX, MESSAGE_FILES_BYTES_MAX, MESSAGE_FILES_MAX } from '../../base/limits/messages.ts';
import { cutBytes, showBytes } from '../../base/text.ts';
import type { IncomingFile } from '../channel.ts';
import type { Client } from './client.ts';
import { BACKOFF_MS, DOWNLOAD_ATTEMPTS, DOWNLOAD_MS } from './limits.ts';
import type { TgFile, TgMessage } from './payloads.ts';

/** The files of a message: which there are, and their bytes, as far as a message may have them. */

interface Attached {
  id: string;
  name: string;
  bytes: number;
}

/** An animation comes as `document` too, which is read here. */
export function attachedTo(message: TgMessage): Attached[] {
  const named: [TgFile | undefined, string][] = [
    [message.photo?.at(-1), 'photo.jpg'],
    [message.document, 'document'],
    [message.audio, 'audio.mp3'],
    [message.voice, 'voice.ogg'],
    [message.video, 'video.mp4'],
    [message.video_note, 'video.mp4'],
  ];
  return named.flatMap(([file, name]) =>
    file === undefined
      ? []
      : [{ id: file.file_id, name: cutBytes(file.file_name ?? name, FILE_NAME_BYTES_MAX), bytes: file.file_size ?? 0 }],
  );
}

/** `left`: a line for each one that is left out. */
export async function fetchFiles(
  client: Client,
  attached: Attached[],
): Promise<{ files: IncomingFile[]; left: string[] }> {
  const files: IncomingFile[] = [];
  const left: string[] = [];
  let room = MESSAGE_FILES_BYTES_MAX;
  for (const each of attached) {
    const data = files.length < MESSAGE_FILES_MAX ? await fetchOne(client, each, room) : 'there are too many';
    if (typeof data === 'string') left.push(`[the file ${each.name} was left out: ${data}]`);
    else {
      files.push({ name: each.name, data });
      room -= data.length;
    }
  }
  return { files, left };
}

/** Its bytes, or why they are not here. */
async function fetchOne(client: Client, attached: Attached, bytesMax: number): Promise<Buffer | string> {
  const tooLarge = `it is larger than ${showBytes(bytesMax)}`;
  if (attached.bytes > bytesMax) return tooLarge;
  for (let attempt = 1; attempt <= DOWNLOAD_ATTEMPTS; attempt += 1) {
    if (attempt > 1) await sleep(BACKOFF_MS);
    try {
      const { file_path } = await client.api.getFile(attached.id);
      const data = file_path === undefined ? null : await download(client.fileUrl(file_path), bytesMax);
      if (data === null) return tooLarge;
      return data.length === 0 ? 'it is empty' : data;
    } catch (error) {
      if (error instanceof GrammyError && error.error_code === 400) return `Telegram said: ${error.description}`;
      if (!(error instanceof GrammyError || error instanceof HttpError || error instanceof NotFetched)) throw error;
    }
  }
  return 'it could not be fetched';
}

/** Says nothing of the address: the token stands in it. */
class NotFetched extends Error {}

/** Null: there is more than `bytesMax`. */
async function download(url: string, bytesMax: number): Promise<Buffer | null> {
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  try {
    const response = await fetch(url, { redirect: 'error', signal: AbortSignal.timeout(DOWNLOAD_MS) });
    if (!response.ok || response.body === null) throw new Error('refused');
    for await (const chunk of response.body) {
      bytes += chunk.length;
      if (bytes > bytesMax) return null;
      chunks.push(chunk);
    }
  } catch {
    throw new NotFetched();
  }
  return Buffer.concat(chunks);
}
