import { existsSync, readlinkSync } from 'node:fs';
import { networkInterfaces, release } from 'node:os';
import { join } from 'node:path';
import { assert } from '../base/errors.ts';
import { randomToken } from '../base/ids.ts';
import { ROOT } from '../base/paths.ts';
import type { InspectionPart } from '../protocol/inspection.ts';
import type { Bind, Runtime, SandboxSpec } from '../runtimes/runtime.ts';
import { seccompArch } from '../runtimes/seccomp.ts';
import type { SeccompArch } from '../runtimes/seccomp_table.ts';
import { hostUserland } from '../runtimes/userland.ts';
import { type Actual, actualOf } from './inspection_actual.ts';
import { type Controls, openControls } from './inspection_controls.ts';
import { declaredOf, type HostFacts } from './inspection_declared.ts';
import { derive, type Observation } from './inspection_derive.ts';
import { judge, type ProbeResult } from './inspection_judge.ts';
import { observe } from './inspection_observe.ts';
import { loweredLimits, taskOf } from './inspection_task.ts';
import type { LimitName } from './probes/limits.ts';
import { allProbes } from './probes/list.ts';
import type { HostEnds } from './probes/network.ts';
import type { Depth, Profile } from './probes/probe.ts';

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
  /** Limits that do not hold on this machine. */
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
  probes: ProbeResult[];
  actual: Actual;
}

const OBSERVER = '/opt/glass/app/sandbox/inspect';
const OBSERVER_PROGRAM = '/opt/glass/app/sandbox/inspect/inspect.ts';
const RUN_TARGET = '/run/glass';

/**
 * Rejects only when the controls cannot be set up. A sandbox that cannot be started, or says nothing, is an inspection in
 * which every probe failed.
 */
export async function inspectSandbox(input: InspectionInput): Promise<Inspection> {
  const arch = seccompArch(process.arch);
  assert(arch !== null, 'a runtime that works has a filter for this architecture');
  const at_ms = Date.now();
  const began = performance.now();
  const controls = await openControls(input.run, input.spec.uid);
  try {
    const raw = await tryAll(input, controls, arch);
    const spec = inspectionSpec(input);
    const declared = declaredOf(spec, input.profile, hostFacts());
    const observations = derive(raw, declared);
    const { profile, depth, absent } = input;
    const probes = judge({
      probes: allProbes(arch, hostEnds(controls)),
      profile,
      depth,
      facts: declared.facts,
      observations,
      absent,
      ended: endOf(raw),
    });
    const ok = probes.every(({ state }) => state !== 'failed');
    const ms = Math.round(performance.now() - began);
    return { at_ms, profile, depth, ms, ok, probes, actual: actualOf(raw, release()) };
  } finally {
    await controls.close();
  }
}

/** The group's spec with the observer in it, and the inspection's own sockets. */
function inspectionSpec({ spec, run }: InspectionInput): SandboxSpec {
  const replaced = [RUN_TARGET, OBSERVER];
  const own: Bind[] = [
    { source: run, target: RUN_TARGET, access: 'read' },
    { source: join(ROOT, 'sandbox/inspect'), target: OBSERVER, access: 'read' },
  ];
  return { ...spec, binds: [...spec.binds.filter(({ target }) => !replaced.includes(target)), ...own] };
}

/** Everything that was seen, inside and from here. */
async function tryAll(
  input: InspectionInput,
  controls: Controls,
  arch: SeccompArch,
): Promise<Map<string, Observation>> {
  const parts: InspectionPart[] = input.depth === 'full' ? ['attempts', 'processes', 'memory', 'files'] : ['attempts'];
  const found = await Promise.all(parts.map((part) => tryPart(input, part, controls, arch)));
  const seen = new Map(found.flatMap((part) => [...part]));
  seen.set('control.loopback', { value: controls.outcomes.loopback });
  seen.set('control.abstract', { value: controls.outcomes.abstract });
  seen.set('control.canary', canaryControl(input.canary));
  return seen;
}

async function tryPart(
  input: InspectionInput,
  part: InspectionPart,
  controls: Controls,
  arch: SeccompArch,
): Promise<Map<string, Observation>> {
  const nonce = randomToken(12);
  const spec = inspectionSpec(input);
  const ends = hostEnds(controls);
  const task = taskOf({ part, nonce, arch, spec, ends, control: controls.socket, canary: input.canary });
  const { seen, ids, exit, other } = await observe(
    input.runtime,
    {
      ...spec,
      session: part === 'attempts' ? spec.session : `${spec.session}-${part}`,
      argv: [spec.argv[0]!, OBSERVER_PROGRAM, JSON.stringify(task)],
      limits: part === 'attempts' ? spec.limits : loweredLimits(spec.limits),
    },
    nonce,
  );
  const end = exit.reason ?? (exit.code === 0 ? 'ended by itself' : `ended with ${exit.code ?? exit.signal}: ${other}`);
  // The memory's own answer is how its sandbox ended; said by the runtime, after its program had begun.
  if (part === 'memory' && seen.has('exhaust.memory.started')) seen.set('exhaust.memory', { value: end });
  seen.set(`end.${part}`, { value: end });
  if (ids !== null && part === 'attempts') {
    for (const [name, value] of Object.entries(ids)) seen.set(`host.${name}`, { value });
  }
  return seen;
}

function endOf(raw: Map<string, Observation>): string {
  const end = raw.get('end.attempts');
  return end !== undefined && 'value' in end ? end.value : 'it has no end';
}

function canaryControl(canary: string | null): Observation {
  if (canary === null) return { not_run: 'no file was put into the host’s /etc' };
  return { value: existsSync(canary) ? 'ok' : 'it is not there on the host either' };
}

function hostFacts(): HostFacts {
  const names = ['cgroup', 'ipc', 'mnt', 'net', 'pid', 'user', 'uts'];
  return {
    uid: process.geteuid!(),
    gid: process.getegid!(),
    groups: process.getgroups!(),
    namespaces: Object.fromEntries(names.map((name) => [name, readlinkSync(`/proc/self/ns/${name}`)])),
    userland: hostUserland(),
  };
}

function hostEnds({ loopback_port, abstract }: Controls): HostEnds {
  const addresses = Object.values(networkInterfaces()).flatMap((found) => found ?? []);
  const address = addresses.find(({ internal, family }) => !internal && family === 'IPv4')?.address ?? null;
  return { loopback_port, abstract, address };
}
