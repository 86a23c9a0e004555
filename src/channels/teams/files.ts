import { FILE_NAME_BYTES_MAX, MESSAGE_FILES_BYTES_MAX, MESSAGE_FILES_MAX } from '../../base/limits/messages.ts';
import { cutBytes, visible } from '../../base/text.ts';
import type { IncomingFile } from '../channel.ts';
import type { Connector } from './connector.ts';
import { FILE_HOSTS, isOf } from './hosts.ts';
import { bytesOf } from './http.ts';
import { FILE_MS } from './limits.ts';
import * as payloads from './payloads.ts';

/** Files that people send: from SharePoint by an address that is a key by itself, pictures from Teams by our token. */

interface Attached {
  name: string;
  address: string;
  /** Whether our token goes with the request. */
  byToken: boolean;
}

export interface Fetched {
  files: IncomingFile[];
  /** A line for each that was left out. */
  notes: string[];
}

/** The text once more as HTML, and cards, are no files. */
export function attachedIn(attachments: readonly unknown[]): Attached[] {
  return attachments.flatMap((each): Attached[] => {
    const { data } = payloads.attachment.safeParse(each);
    if (data === undefined) return [];
    if (data.contentType === 'application/vnd.microsoft.teams.file.download.info') {
      const info = payloads.downloadInfo.safeParse(data.content);
      return [{ name: data.name || 'file', address: info.data?.downloadUrl ?? '', byToken: false }];
    }
    const [, type] = /^image\/(\w+|\*)/.exec(data.contentType) ?? [];
    if (type === undefined || !data.contentUrl) return [];
    return [{ name: data.name || `image.${type === '*' ? 'png' : type}`, address: data.contentUrl, byToken: true }];
  });
}

/** What a message may have of these. Never rejects. */
export async function fetchFiles(
  connector: Connector,
  hosts: readonly string[],
  attached: readonly Attached[],
): Promise<Fetched> {
  const fetched: Fetched = { files: [], notes: [] };
  let room = MESSAGE_FILES_BYTES_MAX;
  for (const each of attached) {
    const data =
      fetched.files.length < MESSAGE_FILES_MAX
        ? await fetchFile(connector, hosts, each, room)
        : `a message has at most ${MESSAGE_FILES_MAX}`;
    if (typeof data === 'string') fetched.notes.push(`[the file "${visible(each.name)}" was left out: ${data}]`);
    else {
      fetched.files.push({ name: cutBytes(each.name, FILE_NAME_BYTES_MAX), data });
      room -= data.length;
    }
  }
  return fetched;
}

/** The bytes, or why there are none. */
async function fetchFile(
  connector: Connector,
  hosts: readonly string[],
  { address, byToken }: Attached,
  room: number,
): Promise<Buffer | string> {
  if (!isOf(byToken ? hosts : [...FILE_HOSTS, ...hosts], address)) return 'it is not kept by Microsoft';
  try {
    const response = byToken ? await withToken(connector, address) : await plainly(address);
    if (response?.ok !== true) return 'it could not be fetched';
    const data = await bytesOf(response, room);
    if (data === null) return 'it is too large';
    return data.length === 0 ? 'it is empty' : data;
  } catch {
    return 'it could not be fetched';
  }
}

async function withToken(connector: Connector, address: string): Promise<Response | null> {
  const answer = await connector.respond(address, { method: 'GET', path: '', within_ms: FILE_MS });
  return answer.ok ? answer.value : null;
}

/** Elsewhere it would be led, somebody else would have chosen where. */
function plainly(address: string): Promise<Response> {
  return fetch(address, { redirect: 'error', signal: AbortSignal.timeout(FILE_MS) });
}
