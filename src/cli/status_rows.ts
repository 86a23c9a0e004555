import { DISK_FREE_BYTES_MIN } from '../base/limits/messages.ts';
import { showBytes } from '../base/text.ts';
import type { Status } from '../evidence/status.ts';
import { printable } from './io.ts';

/** What the status says, section by section; a section is a function. Texts of others are made harmless here. */
export interface StatusRow {
  name: string;
  text: string;
  /** A person should look. */
  wrong?: true;
  /** What to do about it: a command, or words. */
  fix?: string;
}

const DAY_MS = 86_400_000;

/** A duration as people say it: `4 min`. */
export function span(ms: number): string {
  const s = Math.max(0, Math.round(ms / 1000));
  if (s < 120) return `${s} s`;
  if (s < 7200) return `${Math.round(s / 60)} min`;
  return s < 172_800 ? `${Math.round(s / 3600)} h` : `${Math.round(s / 86_400)} days`;
}

const utc = (ms: number): string => new Date(ms).toISOString().slice(0, 16).replace('T', ' ');
const size = (bytes: number): string => (bytes < 1e9 ? showBytes(bytes) : `${(bytes / 1e9).toFixed(1)} GB`);
const wrong = (name: string, text: string, fix?: string): StatusRow => ({
  ...{ name, text, wrong: true },
  ...(fix === undefined ? {} : { fix }),
});

/** The processes, the machine under them, and the accounts on platforms. */
export function machineRows(status: Status): StatusRow[] {
  const { runtime, channels, home, up_ms, memory_bytes, sweeps_needed } = status;
  const up = `${span(up_ms)}, ${size(memory_bytes)} resident, sweeps needed ${sweeps_needed}`;
  const ready = `${runtime.name} ${status.versions.runtime ?? ''}`.trim();
  return [
    ...stoppedRows(status),
    { name: 'home', text: home },
    { name: 'up', text: up },
    gatewayRow(status),
    runtime.problems.length === 0
      ? { name: 'runtime', text: `${ready}, ready` }
      : wrong('runtime', `${runtime.name}: ${runtime.problems.join('; ')}`, './glass doctor'),
    limitsRow(status),
    ...channels.map((channel) => channelRow(channel, status.at_ms)),
    ...webhooksRow(status),
    diskRow(status),
  ];
}

/** What somebody who is woken by it must see first. */
function stoppedRows({ safe, stopped }: Status): StatusRow[] {
  const mode = safe
    ? [wrong('safe', 'safe mode: nothing runs and nothing leaves', 'to leave it: ./glass down, then ./glass up')]
    : [];
  const groups = stopped.map(({ group, by, since_ms, held, waiting }) => {
    const facts = `since ${utc(since_ms)} UTC by ${printable(by)}, ${held} texts held, ${waiting} messages waiting`;
    return wrong('stopped', `${group ?? 'every group'} ${facts}`, `./glass resume ${group ?? '--all'}`);
  });
  return [...mode, ...groups];
}

function gatewayRow({ gateway, gateway_since_ms, at_ms }: Status): StatusRow {
  const since = span(at_ms - gateway_since_ms);
  if (gateway === 'connected') return { name: 'gateway', text: `connected for ${since}` };
  const text = `lost ${since} ago: sandboxes cannot start or reach a model`;
  return wrong('gateway', text, './glass up starts it again; as a service: systemctl status glassclaw-gateway');
}

function limitsRow({ runtime }: Status): StatusRow {
  const absent = runtime.limits.filter((limit) => limit.state === 'absent');
  if (absent.length > 0) {
    const named = absent.map(({ name, reason }) => `${name} (${reason})`).join('; ');
    return { name: 'limits', text: `absent here: ${named}` };
  }
  const listed = ['enforced', 'watched'].flatMap((state) => {
    const names = runtime.limits.filter((limit) => limit.state === state).map(({ name }) => name);
    return names.length === 0 ? [] : [`${state}: ${names.join(', ')}`];
  });
  return { name: 'limits', text: listed.join('; ') };
}

