/**
 * A probe is data: what is tried from inside, which observation tells how it went, and what must come of it under each
 * runtime. Judging is in `../judge.ts`; trying is in `sandbox/inspect/`.
 */

/** Which answers are right; those of `gvisor`, under whichever engine, are in `gvisor.ts`. */
export type Profile = 'bubblewrap' | 'docker' | 'podman' | 'gvisor';
export type Depth = 'quick' | 'full';

export type ProbeGroup =
  | 'identity'
  | 'environment'
  | 'namespaces'
  | 'system calls'
  | 'devices'
  | 'network'
  | 'sockets'
  | 'system files'
  | 'mounts'
  | 'neighbours'
  | 'limits';

/** What the spec and the host say, where a probe compares with that instead of a fixed answer. */
export interface Facts {
  /** Real, effective, saved and file system id, as in `/proc/self/status`. */
  uids: string;
  gids: string;
  /** One a line, sorted. */
  env_names: string;
  tmp_bytes: string;
  shm_bytes: string;
  /** Soft and hard limit. */
  open_files: string;
  pids: string;
  /** With what is added for the threads of an OCI runtime's own (`OCI_RUNTIME_PIDS`). */
  host_pids: string;
  /** Of each 100 ms. */
  cpu_quota_us: string;
  memory_bytes: string;
  disk_write_bytes: string;
  disk_writes: string;
}

export type Expectation =
  | { one_of: readonly string[] }
  | { fact: keyof Facts }
  /** It cannot be tried, or would say nothing, and why. */
  | { not_run: string }
  /** There is no such guard yet, and what stands in its place. */
  | { not_built: string };

/** What is right under one runtime; `reads` names another observation, where that one tells more. */
export type Exception = Expectation & { reads?: string };

export interface Probe {
  id: string;
  group: ProbeGroup;
  /** The attack, as a short phrase. */
  what: string;
  /** Key of the observation that tells. */
  reads: string;
  expect: Expectation;
  /** Runtimes under which something else is right; the reason stands beside the entry. */
  except?: Partial<Record<Profile, Exception>>;
  depth: Depth;
  /** Key of an observation that must be `ok`, or a refusal proves nothing. */
  control?: string;
  /** Not run on a machine where this limit does not hold. */
  limit?: string;
}

export function expectationOf(probe: Probe, profile: Profile): Exception {
  return probe.except?.[profile] ?? probe.expect;
}

/** As a reader of the table sees it. */
export function describeExpectation(expectation: Expectation, facts: Facts): string {
  if ('one_of' in expectation) return expectation.one_of.join(' or ');
  if ('fact' in expectation) return facts[expectation.fact];
  return '—';
}
