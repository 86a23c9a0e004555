import type { Observations } from './derive.ts';
import { parseMounts } from './mounts.ts';

/** What was found inside, for a report and for a comparison with another day's. Pure. */
export interface Actual {
  mounts: { target: string; access: 'read' | 'write'; flags: string[] }[];
  /** Names only. */
  env: string[];
  /** In the folders of the session's sockets, where one of the inspection's own stands for them. */
  sockets: string[];
  uid: string;
  gid: string;
  /** By set: `CapEff` and the like, in hexadecimal. */
  caps: Record<string, string>;
  no_new_privs: string;
  seccomp: string;
  limits: Record<string, string>;
  /** Files of the sandbox's /etc. */
  etc: string[];
  kernel: string;
  /** Id, by the engine; `none` without one. */
  image: string;
}

const UNKNOWN = 'unknown';

export function actualOf(raw: Observations, kernel: string): Actual {
  const value = (key: string): string => {
    const observation = raw.get(key);
    return observation !== undefined && 'value' in observation ? observation.value : UNKNOWN;
  };
  const list = (key: string): string[] => (['none', UNKNOWN].includes(value(key)) ? [] : value(key).split('\n'));
  const sets = ['CapInh', 'CapPrm', 'CapEff', 'CapBnd', 'CapAmb'];
  const limits = [
    'size./tmp',
    'size./dev/shm',
    'limit.open_files',
    'limit.core',
    'host.pids',
    'host.memory',
    'host.swap',
    'host.cpus',
    'host.disk_write',
    'host.disk_writes',
  ];
  return {
    mounts: parseMounts(value('mounts')).map(({ target, flags }) => ({
      target,
      access: flags.includes('ro') ? 'read' : 'write',
      flags,
    })),
    env: list('env.names'),
    sockets: list('sockets'),
    uid: value('status.Uid').split(' ')[0]!,
    gid: value('status.Gid').split(' ')[0]!,
    caps: Object.fromEntries(sets.map((set) => [set, value(`status.${set}`)])),
    no_new_privs: value('status.NoNewPrivs'),
    seccomp: value('status.Seccomp'),
    limits: Object.fromEntries(limits.map((name) => [name, value(name)])),
    etc: list('list./etc'),
    kernel,
    image: value('host.image'),
  };
}
