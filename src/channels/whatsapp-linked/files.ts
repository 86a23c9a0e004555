import { createDecipheriv, createHmac, timingSafeEqual } from 'node:crypto';
import { getMediaKeys } from '@whiskeysockets/baileys';
import { FILE_NAME_BYTES_MAX, MESSAGE_FILES_BYTES_MAX } from '../../base/limits/messages.ts';
import { cutBytes, showBytes, visible } from '../../base/text.ts';
import type { IncomingFile } from '../channel.ts';
import { DOWNLOAD_ATTEMPTS, DOWNLOAD_MS } from './limits.ts';
import type { Media } from './reading.ts';

/**
 * A file lies encrypted on WhatsApp's machines, and who sent the message wrote where, and with which key. Baileys would go where
 * that message says, follow, and look at no seal; here nothing is fetched but from WhatsApp, and what does not bear the
 * seal of the key is refused.
 */
export type Fetch = (address: URL, options: RequestInit) => Promise<Response>;

const HOST = 'mmg.whatsapp.net';
const MAC_BYTES = 10;
/** The seal, and up to one block of padding. */
const SEALED_MORE_BYTES = 26;
const TOO_LARGE = `it is larger than ${showBytes(MESSAGE_FILES_BYTES_MAX)}`;

/** The file of a message, or a line that says why it is left out. Never rejects. */
export async function fetchMedia(fetch: Fetch, media: Media): Promise<{ files: IncomingFile[]; left: string }> {
  const name = cutBytes(media.name, FILE_NAME_BYTES_MAX);
  const data = media.bytes > MESSAGE_FILES_BYTES_MAX ? TOO_LARGE : await bytesOf(fetch, media);
  if (typeof data !== 'string') return { files: [{ name, data }], left: '' };
  return { files: [], left: `[the file "${visible(name)}" was left out: ${data}]` };
}

/** Null: it is none of WhatsApp's. */
export function addressOf({ directPath, url }: Pick<Media, 'directPath' | 'url'>): URL | null {
  if (!directPath.startsWith('/')) return null;
  const said = URL.canParse(url) ? new URL(url).host : '';
  const host = /^([a-z0-9-]+\.)+whatsapp\.net$/.test(said) ? said : HOST;
  const address = `https://${host}${directPath}`;
  return URL.canParse(address) && new URL(address).host === host ? new URL(address) : null;
}

async function bytesOf(fetch: Fetch, media: Media): Promise<Buffer | string> {
  const address = addressOf(media);
  if (address === null) return 'it is not kept by WhatsApp';
  for (let attempt = 1; attempt <= DOWNLOAD_ATTEMPTS; attempt += 1) {
    const sealed = await download(fetch, address);
    if (typeof sealed === 'string') return sealed;
    if (sealed !== null) return (await opened(sealed, media)) ?? 'it is not what was sent';
  }
  return 'it could not be fetched';
}

/** Null: it may be tried again. */
async function download(fetch: Fetch, address: URL): Promise<Buffer | string | null> {
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  try {
    const headers = { origin: 'https://web.whatsapp.com' };
    const response = await fetch(address, { headers, redirect: 'error', signal: AbortSignal.timeout(DOWNLOAD_MS) });
    if (response.status === 404 || response.status === 410) return 'WhatsApp does not have it any more';
    if (!response.ok || response.body === null) return null;
    for await (const chunk of response.body) {
      bytes += chunk.length;
      if (bytes > MESSAGE_FILES_BYTES_MAX + SEALED_MORE_BYTES) return TOO_LARGE;
      chunks.push(chunk);
    }
  } catch {
    return null;
  }
  return Buffer.concat(chunks);
}

/** Null: the seal is another's. */
async function opened(sealed: Buffer, { mediaKey, kind }: Media): Promise<Buffer | string | null> {
  const { iv, cipherKey, macKey } = await getMediaKeys(mediaKey, kind);
  const bytes = sealed.subarray(0, -MAC_BYTES);
  const mac = createHmac('sha256', macKey!).update(iv).update(bytes).digest().subarray(0, MAC_BYTES);
  const given = sealed.subarray(-MAC_BYTES);
  if (given.length !== MAC_BYTES || !timingSafeEqual(given, mac)) return null;
  try {
    const decipher = createDecipheriv('aes-256-cbc', cipherKey, iv);
    const data = Buffer.concat([decipher.update(bytes), decipher.final()]);
    if (data.length > MESSAGE_FILES_BYTES_MAX) return TOO_LARGE;
    return data.length === 0 ? 'it is empty' : data;
  } catch {
    return null;
  }
}
