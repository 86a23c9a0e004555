import { createHash } from 'node:crypto';
import {
  type BinaryNode,
  cleanMessage,
  decodeMessageNode,
  unpadRandomMax16,
  type WAMessage,
  type WAMessageKey,
  WAProto,
} from '@whiskeysockets/baileys';
import { INBOX_MAX } from './limits.ts';
import { read } from './reading.ts';
import type { Data, SealedStore } from './store.ts';

/**
 * Messages that are decrypted and not committed yet. A message can be decrypted once, and Baileys tells WhatsApp that it has
 * come before we hear of it; so its text is put here in the one write that moves its session on, and goes when the ledger has
 * it. What Baileys did not get to tell us of is handed over when its connection has ended, and after a crash at the next start;
 * what WhatsApp sends again is not decrypted again.
 */
export const INBOX = 'inbox';

export interface Me {
  id: string;
  lid?: string | undefined;
}

interface Entry {
  attrs: BinaryNode['attrs'];
  /** As it was decrypted, padding included. */
  plain: Uint8Array;
  me: Me;
}

export class Inbox {
  /** Whose messages an earlier life has left; null: it has left none. */
  readonly me: Me | null;
  readonly #store: SealedStore;
  /** By message: the ids of its entries, of which it may have several. */
  readonly #ids = new Map<string, Set<string>>();
  readonly #waiting: (() => void)[] = [];

  constructor(store: SealedStore) {
    this.#store = store;
    const left = store.all(INBOX) as [id: string, entry: Entry][];
    for (const [id, entry] of left) this.#remember(id, messageOf(entry)?.key);
    this.me = left[0]?.[1].me ?? null;
  }

  /** The same bytes have the same one. */
  idOf(ciphertext: Uint8Array): string {
    return createHash('sha256').update(ciphertext).digest('base64url');
  }

  /** What those bytes were decrypted to, while it is here. */
  plain(id: string): Uint8Array | null {
    return (this.#store.get(INBOX, id) as Entry | undefined)?.plain ?? null;
  }

  /** Resolves when another message may be decrypted. */
  async room(): Promise<void> {
    while (this.#ids.size >= INBOX_MAX) await new Promise<void>((resolve) => this.#waiting.push(resolve));
  }

  /** To be written together with what decrypting has changed: nothing, of a message that says nothing. */
  entry(id: string, attrs: BinaryNode['attrs'], plain: Uint8Array, { id: own, lid }: Me): Data {
    const entry: Entry = { attrs, plain, me: { id: own, lid } };
    const message = messageOf(entry);
    // What says nothing is not missed, and would lie here if Baileys did not tell of it either.
    if (message === null || !says(message)) return {};
    this.#remember(id, message.key);
    return { [INBOX]: { [id]: entry } };
  }

  /** The ledger has it, or it says nothing to anybody. */
  done(key: WAMessageKey): void {
    const name = nameOf(key);
    const ids = this.#ids.get(name);
    if (ids === undefined) return;
    this.#store.set({ [INBOX]: Object.fromEntries([...ids].map((id) => [id, null])) });
    this.#ids.delete(name);
    this.#waiting.shift()?.();
  }

  has(key: WAMessageKey): boolean {
    return this.#ids.has(nameOf(key));
  }

  /** In the order in which they came. */
  left(): WAMessage[] {
    return this.#store.all(INBOX).flatMap(([, entry]) => messageOf(entry as Entry) ?? []);
  }

  #remember(id: string, key: WAMessageKey | undefined): void {
    if (key === undefined) return;
    const name = nameOf(key);
    this.#ids.set(name, (this.#ids.get(name) ?? new Set()).add(id));
  }
}

function says(message: WAMessage): boolean {
  return read(message).kind !== 'nothing';
}

export function nameOf({ remoteJid, participant, id }: WAMessageKey): string {
  return [remoteJid, participant, id].map((part) => part ?? '').join(' ');
}

/** As Baileys makes it of the same. Null: it is nothing that it would have told us. */
function messageOf({ attrs, plain, me }: Entry): WAMessage | null {
  try {
    const { fullMessage } = decodeMessageNode({ tag: 'message', attrs }, me.id, me.lid ?? '');
    const message = WAProto.Message.decode(unpadRandomMax16(plain));
    const made = { ...fullMessage, message: message.deviceSentMessage?.message ?? message } as WAMessage;
    cleanMessage(made, me.id, me.lid ?? '');
    return made;
  } catch {
    return null;
  }
}
