import { openAsBlob } from 'node:fs';
import type { OutgoingFile, WebhookAnswer } from '../channel.ts';
import type { DriverParts } from '../kind.ts';
import { FILE_HOSTS, isOf } from './hosts.ts';
import { placeOf } from './incoming.ts';
import { UPLOAD_MS } from './limits.ts';
import type { Offer, Offers } from './offers.ts';
import type * as payloads from './payloads.ts';

/** The two cards that a file is in Teams: whether it may come, and that it is there. */

export function offerCard({ name, bytes }: OutgoingFile, word: string): object {
  const context = { file: word };
  const content = { sizeInBytes: bytes, acceptContext: context, declineContext: context };
  return { contentType: 'application/vnd.microsoft.teams.card.file.consent', name, content };
}

type Upload = NonNullable<payloads.Consented['value']['uploadInfo']>;

function fileCard({ name, contentUrl, uniqueId, fileType }: Upload): object {
  const content = { uniqueId, ...(fileType && { fileType }) };
  return { contentType: 'application/vnd.microsoft.teams.card.file.info', contentUrl, name, content };
}

export interface ConsentParts {
  offers: Offers;
  /** Of files, besides Microsoft's. */
  hosts: readonly string[];
  /** Says in that chat that the file is there. Resolves with why it could not; null: it could. */
  show(chat: string, card: object): Promise<string | null>;
  log: DriverParts['log'];
}

/** What people say to the files that they were offered. */
export class Consent {
  readonly #parts: ConsentParts;
  /** On their way: a second press waits for the first. */
  readonly #going = new Map<string, Promise<WebhookAnswer>>();

  constructor(parts: ConsentParts) {
    this.#parts = parts;
  }

  /** Never rejects. What is not answered 200 Teams shows as failed, and the person can press again. */
  answered(said: payloads.Consented): Promise<WebhookAnswer> {
    const { offers, log } = this.#parts;
    const { action, context, uploadInfo } = said.value;
    const word = context.file;
    const going = this.#going.get(word);
    if (going !== undefined) return going;
    const found = offers.find(word, placeOf(said).chat.platform_id);
    if (action === 'decline') {
      if (found !== null) offers.drop(word);
      log('info', 'teams.file_declined');
      return Promise.resolve({ status: 200 });
    }
    if (found === null || !uploadInfo) {
      log('info', 'teams.file_gone');
      return Promise.resolve({ status: 404 });
    }
    const bringing = this.#bring(word, found, uploadInfo).finally(() => this.#going.delete(word));
    this.#going.set(word, bringing);
    return bringing;
  }

  async #bring(word: string, offer: Offer, upload: Upload): Promise<WebhookAnswer> {
    const { offers, hosts, show, log } = this.#parts;
    const failed = isOf([...FILE_HOSTS, ...hosts], upload.uploadUrl)
      ? await put(offer, upload.uploadUrl)
      : 'it is not kept by Microsoft';
    if (failed !== null) {
      log('warn', 'teams.file_not_taken', { reason: failed });
      return { status: 502 };
    }
    offers.drop(word);
    const unsaid = await show(offer.chat, fileCard(upload));
    if (unsaid !== null) log('warn', 'teams.file_not_shown', { reason: unsaid });
    return { status: 200 };
  }
}

/** To an address that is a key by itself, and gets no token. Null: it is there. */
async function put({ path, bytes }: Offer, address: string): Promise<string | null> {
  try {
    const response = await fetch(address, {
      method: 'PUT',
      headers: { 'content-type': 'application/octet-stream', 'content-range': `bytes 0-${bytes - 1}/${bytes}` },
      body: await openAsBlob(path),
      redirect: 'error',
      signal: AbortSignal.timeout(UPLOAD_MS),
    });
    await response.body?.cancel();
    return response.ok ? null : `Microsoft said ${response.status}`;
  } catch {
    return 'Microsoft could not be reached, or its bytes could not be read';
  }
}
