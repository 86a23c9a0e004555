import { release } from 'node:os';
import type { HarnessName } from '../base/config.ts';
import { shortHash } from '../base/ids.ts';
import { installStamp } from '../base/packages.ts';
import type { Runtime, UserlandChoice } from '../runtimes/runtime.ts';
import { harnessFolder } from '../sessions/harnesses.ts';
import type { StartPlan } from '../sessions/services.ts';

/** Everything that a group's boundary depends on: whatever changes the boundary changes one of these. */
export interface BoundaryFacts {
  /** Hash of what is in force: mounts, limits and the rest. */
  authority: string;
  runtime: Runtime['name'];
  /** What the engine says of itself; null: there is none. */
  engine: string | null;
  userland: UserlandChoice;
  oci_runtime: string | null;
  uid: number | null;
  harness: HarnessName;
  /** Of the harness's lock file; empty for one without packages. */
  packages: string;
  /** `boundaryCodeHash`. */
  code: string;
  /** Each limit with how it holds. */
  controls: readonly string[];
  kernel: string;
  node: string;
}

/** Pure. A proof holds only for the same one. */
export function fingerprintOf(facts: BoundaryFacts): string {
  return shortHash(JSON.stringify(facts));
}

export function boundaryFacts(plan: StartPlan, root: string, code: string): BoundaryFacts {
  const { spec, runtime, harness, controls, egress } = plan;
  const { userland, oci_runtime, uid } = spec;
  return {
    ...{ authority: egress.policy, runtime: runtime.name, engine: runtime.engine() },
    ...{ userland, oci_runtime, uid, harness, code },
    packages: harness === 'probe' ? '' : installStamp(harnessFolder(root, harness)).content,
    controls: controls.map(({ name, state }) => `${name} ${state}`),
    kernel: release(),
    node: process.version,
  };
}
