import { OperatingError } from '../base/errors.ts';
import type { Paths } from '../base/paths.ts';
import type { PairingShown } from '../operations/people.ts';
import { ControlClient } from './control_client.ts';
import { bold, type Io, printable } from './io.ts';
import { split } from './words.ts';

/**
 * `glass pair <channel>`: a code for the chat of whoever is to be known there; with `--chat` one for a group chat where a group is to
 * answer. It is shown once, here.
 */
const USAGE =
  'usage: glass pair <channel> [--person <p>] [--role owner|admin|member] [--group <g>], or --chat --group <g>';

export async function pair(args: string[], paths: Paths, io: Io): Promise<number> {
  const { words, values, flags } = split(args, ['person', 'role', 'group'], ['chat'], USAGE);
  if (words.length !== 1) throw new OperatingError('usage', USAGE);
  const { person = null, role = null, group = '' } = values;
  const chat = flags.has('chat');
  const client = new ControlClient(paths.controlSocket);
  try {
    const made = await client.call<PairingShown>('pair', { channel: words[0], person, role, group, chat });
    const until = `${new Date(made.expires_ms).toISOString().slice(11, 16)} UTC`;
    if (io.json) io.out(JSON.stringify(made));
    else if (chat) {
      io.out(`In the group chat on ${made.channel}, an admin of ${group} sends:  ${bold(io, `/approve ${made.code}`)}`);
      io.out(`Then ${group} answers there when it is addressed. Once, until ${until}.`);
    } else {
      io.out(`In a direct chat with the bot on ${made.channel}, send:  ${bold(io, `pair ${made.code}`)}`);
      if (made.link !== null) io.out(`or open  ${printable(made.link)}`);
      io.out(`Whoever sends it is ${made.role}. Once, until ${until}; nobody else is to see it.`);
    }
    return 0;
  } finally {
    client.close();
  }
}
