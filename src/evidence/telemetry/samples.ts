import type { Status } from '../status.ts';

/** What a scrape answers, as data: one family a name, in the words of Prometheus (base units, `_total` for what only grows). */
export interface Family {
  name: string;
  help: string;
  type: 'gauge' | 'counter';
  rows: { labels: Record<string, string>; value: number }[];
}

/** One duration that was seen, for the histogram of that name. In seconds. */
export interface Observation {
  name: HistogramName;
  labels: Record<string, string>;
  value: number;
}

/** Buckets in seconds: from a warm reply to a deadline. */
export const HISTOGRAMS = {
  glass_turn_seconds: {
    help: 'from the start of a turn to its end',
    labels: ['group', 'outcome'],
    buckets: [0.01, 0.05, 0.1, 0.5, 1, 5, 15, 60, 300, 900],
  },
  glass_delivery_seconds: {
    help: 'from a text that is on disk to its platform’s receipt',
    labels: ['channel', 'state'],
    buckets: [0.01, 0.05, 0.1, 0.5, 1, 5, 30, 300],
  },
  glass_sandbox_start_seconds: {
    help: 'from the decision to start a sandbox to its readiness',
    labels: ['group'],
    buckets: [0.05, 0.1, 0.25, 0.5, 1, 2.5, 10, 60],
  },
} as const;
export type HistogramName = keyof typeof HISTOGRAMS;

/** Besides the status: what only this process knows of itself. */
export interface Process {
  loop_lag_seconds: number;
  resident_bytes: number;
  /** Of traces that were to leave. */
  traces: { exported: number; failed: number; dropped: number };
}

/** Pure. Of everything that carries a label there are few: groups, channels and states. */
export function familiesOf(status: Status, process: Process): Family[] {
  return [
    ...messageFamilies(status),
    ...groupFamilies(status),
    ...stateFamilies(status),
    ...processFamilies(status, process),
  ];
}

type Row = [labels: Record<string, string>, value: number];

function family(type: Family['type'], name: string, help: string, rows: Row[]): Family {
  return { name, help, type, rows: rows.map(([labels, value]) => ({ labels, value })) };
}

function messageFamilies({ conservation, queues, at_ms }: Status): Family[] {
  const states = (direction: 'inbound' | 'outbound'): Row[] =>
    Object.entries(conservation[direction]).map(([state, n]) => [{ direction, state }, n]);
  const age = (ms: number | null): number => (ms === null ? 0 : Math.max(0, at_ms - ms) / 1000);
  return [
    family('gauge', 'glass_messages', 'rows of the ledger by direction and state', [
      ...states('inbound'),
      ...states('outbound'),
    ]),
    family('gauge', 'glass_overdue', 'rows that are in a passing state for too long', [
      [{ direction: 'inbound' }, conservation.overdue.inbound],
      [{ direction: 'outbound' }, conservation.overdue.outbound],
    ]),
    family('gauge', 'glass_violations', 'conservation laws that do not hold', [[{}, conservation.violations.length]]),
    family('gauge', 'glass_unheard', 'answers of the last day that nobody heard', [[{}, conservation.unheard]]),
    family(
      'gauge',
      'glass_queued',
      'messages that wait for their turn',
      queues.map(({ group, queued }) => [{ group }, queued]),
    ),
    family(
      'gauge',
      'glass_queue_age_seconds',
      'age of the oldest message that waits, by direction',
      queues.flatMap(({ group, oldest_queued_ms, oldest_leaving_ms }): Row[] => [
        [{ group, direction: 'inbound' }, age(oldest_queued_ms)],
        [{ group, direction: 'outbound' }, age(oldest_leaving_ms)],
      ]),
    ),
  ];
}

/** The gateway counts from midnight on; a counter that begins anew is one that Prometheus knows how to read. */
function groupFamilies({ usage, groups, sessions }: Status): Family[] {
  return [
    family(
      'counter',
      'glass_model_requests_total',
      'requests to models since midnight',
      usage.map((row) => [{ group: row.group }, row.requests]),
    ),
    family(
      'counter',
      'glass_model_tokens_total',
      'tokens of models since midnight',
      usage.flatMap((row): Row[] => [
        [{ group: row.group, type: 'input' }, row.input_tokens],
        [{ group: row.group, type: 'output' }, row.output_tokens],
      ]),
    ),
    family(
      'counter',
      'glass_model_cost_dollars_total',
      'cost of models since midnight',
      usage.map((row) => [{ group: row.group }, row.cost_micros / 1e6]),
    ),
    family(
      'gauge',
      'glass_boundary_ok',
      'whether the newest self-check of a group passed',
      groups.flatMap(({ name, proof }): Row[] => (proof === null ? [] : [[{ group: name }, proof.ok ? 1 : 0]])),
    ),
    family(
      'gauge',
      'glass_sandboxes',
      'sandboxes that live',
      groups.map(({ name }) => [
        { group: name },
        sessions.filter(({ group, pid }) => group === name && pid !== null).length,
      ]),
    ),
  ];
}

function stateFamilies({
  channels,
  approvals,
  asks,
  alerts,
  tasks,
  gateway,
  disk,
  state,
  last_backup_ms,
}: Status): Family[] {
  return [
    family(
      'gauge',
      'glass_channel_connected',
      'whether a channel hears its platform',
      channels.map(({ name, state }) => [{ channel: name }, state === 'connected' ? 1 : 0]),
    ),
    family('gauge', 'glass_gateway_connected', 'whether the host has its gateway', [
      [{}, gateway === 'connected' ? 1 : 0],
    ]),
    family('gauge', 'glass_approvals_waiting', 'decisions that people are asked for', [[{}, approvals]]),
    family('gauge', 'glass_questions_waiting', 'questions of agents that wait', [[{}, asks.waiting]]),
    family('gauge', 'glass_alerts_open', 'alerts that stand', [[{}, alerts.length]]),
    family('gauge', 'glass_tasks_failing', 'tasks whose last run failed', [[{}, tasks.failing]]),
    family('gauge', 'glass_ok', 'whether nobody has to look', [[{}, state === 'ok' ? 1 : 0]]),
    family('gauge', 'glass_disk_free_bytes', 'free where the home lies', [[{}, disk.free_bytes]]),
    family('gauge', 'glass_ledger_bytes', 'of the ledger on disk', [[{}, disk.ledger_bytes]]),
    family('gauge', 'glass_last_backup_timestamp_seconds', 'when the newest backup was made; 0: never', [
      [{}, (last_backup_ms ?? 0) / 1000],
    ]),
  ];
}

function processFamilies(
  { sweeps_needed, up_ms }: Status,
  { loop_lag_seconds, resident_bytes, traces }: Process,
): Family[] {
  return [
    family('counter', 'glass_sweeps_needed_total', 'lost wake-ups that the backstop found', [[{}, sweeps_needed]]),
    family('gauge', 'glass_up_seconds', 'since the host began', [[{}, up_ms / 1000]]),
    family('gauge', 'glass_loop_lag_seconds', 'the longest delay of the host’s loop since the last scrape', [
      [{}, loop_lag_seconds],
    ]),
    family('gauge', 'glass_resident_bytes', 'memory of the host', [[{}, resident_bytes]]),
    family(
      'counter',
      'glass_traces_total',
      'traces of messages, by what became of them',
      Object.entries(traces).map(([outcome, n]) => [{ outcome }, n]),
    ),
  ];
}
