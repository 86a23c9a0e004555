import type { ProbeResult } from '../inspection/judge.ts';

/** What a check found, as data: the JSON of a report is exactly this. Texts may come from a sandbox: they are data wherever they are shown. */
export const CHECKS = ['traceability', 'privilege', 'recovery', 'visibility'] as const;
export type CheckName = (typeof CHECKS)[number];

/** One thing that is promised, and what was seen of it. */
export interface Claim {
  what: string;
  state: 'held' | 'failed' | 'not tested';
  seen: string;
  /** What it took, where that says something; milliseconds. */
  ms: number | null;
  /** Ids of messages, turns, events, alerts; hashes; process ids: where somebody else can look. */
  evidence: string[];
}

/** What was tried at the boundary of one group. */
export interface Guards {
  group: string;
  authority: string;
  profile: string;
  probes: Pick<ProbeResult, 'id' | 'group' | 'what' | 'state' | 'expected' | 'seen'>[];
}

export interface CheckResult {
  check: CheckName;
  ms: number;
  claims: Claim[];
  guards: Guards[];
}

export interface CheckReport {
  state: 'passed' | 'failed';
  /** ISO time of its beginning. */
  at: string;
  ms: number;
  facts: { label: string; value: string }[];
  /** Of each group; null: nothing of it is in force. */
  authorities: { group: string; hash: string | null }[];
  checks: CheckResult[];
  warnings: string[];
}

/** Deny is the default: what nothing was seen of has not passed. */
export function stateOf(checks: readonly CheckResult[]): CheckReport['state'] {
  const claims = checks.flatMap((check) => check.claims);
  const good = claims.some(({ state }) => state === 'held') && !claims.some(({ state }) => state === 'failed');
  return good ? 'passed' : 'failed';
}
