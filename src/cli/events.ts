import { type ErrorCode, OperatingError } from '../base/errors.ts';
import type { Paths } from '../base/paths.ts';
import type { Verified } from '../evidence/verify.ts';
import { ControlClient } from './control_client.ts';
import { type Io, red } from './io.ts';

/**
 * `glass events [--follow] [--after <id>]`: the hops as NDJSON, for people with a pager and for programs.
 * `glass events verify [--head <id>:<hash>] [--egress-head <n>:<hash>]`: whether all that is recorded is whole and unchanged; exit code 0
 * when it is, 1 when not. The heads are those of a line `chain.anchored` of either log.
 * `glass events export [--from <day>] [--to <day>]`: the hops with their hashes, for somebody else to check.
 */
export async function events(args: string[], paths: Paths, io: Io): Promise<number> {
  const [verb] = args;
  const act = verb === 'verify' ? verify : verb === 'export' ? exported : list;
  const client = new ControlClient(paths.controlSocket);
  try {
    return await act(act === list ? args : args.slice(1), client, io);
  } finally {
    client.close();
  }
}

const USAGE =
  'glass events [--follow] [--after <id>] | verify [--head <id>:<hash>] [--egress-head <n>:<hash>] | export [--from <day>] [--to <day>]';

async function list(args: string[], client: ControlClient, io: Io): Promise<number> {
  const given = valuesOf(args, { '--after': 'after', '--follow': null });
  const after = given['after'] === undefined ? undefined : Number(given['after']);
  if (after !== undefined && (given['after'] === '' || !Number.isInteger(after)))
    throw new OperatingError('usage', '--after needs the id of an event');
  const ended = new AbortController();
  process.on('SIGINT', () => ended.abort());
  const input = { follow: args.includes('--follow'), ...(after === undefined ? {} : { after, limit: 1000 }) };
  await client.stream('events', input, (row) => io.out(JSON.stringify(row)), ended.signal);
  return 0;
}

async function verify(args: string[], client: ControlClient, io: Io): Promise<number> {
  const { head, egress } = valuesOf(args, { '--head': 'head', '--egress-head': 'egress' });
  const input = { head: headOf(head, 'event'), egress_head: headOf(egress, 'seq') };
  const began = performance.now();
  const last = await whole(client, 'events_verify', input, ({ t, done, of }) => {
    if (t === 'progress' && performance.now() - began > QUIET_MS) io.err(`${done} of ${of} events …`);
  });
  const found = last as unknown as Verified;
  if (io.json) io.out(JSON.stringify(found));
  else for (const line of verifiedLines(found, io)) io.out(line);
  return found.broken === null ? 0 : 1;
}

/** Who waits for longer is told how far it is. */
const QUIET_MS = 2000;

function verifiedLines({ broken, fix, events, links, cut, egress_cut, anchors, heads }: Verified, io: Io): string[] {
  if (broken !== null) return [`${red(io, 'broken')}: ${broken}`, `What to do: ${fix}`];
  const since = (day: string | null): string =>
    day === null ? '' : ` (those up to ${day} were removed, by a signed cut)`;
  return [
    `holds: ${events} events${since(cut)}, ${links} links of requests${since(egress_cut)}`,
    `${anchors} heads of requests are as the ledger has them, ${heads} heads of events as the gateway has them`,
  ];
}

async function exported(args: string[], client: ControlClient, io: Io): Promise<number> {
  const { from = null, to = null } = valuesOf(args, { '--from': 'from', '--to': 'to' });
  await whole(client, 'events_export', { from, to }, (row) => {
    if (!('error' in row)) io.out(JSON.stringify(row));
  });
  return 0;
}

/** The last line, by which a stream says that it is through; one that has begun says what went wrong in a line, too. */
async function whole(
  client: ControlClient,
  operation: string,
  input: object,
  onRow: (row: Record<string, unknown>) => void,
): Promise<Record<string, unknown>> {
  const rows: Record<string, unknown>[] = [];
  await client.stream(operation, input, (row) => {
    rows[0] = row;
    onRow(row);
  });
  const [last] = rows;
  if (last !== undefined && ('end' in last || last['t'] === 'verified')) return last;
  const error = last?.['error'] as { code: ErrorCode; message: string; fix?: string } | undefined;
  if (error === undefined) throw new OperatingError('unavailable', 'the host went away before it was through');
  throw new OperatingError(error.code, error.message, error.fix);
}

function headOf(text: string | undefined, key: 'event' | 'seq'): object | null {
  if (text === undefined) return null;
  const [, number, hash] = /^(\d{1,15}):([0-9a-f]{64})$/.exec(text) ?? wrong();
  return { [key]: Number(number), hash };
}

/** The values of flags by name; a flag that has none is only allowed. */
function valuesOf(args: string[], flags: Record<string, string | null>): Record<string, string | undefined> {
  const values: Record<string, string> = {};
  for (let at = 0; at < args.length; at += 1) {
    const name = flags[args[at]!];
    if (name === undefined) wrong();
    if (name !== null) values[name] = args[++at] ?? wrong();
  }
  return values;
}

function wrong(): never {
  throw new OperatingError('usage', `usage: ${USAGE}`);
}
