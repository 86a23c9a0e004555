import { createHmac, timingSafeEqual } from 'node:crypto';
import type { Sink, WebhookAnswer, WebhookRequest } from '../channel.ts';
import type { Unreadable } from '../unreadable.ts';
import type { Feed } from './feed.ts';
import { call, type GhCall } from './payloads.ts';
import { showChat, showMessage } from './places.ts';
import { keyOf } from './reading.ts';

/** What a feed reads. */
const NEWS = ['issues', 'issue_comment', 'pull_request', 'pull_request_review', 'pull_request_review_comment'];

/**
 * GitHub rings, and the repository is read: nothing in a call is taken for what somebody said. So an old call that is replayed
 * says nothing, and what a call brings early or twice the feed knows. Deletions alone stand in no list: they are taken from
 * the call.
 */
export class Webhook {
  readonly #secret: string;
  readonly #feeds: readonly Feed[];
  readonly #sink: Sink;
  readonly #unreadable: Unreadable;

  constructor(secret: string, feeds: readonly Feed[], sink: Sink, unreadable: Unreadable) {
    this.#secret = secret;
    this.#feeds = feeds;
    this.#sink = sink;
    this.#unreadable = unreadable;
  }

  /** Rejects when something was not committed. */
  async take({ method, path, headers, body }: WebhookRequest): Promise<WebhookAnswer> {
    if (!isSigned(Buffer.from(body), headers['x-hub-signature-256'] ?? '', this.#secret)) return { status: 401 };
    if (method !== 'POST' || path !== '') return { status: 404 };
    if (!(headers['content-type'] ?? '').startsWith('application/json'))
      return { status: 415, body: 'choose the content type application/json' };
    const event = headers['x-github-event'] ?? '';
    if (!NEWS.includes(event)) return { status: 200, body: 'nothing to do' };
    const told = parse(body);
    if (told === null) {
      const given = Buffer.from(body).toString('utf8');
      await this.#unreadable.keep(event, given, { id: headers['x-github-delivery'] ?? '' });
      return { status: 400 };
    }
    const name = told.repository?.full_name.toLowerCase();
    const feed = this.#feeds.find(({ repo }) => repo.toLowerCase() === name);
    if (feed === undefined) return { status: 200, body: 'not a repository of this channel' };
    await feed.round();
    if (told.action === 'deleted') await this.#deleted(feed.repo, event, told);
    return { status: 200 };
  }

  async #deleted(repo: string, event: string, { issue, pull_request, comment }: GhCall): Promise<void> {
    const place = issue ?? pull_request;
    if (comment === undefined || place === undefined) return;
    const kind = event === 'issue_comment' ? 'comment' : 'review_comment';
    await this.#sink.deleted({
      dedupe_key: `${keyOf(repo, kind, comment.id)}:deleted`,
      chat: { platform_id: showChat(repo, place.number), title: place.title },
      platform_id: showMessage(kind, comment.id),
      sent_ms: comment.updated_at,
    });
  }
}

function isSigned(body: Buffer, given: string, secret: string): boolean {
  const expected = Buffer.from(`sha256=${createHmac('sha256', secret).update(body).digest('hex')}`);
  const shown = Buffer.from(given);
  return shown.length === expected.length && timingSafeEqual(shown, expected);
}

function parse(body: Buffer): GhCall | null {
  try {
    return call.safeParse(JSON.parse(Buffer.from(body).toString('utf8'))).data ?? null;
  } catch {
    return null;
  }
}
