import type { Reconciled, SendOperation } from '../channel.ts';
import type { Answer, Client } from './client.ts';
import { NoSense } from './errors.ts';
import { PAGE_SIZE, RECONCILE_PAGES_MAX } from './limits.ts';
import { markOf } from './mark.ts';
import { marked as markedSchema } from './payloads.ts';
import { type Chat, showMessage } from './places.ts';

/**
 * Looks for the mark of a send among the newest comments of its place. Only ours count: anybody can write such a mark. What
 * stands further back than is looked is unknown.
 */
export async function findSent(
  client: Client,
  chat: Chat,
  { thread, key }: Pick<SendOperation, 'thread' | 'key'>,
  signal: AbortSignal,
): Promise<Reconciled> {
  const { login } = await client.me();
  const mark = markOf(key);
  const pages = thread === '' ? commentPages(client, chat, signal) : reviewCommentPages(client, chat, signal);
  let isWhole = true;
  for await (const { items, isLast } of pages) {
    for (const { id, user, body } of items)
      if (user?.login.toLowerCase() === login.toLowerCase() && body?.trimEnd().endsWith(mark))
        return { found: true, receipt: showMessage(thread === '' ? 'comment' : 'review_comment', id) };
    isWhole = isLast;
  }
  return { found: isWhole ? false : 'unknown' };
}

interface Page {
  items: ReturnType<typeof itemsOf>;
  /** There is nothing older. */
  isLast: boolean;
}

/** Oldest first is all that GitHub offers here: the first page says which one is the newest. */
async function* commentPages(client: Client, chat: Chat, signal: AbortSignal): AsyncGenerator<Page> {
  const { owner, repo, number } = chat;
  const route = 'GET /repos/{owner}/{repo}/issues/{issue_number}/comments';
  const ask = (page: number): Promise<Answer> =>
    client.call(route, { owner, repo, issue_number: number, per_page: PAGE_SIZE, page }, { signal });
  const first = await ask(1);
  const newest = lastPage(first);
  const oldest = Math.max(1, newest - RECONCILE_PAGES_MAX + 1);
  for (let page = newest; page >= oldest; page -= 1)
    yield { items: itemsOf(page === 1 ? first : await ask(page)), isLast: page === 1 };
}

async function* reviewCommentPages(client: Client, chat: Chat, signal: AbortSignal): AsyncGenerator<Page> {
  const { owner, repo, number } = chat;
  const route = 'GET /repos/{owner}/{repo}/pulls/{pull_number}/comments';
  for (let page = 1; page <= RECONCILE_PAGES_MAX; page += 1) {
    const newestFirst = { sort: 'created', direction: 'desc', per_page: PAGE_SIZE, page };
    const answer = await client.call(route, { owner, repo, pull_number: number, ...newestFirst }, { signal });
    const isLast = !/rel="next"/.test(String(answer.headers['link'] ?? ''));
    yield { items: itemsOf(answer), isLast };
    if (isLast) return;
  }
}

function lastPage({ headers }: Answer): number {
  const [, page] = /[?&]page=(\d+)[^>]*>;\s*rel="last"/.exec(String(headers['link'] ?? '')) ?? [];
  return page === undefined ? 1 : Number(page);
}

function itemsOf({ data }: Answer) {
  if (!Array.isArray(data)) throw new NoSense('no list');
  return data.flatMap((each: unknown) => markedSchema.safeParse(each).data ?? []);
}
