import type { Clock } from '../base/clock.ts';
import { showId } from '../base/ids.ts';
import { ALERTS_SHOWN_MAX } from '../base/limits/alerts.ts';
import { DISK_FREE_BYTES_MIN } from '../base/limits/messages.ts';
import type { Paths } from '../base/paths.ts';
import { VERSION } from '../base/version.ts';
import type { Channel, ChannelHealth } from '../channels/channel.ts';
import type { WebhooksDeaf } from '../channels/webhooks.ts';
import { type AlertRow, openAlerts } from '../ledger/alerts.ts';
import { countPending } from '../ledger/approvals.ts';
import { asksStatus } from '../ledger/asks.ts';
import type { ChannelProof } from '../ledger/channel_proofs.ts';
import { type Conservation, conservation } from '../ledger/conservation.ts';
import type { Db } from '../ledger/db.ts';
import { guardsSeen } from '../ledger/proofs.ts';
import { filesKept } from '../ledger/retention.ts';
import { nextDue, tasksOf } from '../ledger/tasks.ts';
import type { UsageRow } from '../protocol/gateway.ts';
import type { LimitState, Runtime } from '../runtimes/runtime.ts';
import { ruleOf } from './alert_rules.ts';
import type { WayShown } from './alert_way.ts';
import type { ReportHead } from './check/newest.ts';
import { lastBackup } from './last_backup.ts';
import {
  type BudgetStatus,
  budgetsOf,
  configHash,
  type DiskStatus,
  diskOf,
  oldestApproval,
  type QueueStatus,
  queuesOf,
} from './status_facts.ts';

/** One screen: what is going on, what is wrong, what cannot be promised on this machine. */
export interface Status {
  /** `ok`, or `attention` when something below needs a person. */
  state: 'ok' | 'attention';
  /** When it was read. */
  at_ms: number;
  version: string;
  node: string;
  home: string;
  /** Nothing runs and nothing leaves: it was started to be looked at. */
  safe: boolean;
  /** Groups that are stopped; null: all. */
  stopped: { group: string | null; by: string; since_ms: number; held: number; waiting: number }[];
  up_ms: number;
  /** Resident, of the host. */
  memory_bytes: number;
  versions: Versions;
  /** Of `glass.yaml` as it is in force; `changed`: the file is another one by now. */
  config: { sha256: string; changed: boolean };
  /** Times that the backstop sweep found a lost wake-up since the start; it should be 0. */
  sweeps_needed: number;
  gateway: 'connected' | 'lost';
  gateway_since_ms: number;
  runtime: { name: string; problems: string[]; limits: { name: string; state: string; reason: string }[] };
  /** `unreadable`: events that are kept because no driver could read them. */
  channels: ({ name: string; proof: Proof | null; unreadable: number } & ChannelHealth)[];
  /** Why nothing comes in over HTTP, and since when; null: it does, or nobody needs it. */
  webhooks: WebhooksDeaf | null;
  groups: GroupStatus[];
  sessions: {
    session: string;
    group: string;
    state: string;
    harness: string | null;
    pid: number | null;
    image: string | null;
    authority: string;
    /** For the rule of two: what it has seen and done, with the causes, and what becomes of the third. */
    marks: string;
    rule_of_two: string;
  }[];
  conservation: Conservation;
  /** By rule, what was ignored in the last day; the most frequent first. */
  ignored: { rule: string; count: number }[];
  /** Since midnight, by group. */
  usage: UsageRow[];
  budgets: BudgetStatus[];
  queues: QueueStatus[];
  /** Requests, people and chats that wait for a decision, and since when the oldest one does. */
  approvals: number;
  approvals_oldest_ms: number | null;
  /** What agents ask people: how many questions wait, and since when the oldest one does. */
  asks: { waiting: number; oldest_ms: number | null };
  /** Whose bytes are kept, and what the newest prune since the start has removed. */
  files: { count: number; bytes: number; pruned: { at_ms: number; files: number; bytes: number } | null };
  disk: DiskStatus;
  /** Of the newest backup that is proven; null: there is none. */
  last_backup_ms: number | null;
  /** Scheduled work; `failing`: the last run failed. */
  tasks: { active: number; paused: number; failing: number; next: string | null };
  /** `acked`: somebody has seen it, and it stands. */
  alerts: {
    id: string;
    kind: string;
    subject: string;
    severity: string;
    text: string;
    count: number;
    since_ms: number;
    acked: boolean;
  }[];
  /** Alerts that no row could be written for, with what to do: the ledger takes none. */
  unwritten: (AlertRow & { act: string })[];
  /** Ways by which alerts get out besides chats, and the sign of life. */
  ways: WayShown[];
  /** The newest report of `glass check`; null: there is none that can be read. */
  checked: ReportHead | null;
}

export interface Versions {
  glassclaw: string;
  node: string;
  sqlite: string | null;
  kernel: string;
  /** Of the program that makes the sandboxes; null: it is not there. */
  runtime: string | null;
  /** Number of the newest migration of the ledger. */
  schema: number;
  /** By harness, its packages as they are pinned. */
  harnesses: Record<string, Record<string, string>>;
}
/** What last showed that a channel's path works. */
type Proof = { at_ms: number; ok: boolean; how: string; detail: string };

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
  /** By control, when it was last proven to hold. */
  controls: Record<string, number>;
}

