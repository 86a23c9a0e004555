import { readdirSync, readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { SANDBOX_GONE_MS } from '../base/limits/sandbox.ts';
import { LABEL_VARIABLE } from './bubblewrap_argv.ts';

/** Finds and ends processes by what the kernel says about them, for sandboxes whose host is gone. */

export interface Leftover {
  pid: number;
  /** `<install>/<session>`. */
  label: string;
}

/**
 * Every process whose arguments carry a label of this install: the launcher and both bubblewrap processes. A program
 * inside may write any label into its own arguments; all it gains is its own end.
 */
export function findLeftovers(install: string): Leftover[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .flatMap((name) => {
      const label = labelIn(readArguments(Number(name)));
      return label?.startsWith(`${install}/`) ? [{ pid: Number(name), label }] : [];
    });
}

/** Whether the process is of that sandbox: a pid that was read earlier may be another's by now. */
export function carriesLabel(pid: number, label: string): boolean {
  return labelIn(readArguments(pid)) === label;
}

/** The label in an argument vector, or null. */
export function labelIn(words: string[]): string | null {
  const at = words.findIndex((word, i) => word === LABEL_VARIABLE && words[i - 1] === '--setenv');
  return at === -1 ? null : (words[at + 1] ?? null);
}

/** SIGKILL to each, then waits until they are gone or only wait to be collected by their parent. */
export async function endAll(pids: number[]): Promise<void> {
  for (const pid of pids) sendKill(pid);
  await waitGone(pids);
}

/** Resolves when none of the processes runs any more, or after `SANDBOX_GONE_MS`. Never rejects. */
export async function waitGone(pids: number[]): Promise<void> {
  const deadline = performance.now() + SANDBOX_GONE_MS;
  for (let wait_ms = 1; pids.some(isRunning) && performance.now() < deadline; wait_ms = Math.min(wait_ms * 2, 50)) {
    await sleep(wait_ms);
  }
}

/** Whether the process exists and is not a zombie. */
export function isRunning(pid: number): boolean {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
    return !['Z', 'X'].includes(stat.slice(stat.lastIndexOf(')') + 2)[0]!);
  } catch {
    return false;
  }
}

function sendKill(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // It ended by itself in the meantime.
  }
}

function readArguments(pid: number): string[] {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0');
  } catch {
    return [];
  }
}
