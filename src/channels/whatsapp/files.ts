import { FILE_NAME_BYTES_MAX, MESSAGE_FILES_BYTES_MAX } from '../../base/limits/messages.ts';
import { cutBytes, showBytes, visible } from '../../base/text.ts';
import type { IncomingFile } from '../channel.ts';
import type { Graph } from './graph.ts';
import { DOWNLOAD_ATTEMPTS, DOWNLOAD_MS } from './limits.ts';
import { mediaInfo } from './payloads.ts';

/** The file of a message, or a line that says why it is left out. Never rejects. */
export async function fetchMedia(
  graph: Graph,
  media: { id: string; name: string },
): Promise<{ files: IncomingFile[]; left: string }> {
  const name = cutBytes(media.name, FILE_NAME_BYTES_MAX);
  const data = await bytesOf(graph, media.id);
  if (typeof data !== 'string') return { files: [{ name, data }], left: '' };
  return { files: [], left: `[the file "${visible(name)}" was left out: ${data}]` };
}

const TOO_LARGE = `it is larger than ${showBytes(MESSAGE_FILES_BYTES_MAX)}`;
const NOT_FETCHED = 'it could not be fetched';

/** Its address lives for minutes, so that a new try asks for a new one. */
async function bytesOf(graph: Graph, id: string): Promise<Buffer | string> {
  for (let attempt = 1; attempt <= DOWNLOAD_ATTEMPTS; attempt += 1) {
    const info = await graph.get(encodeURIComponent(id), mediaInfo);
    if (!info.ok) {
      if (info.refusal.class === 'permanent') return 'WhatsApp does not have it';
      continue;
    }
    if ((info.value.file_size ?? 0) > MESSAGE_FILES_BYTES_MAX) return TOO_LARGE;
    if (!graph.isMetas(info.value.url)) return 'it is not kept by WhatsApp';
    const data = await download(graph, info.value.url);
    if (data !== null) return data;
  }
  return NOT_FETCHED;
}

/** Null: it may be tried again. */
async function download(graph: Graph, address: string): Promise<Buffer | string | null> {
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  try {
    const response = await graph.fetchFile(address, AbortSignal.timeout(DOWNLOAD_MS));
    if (!response.ok || response.body === null) return null;
    for await (const chunk of response.body) {
      bytes += chunk.length;
      if (bytes > MESSAGE_FILES_BYTES_MAX) return TOO_LARGE;
      chunks.push(chunk);
    }
  } catch {
    return null;
  }
  return bytes === 0 ? 'it is empty' : Buffer.concat(chunks);
}
