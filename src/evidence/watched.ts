import {
  APPROVAL_LATE_MS,
  CLOCK_JUMP_MS,
  CRASHES_MAX,
  CRASHES_WINDOW_MS,
  GATEWAY_AWAY_MS,
  TASK_FAILING,
} from '../base/limits/alerts.ts';
import { MODEL_FAILS_MAX } from '../base/limits/gateway.ts';
import { GIB, MIB, MINUTE_MS } from '../base/limits/units.ts';
import { showBytes } from '../base/text.ts';
import type { AlertRow } from '../ledger/alerts.ts';
import type { GatewayHealth } from '../protocol/gateway.ts';

/**
 * Failures that are states: what is seen with each sweep decides which alerts stand. Pure. What was not looked at this time (null)
 * changes nothing; the other alerts are raised and cleared where they happen.
 */
export interface Space {
  bytes: number;
  bytes_free: number;
  /** Of files; 0: this file system does not count them. */
  files: number;
  files_free: number;
}

export interface Seen {
  now: number;
  /** `away_ms`: since when it is not connected, or null; `losses`: within the window of crashes. */
  gateway: { away_ms: number | null; losses: number };
  /** What the gateway says of itself; null: it cannot be asked. */
  said: GatewayHealth | null;
  host_log: string | null;
  /** Lives of the host that were cut short within the window of crashes. */
  cut: number;
  /** By how much the clock was set since the last look. */
  clock_set_ms: number;
  disk: Space;
  /** Those that there are. */
  groups: string[];
  /** Of groups whose workspace has a file system of its own. */
  workspaces: { group: string; space: Space }[];
  overdue: { inbound: number; outbound: number };
  /** What waits for a decision. */
  approvals: { id: string; created_ms: number; expires_ms: number }[];
  tasks: { id: string; state: string; failures: number }[];
  /** Channels on which pairing codes are tried too often. */
  guessed: string[];
  /** Sandboxes and groups. */
  slow: {
    runtime: string;
    problems: string[];
    groups: { name: string; problem: string | null }[];
    unheard: number;
  } | null;
  laws: string[] | null;
}

/** `problems`: what stands, by subject. `over`: whether an alert about another subject is over. */
export interface Level {
  kind: string;
  problems: Map<string, string>;
  over(alert: AlertRow): boolean;
}

export function levelsOf(seen: Seen): Level[] {
  const { said, slow, laws } = seen;
  return [
    level('gateway.lost', gatewayProblem(seen)),
    level('host.crashing', crashProblem(seen)),
    level('disk.full', diskProblem(seen.disk, 2, 256 * MIB, true)),
    level('disk.low', diskProblem(seen.disk, 10, 2 * GIB, false)),
    level('messages.overdue', overdueProblem(seen)),
    level(
      'approval.waiting',
      seen.approvals.flatMap((one) => lateApproval(one, seen.now)),
    ),
    level('task.failing', seen.tasks.flatMap(failingTask)),
    {
      ...level('task.paused', []),
      over: ({ subject }) => !seen.tasks.some(({ id, state }) => id === subject && state === 'paused'),
    },
    { ...level('pairing', []), over: ({ subject }) => !seen.guessed.includes(subject) },
    { ...level('budget', []), over: ({ created_ms }) => created_ms < new Date(seen.now).setHours(0, 0, 0, 0) },
    { ...level('clock.jump', clockProblem(seen)), over: ({ updated_ms }) => seen.now - updated_ms > 60 * MINUTE_MS },
    workspaces(seen),
    level('log.failed', logProblems(seen), ({ subject }) => subject === 'host' || said !== null),
    ...(said === null ? [] : [models(said, seen.groups)]),
    ...(slow === null ? [] : slowLevels(slow)),
    ...(laws === null ? [] : [level('ledger.violated', laws.length === 0 ? [] : [['laws', `${laws.join('; ')}.`]])]),
  ];
}

/** What no message could be answered for now; null: nothing. */
export function whyMute(seen: Seen, problems: readonly string[], writes: boolean): string | null {
  if (seen.gateway.away_ms !== null) return 'the gateway is away';
  if (!writes) return 'the ledger cannot be written';
  if (diskProblem(seen.disk, 2, 256 * MIB, true).length > 0) return 'the disk is full';
  return problems[0] ?? null;
}

type Problems = [subject: string, text: string][];

function level(kind: string, problems: Problems, over: Level['over'] = () => true): Level {
  return { kind, problems: new Map(problems), over };
}

function gatewayProblem({ gateway: { away_ms, losses } }: Seen): Problems {
  if (away_ms !== null && away_ms >= GATEWAY_AWAY_MS)
    return [['gateway', 'The gateway is away: sandboxes cannot start or reach a model.']];
  if (losses < CRASHES_MAX) return [];
  return [['gateway', `The gateway went away ${losses} times within ${CRASHES_WINDOW_MS / MINUTE_MS} minutes.`]];
}