/** One that is well is one line, with what was wrong with it in the last day. */
function channelRow(
  { name, state, detail, seen, proof, unreadable }: Status['channels'][number],
  now: number,
): StatusRow {
  if (seen === undefined) return { name: 'channel', text: `${name}: ${state}, ${printable(detail)}` };
  const limited = seen.limited_until_ms !== null && seen.limited_until_ms > now;
  const facts = [
    `${name}: ${state} for ${span(now - seen.since_ms)}`,
    seen.last_in_ms === null ? 'nothing came yet' : `last in ${span(now - seen.last_in_ms)} ago`,
    ...(seen.lag_ms === null ? [] : [`lag ${seen.lag_ms} ms`]),
    ...(limited ? [`limited for ${span(seen.limited_until_ms! - now)}`] : []),
    ...(seen.breaker === 'closed' ? [] : [`breaker ${seen.breaker}`]),
    ...(seen.restarts === 0 ? [] : [`${seen.restarts} restarts`]),
    ...(unreadable === 0 ? [] : [`${unreadable} unreadable`]),
    ...(proof === null ? [] : [`${proof.ok ? 'proven' : 'not proven'} ${utc(proof.at_ms)} (${proof.how})`]),
  ];
  if (state !== 'failed') {
    const error = seen.last_error;
    if (error !== null && now - error.at_ms < DAY_MS)
      facts.push(`last error ${span(now - error.at_ms)} ago: ${printable(error.text)}`);
    return { name: 'channel', text: facts.join(', ') };
  }
  const said = seen.last_error === null ? detail : seen.last_error.text;
  return wrong('channel', `${facts.join(', ')}: ${printable(said)}`, `./glass channel test ${name}`);
}

function webhooksRow({ webhooks, at_ms }: Status): StatusRow[] {
  if (webhooks === null) return [];
  const text = `for ${span(at_ms - webhooks.since_ms)} ${printable(webhooks.reason)}`;
  return [wrong('webhooks', text, 'end what holds the port, or change webhooks: {listen: …} in glass.yaml')];
}

function diskRow({ disk, files }: Status): StatusRow {
  const { free_bytes, total_bytes, ledger_bytes, audit_bytes } = disk;
  const audit = audit_bytes === null ? 'audit the gateway’s own' : `audit ${size(audit_bytes)}`;
  const text = `${size(free_bytes)} free of ${size(total_bytes)}; ledger ${size(ledger_bytes)}, ${audit}, files ${size(files.bytes)}`;
  if (free_bytes >= DISK_FREE_BYTES_MIN) return { name: 'disk', text };
  return wrong('disk', text, 'free some space: what comes in is refused when it is full');
}

/** What each group is, whether its boundary is proven, what it spends, and its sandboxes. */
export function groupRows(status: Status): StatusRow[] {
  return [
    ...status.groups.map(groupRow),
    ...status.groups.map(boundaryRow),
    ...status.usage.map((usage) => {
      const tokens = `${usage.input_tokens} tokens in, ${usage.output_tokens} out`;
      return {
        name: 'today',
        text: `${usage.group}: ${usage.requests} model requests, ${tokens}, ${(usage.cost_micros / 1e6).toFixed(2)} US dollars`,
      };
    }),
    ...status.budgets.map(budgetRow),
    ...status.sessions.map((session) => {
      const old = session.authority === 'in force' ? '' : `, an older authority ${session.authority}`;
      const marks = session.marks === '' ? '' : `; rule of two (${session.rule_of_two}): ${printable(session.marks)}`;
      const text = `${session.session} of ${session.group}: ${session.state}, ${session.harness ?? '–'}, pid ${session.pid ?? '–'}${old}${marks}`;
      return { name: 'session', text };
    }),
  ];
}

