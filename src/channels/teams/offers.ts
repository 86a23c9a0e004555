import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { copyFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import type { OutgoingFile } from '../channel.ts';
import { OFFER_MS, OFFERS_BYTES_MAX, OFFERS_MAX } from './limits.ts';

const offer = z.object({ chat: z.string(), name: z.string(), bytes: z.number(), at_ms: z.number() });

export interface Offer extends z.infer<typeof offer> {
  /** Of its bytes. */
  path: string;
}

/**
 * Files that a person was asked about and has not answered for yet: Teams takes a bot's file when they say yes, into their own OneDrive.
 * The bytes are here until then, whatever becomes of the host's; they go after a week, or when newer ones need the room.
 */
export class Offers {
  readonly #folder: string;

  /** `folder`: of the channel. */
  constructor(folder: string) {
    this.#folder = join(folder, 'offers');
  }

  /** At the driver's start: what another one was about to keep when it died. */
  sweep(): void {
    for (const word of this.#words()) if (!WORD.test(word)) this.drop(word);
  }

  /** Resolves with the word by which it is asked for: of the same send the same one. Rejects when the disk does not take it. */
  async keep(key: string, chat: string, { path, name, bytes }: OutgoingFile): Promise<string> {
    const word = createHash('sha256').update(key).digest('hex').slice(0, 32);
    const place = join(this.#folder, word);
    const draft = `${place}.new`;
    this.#makeRoom(bytes);
    rmSync(draft, { recursive: true, force: true });
    mkdirSync(draft, { recursive: true, mode: 0o700 });
    await copyFile(path, join(draft, FILE));
    const facts: z.infer<typeof offer> = { chat, name, bytes, at_ms: Date.now() };
    writeFileSync(join(draft, FACTS), JSON.stringify(facts), { mode: 0o600 });
    rmSync(place, { recursive: true, force: true });
    renameSync(draft, place);
    return word;
  }

  /** Null: it was not offered in that chat, or not lately. */
  find(word: string, chat: string): Offer | null {
    const found = WORD.test(word) ? this.#read(word) : null;
    return found?.chat === chat && Date.now() - found.at_ms < OFFER_MS ? found : null;
  }

  drop(word: string): void {
    rmSync(join(this.#folder, word), { recursive: true, force: true });
  }

  /** What is too old or cannot be read goes; then the oldest, until there is room. */
  #makeRoom(bytes: number): void {
    const kept: { word: string; found: Offer }[] = [];
    for (const word of this.#words().filter((name) => WORD.test(name))) {
      const found = this.#read(word);
      if (found !== null && Date.now() - found.at_ms < OFFER_MS) kept.push({ word, found });
      else this.drop(word);
    }
    kept.sort((a, b) => a.found.at_ms - b.found.at_ms);
    let room = OFFERS_BYTES_MAX - bytes - kept.reduce((sum, { found }) => sum + found.bytes, 0);
    for (let left = kept.length; left > 0 && (left >= OFFERS_MAX || room < 0); left -= 1) {
      const { word, found } = kept[kept.length - left]!;
      this.drop(word);
      room += found.bytes;
    }
  }

  #words(): string[] {
    return existsSync(this.#folder) ? readdirSync(this.#folder) : [];
  }

  #read(word: string): Offer | null {
    try {
      const place = join(this.#folder, word);
      const facts = offer.parse(JSON.parse(readFileSync(join(place, FACTS), 'utf8')));
      return { ...facts, path: join(place, FILE) };
    } catch {
      return null;
    }
  }
}

const WORD = /^[0-9a-f]{32}$/;
const FILE = 'file';
const FACTS = 'offer.json';