function crashProblem({ cut }: Seen): Problems {
  if (cut < CRASHES_MAX) return [];
  const text = `The host was cut short ${cut} times within ${CRASHES_WINDOW_MS / MINUTE_MS} minutes, and started again.`;
  return [['host', text]];
}

/** Less than a share of it in `percent`, which is `most` bytes on a large disk. */
function isShort({ bytes, bytes_free }: Space, percent: number, most: number): boolean {
  return bytes_free < Math.min((bytes * percent) / 100, most);
}

function diskProblem(space: Space, percent: number, most: number, files: boolean): Problems {
  const noFiles = files && space.files > 0 && space.files_free < FILES_FREE_MIN;
  if (!noFiles && !isShort(space, percent, most)) return [];
  const left = noFiles ? `${space.files_free} more files` : showBytes(space.bytes_free);
  return [['home', `The disk of the home has room for ${left}.`]];
}

function overdueProblem({ overdue: { inbound, outbound } }: Seen): Problems {
  const one = (way: string, count: number): Problems =>
    count === 0 ? [] : [[way, `${count} ${way} ${count === 1 ? 'message is' : 'messages are'} overdue.`]];
  return [...one('inbound', inbound), ...one('outbound', outbound)];
}

function lateApproval({ id, created_ms, expires_ms }: Seen['approvals'][number], now: number): Problems {
  if (now - created_ms < Math.min((expires_ms - created_ms) / 2, APPROVAL_LATE_MS)) return [];
  const minutes = Math.round((now - created_ms) / MINUTE_MS);
  return [[id, `${id} has waited for a decision for ${minutes} minutes: ./glass approval show ${id}`]];
}

function failingTask({ id, state, failures }: Seen['tasks'][number]): Problems {
  if (state !== 'active' || failures < TASK_FAILING) return [];
  return [[id, `Task ${id} has failed ${failures} times in a row: ./glass task log ${id}`]];
}

function clockProblem({ clock_set_ms: ms }: Seen): Problems {
  if (Math.abs(ms) < CLOCK_JUMP_MS) return [];
  const by = `${Math.round(Math.abs(ms) / 1000)} seconds ${ms < 0 ? 'back' : 'ahead'}`;
  return [['clock', `The clock of this machine was set ${by}.`]];
}

function workspaces({ workspaces: seen }: Seen): Level {
  const full = seen.filter(({ space }) => isShort(space, 5, 256 * MIB));
  const text = (group: string, { bytes_free }: Space): string =>
    `The workspace of ${group} has ${showBytes(bytes_free)} left.`;
  return level(
    'workspace.full',
    full.map(({ group, space }) => [group, text(group, space)]),
    ({ subject }) => seen.some(({ group }) => group === subject),
  );
}

function logProblems({ host_log, said }: Seen): Problems {
  const logs: [string, string | null][] = [
    ['host', host_log],
    ['gateway', said?.log ?? null],
  ];
  return logs.flatMap(([of, why]): Problems => (why === null ? [] : [[of, `The log of the ${of} is lost: ${why}.`]]));
}

/** Of a group that has asked nothing of late nothing is known. */
function models({ models: seen }: GatewayHealth, groups: readonly string[]): Level {
  const failing = seen.filter(({ group, failures }) => groups.includes(group) && failures >= MODEL_FAILS_MAX);
  const text = (group: string, reason: string): string => `The model of ${group} fails again and again: ${reason}.`;
  return level(
    'model.failing',
    failing.map(({ group, reason }) => [group, text(group, reason)]),
    ({ subject }) =>
      !groups.includes(subject) || seen.some(({ group, failures }) => group === subject && failures === 0),
  );
}

function slowLevels({ runtime, problems, groups, unheard }: NonNullable<Seen['slow']>): Level[] {
  const broken = groups.flatMap(
    ({ name, problem }): Problems =>
      problem === null ? [] : [[name, `Nothing can run for the group ${name}: ${problem}.`]],
  );
  const missing = problems.length === 0 ? [] : problems.join('; ');
  const unanswered = `Nothing arrived of the answers to ${unheard} ${unheard === 1 ? 'turn' : 'turns'} of the last day.`;
  return [
    level('runtime.missing', typeof missing === 'string' ? [[runtime, `Sandboxes cannot start: ${missing}.`]] : []),
    level('group.broken', broken),
    level('delivery.unheard', unheard === 0 ? [] : [['answers', unanswered]]),
  ];
}

/** What a busy host makes in a few minutes. */
const FILES_FREE_MIN = 1000;
