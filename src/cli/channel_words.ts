import type { ChannelHealth } from '../channels/channel.ts';
import { dim, type Io, printable, red } from './io.ts';

/** How a channel is, in one line: its state and what the host has seen of it. */
export function healthWords({ state, detail, seen }: ChannelHealth, io: Io): string {
  const head = `${state}, ${printable(detail)}`;
  if (seen === undefined) return head;
  const at = (ms: number): string => new Date(ms).toISOString().slice(0, 16).replace('T', ' ');
  const facts = [
    `since ${at(seen.since_ms)}`,
    seen.last_in_ms === null ? 'nothing came yet' : `last in ${at(seen.last_in_ms)}`,
    ...(seen.lag_ms === null ? [] : [`lag ${seen.lag_ms} ms`]),
    ...(seen.limited_until_ms !== null && seen.limited_until_ms > Date.now()
      ? [`limited until ${at(seen.limited_until_ms)}`]
      : []),
    ...(seen.breaker === 'closed' ? [] : [`breaker ${seen.breaker}`]),
    ...(seen.restarts === 0 ? [] : [`${seen.restarts} restarts`]),
    ...(seen.last_error === null
      ? []
      : [`last error ${at(seen.last_error.at_ms)}: ${printable(seen.last_error.text)}`]),
  ];
  return `${state === 'failed' ? red(io, head) : head}  ${dim(io, facts.join(', '))}`;
}
