import { setTimeout as sleep } from 'node:timers/promises';
import type { Reconciled, SendOperation } from '../channel.ts';
import type { Api, Called } from './api.ts';
import { BACKOFF_MAX_MS, BACKOFF_MS, HISTORY_PAGE, HISTORY_PAGES_MAX, LOOK_PAGES_MAX } from './limits.ts';
import * as payloads from './payloads.ts';
import { later } from './snowflakes.ts';

/** Discord's history: what was missed, and whether something of ours is there. */

export interface Missed {
  /** In order. */
  messages: payloads.Message[];
  /** There is more than the bounds let us read. */
  cut: boolean;
  /** Messages of a shape that we do not know: they are passed over. */
  strange: unknown[];
}

/** What was written in a channel after `after`. Null: we may not read it. Rejects with the signal. */
export async function missedIn(api: Api, channel: string, after: string, signal: AbortSignal): Promise<Missed | null> {
  const missed: Missed = { messages: [], cut: false, strange: [] };
  let from = after;
  for (let page = 0; page < HISTORY_PAGES_MAX; page += 1) {
    const answer = await patiently(signal, () => readPage(api, channel, { after: from }, signal));
    if (!answer.ok) return null;
    const ids = answer.value.flatMap((each) => payloads.posted.safeParse(each).data?.id ?? []);
    const messages = answer.value.flatMap((each) => payloads.message.safeParse(each).data ?? []);
    // The newest comes first.
    missed.messages.push(...messages.sort((a, b) => (later(a.id, b.id) ? 1 : -1)));
    missed.strange.push(...answer.value.filter((each) => !payloads.message.safeParse(each).success));
    const last = ids.reduce((one, other) => (later(other, one) ? other : one), from);
    if (answer.value.length < HISTORY_PAGE || last === from) return missed;
    from = last;
  }
  return { ...missed, cut: true };
}

function readPage(
  api: Api,
  channel: string,
  place: Record<string, string>,
  signal?: AbortSignal,
): Promise<Called<unknown[]>> {
  const query = { ...place, limit: String(HISTORY_PAGE) };
  return api.call('GET', `/channels/${channel}/messages`, payloads.history, { query, ...(signal && { signal }) });
}

/** A question may be asked again, unlike a send: until there is an answer, or it is refused for good. */
async function patiently<T>(signal: AbortSignal, ask: () => Promise<Called<T>>): Promise<Called<T>> {
  for (let wait = BACKOFF_MS; ; wait = Math.min(wait * 2, BACKOFF_MAX_MS)) {
    signal.throwIfAborted();
    const answer = await ask();
    if (answer.ok || answer.failure.class === 'gone' || answer.failure.class === 'permanent') return answer;
    await sleep(answer.failure.after_ms ?? wait, undefined, { signal });
  }
}

/**
 * Whether a send of ours is among the newest messages. A history shows no nonce: so one that says the same may be another,
 * and then it cannot be told.
 */
export async function lookFor(
  api: Api,
  channel: string,
  operation: SendOperation,
  nonce: string,
  self: string,
): Promise<Reconciled> {
  let place: Record<string, string> = {};
  for (let page = 0; page < LOOK_PAGES_MAX; page += 1) {
    const answer = await readPage(api, channel, place);
    if (!answer.ok) return { found: 'unknown' };
    const messages = answer.value.flatMap((each) => payloads.message.safeParse(each).data ?? []);
    const ours = messages.filter(({ author }) => author.id === self);
    const found = ours.find((each) => each.nonce != null && String(each.nonce) === nonce);
    if (found !== undefined) return { found: true, receipt: found.id };
    if (ours.some((each) => each.nonce == null && saysTheSame(each, operation))) return { found: 'unknown' };
    if (messages.length < answer.value.length) return { found: 'unknown' };
    if (messages.length < HISTORY_PAGE) return { found: false };
    place = { before: messages.reduce((one, { id }) => (one === '' || later(one, id) ? id : one), '') };
  }
  return { found: 'unknown' };
}

function saysTheSame({ content, attachments }: payloads.Message, { body, file, card }: SendOperation): boolean {
  if (file !== null) return attachments.length > 0;
  return card === undefined ? content.trim() === body.trim() : content === '';
}