function groupRow({ name, harness, model, problem, edited }: Status['groups'][number]): StatusRow {
  if (problem !== null) return wrong('group', `${name}: ${problem}`, `./glass group plan ${name}`);
  const text = `${name}: ${harness}, ${model}`;
  return { name: 'group', text: edited === null ? text : `${text} (${edited}: ./glass group plan ${name})` };
}

function boundaryRow({ name, proof, controls }: Status['groups'][number]): StatusRow {
  if (proof === null) return { name: 'boundary', text: `${name}: proven at its first start` };
  if (proof.ok)
    return {
      name: 'boundary',
      text: `${name}: held at ${utc(proof.at_ms)} (${proof.depth}, ${Object.keys(controls).length} controls proven)`,
    };
  return wrong('boundary', `${name}: failed at ${utc(proof.at_ms)} (${proof.depth})`, `./glass inspect ${name}`);
}

function budgetRow({ group, of, used, idle_usd }: Status['budgets'][number]): StatusRow {
  const shares: [limit: number | undefined, used: number, words: (n: number) => string][] = [
    [of.usd_per_day, used.usd, (n) => `${n.toFixed(2)} dollars`],
    [of.tokens_per_day, used.tokens, (n) => `${n} tokens`],
    [of.requests_per_day, used.requests, (n) => `${n} requests`],
    [of.usd_per_idle_hour, idle_usd ?? 0, (n) => `${n.toFixed(2)} dollars of an idle hour`],
  ];
  const set = shares.filter(([limit]) => limit !== undefined);
  const text = `${group}: ${set.map(([limit, n, words]) => `${words(n)} of ${limit}`).join(', ')}`;
  if (!set.some(([limit, n]) => n >= limit!)) return { name: 'budget', text };
  return wrong('budget', text, `it is refused until then; more: budget in groups/${group}/group.yaml`);
}

/** Where messages are, and whether the laws hold. */
export function messageRows(status: Status): StatusRow[] {
  const { messages, inbound, outbound } = status.conservation;
  return [
    { name: 'in', text: sum(inbound, `${messages} ${messages === 1 ? 'message' : 'messages'}`) },
    ...status.ignored.map(({ rule, count }) => ({ name: 'ignored', text: `${count} in a day: ${printable(rule)}` })),
    { name: 'out', text: sum(outbound, null) },
    lawsRow(status),
    ...status.queues.map((queue) => queueRow(queue, status.at_ms)),
  ];
}

function sum(counts: Record<string, number>, total: string | null): string {
  const parts = Object.entries(counts).map(([state, n]) => `${n} ${state}`);
  const text = parts.length === 0 ? 'nothing yet' : parts.join(', ');
  return total === null ? text : `${total}: ${text}`;
}

function lawsRow({ conservation: { overdue, unheard, violations } }: Status): StatusRow {
  const late = overdue.inbound + overdue.outbound;
  const broken = [
    ...violations,
    ...(late > 0 ? [`${late} overdue`] : []),
    ...(unheard > 0 ? [`${unheard} unheard`] : []),
  ];
  if (broken.length === 0)
    return { name: 'laws', text: 'hold: everything is in exactly one state, nothing is overdue' };
  const fix =
    violations.length > 0 ? 'keep ledger.db and report it' : './glass trace <message> says where each one stands';
  return wrong('laws', broken.join('; '), fix);
}

function queueRow(
  { group, queued, oldest_queued_ms, leaving, oldest_leaving_ms }: Status['queues'][number],
  now: number,
) {
  const since = (ms: number | null): string => (ms === null ? '' : `, the oldest for ${span(now - ms)}`);
  const parts = [
    ...(queued === 0 ? [] : [`${queued} wait for a turn${since(oldest_queued_ms)}`]),
    ...(leaving === 0 ? [] : [`${leaving} on the way out${since(oldest_leaving_ms)}`]),
  ];
  return { name: 'queue', text: `${group === '' ? 'the host' : group}: ${parts.join('; ')}` };
}

