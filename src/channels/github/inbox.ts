import { Latest } from '../latest.ts';
import type { Me } from './auth.ts';
import type { FeedParts } from './feed_parts.ts';
import { SEEN_AGE_MS, SEEN_MAX } from './limits.ts';
import { Permissions } from './permissions.ts';
import type { Repo } from './places.ts';
import { type Entry, editOf, isOurs, messageOf, speakerOf, type Told, textHash } from './reading.ts';

/** Entries of one repository become what the host is told. Each text is handed over once; a rejection leaves it to be told again. */
export class Inbox {
  readonly #repo: Repo;
  readonly #parts: FeedParts;
  readonly #permissions: Permissions;
  /** By kind and id: the text that was handed over, or passed over. */
  readonly #seen = new Latest<string, string>(SEEN_MAX);

  constructor(repo: Repo, parts: FeedParts) {
    this.#repo = repo;
    this.#parts = parts;
    this.#permissions = new Permissions(parts.client, repo);
  }

  /** False: what it says was handed over before. */
  isNews(entry: Entry): boolean {
    return this.#seen.get(nameOf(entry)) !== textHash(entry);
  }

  /** `isNew`: it was written since we last looked. Resolves when it is committed. */
  async hand(entry: Entry, told: Told, isNew: boolean): Promise<void> {
    const isKnown = this.#seen.get(nameOf(entry)) !== undefined;
    // The time of an issue moves with whatever is said in it, and a review has none of its own.
    const tellsOfEdits = entry.kind === 'comment' || entry.kind === 'review_comment';
    if (isKnown || (!isNew && tellsOfEdits)) await this.#edited(entry, told);
    else if (isNew) await this.#accepted(entry, told);
    this.#seen.put(nameOf(entry), textHash(entry));
  }

  async #passes(entry: Entry, me: Me): Promise<boolean> {
    if (entry.text.trim() === '' || isOurs(entry, me)) return false;
    const { user } = entry;
    if (user === null || speakerOf(entry, me) !== 'person' || this.#parts.public) return true;
    if (await this.#permissions.mayWrite(user, this.#parts.ended)) return true;
    const { kind, id } = entry;
    this.#parts.log('info', 'github.passed_over', { ...this.#repo, kind, id, why: 'no write access' });
    return false;
  }

  async #accepted(entry: Entry, told: Told): Promise<void> {
    if (!(await this.#passes(entry, told.me))) return;
    const { repeated, ignored } = await this.#parts.sink.accept(messageOf(entry, told));
    const isEdited = entry.updated_ms > entry.created_ms && entry.kind !== 'issue';
    // It was accepted in another life, maybe with another text.
    if (repeated && isEdited) return this.#edited(entry, told);
    const isFresh = Date.now() - entry.created_ms < SEEN_AGE_MS;
    if (!repeated && ignored === null && isFresh) this.#parts.marks.put({ ...this.#repo, number: entry.number }, entry);
  }

  /** Our own answers change while they are written, and programs show their progress so: nobody has to hear of that. */
  async #edited(entry: Entry, told: Told): Promise<void> {
    if (speakerOf(entry, told.me) !== 'person' || !(await this.#passes(entry, told.me))) return;
    await this.#parts.sink.edited(editOf(entry, told));
  }
}

function nameOf({ kind, id }: Entry): string {
  return `${kind}:${id}`;
}
