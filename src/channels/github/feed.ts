import { Latest } from '../latest.ts';
import type { Me } from './auth.ts';
import { isRefused } from './errors.ts';
import type { FeedParts } from './feed_parts.ts';
import { Inbox } from './inbox.ts';
import { OVERLAP_MS, TITLES_MAX } from './limits.ts';
import { Lists, type News } from './lists.ts';
import { readRepo } from './places.ts';
import { type Entry, inOrder } from './reading.ts';

/**
 * What is new in one repository. Two cursors: when we began, before which nothing counts, and up to which second all is
 * committed. The second one moves when a round is through, and each round reads from somewhat before it, since GitHub may
 * list late what came early; what was handed over already is known by its text.
 */
export class Feed {
  readonly repo: string;
  readonly #parts: FeedParts;
  readonly #lists: Lists;
  readonly #inbox: Inbox;
  readonly #titles = new Latest<number, string>(TITLES_MAX);
  /** Pull requests whose reviews were read, with their time of then. */
  readonly #reviewed = new Latest<number, number>(TITLES_MAX);
  #began_ms: number | null;
  #done_ms: number | null;
  /** True: the last round did not reach the end, so the next one begins where it was. */
  #goesOn = false;
  #queued: Promise<void> | null = null;
  #last: Promise<void> = Promise.resolve();
  #failure = Promise.withResolvers<void>();

  constructor(repo: string, parts: FeedParts) {
    this.repo = repo;
    const at = readRepo(repo);
    this.#parts = parts;
    this.#lists = new Lists(parts.client, at, parts.unreadable);
    this.#inbox = new Inbox(at, parts);
    this.#began_ms = readTime(parts.cursors.get(this.#cursor('began')));
    this.#done_ms = readTime(parts.cursors.get(this.#cursor('done')));
  }

  /** Resolves when all that GitHub listed after this call is committed; rejects when something is not. One round at a time. */
  round(): Promise<void> {
    if (this.#queued !== null) return this.#queued;
    const round = this.#last.then(async () => {
      this.#queued = null;
      do await this.#read();
      while (this.#goesOn && !this.#parts.ended.aborted);
    });
    this.#queued = round;
    this.#last = round.catch(() => {
      this.#failure.resolve();
      this.#failure = Promise.withResolvers();
    });
    return round;
  }

  /** Resolves when the next round fails, whoever asked for it. */
  failed(): Promise<void> {
    return this.#failure.promise;
  }

  async #read(): Promise<void> {
    const { ended, sink } = this.#parts;
    const me = await this.#parts.me();
    if (this.#began_ms === null) {
      this.#began_ms = await this.#lists.now(ended);
      await sink.saveCursor(this.#cursor('began'), showTime(this.#began_ms));
    }
    const done = this.#done_ms ?? this.#began_ms;
    const floor = Math.max(this.#began_ms, done - OVERLAP_MS);
    const since = this.#goesOn ? done : floor;
    const news = await this.#lists.since(since, ended);
    for (const { number, title } of news.issues) this.#titles.put(number, title);
    const { entries, reviewed } = await this.#all(news, floor);
    for (const entry of inOrder(entries, floor)) {
      if (ended.aborted) return;
      if (this.#inbox.isNews(entry)) await this.#hand(entry, floor, me);
    }
    if (ended.aborted) return;
    for (const [number, at] of reviewed) this.#reviewed.put(number, at);
    await this.#done(news, since, done);
    news.kept();
  }

  /** Reviews too, as far as the lists reach. */
  async #all(
    { entries, issues, until_ms }: News,
    floor: number,
  ): Promise<{ entries: Entry[]; reviewed: [number, number][] }> {
    const within = ({ updated_ms }: { updated_ms: number }): boolean => until_ms === null || updated_ms <= until_ms;
    const all = entries.filter(within);
    const reviewed: [number, number][] = [];
    for (const { number, pull_request, updated_at } of issues) {
      if (pull_request === undefined || !within({ updated_ms: updated_at })) continue;
      if (this.#reviewed.get(number) === updated_at) continue;
      const reviews = await this.#lists.reviews(number, this.#parts.ended);
      all.push(...reviews.filter(({ created_ms }) => created_ms >= floor));
      reviewed.push([number, updated_at]);
    }
    return { entries: all, reviewed };
  }

  async #hand(entry: Entry, floor: number, me: Me): Promise<void> {
    const title = await this.#title(entry.number);
    await this.#inbox.hand(entry, { repo: this.repo, title, me }, entry.created_ms >= floor);
  }

  async #title(number: number): Promise<string> {
    const known = this.#titles.get(number);
    if (known !== undefined) return known;
    let title: string | null = null;
    try {
      title = await this.#lists.title(number, this.#parts.ended);
    } catch (error) {
      // It was taken away meanwhile, or cannot be asked for now: what was said counts all the same.
      if (!isRefused(error)) throw error;
    }
    this.#titles.put(number, title ?? `${this.repo}#${number}`);
    return title ?? `${this.repo}#${number}`;
  }

  async #done({ entries, until_ms }: News, since: number, before: number): Promise<void> {
    this.#goesOn = until_ms !== null;
    const newest = Math.max(before, ...entries.map(({ updated_ms }) => updated_ms));
    // A second with more entries than a round reads would be read for ever.
    const next = until_ms === null ? newest : until_ms > since ? until_ms : until_ms + 1000;
    if (until_ms !== null && until_ms <= since) this.#parts.log('warn', 'github.crowded', { repo: this.repo });
    if (next === this.#done_ms) return;
    await this.#parts.sink.saveCursor(this.#cursor('done'), showTime(next));
    this.#done_ms = next;
  }

  #cursor(name: 'began' | 'done'): string {
    return `${name}:${this.repo.toLowerCase()}`;
  }
}

function showTime(ms: number): string {
  return new Date(ms).toISOString();
}

function readTime(text: string | undefined): number | null {
  return text === undefined ? null : Date.parse(text);
}
