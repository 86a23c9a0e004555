import { messageOf } from '../base/errors.ts';
import type { Log } from '../base/log.ts';
import type { Channel } from '../channels/channel.ts';
import { COMMANDS } from '../router/commands.ts';
import type { Intake } from '../router/intake.ts';

/** Starts a driver; never rejects. One that cannot start is told of elsewhere, and the others go on. */
export async function startChannel(
  channel: Channel,
  { intake, log, alert }: { intake: Intake; log: Log; alert(kind: string, subject: string, text: string): void },
): Promise<void> {
  const { name } = channel;
  try {
    await channel.start(intake.sinkOf(name), intake.cursorsOf(name));
  } catch (error) {
    return alert('channel.start', name, `The channel ${name} could not start: ${messageOf(error)}`);
  }
  // A menu that is not shown costs nobody a command; a platform that does not answer must not hold up the start.
  const commands = COMMANDS.map(({ name, summary }) => ({ name, summary }));
  channel.menu?.(commands).catch((error) => log.warn('channel.menu', { channel: name, reason: messageOf(error) }));
}
