import type { SeccompArch } from '../../../runtimes/seccomp_table.ts';
import { callProbes } from './calls.ts';
import { FILE_PROBES } from './files.ts';
import { underGvisor } from './gvisor.ts';
import { LIMIT_PROBES } from './limits.ts';
import { type HostEnds, networkProbes } from './network.ts';
import type { Probe } from './probe.ts';
import { PROCESS_PROBES } from './process.ts';

/** Everything that is tried, in the order of a report. */
export function allProbes(arch: SeccompArch, host: HostEnds): Probe[] {
  const probes = [...PROCESS_PROBES, ...callProbes(arch), ...networkProbes(host), ...FILE_PROBES, ...LIMIT_PROBES];
  return probes.map(underGvisor);
}
