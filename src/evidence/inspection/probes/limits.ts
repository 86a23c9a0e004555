import type { LimitState } from '../../../runtimes/runtime.ts';
import type { Expectation, Probe } from './probe.ts';

/** Whether the limits stand as declared, and whether something that takes all it can is stopped by them. */

export type LimitName = LimitState['name'];

/** Bubblewrap's sandboxes do not see their control group; depth `full` tries what can be exhausted. */
const UNSEEN: Expectation = { not_run: 'no control group is mounted inside; the host looks from outside' };
const UNSEEN_BY = { bubblewrap: UNSEEN };
/** Podman's helper does not say who ended a container (`tellsOutOfMemory`). */
export const UNTOLD = 'killed: out of memory, or by somebody (the engine does not tell)';
/** In an inspection there is no somebody: its own end of a sandbox is told apart, and without a limit the observer ends by itself. */
const KILLED: Expectation = { one_of: ['out of memory', UNTOLD] };

export const LIMIT_PROBES: readonly Probe[] = [
  probe('size./tmp', 'have a larger /tmp than declared', { fact: 'tmp_bytes' }, 'tmp_bytes'),
  probe('size./dev/shm', 'have more shared memory than declared', { fact: 'shm_bytes' }),
  probe('limit.open_files', 'have more open files than declared', { fact: 'open_files' }, 'open_files'),
  probe('limit.core', 'leave a core file', { one_of: ['0 0'] }),
  { ...probe('limit.pids', 'have more processes than declared', { fact: 'pids' }, 'pids'), except: UNSEEN_BY },
  {
    ...probe('limit.memory', 'have more memory than declared', { fact: 'memory_bytes' }, 'memory_bytes'),
    except: UNSEEN_BY,
  },
  {
    ...probe(
      'limit.cpus',
      'have more processor time than declared (µs of each 100 ms)',
      { fact: 'cpu_quota_us' },
      'cpus',
    ),
    except: UNSEEN_BY,
  },
  probe('host.pids', 'have more processes, as the host sees it', { fact: 'host_pids' }, 'pids'),
  probe('host.memory', 'have more memory, as the host sees it', { fact: 'memory_bytes' }, 'memory_bytes'),
  probe('host.swap', 'have swap on top of memory, as the host sees it', { one_of: ['closed'] }, 'memory_bytes'),
  probe('host.cpus', 'have more processor time, as the host sees it', { fact: 'cpu_quota_us' }, 'cpus'),
  probe(
    'host.disk_write',
    'write more to a disk in a second, as the host sees it',
    { fact: 'disk_write_bytes' },
    'disk_write_bytes',
  ),
  probe(
    'host.disk_writes',
    'write more often to a disk in a second, as the host sees it',
    { fact: 'disk_writes' },
    'disk_write_bytes',
  ),
  exhausting('processes', 'start processes without end', 'EAGAIN', 'pids'),
  {
    ...exhausting('memory', 'take memory without end', 'out of memory', 'memory_bytes'),
    except: { podman: KILLED },
  },
  exhausting('/tmp', 'fill /tmp without end', 'ENOSPC', 'tmp_bytes'),
  exhausting('/dev/shm', 'fill the shared memory without end', 'ENOSPC', 'shm_bytes'),
  exhausting('open_files', 'open files without end', 'EMFILE', 'open_files'),
  // A file system of its own is refused the byte beyond its size by the kernel; filling gigabytes would prove no more.
  probe('size./workspace', 'have a larger workspace than declared', { one_of: ['within'] }, 'workspace_bytes'),
];

function probe(id: string, what: string, expect: Expectation, limit?: LimitName): Probe {
  return { id, group: 'limits', what, reads: id, expect, depth: 'quick', ...(limit === undefined ? {} : { limit }) };
}

function exhausting(name: string, what: string, answer: string, limit: LimitName): Probe {
  return { ...probe(`exhaust.${name}`, what, { one_of: [answer] }, limit), depth: 'full' };
}
