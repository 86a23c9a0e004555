import type { z } from 'zod';
import type { Unreadable } from '../unreadable.ts';
import type { Answer, Client } from './client.ts';
import { NoSense } from './errors.ts';
import { PAGE_SIZE, PAGES_MAX, REVIEW_PAGES_MAX } from './limits.ts';
import { comment, entry, type GhIssue, issue, review, reviewComment } from './payloads.ts';
import type { Repo } from './places.ts';
import { type Entry, ofComment, ofIssue, ofReview, ofReviewComment } from './reading.ts';

/** The lists of one repository, oldest change first. */

/** In the order in which they are asked: an issue that came before a comment is then never missing beside it. */
const LISTS = ['comment', 'review_comment', 'issue'] as const;
type List = (typeof LISTS)[number];

const ROUTES: Record<List, string> = {
  comment: 'GET /repos/{owner}/{repo}/issues/comments',
  review_comment: 'GET /repos/{owner}/{repo}/pulls/comments',
  issue: 'GET /repos/{owner}/{repo}/issues',
};

export interface News {
  entries: Entry[];
  issues: GhIssue[];
  /** Lists go further than this; null: that is all there is. */
  until_ms: number | null;
  /** The same question again is answered shortly while nothing has changed. To be called once the news is kept. */
  kept(): void;
}

interface Pages<T> {
  items: T[];
  hasMore: boolean;
  /** Of a list that is one page. */
  etag: { url: string; etag: string } | null;
}

export class Lists {
  readonly #client: Client;
  readonly #repo: Repo;
  readonly #unreadable: Unreadable;
  readonly #etags = new Map<List, { url: string; etag: string }>();

  constructor(client: Client, repo: Repo, unreadable: Unreadable) {
    this.#client = client;
    this.#repo = repo;
    this.#unreadable = unreadable;
  }

  /** The repository is there, and what time it is on GitHub, in seconds as their times are. */
  async now(signal: AbortSignal): Promise<number> {
    const { headers } = await this.#client.call('GET /repos/{owner}/{repo}', { ...this.#repo }, { signal });
    const now = Date.parse(String(headers['date']));
    if (Number.isNaN(now)) throw new NoSense('no time');
    return now;
  }

  async since(since_ms: number, signal: AbortSignal): Promise<News> {
    const comments = await this.#list('comment', comment, since_ms, signal);
    const reviewComments = await this.#list('review_comment', reviewComment, since_ms, signal);
    const issues = await this.#list('issue', issue, since_ms, signal);
    const lists = [comments, reviewComments, issues];
    const ends = lists.filter(({ hasMore }) => hasMore).map(({ items }) => items.at(-1)!.updated_at);
    return {
      entries: [
        ...comments.items.map(ofComment),
        ...reviewComments.items.map(ofReviewComment),
        ...issues.items.map(ofIssue),
      ],
      issues: issues.items,
      until_ms: ends.length === 0 ? null : Math.min(...ends),
      kept: () => {
        for (const [at, { etag }] of lists.entries()) if (etag !== null) this.#etags.set(LISTS[at]!, etag);
      },
    };
  }

  /** They have no list of their own: each pull request is asked. */
  async reviews(number: number, signal: AbortSignal): Promise<Entry[]> {
    const route = 'GET /repos/{owner}/{repo}/pulls/{pull_number}/reviews';
    const found: Entry[] = [];
    for (let page = 1; page <= REVIEW_PAGES_MAX; page += 1) {
      const given = { ...this.#repo, pull_number: number, per_page: PAGE_SIZE, page };
      const answer = await this.#client.call(route, given, { signal });
      const read = await this.#read(review, answer, 'review');
      found.push(...read.flatMap((each) => ofReview(each, number) ?? []));
      if (!hasNext(answer)) break;
    }
    return found;
  }

  async title(number: number, signal: AbortSignal): Promise<string | null> {
    const route = 'GET /repos/{owner}/{repo}/issues/{issue_number}';
    const { data } = await this.#client.call(route, { ...this.#repo, issue_number: number }, { signal });
    return issue.safeParse(data).data?.title ?? null;
  }

  /**
   * A full page is followed by what has changed since its last entry: an entry that changes meanwhile moves to the end, and
   * counted pages would then skip one. Pages are counted within one second alone.
   */
  async #list<T extends { id: number; updated_at: number }>(
    list: List,
    schema: z.ZodType<T>,
    since_ms: number,
    signal: AbortSignal,
  ): Promise<Pages<T>> {
    const items = new Map<number, T>();
    let [since, page, hasMore] = [since_ms, 1, true];
    let etag: Pages<T>['etag'] = null;
    for (let asked = 0; hasMore && asked < PAGES_MAX; asked += 1) {
      const url = `${since}`;
      const known = this.#etags.get(list);
      const more = asked === 0 && known?.url === url ? { signal, etag: known.etag } : { signal };
      const answer = await this.#client.call(ROUTES[list], this.#question(list, since, page), more);
      if (answer.status === 304) return { items: [], hasMore: false, etag: null };
      const found = await this.#read(schema, answer, list);
      for (const each of found) {
        items.delete(each.id);
        items.set(each.id, each);
      }
      hasMore = hasNext(answer);
      const given = answer.headers['etag'];
      if (asked === 0 && !hasMore && typeof given === 'string') etag = { url, etag: given };
      const last = found.at(-1)?.updated_at ?? since;
      if (last > since) [since, page] = [last, 1];
      else page += 1;
    }
    return { items: [...items.values()], hasMore: hasMore && items.size > 0, etag };
  }

  #question(list: List, since: number, page: number): object {
    const all = list === 'issue' ? { state: 'all' } : {};
    const time = new Date(since).toISOString().replace(/\.\d+Z$/, 'Z');
    return { ...this.#repo, ...all, sort: 'updated', direction: 'asc', since: time, per_page: PAGE_SIZE, page };
  }

  /** What cannot be read is kept as it came and passed over, so that it blocks nothing. Rejects when it was not kept. */
  async #read<T>(schema: z.ZodType<T>, { data }: Answer, kind: string): Promise<T[]> {
    if (!Array.isArray(data)) throw new NoSense('no list');
    const found: T[] = [];
    for (const each of data as unknown[]) {
      const parsed = schema.safeParse(each);
      if (parsed.success) found.push(parsed.data);
      else {
        const where = parsed.error.issues[0]?.path.join('.') ?? '';
        await this.#unreadable.keep(kind, each, { id: entry.safeParse(each).data?.id ?? -1, where });
      }
    }
    return found;
  }
}

function hasNext({ headers }: Answer): boolean {
  return /[;,]\s*rel="next"/.test(String(headers['link'] ?? ''));
}
