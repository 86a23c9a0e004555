import type { CutCall } from '../protocol/gateway.ts';

/** What came of a stop. */
export interface StopReceipt {
  /** Null: every group. */
  group: string | null;
  by: string;
  stopped_ms: number;
  /** Somebody had stopped it before: `by` is who, and this time there was nothing left to do. */
  again: boolean;
  /** From the order until nothing could leave any more, in milliseconds; null: that is not certain. */
  ms: number | null;
  /** Turns that were cancelled, sandboxes that were ended. */
  turns: string[];
  sandboxes: string[];
  /** Calls that were cut on their way; what they have done out there is not known. */
  cut: ({ session: string } & CutCall)[];
  /** `unanswered`: the gateway has not said that the ways out are closed. */
  egress: 'closed' | 'unanswered';
  held: number;
  waiting: number;
  /** Being handed to a platform when it was stopped: these may arrive. */
  sending: { message: string; to: string }[];
  /** The newest things outside that were let through. */
  last_message: { message: string; to: string; at_ms: number } | null;
  last_request: { session: string; call: string; at_ms: number; ended: boolean } | null;
}

export interface Resumed {
  group: string | null;
  by: string;
  /** Texts that leave now, by chat; none where they were dropped. */
  released: { to: string; texts: number }[];
  dropped: number;
  /** Messages that are handled now. */
  waiting: number;
}

export interface StopShown {
  group: string | null;
  by: string;
  since_ms: number;
  held: number;
  waiting: number;
  receipt: StopReceipt | null;
}

/** What a stop came to, in one sentence or two. */
export function endText({ ms, egress, sandboxes, cut }: StopReceipt): string {
  const ended = `${sandboxes.length} sandboxes ended, ${cut.length} calls cut`;
  if (ms !== null) return `Nothing could leave any more after ${(ms / 1000).toFixed(2)} s: ${ended}.`;
  const why = egress === 'unanswered' ? 'the gateway did not answer' : 'a sandbox did not end in time';
  return `It is not certain that nothing leaves (${why}): ${ended}. End it with ./glass down.`;
}

/** What goes on now. */
export function resumedText({ group, released, dropped, waiting }: Resumed): string {
  const who = group === null ? 'All groups go' : `${group} goes`;
  const texts = released.reduce((sum, each) => sum + each.texts, 0);
  const out = released.map(({ to, texts: count }) => `${count} to ${to}`).join(', ');
  const sent = texts === 0 ? 'nothing that was held leaves' : `${texts} held texts leave now (${out})`;
  return `${who} on: ${sent}${dropped > 0 ? `, ${dropped} were dropped` : ''}, ${waiting} waiting messages are handled.`;
}