/** What waits for people, for its time, or for somebody to have seen it. */
export function waitingRows(status: Status): StatusRow[] {
  const { approvals, approvals_oldest_ms, at_ms, asks, alerts, unwritten, ways } = status;
  const since = approvals_oldest_ms === null ? '' : `, the oldest for ${span(at_ms - approvals_oldest_ms)}`;
  return [
    ...unwritten.map(({ kind, subject, text, created_ms, act }) => {
      const said = `${kind} ${printable(subject)}, for ${span(at_ms - created_ms)}: ${printable(text)} (not on record yet)`;
      return wrong('alert', said, act);
    }),
    ...alerts.map(({ id, kind, subject, count, text, since_ms, acked }) => {
      const said = `${id} ${kind} ${printable(subject)} ×${count}, for ${span(at_ms - since_ms)}: ${printable(text)}`;
      if (acked) return { name: 'alert', text: `${said} (seen)` };
      return wrong('alert', said, `docs/OPERATIONS.md, Alerts; seen: ./glass alert ack ${id}`);
    }),
    ...ways.flatMap(({ way, error }) =>
      error === null ? [] : [wrong(way, printable(error), './glass alert test says which ways work')],
    ),
    approvals === 0
      ? { name: 'approval', text: 'nothing waits' }
      : wrong('approval', `${approvals} waiting${since}`, './glass approval list'),
    ...(asks.oldest_ms === null
      ? []
      : [
          {
            name: 'asked',
            text: `${asks.waiting} ${asks.waiting === 1 ? 'question' : 'questions'} of agents waiting, since ${utc(asks.oldest_ms)} UTC`,
          },
        ]),
    ...tasksRow(status),
  ];
}

function tasksRow({ tasks: { active, paused, failing, next } }: Status): StatusRow[] {
  if (active + paused === 0) return [];
  const text = `${active} active${next === null ? '' : `, next ${next}`}, ${paused} paused, ${failing} failing`;
  return [failing + paused === 0 ? { name: 'tasks', text } : { name: 'tasks', text: `${text}: ./glass task list` }];
}

/** What is kept, what is set, and what runs. */
export function setRows(status: Status): StatusRow[] {
  const { config, last_backup_ms, versions } = status;
  const changed = config.changed ? '; the file has changed since: it holds from the next ./glass up' : '';
  const harnesses = Object.entries(versions.harnesses).flatMap(([, packages]) =>
    SHOWN_PACKAGES.flatMap((name) => (packages[name] === undefined ? [] : [`${name} ${packages[name]}`])),
  );
  const platform = [`Node ${versions.node}`, `SQLite ${versions.sqlite}`, `schema ${versions.schema}`];
  return [
    { name: 'files', text: filesText(status) },
    checkRow(status),
    { name: 'backup', text: last_backup_ms === null ? 'never' : `${utc(last_backup_ms)} UTC, proven` },
    { name: 'config', text: `glass.yaml ${config.sha256.slice(0, 12)}${changed}` },
    { name: 'versions', text: [...platform, ...harnesses].join(', ') },
  ];
}

function checkRow({ checked }: Status): StatusRow {
  if (checked === null) return { name: 'check', text: 'none yet: ./glass check' };
  const when = checked.at.slice(0, 16).replace('T', ' ');
  if (checked.state === 'passed') return { name: 'check', text: `passed on ${when} UTC` };
  return wrong('check', `failed on ${when} UTC`, './glass check --last');
}

/** What drives a model: the rest of a harness's packages are in the JSON. */
const SHOWN_PACKAGES = ['ai', '@anthropic-ai/claude-agent-sdk'];

function filesText({ files: { count, bytes, pruned } }: Status): string {
  const kept = `${count} kept, ${showBytes(bytes)}`;
  if (pruned === null) return `${kept}; not pruned since the start`;
  return `${kept}; pruned ${utc(pruned.at_ms)} UTC: ${pruned.files} removed, ${showBytes(pruned.bytes)}`;
}
