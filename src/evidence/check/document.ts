import type { CheckReport, CheckResult, Claim, Guards } from './report.ts';

/** A report for a person who was not there, as blocks; `render.ts` makes Markdown and HTML of them. Pure. */
export type Block =
  | { t: 'title' | 'section' | 'words'; text: string }
  | { t: 'list'; items: string[] }
  /** A cell of the column `state` is `held`, `failed`, or something in between. */
  | { t: 'table'; head: string[]; rows: string[][] };

const TITLES: Record<CheckResult['check'], [title: string, how: string]> = {
  traceability: [
    'Traceability',
    'Messages were sent in a throw-away session, and the path of each was asked for: every step must be there once, in order, with its request at the gateway.',
  ],
  privilege: [
    'Privilege',
    'In a sandbox of each group everything was tried that its boundary must refuse, limits used up included.',
  ],
  recovery: [
    'Recovery',
    'Sandbox, gateway and host were killed with SIGKILL, one by one, while messages ran: each must come back by itself, and every message must be answered exactly once.',
  ],
  visibility: [
    'Failure visibility',
    'Things were broken on purpose, and mended: each must be seen in status, in what is recorded, and as an alert, which must clear.',
  ],
};

/** What no run of it can show; it stands beside the result, so that nobody takes it for more. */
const NOT_PROVEN = [
  'Sessions of people were not used: the throw-away group has the stand-in `probe` for a model, and goes through the same host, gateway and runtime.',
  'What a sandbox reports of itself (`turn.taken`, tools) is its own word; a hostile agent may lie about its own turn.',
  'Platforms and models of other people were not asked: the channel and the model that were broken are servers on this machine.',
  'Processes were killed, not the machine: what a power cut does to its disk was not tried.',
  'Each thing was tried once. That it held now does not say that it holds under every load.',
  'The check is our own code, run by whoever may open the control socket. It cannot vouch for itself against root of this machine.',
];

export function documentOf(report: CheckReport): Block[] {
  const claims = report.checks.flatMap((check) => check.claims);
  const failed = claims.filter(({ state }) => state === 'failed');
  const untested = claims.filter(({ state }) => state === 'not tested');
  const lines = ({ what, seen }: Claim): string => `${what}: ${seen}`;
  const facts = report.facts.map(({ label, value }) => [label, value]);
  const authorities = report.authorities.map(({ group, hash }) => [group, hash ?? 'none']);
  return [
    { t: 'title', text: `GlassClaw: the four checks, ${report.at.slice(0, 16).replace('T', ' ')} UTC` },
    { t: 'words', text: `${report.state === 'passed' ? 'Passed' : 'FAILED'}, in ${seconds(report.ms)}.` },
    table(['check', 'state', 'claims', 'time'], report.checks.map(summaryOf)),
    ...listed('What failed', failed.map(lines)),
    ...listed('Warnings', report.warnings),
    ...listed('What was not tested, and why', untested.map(lines)),
    { t: 'section', text: 'What was checked' },
    table(['', ''], facts),
    table(['group', 'authority in force'], authorities),
    ...report.checks.flatMap(sectionOf),
    ...listed('What this does not prove', NOT_PROVEN),
    ...report.checks.flatMap(({ guards }) => guards).flatMap(guardsOf),
  ];
}

function summaryOf({ check, claims, ms }: CheckResult): string[] {
  const count = (state: Claim['state']): number => claims.filter((claim) => claim.state === state).length;
  const state = count('failed') > 0 ? 'failed' : count('held') > 0 ? 'held' : 'not tested';
  const sum = `${count('held')} held, ${count('failed')} failed, ${count('not tested')} not tested`;
  return [TITLES[check][0], state, sum, seconds(ms)];
}

function sectionOf({ check, claims, ms }: CheckResult): Block[] {
  const [title, how] = TITLES[check];
  const rows = claims.map((claim) => {
    return [claim.state, claim.what, claim.seen, claim.ms === null ? '' : seconds(claim.ms), claim.evidence.join(', ')];
  });
  return [
    { t: 'section', text: title },
    { t: 'words', text: `${how} It took ${seconds(ms)}.` },
    table(['state', 'claim', 'seen', 'time', 'evidence'], rows),
  ];
}

function guardsOf({ group, authority, profile, probes }: Guards): Block[] {
  const words = { passed: 'held', failed: 'failed', not_run: 'not tested', not_built: 'not built' };
  const rows = probes.map((probe) => [
    words[probe.state],
    probe.group,
    probe.what,
    probe.expected,
    probe.seen,
    probe.id,
  ]);
  return [
    { t: 'section', text: `Guards of ${group} (${profile})` },
    { t: 'words', text: `Under the authority ${authority}.` },
    table(['state', 'of', 'attempt', 'expected', 'seen', 'probe'], rows),
  ];
}

function listed(title: string, items: string[]): Block[] {
  return items.length === 0
    ? []
    : [
        { t: 'section', text: title },
        { t: 'list', items },
      ];
}

function table(head: string[], rows: string[][]): Block {
  return { t: 'table', head, rows };
}

export function seconds(ms: number): string {
  return ms < 1000 ? `${Math.round(ms)} ms` : `${(ms / 1000).toFixed(1)} s`;
}
