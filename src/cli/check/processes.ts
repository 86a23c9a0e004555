import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Paths } from '../../base/paths.ts';

/** The processes of an install, by the pid files of its run folders, and who starts them again. */
export type PartName = 'host' | 'gateway';

export type Supervisor = { kind: 'up'; pid: number } | { kind: 'systemd' };

/** Null: it does not run. A file that outlived its process names nobody: what has the number now must be that program. */
export function pidOf(paths: Paths, part: PartName): number | null {
  const file = join(part === 'host' ? paths.run : paths.gatewayRun, `${part}.pid`);
  const pid = Number(read(file).trim());
  // The gateway takes its arguments out of what others can see, and puts its name there.
  const isIt = (word: string): boolean => word.endsWith(`src/${part}.ts`) || word.trim() === `glassclaw-${part}`;
  return pid > 1 && wordsOf(pid).some(isIt) ? pid : null;
}

/** Null: nobody, so that what dies stays dead. */
export function supervisorOf(paths: Paths): Supervisor | null {
  const pid = pidOf(paths, 'host');
  if (pid === null) return null;
  if (/\/glassclaw\.service$/m.test(read(`/proc/${pid}/cgroup`))) return { kind: 'systemd' };
  const parent = Number(/^PPid:\t(\d+)$/m.exec(read(`/proc/${pid}/status`))?.[1] ?? 0);
  const words = wordsOf(parent);
  const isUp = words.includes('up') && words.some((word) => word.endsWith('src/cli/main.ts'));
  return isUp ? { kind: 'up', pid: parent } : null;
}

/** Whether this account may send it a signal. */
export function maySignal(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

/** Whether nothing of it runs any more, whoever has still to hear of its end. */
export function hasEnded(pid: number): boolean {
  const status = read(`/proc/${pid}/status`);
  return status === '' || /^State:\t[ZX]/m.test(status);
}

/** A supervisor that an earlier check held, and that nobody let go. */
export function letGo(supervisor: Supervisor): void {
  if (supervisor.kind === 'up' && /^State:\tT/m.test(read(`/proc/${supervisor.pid}/status`)))
    process.kill(supervisor.pid, 'SIGCONT');
}

/** A gateway is never away for longer than this, whatever becomes of the check. */
export const HOLD_SECONDS = 90;
const UNTIL_LET_GO = `timeout --foreground ${HOLD_SECONDS} cat >/dev/null`;
const HOLD_UP = `kill -STOP "$1" && kill -KILL "$2"; ${UNTIL_LET_GO}; kill -CONT "$1"`;
const HOLD_SYSTEMD = `systemctl stop glassclaw-gateway; ${UNTIL_LET_GO}; systemctl start glassclaw-gateway`;

/**
 * Ends the gateway, and keeps its supervisor from starting it again. A process of its own does that, which lets go at the end of its
 * input: when the returned function is called, and when the check dies, however it does.
 */
export function holdGateway(supervisor: Supervisor, gateway: number): () => Promise<void> {
  const argv = supervisor.kind === 'up' ? [HOLD_UP, 'sh', String(supervisor.pid), String(gateway)] : [HOLD_SYSTEMD];
  const holder = spawn('sh', ['-c', ...argv], { stdio: ['pipe', 'ignore', 'ignore'], detached: true });
  const over = new Promise<void>((resolve) => holder.once('close', () => resolve()));
  return () => {
    holder.stdin.end();
    return over;
  };
}

function wordsOf(pid: number): string[] {
  return read(`/proc/${pid}/cmdline`).split('\0');
}

function read(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}
