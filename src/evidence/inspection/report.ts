import type { Actual } from './actual.ts';
import type { Inspection } from './inspection.ts';
import type { ProbeResult } from './judge.ts';

/** An inspection as Markdown for a security review. Pure. What came out of a sandbox stays text in it. */

/** One line of what a group's files declare: `Memory`, `512 MiB`. */
export interface DeclaredLine {
  label: string;
  value: string;
}

export interface InspectionReport {
  group: string;
  /** Of GlassClaw, of Node, and of the runtime as far as it is known. */
  versions: readonly DeclaredLine[];
  declared: readonly DeclaredLine[];
  inspection: Inspection;
  /** Milliseconds since the epoch at which each probe last passed, by its id. */
  last_seen: Record<string, number>;
}

const RESULT: Record<ProbeResult['state'], string> = {
  passed: 'holds',
  failed: '**FAILED**',
  not_run: 'not run',
  not_built: 'not built',
};

/** What no run of this can show; kept beside the result, so that nobody takes it for more. */
const NOT_PROVEN: readonly string[] = [
  'It was made in a sandbox of the same specification, started for it; what runs in another one now was not looked at.',
  'The kernel is shared: a flaw in a system call that is allowed is not found by calling it.',
  'Nothing is said about side channels of processors, caches and memory.',
  'What the gateway lets out, and at which price, is not tried here: the sandbox only has no other way out.',
  'Limits are exhausted at a lowered figure; that the declared figure is the one that is set is read where it can be.',
  'The observer is our own code. It cannot vouch for itself against the host’s root.',
];

export function renderInspection({ group, versions, declared, inspection, last_seen }: InspectionReport): string {
  const failed = inspection.probes.filter(({ state }) => state === 'failed');
  return [
    `# Inspection of the group ${text(group)}`,
    verdict(inspection),
    table(
      ['', ''],
      [...headOf(inspection), ...versions].map(({ label, value }) => [label, value]),
    ),
    ...(failed.length > 0 ? ['## What failed', probeTable(failed, last_seen)] : []),
    '## What is declared',
    table(
      ['', ''],
      declared.map(({ label, value }) => [label, value]),
    ),
    '## What was found inside',
    ...actualSections(inspection.actual),
    '## What was tried',
    ...groupsOf(inspection.probes).flatMap(([name, probes]) => [`### ${capital(name)}`, probeTable(probes, last_seen)]),
    '## What is not built',
    reasons(inspection.probes, 'not_built'),
    '## What was not run',
    reasons(inspection.probes, 'not_run'),
    '## What this does not prove',
    NOT_PROVEN.map((line) => `- ${line}`).join('\n'),
    '',
  ].join('\n\n');
}

function verdict({ ok, problem, probes }: Inspection): string {
  const count = (state: ProbeResult['state']): number => probes.filter((probe) => probe.state === state).length;
  const sums = `${count('passed')} of ${probes.length} probes hold, ${count('failed')} failed, ${count('not_run')} were not run, ${count('not_built')} have no guard yet.`;
  if (problem !== null) return `**The inspection did not come to its end: ${text(problem)}.** ${sums}`;
  return ok
    ? `No attempt to leave the sandbox succeeded. ${sums}`
    : `**The boundary does not hold as declared.** ${sums}`;
}

function headOf({ at_ms, profile, depth, ms, actual }: Inspection): DeclaredLine[] {
  return [
    { label: 'Date', value: new Date(at_ms).toISOString() },
    { label: 'Runtime', value: profile },
    { label: 'Depth', value: depth === 'full' ? 'full: limits were exhausted' : 'quick: no limit was exhausted' },
    { label: 'Took', value: `${ms} ms` },
    { label: 'Kernel', value: actual.kernel },
  ];
}

function actualSections(actual: Actual): string[] {
  const lines: [string, string][] = [
    ['uid, gid inside', `${actual.uid}, ${actual.gid}`],
    ['image', actual.image],
    ['no_new_privs, seccomp mode', `${actual.no_new_privs}, ${actual.seccomp}`],
    ...Object.entries(actual.caps),
    ...Object.entries(actual.limits),
    ['environment', actual.env.join(' ')],
    ['sockets', actual.sockets.join(' ') || 'none'],
    ['/etc', `${actual.etc.length} files`],
  ];
  const mounts = actual.mounts.map(({ target, access, flags }) => [target, access, flags.join(' ')]);
  return [table(['', ''], lines), table(['mount', 'access', 'flags'], mounts)];
}

function probeTable(probes: readonly ProbeResult[], last_seen: Record<string, number>): string {
  const rows = probes.map(({ id, what, state, expected, seen }) => {
    const at = last_seen[id] === undefined ? 'never' : new Date(last_seen[id]).toISOString().slice(0, 16);
    return [RESULT[state], what, expected, seen, at, id];
  });
  return table(['result', 'attempt', 'expected', 'seen', 'last seen to hold', 'probe'], rows, [0]);
}

/** In the order in which they first appear. */
function groupsOf(probes: readonly ProbeResult[]): [string, ProbeResult[]][] {
  return [...Map.groupBy(probes, ({ group }) => group)];
}

function reasons(probes: readonly ProbeResult[], state: ProbeResult['state']): string {
  const found = probes.filter((probe) => probe.state === state);
  if (found.length === 0) return 'Nothing.';
  return found.map(({ what, seen }) => `- ${text(capital(what))}: ${text(seen)}`).join('\n');
}

/** `markup`: columns whose text is ours and may be bold. */
function table(head: readonly string[], rows: readonly (readonly string[])[], markup: readonly number[] = []): string {
  const cells = rows.map((row) => row.map((cell, at) => (markup.includes(at) ? cell : text(cell))));
  const lines = [head, head.map(() => '---'), ...cells];
  return lines.map((row) => `| ${row.join(' | ')} |`).join('\n');
}

/** No control characters, and nothing that Markdown or HTML takes for a sign of its own. */
function text(value: string): string {
  return value
    .replace(/[\u0000-\u001f\u007f-\u009f\u2028-\u202e]+/g, ' ')
    .replace(/[\\`*_[\]<>|#~]/g, (sign) => `\\${sign}`);
}

function capital(words: string): string {
  return words.slice(0, 1).toUpperCase() + words.slice(1);
}
