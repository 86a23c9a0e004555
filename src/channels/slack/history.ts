import { setTimeout as sleep } from 'node:timers/promises';
import type { Reconciled, SendOperation } from '../channel.ts';
import type { Api, Called } from './api.ts';
import {
  BACKOFF_MS,
  HISTORY_BACK_MS,
  HISTORY_PAGE,
  HISTORY_PAGES_MAX,
  HISTORY_THREADS_MAX,
  HISTORY_WAITS_MAX,
  LOOK_MS,
  SINCE_OVERLAP_MS,
} from './limits.ts';
import * as payloads from './payloads.ts';
import { later, tsOfMs } from './places.ts';

/** Slack's history: what was missed, and whether something of ours is there. */

/** In the metadata of each message of ours, with the key of its send. */
export const METADATA = 'glassclaw';

export interface Missed {
  /** In order. */
  messages: payloads.SlackMessage[];
  /** There is more than the bounds let us read. */
  cut: boolean;
  /** Messages of a shape that we do not know: they are passed over. */
  strange: unknown[];
}

/** What was read of a history, in Slack's order. `more`: not all of it. */
interface Pages {
  messages: payloads.SlackMessage[];
  more: boolean;
  strange: unknown[];
}

/**
 * What was written in a chat after `after`, answers in threads too: those of threads that began within `HISTORY_BACK_MS`, for
 * a chat's history has only the first message of each. Null: it could not be read.
 */
export async function missedIn(api: Api, chat: string, after: string, signal: AbortSignal): Promise<Missed | null> {
  const top = await read(api, 'conversations.history', { channel: chat, ...sinceMs(msOfTs(after)) }, signal);
  if (top === null) return null;
  const strange = [...top.strange];
  let cut = top.more && top.messages.every(({ ts }) => later(ts, after));
  const found = new Map(top.messages.map((message) => [message.ts, message]));
  const threads = top.messages
    .filter((each) => each.latest_reply !== undefined && later(each.latest_reply, after))
    .sort((a, b) => (later(a.latest_reply!, b.latest_reply!) ? -1 : 1));
  for (const thread of threads.slice(0, HISTORY_THREADS_MAX)) {
    const replies = await read(api, 'conversations.replies', { channel: chat, ts: thread.ts, oldest: after }, signal);
    if (replies === null) return null;
    for (const reply of replies.messages) found.set(reply.ts, reply);
    strange.push(...replies.strange);
    cut ||= replies.more;
  }
  const messages = [...found.values()].filter(({ ts }) => later(ts, after));
  messages.sort((a, b) => (later(a.ts, b.ts) ? 1 : -1));
  return { messages, strange, cut: cut || threads.length > HISTORY_THREADS_MAX };
}

function msOfTs(ts: string): number {
  return Number(ts) * 1000;
}

/** Without `latest` Slack begins at the other end. */
function sinceMs(ms: number): { oldest: string; latest: string } {
  return { oldest: tsOfMs(Math.max(0, ms - HISTORY_BACK_MS)), latest: tsOfMs(Date.now() + SINCE_OVERLAP_MS) };
}

/** Page after page, waiting where Slack says so. */
async function read(api: Api, method: string, args: object, signal: AbortSignal): Promise<Pages | null> {
  const pages: Pages = { messages: [], more: false, strange: [] };
  let cursor = '';
  for (let page = 0; page < HISTORY_PAGES_MAX; page += 1) {
    const more = cursor === '' ? {} : { cursor };
    const answer = await patiently(signal, () =>
      api.call(method, { ...args, ...more, limit: HISTORY_PAGE, include_all_metadata: true }, payloads.page),
    );
    // What is gone has nothing more to say.
    if (!answer.ok) return answer.failure.class === 'gone' ? pages : null;
    for (const each of answer.value.messages) {
      const { data } = payloads.slackMessage.safeParse(each);
      if (data === undefined) pages.strange.push(each);
      else pages.messages.push(data);
    }
    cursor = answer.value.response_metadata?.next_cursor ?? '';
    if (cursor === '') return pages;
  }
  return { ...pages, more: true };
}

/** A question may be asked again, unlike a send. */
export async function patiently<T>(signal: AbortSignal, ask: () => Promise<Called<T>>): Promise<Called<T>> {
  for (let waits = 0; ; waits += 1) {
    const answer = await ask();
    if (answer.ok || answer.failure.class !== 'rate_limited' || waits >= HISTORY_WAITS_MAX) return answer;
    try {
      await sleep(answer.failure.after_ms ?? BACKOFF_MS, undefined, { signal });
    } catch {
      return answer;
    }
  }
}

/**
 * Whether a send of ours is there, by its key. `unknown` where it cannot be told: a file has no metadata, without the scope
 * nothing shows it, and a busy chat has more than is read.
 */
export async function reconcile(api: Api, operation: SendOperation, seesMetadata: boolean): Promise<Reconciled> {
  if (operation.file !== null || !seesMetadata) return { found: 'unknown' };
  const { chat: channel, thread, key } = operation;
  const since = sinceMs(Date.now());
  const known = await (thread === ''
    ? read(api, 'conversations.history', { channel, ...since }, AbortSignal.timeout(LOOK_MS))
    : read(api, 'conversations.replies', { channel, ts: thread, ...since }, AbortSignal.timeout(LOOK_MS)));
  if (known === null) return { found: 'unknown' };
  const ours = known.messages.find(
    ({ metadata }) => metadata?.event_type === METADATA && metadata.event_payload?.['key'] === key,
  );
  if (ours !== undefined) return { found: true, receipt: ours.ts };
  return { found: known.more ? 'unknown' : false };
}
