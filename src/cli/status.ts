import type { Paths } from '../base/paths.ts';
import { showBytes } from '../base/text.ts';
import type { Status } from '../evidence/status.ts';
import { healthWords } from './channel_words.ts';
import { ControlClient } from './control_client.ts';
import { bold, type Io, printable, red } from './io.ts';

/** `glass status`: one screen. Exit code 0 when all is well, 1 when a person should look, 6 when it does not run. */
export async function status(args: string[], paths: Paths, io: Io): Promise<number> {
  const client = new ControlClient(paths.controlSocket);
  try {
    const found = await client.call<Status>('status');
    if (args.includes('--clear')) await client.call('clear_alerts');
    io.out(io.json ? JSON.stringify(found) : renderStatus(found, io));
    return found.state === 'ok' ? 0 : 1;
  } finally {
    client.close();
  }
}

function renderStatus(status: Status, io: Io): string {
  const { conservation } = status;
  const rows: [string, string][] = [
    ['home', status.home],
    ['up', `${Math.round(status.up_ms / 1000)} s, node ${status.node}, sweeps needed ${status.sweeps_needed}`],
    [
      'gateway',
      status.gateway === 'connected' ? 'connected' : red(io, 'lost: sandboxes cannot start or reach a model'),
    ],
    [
      'runtime',
      status.runtime.problems.length === 0
        ? `${status.runtime.name}, ready`
        : red(io, `${status.runtime.name}: ${status.runtime.problems.join('; ')}`),
    ],
    ['limits', limits(status)],
    ...status.channels.map((channel): [string, string] => ['channel', `${channel.name}: ${healthWords(channel, io)}`]),
    ...status.groups.map((group): [string, string] => [
      'group',
      group.problem === null
        ? `${group.name}: ${group.harness}, ${group.model}${group.edited === null ? '' : ` (${group.edited}: ./glass group plan ${group.name})`}`
        : red(io, `${group.name}: ${group.problem}`),
    ]),
    ...status.groups.map((group): [string, string] => ['boundary', boundary(group, io)]),
    ...status.sessions.map((session): [string, string] => [
      'session',
      `${session.session} of ${session.group}: ${session.state}, ${session.harness ?? '–'}, pid ${session.pid ?? '–'}${session.authority === 'in force' ? '' : `, an older authority ${session.authority}`}`,
    ]),
    ...status.usage.map((usage): [string, string] => [
      'today',
      `${usage.group}: ${usage.requests} model requests, ${usage.input_tokens} tokens in, ${usage.output_tokens} out, ${(usage.cost_micros / 1e6).toFixed(2)} US dollars`,
    ]),
    [
      'in',
      sum(conservation.inbound, `${conservation.messages} ${conservation.messages === 1 ? 'message' : 'messages'}`),
    ],
    ...status.ignored.map(({ rule, count }): [string, string] => ['ignored', `${count} in a day: ${printable(rule)}`]),
    ['out', sum(conservation.outbound, null)],
    ['laws', laws(status, io)],
    [
      'approval',
      status.approvals === 0 ? 'nothing waits' : red(io, `${status.approvals} waiting: ./glass approval list`),
    ],
    ...asksRow(status),
    ['files', filesText(status)],
    ...tasksRow(status),
    ['check', checkText(status, io)],
    ...status.alerts.map((alert): [string, string] => [
      'alert',
      red(io, `${alert.id} ${alert.kind} ${printable(alert.subject)} ×${alert.count}: ${printable(alert.text)}`),
    ]),
  ];
  const head =
    status.state === 'ok'
      ? bold(io, `GlassClaw ${status.version}: ok`)
      : bold(io, `GlassClaw ${status.version}: needs attention`);
  return [head, ...rows.map(([name, text]) => `  ${name.padEnd(8)} ${text}`)].join('\n');
}

function boundary({ name, proof }: Status['groups'][number], io: Io): string {
  if (proof === null) return `${name}: proven at its first start`;
  const when = new Date(proof.at_ms).toISOString().slice(0, 16).replace('T', ' ');
  return proof.ok
    ? `${name}: held at ${when} (${proof.depth})`
    : red(io, `${name}: failed at ${when}: ./glass inspect ${name}`);
}

function limits(status: Status): string {
  const absent = status.runtime.limits.filter((limit) => limit.state === 'absent');
  if (absent.length > 0) return `absent here: ${absent.map(({ name, reason }) => `${name} (${reason})`).join('; ')}`;
  const named = (state: string): string[] => {
    const names = status.runtime.limits.filter((limit) => limit.state === state).map(({ name }) => name);
    return names.length === 0 ? [] : [`${state}: ${names.join(', ')}`];
  };
  return [...named('enforced'), ...named('watched')].join('; ');
}

function sum(counts: Record<string, number>, total: string | null): string {
  const parts = Object.entries(counts).map(([state, n]) => `${n} ${state}`);
  const text = parts.length === 0 ? 'nothing yet' : parts.join(', ');
  return total === null ? text : `${total}: ${text}`;
}

function laws(status: Status, io: Io): string {
  const { overdue, unheard, violations } = status.conservation;
  const late = overdue.inbound + overdue.outbound;
  if (violations.length === 0 && late === 0 && unheard === 0)
    return 'hold: everything is in exactly one state, nothing is overdue';
  return red(
    io,
    [...violations, ...(late > 0 ? [`${late} overdue`] : []), ...(unheard > 0 ? [`${unheard} unheard`] : [])].join(
      '; ',
    ),
  );
}

function asksRow({ asks: { waiting, oldest_ms } }: Status): [string, string][] {
  if (oldest_ms === null) return [];
  const since = new Date(oldest_ms).toISOString().slice(0, 16).replace('T', ' ');
  return [['asked', `${waiting} ${waiting === 1 ? 'question' : 'questions'} of agents waiting, since ${since} UTC`]];
}

function filesText({ files: { count, bytes, pruned } }: Status): string {
  const kept = `${count} kept, ${showBytes(bytes)}`;
  if (pruned === null) return `${kept}; not pruned since the start`;
  const when = new Date(pruned.at_ms).toISOString().slice(0, 16).replace('T', ' ');
  return `${kept}; pruned ${when} UTC: ${pruned.files} removed, ${showBytes(pruned.bytes)}`;
}

function checkText({ checked }: Status, io: Io): string {
  if (checked === null) return 'none yet: ./glass check';
  const when = checked.at.slice(0, 16).replace('T', ' ');
  return checked.state === 'passed' ? `passed on ${when} UTC` : red(io, `failed on ${when} UTC: ./glass check --last`);
}

function tasksRow({ tasks }: Status): [string, string][] {
  const { active, paused, failing, next } = tasks;
  if (active + paused === 0) return [];
  return [['tasks', `${active} active${next === null ? '' : `, next ${next}`}, ${paused} paused, ${failing} failing`]];
}
