import { durationSchema } from '../base/config.ts';
import { OperatingError } from '../base/errors.ts';
import type { Paths } from '../base/paths.ts';
import type { LoggedRequest } from '../evidence/egress_log.ts';
import type { Explained, Plan } from '../operations/groups.ts';
import { ControlClient } from './control_client.ts';
import { changeLine } from './group.ts';
import { bold, dim, type Io, printable, red } from './io.ts';

/**
 * `glass egress explain <group> <METHOD> <URL>`: the one rule that decides, of what is in force. Exit code 0 when the request
 * is allowed, 7 when it is denied or waits for approval.
 * `glass egress diff <group>`: what an edited file would change of it.
 * `glass egress log [<group>]`: what was asked for and what became of it.
 */
const USAGE =
  'usage: glass egress explain <group> <METHOD> <URL> | diff <group> | log [<group>] [--since <30m>] [--limit <n>]';

export async function egress(args: string[], paths: Paths, io: Io): Promise<number> {
  const [verb, ...words] = args;
  const act = VERBS[verb ?? ''];
  if (act === undefined) throw new OperatingError('usage', USAGE);
  const client = new ControlClient(paths.controlSocket);
  try {
    return await act(words, client, io);
  } finally {
    client.close();
  }
}

type Act = (words: string[], client: ControlClient, io: Io) => Promise<number>;

const VERBS: Record<string, Act> = {
  async explain(words, client, io) {
    const [group, method, url] = exactly(3, words);
    const found = await client.call<Explained>('egress_explain', { group, method, url });
    if (io.json) io.out(JSON.stringify(found));
    else printDecision(found, io);
    return found.decision === 'allow' ? 0 : 7;
  },

  async diff(words, client, io) {
    const [group] = exactly(1, words);
    const { changes, ...plan } = await client.call<Plan>('group_plan', { group });
    const kept = changes.filter(({ name }) => name.startsWith('egress ') || name === 'secret');
    if (io.json) io.out(JSON.stringify({ group, hash: plan.hash, in_force: plan.in_force, changes: kept }));
    else if (kept.length === 0) io.out(`${group}: nothing would change of what it may ask`);
    else for (const change of kept) io.out(changeLine(change, io));
    return 0;
  },

  async log(words, client, io) {
    const { rows } = await client.call<{ rows: LoggedRequest[] }>('egress_log', queryOf(words));
    if (io.json) io.out(JSON.stringify({ rows }));
    else if (rows.length === 0) io.out('no requests');
    else for (const row of rows) io.out(logLine(row, io));
    return 0;
  },
};

function exactly(count: number, words: string[]): string[] {
  if (words.length !== count) throw new OperatingError('usage', USAGE);
  return words;
}

function queryOf(words: string[]): object {
  const query: { group?: string; since_ms?: number; limit?: number } = {};
  for (let at = 0; at < words.length; at += 1) {
    const word = words[at]!;
    if (word === '--since') query.since_ms = Date.now() - (durationSchema.safeParse(words[++at]).data ?? wrong());
    else if (word === '--limit') query.limit = /^\d{1,4}$/.test(words[++at] ?? '') ? Number(words[at]) : wrong();
    else if (!word.startsWith('-') && query.group === undefined) query.group = word;
    else wrong();
  }
  return query;
}

function wrong(): never {
  throw new OperatingError('usage', USAGE);
}

function printDecision({ decision, reason }: Explained, io: Io): void {
  const word = decision === 'deny' ? red(io, decision) : bold(io, decision);
  io.out(`${word}: ${printable(reason)}`);
  if (decision === 'approve') io.err('It waits until somebody decides: ./glass approval list');
}

function logLine(row: LoggedRequest, io: Io): string {
  const { ended_ms, decision, status } = row;
  const took = ended_ms === null ? 'running' : `${ended_ms - row.at_ms} ms`;
  const word = decision === 'allow' ? decision : red(io, decision);
  const amounts = `${row.request_bytes} B up, ${row.response_bytes} B down, ${took}`;
  const who = [row.group, row.session, row.turn ?? 'no turn'].join(' ');
  const what = printable(`${row.method} ${row.host}${row.path}`);
  return `${new Date(row.at_ms).toISOString()}  ${who}  ${word} ${status ?? '-'}  ${what}  ${dim(io, printable(`${row.rule}; ${amounts}`))}`;
}
