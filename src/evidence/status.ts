import type { Clock } from '../base/clock.ts';
import { showId } from '../base/ids.ts';
import { VERSION } from '../base/version.ts';
import type { Channel, ChannelHealth } from '../channels/channel.ts';
import { openAlerts } from '../ledger/alerts.ts';
import { countPending } from '../ledger/approvals.ts';
import { asksStatus } from '../ledger/asks.ts';
import { type Conservation, conservation } from '../ledger/conservation.ts';
import type { Db } from '../ledger/db.ts';
import { filesKept } from '../ledger/retention.ts';
import { nextDue, tasksOf } from '../ledger/tasks.ts';
import type { UsageRow } from '../protocol/gateway.ts';
import type { LimitState, Runtime } from '../runtimes/runtime.ts';
import type { ReportHead } from './check/newest.ts';

/** One screen: what is going on, what is wrong, what cannot be promised on this machine. */
export interface Status {
  /** `ok`, or `attention` when something below needs a person. */
  state: 'ok' | 'attention';
  version: string;
  node: string;
  home: string;
  up_ms: number;
  /** Times that the backstop sweep found a lost wake-up since the start; it should be 0. */
  sweeps_needed: number;
  gateway: 'connected' | 'lost';
  runtime: { name: string; problems: string[]; limits: { name: string; state: string; reason: string }[] };
  channels: ({ name: string } & ChannelHealth)[];
  groups: GroupStatus[];
  sessions: {
    session: string;
    group: string;
    state: string;
    harness: string | null;
    pid: number | null;
    image: string | null;
    authority: string;
  }[];
  conservation: Conservation;
  /** By rule, what was ignored in the last day; the most frequent first. */
  ignored: { rule: string; count: number }[];
  /** Since midnight, by group. */
  usage: UsageRow[];
  /** Requests, people and chats that wait for a decision. */
  approvals: number;
  /** What agents ask people: how many questions wait, and since when the oldest one does. */
  asks: { waiting: number; oldest_ms: number | null };
  /** Whose bytes are kept, and what the newest prune since the start has removed. */
  files: { count: number; bytes: number; pruned: { at_ms: number; files: number; bytes: number } | null };
  /** Scheduled work; `failing`: the last run failed. */
  tasks: { active: number; paused: number; failing: number; next: string | null };
  /** The newest report of `glass check`; null: there is none that can be read. */
  checked: ReportHead | null;
  alerts: { id: string; kind: string; subject: string; text: string; count: number; since_ms: number }[];
}

export interface GroupStatus {
  name: string;
  harness: string;
  model: string;
  /** Why nothing can run for it. */
  problem: string | null;
  /** What its file says that is not in force. */
  edited: string | null;
  /** The newest self-check of its boundary. */
  proof: { at_ms: number; depth: string; ms: number; ok: boolean } | null;
}

/** Whether a person should look. */
function needsAttention(status: Omit<Status, 'state'>): boolean {
  const { overdue, unheard, violations } = status.conservation;
  return (
    status.gateway !== 'connected' ||
    status.runtime.problems.length > 0 ||
    status.alerts.length + status.approvals > 0 ||
    violations.length > 0 ||
    overdue.inbound + overdue.outbound + unheard > 0 ||
    status.groups.some((group) => group.problem !== null || group.proof?.ok === false) ||
    status.channels.some((channel) => channel.state === 'failed')
  );
}

/** What the status is read from. */
export interface StatusSources {
  home: string;
  db: Db;
  clock: Clock;
  /** Monotonic milliseconds of the start. */
  started: number;
  runtime: Runtime;
  folderLimits(): Promise<LimitState[]>;
  channels: Iterable<Channel>;
  sweepsNeeded(): number;
  gatewayConnected(): boolean;
  groups(): Status['groups'];
  pruned(): Status['files']['pruned'];
  sessions(): Status['sessions'];
  checked(): Status['checked'];
  usage(since_ms: number): Promise<UsageRow[]>;
}

const DAY_MS = 24 * 3_600_000;

function ignoredSince(db: Db, from_ms: number): Status['ignored'] {
  return db.all(
    `SELECT reason AS rule, count(*) AS count FROM inbound WHERE state = 'ignored' AND updated_ms > ?
      GROUP BY reason ORDER BY count DESC LIMIT 10`,
    from_ms,
  );
}

export async function statusOf(sources: StatusSources): Promise<Status> {
  const { clock, runtime } = sources;
  const midnight = new Date(clock.now()).setHours(0, 0, 0, 0);
  const found = {
    version: VERSION,
    node: process.version,
    home: sources.home,
    up_ms: Math.round(clock.monotonic() - sources.started),
    sweeps_needed: sources.sweepsNeeded(),
    gateway: sources.gatewayConnected() ? ('connected' as const) : ('lost' as const),
    runtime: {
      name: runtime.name,
      problems: await runtime.check(),
      limits: [...(await runtime.limits()), ...(await sources.folderLimits())],
    },
    channels: [...sources.channels].map((channel) => ({ name: channel.name, ...channel.health() })),
    groups: sources.groups(),
    sessions: sources.sessions(),
    usage: await sources.usage(midnight),
    conservation: conservation(sources.db, clock.now()),
    ignored: ignoredSince(sources.db, clock.now() - DAY_MS),
    approvals: countPending(sources.db),
    asks: asksStatus(sources.db),
    files: { ...filesKept(sources.db), pruned: sources.pruned() },
    tasks: tasksStatus(sources.db),
    checked: sources.checked(),
    alerts: openAlerts(sources.db).map((row) => ({
      id: showId('a', row.id),
      kind: row.kind,
      subject: row.subject,
      text: row.text,
      count: row.count,
      since_ms: row.created_ms,
    })),
  };
  return { state: needsAttention(found) ? 'attention' : 'ok', ...found };
}

function tasksStatus(db: Db): Status['tasks'] {
  const tasks = tasksOf(db, null);
  const next = nextDue(db);
  return {
    active: tasks.filter(({ state }) => state === 'active').length,
    paused: tasks.filter(({ state }) => state === 'paused').length,
    failing: tasks.filter(({ failures }) => failures > 0).length,
    next: next === null ? null : new Date(next).toISOString(),
  };
}
