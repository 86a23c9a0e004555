import { OperatingError } from '../base/errors.ts';
import type { Paths } from '../base/paths.ts';
import type { Explained } from '../operations/groups.ts';
import { ControlClient } from './control_client.ts';
import { bold, type Io, printable, red } from './io.ts';

/**
 * `glass egress explain <group> <METHOD> <URL>`: the one rule that decides, of what is in force. Exit code 0 when the request
 * is allowed, 7 when it is denied or waits for approval.
 */
const USAGE = 'usage: glass egress explain <group> <METHOD> <URL>';

export async function egress(args: string[], paths: Paths, io: Io): Promise<number> {
  const [verb, group, method, url, ...more] = args;
  if (verb !== 'explain' || group === undefined || method === undefined || url === undefined || more.length > 0)
    throw new OperatingError('usage', USAGE);
  const client = new ControlClient(paths.controlSocket);
  try {
    const found = await client.call<Explained>('egress_explain', { group, method, url });
    if (io.json) io.out(JSON.stringify(found));
    else print(found, io);
    return found.decision === 'allow' ? 0 : 7;
  } finally {
    client.close();
  }
}

function print({ decision, reason }: Explained, io: Io): void {
  const word = decision === 'deny' ? red(io, decision) : bold(io, decision);
  io.out(`${word}: ${printable(reason)}`);
  if (decision === 'approve') io.err('It waits until somebody decides: ./glass approval list');
}
