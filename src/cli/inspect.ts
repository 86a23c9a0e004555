import { OperatingError } from '../base/errors.ts';
import type { Paths } from '../base/paths.ts';
import { VERSION } from '../base/version.ts';
import type { Actual } from '../evidence/inspection/actual.ts';
import type { ProbeResult } from '../evidence/inspection/judge.ts';
import type { GroupShown } from '../operations/groups.ts';
import type { Inspected } from '../operations/proofs.ts';
import { ControlClient } from './control_client.ts';
import { bold, dim, type Io, printable, red } from './io.ts';
import { accountWords } from './words.ts';

/**
 * `glass inspect <group>`: what was declared, what is, and every attempt to break out with its result. Exit code 0 when no
 * guard failed, else 1. `--quick` leaves out what uses the limits up; `--canary` puts a file into the host's /etc that must
 * not be seen inside (needs root); `--markdown` prints a report for a review.
 */
export type InspectAnswer = Inspected & { declared: GroupShown };

export async function inspect(args: string[], paths: Paths, io: Io): Promise<number> {
  const [group] = args.filter((word) => !word.startsWith('--'));
  if (group === undefined)
    throw new OperatingError('usage', 'usage: glass inspect <group> [--quick] [--canary] [--markdown]');
  const depth = args.includes('--quick') ? 'quick' : 'full';
  if (!io.json) io.err(`Trying to break out of a sandbox of ${group} …`);
  const client = new ControlClient(paths.controlSocket);
  try {
    const found = await client.call<InspectAnswer>('inspect', { group, depth, canary: args.includes('--canary') });
    if (io.json) io.out(JSON.stringify(found));
    else if (args.includes('--markdown')) io.out(await markdown(found));
    else print(found, io);
    return found.inspection.ok ? 0 : 1;
  } finally {
    client.close();
  }
}

/** Loaded only when it is asked for. */
async function markdown(found: InspectAnswer): Promise<string> {
  const { renderInspection } = await import('../evidence/inspection/report.ts');
  const lines = (pairs: [string, string][]): { label: string; value: string }[] =>
    pairs.map(([label, value]) => ({ label, value }));
  return renderInspection({
    group: found.group,
    versions: lines([
      ['GlassClaw', VERSION],
      ['Node', process.version],
    ]),
    declared: lines(declaredLines(found)),
    inspection: found.inspection,
    last_seen: found.last_seen,
  });
}

/** What is not there is said: a list that is left out looks like one that nobody made. */
function declaredLines(found: InspectAnswer): [label: string, words: string][] {
  const { declared, authority, egress, secrets, inspection } = found;
  const { binds, env, sockets, capabilities } = inspection.declared;
  const listed = (words: readonly string[]): string => words.join(' ') || 'none';
  return [
    ['group', declared.group],
    ['authority', authority],
    ['account on the host', accountWords(declared)],
    ['programs from', declared.image ?? 'the host’s own /usr, read-only'],
    ...declared.capabilities.map(({ name, words }): [string, string] => [name, words]),
    ['egress', listed(egress)],
    ['secrets', listed(secrets)],
    ['environment', listed(env)],
    ['sockets', listed(sockets)],
    ['capabilities', capabilities],
    ...binds.map(({ source, target, access }): [string, string] => [
      'bind',
      `${access.padEnd(5)} ${target}  from ${source}`,
    ]),
    ...declared.controls.map(({ name, state, reason }): [string, string] => [`limit ${name}`, `${state}: ${reason}`]),
  ];
}

function print(found: InspectAnswer, io: Io): void {
  const { inspection } = found;
  io.out(bold(io, 'declared'));
  for (const [label, words] of declaredLines(found)) io.out(`  ${label.padEnd(20)} ${printable(words)}`);
  io.out(bold(io, 'seen inside'));
  for (const [label, words] of actualLines(inspection.actual)) io.out(`  ${label.padEnd(20)} ${printable(words)}`);
  for (const group of new Set(inspection.probes.map((probe) => probe.group))) {
    io.out(bold(io, group));
    for (const probe of inspection.probes.filter((one) => one.group === group)) io.out(`  ${line(probe, found, io)}`);
  }
  if (inspection.problem !== null) io.out(red(io, `it could not be finished: ${printable(inspection.problem)}`));
  io.out(summary(found, io));
}

const SIGNS: Record<ProbeResult['state'], string> = { passed: '✓', failed: '✗', not_run: '–', not_built: '○' };

function line(probe: ProbeResult, { last_seen }: InspectAnswer, io: Io): string {
  const { id, what, state, expected, seen } = probe;
  const head = `${SIGNS[state]} ${what.padEnd(58)} `;
  if (state === 'passed') return `${head}${dim(io, printable(seen))}`;
  const last =
    last_seen[id] === undefined ? '' : `; last seen to hold ${new Date(last_seen[id]).toISOString().slice(0, 16)}`;
  const text = `${head}${state === 'failed' ? `expected ${expected}, ` : ''}${state.replace('_', ' ')}: ${printable(seen)}${last}`;
  return state === 'failed' ? red(io, text) : text;
}

function summary({ inspection, group }: InspectAnswer, io: Io): string {
  const count = (state: ProbeResult['state']): number =>
    inspection.probes.filter((probe) => probe.state === state).length;
  const text = `${group} on ${inspection.profile}: ${count('passed')} held, ${count('failed')} failed, ${count('not_run')} not run, ${count('not_built')} not built (${inspection.ms} ms)`;
  return inspection.ok ? bold(io, text) : red(io, text);
}

function actualLines({ mounts, env, sockets, etc, caps, limits, ...rest }: Actual): [label: string, words: string][] {
  const flat = (record: Record<string, string>): string =>
    Object.entries(record)
      .map(([name, value]) => `${name} ${value}`)
      .join(', ');
  return [
    ...Object.entries(rest).map(([label, value]): [string, string] => [label.replaceAll('_', ' '), value]),
    ['capabilities', flat(caps)],
    ['limits', flat(limits)],
    ['environment', env.join(' ')],
    ['sockets', sockets.join(' ') || 'none'],
    ['/etc', `${etc.length} files`],
    ...mounts.map(({ target, access, flags }): [string, string] => {
      const kept = ['nosuid', 'nodev', 'noexec'].filter((flag) => flags.includes(flag));
      return ['mount', `${access.padEnd(5)} ${target}  ${kept.join(' ')}`];
    }),
  ];
}
