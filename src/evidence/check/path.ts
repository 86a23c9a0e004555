import type { TraceStep } from '../trace_steps.ts';

/** The steps of every answered message, in their order. Those of a sandbox that had to be started are there once, or not at all. */
const PATH = [
  ...['message.received', 'message.admitted', 'message.routed', 'message.queued'],
  ...['sandbox.starting', 'sandbox.ready'],
  ...['turn.started', 'turn.taken', 'turn.settled', 'reply.queued', 'delivery.sending', 'delivery.sent'],
] as const;
const OF_A_START: ReadonlySet<string> = new Set(['sandbox.starting', 'sandbox.ready']);

/** What is wrong with the path of a message that was answered once, after `requests` requests at the gateway; null: nothing. Pure. */
export function brokenPath(
  steps: readonly Pick<TraceStep, 'kind' | 'where' | 'at_us'>[],
  requests: number,
): string | null {
  const host = steps.filter(({ where }) => where !== 'gateway');
  for (const kind of PATH) {
    const count = host.filter((step) => step.kind === kind).length;
    if (count > 1) return `${kind} is there ${count} times`;
    if (count === 0 && !OF_A_START.has(kind)) return `${kind} is missing`;
  }
  const order = host.map(({ kind }) => (PATH as readonly string[]).indexOf(kind)).filter((at) => at >= 0);
  const early = order.findIndex((at, index) => index > 0 && at < order[index - 1]!);
  if (early !== -1) return `${PATH[order[early]!]} comes after ${PATH[order[early - 1]!]}`;
  return brokenRequests(steps, requests);
}

/** The gateway counts in milliseconds, so a request may seem to be as early as the millisecond in which its turn began. */
function brokenRequests(
  steps: readonly Pick<TraceStep, 'kind' | 'where' | 'at_us'>[],
  requests: number,
): string | null {
  const at = (kind: string): number => steps.find((step) => step.kind === kind)!.at_us;
  const seen = steps.filter(({ where }) => where === 'gateway');
  if (seen.length !== requests) return `the gateway recorded ${seen.length} requests, not ${requests}`;
  const outside = seen.some(({ at_us }) => at_us < at('turn.started') - 1000 || at_us > at('turn.settled'));
  return outside ? 'a request lies outside of its turn' : null;
}
