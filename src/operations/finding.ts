import type { PackageSet } from '../base/packages.ts';
import type { Runtime } from '../runtimes/runtime.ts';

/**
 * What `glass doctor --fix` does, as data. It removes sockets, links, pid files, half-written drafts and empty folders, and nothing
 * that somebody has written. What changes the machine outside of the home, or needs root or a restart, is asked about first.
 */
export type Mend =
  | { do: 'mode'; path: string; mode: number }
  | { do: 'folder'; path: string; mode: number }
  /** Each is a socket, a link, a pid file, a draft, or a folder of nothing else. */
  | { do: 'remove'; paths: string[] }
  | { do: 'unmount'; target: string }
  /** Sandboxes, containers and control groups of this home whose host is gone. */
  | { do: 'reap'; runtime: Runtime; install: string }
  | { do: 'packages'; root: string; set: PackageSet }
  | { do: 'owner'; path: string; uid: number; gid: number }
  | { do: 'command'; argv: string[]; ask: string };

/**
 * What keeps GlassClaw from working, or from keeping a promise, on this machine: each finding with the exact fix, and
 * what `mend.ts` can do about it. Looking changes nothing. It asks neither host nor gateway, so that it helps when they do not start.
 */
export interface Finding {
  /** What was looked at. */
  what: string;
  /** `problem`: it cannot work so. `weak`: it works, and a promise does not hold. */
  state: 'well' | 'weak' | 'problem';
  says: string;
  /** Commands or words that mend it; null when it is well. */
  fix: string | null;
  /** What `--fix` does about it; absent: it is for a person. */
  mend?: Mend;
}

export function well(what: string, says: string): Finding {
  return { what, state: 'well', says, fix: null };
}
