import { release } from 'node:os';
import { join } from 'node:path';
import { assert } from '../../base/errors.ts';
import { randomToken } from '../../base/ids.ts';
import { ROOT } from '../../base/paths.ts';
import type { InspectionPart } from '../../protocol/inspection.ts';
import { EGRESS_FOLDER } from '../../protocol/proxy.ts';
import type { Bind, Runtime, SandboxSpec } from '../../runtimes/runtime.ts';
import { seccompArch } from '../../runtimes/seccomp.ts';
import type { SeccompArch } from '../../runtimes/seccomp_table.ts';
import { type Actual, actualOf } from './actual.ts';
import { type Controls, openControls } from './controls.ts';
import { declaredOf } from './declared.ts';
import { derive, type Observation } from './derive.ts';
import { canaryControl, hostAddress, hostFacts } from './host.ts';
import { judge, type ProbeResult } from './judge.ts';
import { observe } from './observe.ts';
import { hostObservations } from './outside.ts';
import type { LimitName } from './probes/limits.ts';
import { allProbes } from './probes/list.ts';
import type { HostEnds } from './probes/network.ts';
import type { Depth, Profile } from './probes/probe.ts';
import { type DeclaredShown, RUN_TARGET, shownOf } from './shown.ts';
import { loweredLimits, taskOf } from './task.ts';

/**
 * The self-check: proves a group's boundary by trying to break it from the inside, in a sandbox of the group's own spec
 * in which an observer stands where the runner would. The observer says what happened; what that means is judged here.
 *
 *   controls (this must be reachable from the host) → sandbox: attempts → [full: one sandbox for each exhaustion] → judge
 */
export interface InspectionInput {
  runtime: Runtime;
  /** Of the group, as `sessionSpec` makes it; its folders must exist. */
  spec: SandboxSpec;
  profile: Profile;
  depth: Depth;
  /** Folder of this inspection's sockets, bound at /run/glass: made and removed here. */
  run: string;
  /** A world-readable file that the caller put into the host's /etc, or null. */
  canary: string | null;
  /** What the group's workspace may hold, in bytes. */
  workspace_bytes: number;
  /** Limits that are not enforced on this machine. */
  absent: LimitName[];
}

export interface Inspection {
  at_ms: number;
  profile: Profile;
  depth: Depth;
  /** How long it took. */
  ms: number;
  /** No probe failed. What was not run, and what is not built, is in the list. */
  ok: boolean;
  /** Why the observer did not come to its end, where it did not: then most probes have failed for want of an answer. */
  problem: string | null;
  probes: ProbeResult[];
  declared: DeclaredShown;
  actual: Actual;
}

const OBSERVER = '/opt/glass/app/sandbox/inspect';
const OBSERVER_PROGRAM = '/opt/glass/app/sandbox/inspect/inspect.ts';

/**
 * Rejects only when the controls cannot be set up. A sandbox that cannot be started, or says nothing, is an inspection in
 * which every probe failed.
 */
export async function inspectSandbox(input: InspectionInput): Promise<Inspection> {
  const at_ms = Date.now();
  const began = performance.now();
  const controls = await openControls(input.run, input.spec.uid);
  try {
    const run = runOf(input, controls);
    const raw = await tryAll(run);
    const { profile, depth, absent } = input;
    const declared = declaredOf(
      run.spec,
      input.workspace_bytes,
      { runtime: input.runtime.name, profile },
      hostFacts(unpackedRoot(input), run.spec.binds),
    );
    const probes = judge({
      probes: allProbes(run.arch, run.ends),
      profile,
      depth,
      facts: declared.facts,
      observations: derive(raw, declared),
      absent,
    });
    const problem = problemOf(raw);
    const ok = problem === null && probes.every(({ state }) => state !== 'failed');
    const ms = Math.round(performance.now() - began);
    const sides = { declared: shownOf(input.spec), actual: actualOf(raw, release()) };
    return { at_ms, profile, depth, ms, ok, problem, probes, ...sides };
  } finally {
    await controls.close();
  }
}

