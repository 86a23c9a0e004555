import { OperatingError } from '../base/errors.ts';
import type { Paths } from '../base/paths.ts';
import { ControlClient } from './control_client.ts';
import type { Io } from './io.ts';

/** `glass events [--follow] [--after <id>]`: the hops as NDJSON, for people with a pager and for programs. */
export async function events(args: string[], paths: Paths, io: Io): Promise<number> {
  const at = args.indexOf('--after');
  const after = at === -1 ? undefined : Number(args[at + 1]);
  if (after !== undefined && (args[at + 1] === '' || !Number.isInteger(after)))
    throw new OperatingError('usage', '--after needs the id of an event');
  const client = new ControlClient(paths.controlSocket);
  const ended = new AbortController();
  process.on('SIGINT', () => ended.abort());
  try {
    const input = { follow: args.includes('--follow'), ...(after === undefined ? {} : { after, limit: 1000 }) };
    await client.stream('events', input, (row) => io.out(JSON.stringify(row)), ended.signal);
    return 0;
  } finally {
    client.close();
  }
}
