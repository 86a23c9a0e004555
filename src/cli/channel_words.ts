import type { ChannelHealth } from '../channels/channel.ts';
import type { UnreadableRow } from '../operations/unreadable.ts';
import { dim, type Io, printable, red } from './io.ts';

const RAW_CHARS_SHOWN = 300;

/** How a channel is, in one line: its state and what the host has seen of it. */
export function healthWords({ state, detail, seen }: ChannelHealth, io: Io, unreadable = 0): string {
  const head = `${state}, ${printable(detail)}`;
  if (seen === undefined) return head;
  const facts = [
    `since ${at(seen.since_ms)}`,
    seen.last_in_ms === null ? 'nothing came yet' : `last in ${at(seen.last_in_ms)}`,
    ...(seen.lag_ms === null ? [] : [`lag ${seen.lag_ms} ms`]),
    ...(seen.limited_until_ms !== null && seen.limited_until_ms > Date.now()
      ? [`limited until ${at(seen.limited_until_ms)}`]
      : []),
    ...(seen.breaker === 'closed' ? [] : [`breaker ${seen.breaker}`]),
    ...(seen.restarts === 0 ? [] : [`${seen.restarts} restarts`]),
    ...(unreadable === 0 ? [] : [`${unreadable} unreadable`]),
    ...(seen.last_error === null
      ? []
      : [`last error ${at(seen.last_error.at_ms)}: ${printable(seen.last_error.text)}`]),
  ];
  return `${state === 'failed' ? red(io, head) : head}  ${dim(io, facts.join(', '))}`;
}

/** What could not be read: a line each, cut; with `--json` as it came. */
export function showUnreadable(kept: { name: string; events: UnreadableRow[] }, io: Io): number {
  if (io.json) io.out(JSON.stringify(kept));
  else if (kept.events.length === 0) io.out(`${kept.name} could read all that came`);
  else
    for (const { at_ms, kind, raw } of kept.events)
      io.out(`${at(at_ms)}  ${printable(kind)}  ${dim(io, printable(raw.slice(0, RAW_CHARS_SHOWN)))}`);
  return 0;
}

function at(ms: number): string {
  return new Date(ms).toISOString().slice(0, 16).replace('T', ' ');
}