/** Whether a person should look. */
function needsAttention(status: Omit<Status, 'state'>): boolean {
  const { overdue, unheard, violations } = status.conservation;
  return (
    status.safe ||
    status.stopped.length > 0 ||
    status.gateway !== 'connected' ||
    status.runtime.problems.length > 0 ||
    status.alerts.some(({ acked }) => !acked) ||
    status.unwritten.length > 0 ||
    status.approvals > 0 ||
    status.ways.some(({ way, error }) => way !== 'heartbeat' && error !== null) ||
    violations.length > 0 ||
    overdue.inbound + overdue.outbound + unheard > 0 ||
    status.disk.free_bytes < DISK_FREE_BYTES_MIN ||
    status.groups.some((group) => group.problem !== null || group.proof?.ok === false) ||
    status.channels.some((channel) => channel.state === 'failed') ||
    status.webhooks !== null
  );
}

/** What the status is read from. */
export interface StatusSources {
  paths: Paths;
  /** Of `glass.yaml` when it was read. */
  configHash: string;
  versions: Promise<Omit<Versions, 'schema'>>;
  db: Db;
  clock: Clock;
  /** Monotonic milliseconds of the start. */
  started: number;
  runtime: Runtime;
  safe: boolean;
  stops(): Status['stopped'];
  hostLimits(): Promise<LimitState[]>;
  channels: Iterable<Channel>;
  webhooks: Status['webhooks'];
  sweepsNeeded(): number;
  gateway: { readonly connected: boolean; readonly sinceMs: number; lastSpoken(group: string): number };
  groups(): Omit<GroupStatus, 'controls'>[];
  pruned(): Status['files']['pruned'];
  proofOf(channel: string): ChannelProof | undefined;
  unreadableOf(channel: string): number;
  unwritten(): AlertRow[];
  ways(): WayShown[];
  sessions(): Status['sessions'];
  checked(): Status['checked'];
  usage(since_ms: number): Promise<UsageRow[]>;
}

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;

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
  const { db, gateway, paths } = sources;
  const groups = sources.groups().map((group) => ({ ...group, controls: guardsSeen(db, group.name) }));
  const usage = await sources.usage(midnight);
  const idle = (group: string) => sources.usage(Math.max(gateway.lastSpoken(group), clock.now() - HOUR_MS));
  const found = {
    at_ms: clock.now(),
    version: VERSION,
    node: process.version,
    home: paths.home,
    safe: sources.safe,
    stopped: sources.stops().map(({ group, by, since_ms, held, waiting }) => ({ group, by, since_ms, held, waiting })),
    memory_bytes: process.memoryUsage.rss(),
    versions: { ...(await sources.versions), schema: schemaOf(db) },
    config: { sha256: sources.configHash, changed: configHash(paths.config) !== sources.configHash },
    up_ms: Math.round(clock.monotonic() - sources.started),
    sweeps_needed: sources.sweepsNeeded(),
    gateway: gateway.connected ? ('connected' as const) : ('lost' as const),
    gateway_since_ms: gateway.sinceMs,
    runtime: {
      name: runtime.name,
      problems: await runtime.check(),
      limits: [...(await runtime.limits()), ...(await sources.hostLimits())],
    },
    channels: [...sources.channels].map((channel) => {
      const { at_ms, ok, how, detail } = sources.proofOf(channel.name) ?? { ok: null };
      const proof = ok === null ? null : { at_ms: at_ms!, ok: ok === 1, how: how!, detail: detail! };
      return { name: channel.name, proof, unreadable: sources.unreadableOf(channel.name), ...channel.health() };
    }),
    webhooks: sources.webhooks,
    groups,
    sessions: sources.sessions(),
    usage,
    budgets: await budgetsOf(
      db,
      groups.map(({ name }) => name),
      usage,
      idle,
    ),
    queues: queuesOf(db),
    conservation: conservation(db, clock.now()),
    ignored: ignoredSince(db, clock.now() - DAY_MS),
    approvals: countPending(db),
    approvals_oldest_ms: oldestApproval(db),
    asks: asksStatus(db),
    files: { ...filesKept(db), pruned: sources.pruned() },
    disk: diskOf(paths),
    last_backup_ms: lastBackup(paths.home),
    tasks: tasksStatus(db),
    checked: sources.checked(),
    alerts: openAlerts(db, ALERTS_SHOWN_MAX).map((row) => ({
      id: showId('a', row.id),
      kind: row.kind,
      subject: row.subject,
      severity: ruleOf(row.kind).severity,
      text: row.text,
      count: row.count,
      since_ms: row.created_ms,
      acked: row.acked_ms !== null,
    })),
    unwritten: sources.unwritten().map((row) => ({ ...row, act: ruleOf(row.kind).act })),
    ways: sources.ways(),
  };
  return { state: needsAttention(found) ? 'attention' : 'ok', ...found };
}

function schemaOf(db: Db): number {
  return db.get<{ user_version: number }>('PRAGMA user_version')!.user_version;
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
