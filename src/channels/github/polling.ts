import { setTimeout as sleep } from 'node:timers/promises';
import type { DriverParts } from '../kind.ts';
import { isRefused, type Refusal, refusalOf } from './errors.ts';
import type { Feed } from './feed.ts';
import { BACKOFF_MAX_MS, BACKOFF_MS } from './limits.ts';

export interface PollHooks {
  works(repo: string): void;
  fails(repo: string, refusal: Refusal): void;
  log: DriverParts['log'];
  poll_ms: number;
  ended: AbortSignal;
}

/** Reads one repository again and again, each at its own pace: one that fails does not hold up the others. */
export async function poll(feed: Feed, hooks: PollHooks): Promise<void> {
  const { poll_ms, ended } = hooks;
  let wait = BACKOFF_MS;
  while (!ended.aborted) {
    const asked_ms = await round(feed, hooks);
    if (asked_ms === null) {
      wait = BACKOFF_MS;
      // GitHub rings once: what a round could not bring that it rang for is read soon after.
      if (!(await failsWithin(feed, poll_ms, ended))) continue;
    }
    await pause(Math.max(wait, asked_ms ?? 0), ended);
    if (asked_ms !== null) wait = Math.min(wait * 2, BACKOFF_MAX_MS);
  }
}

async function failsWithin(feed: Feed, ms: number, ended: AbortSignal): Promise<boolean> {
  const over = new AbortController();
  const quiet = pause(ms, AbortSignal.any([ended, over.signal])).then(() => false);
  const fails = await Promise.race([quiet, feed.failed().then(() => true)]);
  over.abort();
  return fails;
}

async function pause(ms: number, ended: AbortSignal): Promise<void> {
  await sleep(ms, undefined, { signal: ended, ref: false }).catch(() => {});
}

/** Null: all is well. Else for how long GitHub wants us to wait. */
async function round(feed: Feed, { works, fails, log, ended }: PollHooks): Promise<number | null> {
  try {
    await feed.round();
    if (!ended.aborted) works(feed.repo);
    return null;
  } catch (error) {
    if (ended.aborted) return null;
    if (isRefused(error)) {
      const refusal = refusalOf(error);
      fails(feed.repo, refusal);
      return refusal.after_ms ?? 0;
    }
    // The host has not kept it: it is told again.
    log('warn', 'github.not_kept', { repo: feed.repo });
    return 0;
  }
}
