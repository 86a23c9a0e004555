import { spawn } from 'node:child_process';
import { messageOf } from '../../base/errors.ts';
import { OUTPUT_CHARS_MAX, PROGRESS_MS } from '../../base/limits/upgrade.ts';

/** In the environment of whatever an upgrade starts: the checkout. By it what a killed upgrade has left is found. */
export const UPGRADE_MARK = 'GLASS_UPGRADE_OF';

/** What came of a program. */
export interface Ran {
  /** Null: it was ended by a signal, did not begin, or was late. */
  status: number | null;
  stdout: string;
  stderr: string;
  isLate: boolean;
}

export interface RunOptions {
  cwd: string;
  env: NodeJS.ProcessEnv;
  ms: number;
  /** Gets each line of its standard error, and every few seconds that it still runs. */
  onLine?: ((line: string) => void) | undefined;
  /** For `… 15 s`. */
  what?: string;
}

/**
 * Runs a program to its end, in a process group of its own: a Ctrl-C in the terminal does not cut it in two, and one that is late ends
 * with whatever it has started. What it makes can be read by other accounts, as a checkout must be. Never rejects.
 */
export function runProgram(program: string, args: readonly string[], options: RunOptions): Promise<Ran> {
  const { cwd, env, ms, onLine, what } = options;
  const mask = process.umask(0o022);
  const marked = { ...env, [UPGRADE_MARK]: process.env[UPGRADE_MARK] };
  const child = spawn(program, args, { cwd, env: marked, detached: true, stdio: ['ignore', 'pipe', 'pipe'] });
  process.umask(mask);
  const ran: Ran = { status: null, stdout: '', stderr: '', isLate: false };
  let rest = '';
  child.stdout.on('data', (chunk: Buffer) => {
    ran.stdout = (ran.stdout + chunk.toString('utf8')).slice(-OUTPUT_CHARS_MAX);
  });
  child.stderr.on('data', (chunk: Buffer) => {
    ran.stderr = (ran.stderr + chunk.toString('utf8')).slice(-OUTPUT_CHARS_MAX);
    const lines = (rest + chunk.toString('utf8')).split('\n');
    rest = lines.pop()!;
    for (const line of lines) if (line.trim() !== '') onLine?.(line);
  });
  const began = performance.now();
  const late = setTimeout(() => {
    ran.isLate = true;
    endGroup(child.pid);
  }, ms);
  const timer = setInterval(() => {
    if (what !== undefined) onLine?.(`… ${what}, ${Math.round((performance.now() - began) / 1000)} s`);
  }, PROGRESS_MS);
  return new Promise<Ran>((resolve) => {
    child.once('error', (error) => resolve({ ...ran, stderr: messageOf(error) }));
    // Not `close`: what it has left running in the background keeps its pipes open.
    child.once('exit', (code) => setImmediate(() => resolve({ ...ran, status: code })));
  }).finally(() => {
    clearInterval(timer);
    clearTimeout(late);
    child.stdout.destroy();
    child.stderr.destroy();
  });
}

function endGroup(pid: number | undefined): void {
  if (pid === undefined) return;
  try {
    process.kill(-pid, 'SIGKILL');
  } catch {
    // It has ended in the meantime.
  }
}

/** The last line in which it says why, for a sentence. */
export function reasonOf({ stderr, stdout, isLate, status }: Ran): string {
  if (isLate) return 'it did not end in time';
  const lines = (stderr.trim() === '' ? stdout : stderr).split('\n').map((line) => line.trim());
  const said = lines.filter((line) => line !== '').at(-1);
  return said?.replace(/^(?:fatal|error|glass): /, '') ?? `it ended with ${status ?? 'a signal'}`;
}
