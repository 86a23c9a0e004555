import { openAsBlob } from 'node:fs';
import { FILE_NAME_BYTES_MAX, MESSAGE_FILES_BYTES_MAX, MESSAGE_FILES_MAX } from '../../base/limits/messages.ts';
import { cutBytes, visible } from '../../base/text.ts';
import type { IncomingFile, OutgoingFile } from '../channel.ts';
import type { Api, Called } from './api.ts';
import { FILE_MS } from './limits.ts';
import * as payloads from './payloads.ts';

/** Files in both directions: in by the app's own token, out by an address that Slack gives for one file. */

export interface Fetched {
  files: IncomingFile[];
  /** A line for each that was left out. */
  notes: string[];
}

/** What a message may have of these; never rejects. */
export async function fetchFiles(api: Api, given: unknown[]): Promise<Fetched> {
  const fetched: Fetched = { files: [], notes: [] };
  let room = MESSAGE_FILES_BYTES_MAX;
  for (const each of given) {
    const read = payloads.slackFile.safeParse(each);
    const name = cutBytes((read.data?.name ?? read.data?.title) || 'file', FILE_NAME_BYTES_MAX);
    const leftOut = (why: string): number => fetched.notes.push(`[the file "${visible(name)}" was left out: ${why}]`);
    if (!read.success || read.data.mode === 'tombstone') leftOut('Slack does not have it');
    else if (fetched.files.length >= MESSAGE_FILES_MAX) leftOut(`a message has at most ${MESSAGE_FILES_MAX}`);
    else if (read.data.size === 0) leftOut('it is empty');
    else if ((read.data.size ?? 0) > room) leftOut('it is too large');
    else {
      const data = await fetchFile(api, read.data, room);
      if (typeof data === 'string') leftOut(data);
      else {
        fetched.files.push({ name, data });
        room -= data.length;
      }
    }
  }
  return fetched;
}

/** The bytes, or why there are none. Asked for twice: to ask again does no harm. */
async function fetchFile(api: Api, given: payloads.SlackFile, room: number): Promise<Buffer | string> {
  const file = await whole(api, given);
  const address = file.url_private_download ?? file.url_private;
  if (address === undefined || !api.isSlacks(address)) return 'it is not kept by Slack';
  const first = await attempt(api, file, address, room);
  return first === 'it could not be fetched' ? attempt(api, file, address, room) : first;
}

/** Of a file from another workspace an event has only the id. */
async function whole(api: Api, file: payloads.SlackFile): Promise<payloads.SlackFile> {
  if (file.file_access !== 'check_file_info') return file;
  const answer = await api.call('files.info', { file: file.id }, payloads.fileInfo);
  return answer.ok ? answer.value.file : file;
}

async function attempt(api: Api, file: payloads.SlackFile, address: string, room: number): Promise<Buffer | string> {
  try {
    const response = await api.fetchPrivate(address, AbortSignal.timeout(FILE_MS));
    if (response.status === 404) return 'Slack does not have it';
    if (!response.ok || response.body === null) return 'it could not be fetched';
    // To who may not see it Slack shows a page to sign in.
    const isPage = response.headers.get('content-type')?.startsWith('text/html') === true;
    if (isPage && file.mimetype?.startsWith('text/html') !== true) return 'the app may not read files (files:read)';
    const parts: Uint8Array[] = [];
    let bytes = 0;
    for await (const part of response.body) {
      bytes += part.length;
      if (bytes > room) return 'it is too large';
      parts.push(part);
    }
    return bytes === 0 ? 'it is empty' : Buffer.concat(parts);
  } catch {
    return 'it could not be fetched';
  }
}

/** Puts the bytes where Slack wants them; nobody sees the file before it is shared. The value is its id. */
export async function upload(api: Api, file: OutgoingFile): Promise<Called<string>> {
  const asked = { filename: file.name, length: file.bytes };
  const place = await api.call('files.getUploadURLExternal', asked, payloads.uploadPlace);
  if (!place.ok) return again(place);
  try {
    const blob = await openAsBlob(file.path);
    const signal = AbortSignal.timeout(FILE_MS);
    const response = await api.post(place.value.upload_url, blob, 'application/octet-stream', signal);
    await response.arrayBuffer();
    if (response.ok) return { ok: true, value: place.value.file_id };
    if (response.status === 413)
      return { ok: false, failure: { class: 'too_large', reason: 'Slack takes no file so large' } };
  } catch {
    // said below
  }
  return { ok: false, failure: { class: 'retryable', reason: 'the file could not be uploaded' } };
}

/** An upload that nobody sees may be begun again, whatever became of it. */
function again(failed: { ok: false; failure: Extract<Called<never>, { ok: false }>['failure'] }): Called<string> {
  const { failure } = failed;
  return { ok: false, failure: failure.class === 'ambiguous' ? { ...failure, class: 'retryable' } : failure };
}
