import { setTimeout as sleep } from 'node:timers/promises';
import { CHANNEL_LINK_MS } from '../base/limits/channels.ts';
import type { Linking } from '../channels/channel.ts';
import type { ChannelShownAlone } from '../operations/channels.ts';
import type { ControlClient } from './control_client.ts';
import { bold, type Io, printable } from './io.ts';

/**
 * Shows what the phone is to scan or to be told, anew whenever it changes, until the channel is linked. Returns whether it is. For a
 * program: one line of JSON each, `{"linking": …}`.
 */
export async function linkChannel(client: Pick<ControlClient, 'call'>, name: string, io: Io): Promise<boolean> {
  let asked: string | null = null;
  const began = Date.now();
  while (Date.now() - began < CHANNEL_LINK_MS) {
    const { state, detail, linking } = await client.call<ChannelShownAlone>('channel_show', { name });
    if (state === 'connected') {
      if (!io.json) io.out(`Linked: ${printable(detail)}`);
      return true;
    }
    if (linking !== null && 'over' in linking) break;
    const asks = linking === null ? null : JSON.stringify(linking);
    if (linking !== null && asks !== asked) show(linking, io);
    asked = asks ?? asked;
    // What was shown is good for nothing any more.
    if (state === 'failed' && asked !== null) break;
    await sleep(500);
  }
  const { detail } = await client.call<ChannelShownAlone>('channel_show', { name });
  io.err(`It is not linked: ${printable(detail)}`);
  return false;
}

function show(linking: Exclude<Linking, { over: true }>, io: Io): void {
  if (io.json) return io.out(JSON.stringify({ linking }));
  if ('code' in linking) return io.out(`Type on the phone:  ${bold(io, printable(linking.code))}`);
  const lines = printable(linking.picture).split('\n');
  if ((io.columns ?? lines[0]!.length) < lines[0]!.length)
    io.err('This window is too narrow for the picture: make it wider, or link with a phone number');
  // Light on dark whatever the terminal's own colours are: cameras do not read it the other way round.
  const picture = lines.map((line) => (io.colour ? `\x1b[97;40m${line}\x1b[0m` : line)).join('\n');
  io.out(`Scan this with the phone; it is shown anew when its time is over.\n${picture}\n`);
}