/** What all parts of one inspection share. */
interface Run {
  input: InspectionInput;
  controls: Controls;
  ends: HostEnds;
  arch: SeccompArch;
  /** The group's, with the observer in it, and the inspection's own sockets. */
  spec: SandboxSpec;
}

function runOf(input: InspectionInput, controls: Controls): Run {
  const arch = seccompArch(process.arch);
  assert(arch !== null, 'a runtime that works has a filter for this architecture');
  const { loopback_port, abstract } = controls;
  const own: Bind[] = [
    { source: input.run, target: RUN_TARGET, access: 'read' },
    { source: join(ROOT, 'sandbox/inspect'), target: OBSERVER, access: 'read' },
  ];
  const others = input.spec.binds
    .filter(({ target }) => !own.some((bind) => bind.target === target))
    // The gateway makes its folder when a session opens; here the place and its mount are what is looked at.
    .map((bind) => (bind.target === EGRESS_FOLDER ? { ...bind, source: input.run } : bind));
  const spec = { ...input.spec, binds: [...others, ...own] };
  return { input, controls, ends: { loopback_port, abstract, address: hostAddress() }, arch, spec };
}

/** Everything that was seen, inside and from here. */
async function tryAll(run: Run): Promise<Map<string, Observation>> {
  const { depth, canary } = run.input;
  const parts: InspectionPart[] = depth === 'full' ? ['attempts', 'processes', 'memory', 'files'] : ['attempts'];
  const found = await Promise.all(parts.map((part) => tryPart(run, part)));
  const seen = new Map(found.flatMap((part) => [...part]));
  seen.set('control.loopback', { value: run.controls.outcomes.loopback });
  seen.set('control.abstract', { value: run.controls.outcomes.abstract });
  seen.set('control.canary', canaryControl(canary));
  return seen;
}

async function tryPart({ input, controls, ends, arch, spec }: Run, part: InspectionPart) {
  const nonce = randomToken(12);
  const task = taskOf({ part, nonce, arch, spec, ends, control: controls.socket, canary: input.canary });
  const argv = [spec.argv[0]!, OBSERVER_PROGRAM, JSON.stringify(task)];
  const own: SandboxSpec =
    part === 'attempts'
      ? { ...spec, argv }
      : { ...spec, argv, session: `${spec.session}-${part}`, limits: loweredLimits(spec.limits, part) };
  const { seen, outside, exit, other } = await observe(input.runtime, own, nonce);
  const because = other === '' ? '' : `: ${other}`;
  const end = exit.reason ?? (exit.code === 0 ? 'ended by itself' : `ended with ${exit.code ?? exit.signal}${because}`);
  seen.set(`end.${part}`, { value: end });
  // The memory's own answer is how its sandbox ended; said by the runtime, after its program had begun.
  if (part === 'memory' && seen.has('exhaust.memory.started')) seen.set('exhaust.memory', { value: end });
  // Under gVisor that of processes is, too: where the observer could say it, that counts.
  const fell = seen.has('exhaust.processes.started') && !seen.has('exhaust.processes');
  if (part === 'processes' && fell) seen.set('exhaust.processes', { value: end });
  if (part === 'attempts' && outside !== null)
    for (const [key, seenThere] of hostObservations(outside)) seen.set(key, seenThere);
  return seen;
}

/** Null when the observer came to its end; else how its sandbox ended before. */
function problemOf(raw: ReadonlyMap<string, Observation>): string | null {
  const end = raw.get('end.attempts');
  if (raw.has('end')) return null;
  return end !== undefined && 'value' in end ? end.value : 'the sandbox has no end';
}

/** Only bubblewrap takes system files from a folder of the host. */
function unpackedRoot({ spec, profile }: InspectionInput): string | null {
  return profile === 'bubblewrap' && spec.userland.kind === 'image' ? spec.userland.ref : null;
}
