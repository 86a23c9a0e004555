import type { StdioOptions } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { OperatingError } from '../base/errors.ts';
import { INHERITED_FD_MAX } from '../base/limits/sandbox.ts';

/**
 * Node opens its own files close-on-exec, but what *it* inherited (from a terminal, a supervisor, a CI) goes on to
 * every child. An open folder among them would be a way out of the sandbox, so each is covered with /dev/null.
 */

const CLOSE_ON_EXEC = 0o2000000;
const STANDARD_STREAMS = 3;

/** Descriptors of this process, the standard streams left out, that a child would get. */
export function inheritedDescriptors(): number[] {
  return readdirSync('/proc/self/fdinfo')
    .map(Number)
    .filter((fd) => fd >= STANDARD_STREAMS && !closesOnExec(fd));
}

/**
 * `stdio` for `spawn`, grown so that every inherited descriptor becomes `covering` (an open /dev/null). An `ignore` past
 * the standard streams would leave it open: libuv skips those. Throws when one is out of reach.
 */
export function maskedStdio(given: (string | number)[], inherited: number[], covering: number): StdioOptions {
  const highest = Math.max(given.length - 1, ...inherited);
  if (highest > INHERITED_FD_MAX) {
    throw new OperatingError(
      'unavailable',
      `This process was started with descriptor ${highest} open, which a sandbox must not get`,
      'start it without open descriptors',
    );
  }
  const other = (fd: number): string | number => (inherited.includes(fd) ? covering : 'ignore');
  return Array.from({ length: highest + 1 }, (_, fd) => given[fd] ?? other(fd)) as StdioOptions;
}

function closesOnExec(fd: number): boolean {
  try {
    const flags = /^flags:\s*([0-7]+)$/m.exec(readFileSync(`/proc/self/fdinfo/${fd}`, 'latin1'))?.[1] ?? '0';
    return (Number.parseInt(flags, 8) & CLOSE_ON_EXEC) !== 0;
  } catch {
    // The descriptor that listed the folder: closed again.
    return true;
  }
}
