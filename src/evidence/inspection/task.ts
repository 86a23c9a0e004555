import { unreachable } from '../../base/errors.ts';
import {
  EXHAUST_MEMORY_BYTES,
  EXHAUST_OPEN_FILES,
  EXHAUST_PIDS,
  EXHAUST_SHM_BYTES,
  EXHAUST_TMP_BYTES,
} from '../../base/limits/sandbox.ts';
import type { InspectionPart, InspectionTask } from '../../protocol/inspection.ts';
import type { SandboxLimits, SandboxSpec } from '../../runtimes/runtime.ts';
import type { SeccompArch } from '../../runtimes/seccomp_table.ts';
import { absentFolders } from './declared.ts';
import { rawCalls } from './probes/calls.ts';
import { OPENED, TOUCHED } from './probes/files.ts';
import { dials, type HostEnds } from './probes/network.ts';

/** What the observer is told to try. Pure. */

export interface TaskInput {
  part: InspectionPart;
  nonce: string;
  arch: SeccompArch;
  spec: SandboxSpec;
  ends: HostEnds;
  control: { path: string; answer: string };
  canary: string | null;
}

const WORKSPACE = '/workspace';

export function taskOf({ part, nonce, arch, spec, ends, control, canary }: TaskInput): InspectionTask {
  const closed = spec.binds.filter(({ access }) => access === 'read').map(({ target }) => target);
  const absent = absentFolders(spec, ['/usr', '/bin', '/sbin', '/lib']);
  const ownFolder = absent[0] ?? '/root';
  return {
    part,
    nonce,
    calls: rawCalls(arch),
    dials: dials(ends),
    control,
    opens: OPENED.map(([path]) => path),
    touches: [...new Set([...TOUCHED.map(([path]) => path), '/dev', ...closed])],
    absent: [
      ...absent.map((path) => ({ name: path, path })),
      ...(canary === null ? [] : [{ name: 'canary', path: canary }]),
    ],
    sizes: ['/tmp', '/dev/shm', '/workspace'],
    writes: [WORKSPACE],
    reads: spec.binds.map(({ target }) => target),
    escape: { folder: WORKSPACE, symlinkTo: ownFolder, hardlinks: [...closed, '/etc/passwd', '/usr/bin/env'] },
    // Twice the lowered limits, and a margin: reached only where the limit does not hold.
    ceiling: {
      processes: EXHAUST_PIDS * 2,
      bytes: EXHAUST_MEMORY_BYTES * 2,
      files: EXHAUST_OPEN_FILES * 2,
    },
  };
}

/**
 * The same limits, with those lowered that this part exhausts: an exhaustion shows that a limit holds, and must not take
 * the machine's last memory where it does not. That the declared figures are the ones that are set is another probe's
 * business. The others stay: under gVisor, processes would run into a lowered memory first.
 */
export function loweredLimits(limits: SandboxLimits, part: InspectionPart): SandboxLimits {
  switch (part) {
    case 'attempts':
      return limits;
    case 'processes':
      return { ...limits, pids: Math.min(limits.pids, EXHAUST_PIDS) };
    case 'memory':
      return { ...limits, memory_bytes: Math.min(limits.memory_bytes, EXHAUST_MEMORY_BYTES) };
    case 'files':
      return {
        ...limits,
        tmp_bytes: Math.min(limits.tmp_bytes, EXHAUST_TMP_BYTES),
        shm_bytes: Math.min(limits.shm_bytes, EXHAUST_SHM_BYTES),
        open_files: Math.min(limits.open_files, EXHAUST_OPEN_FILES),
      };
    default:
      return unreachable(part);
  }
}
