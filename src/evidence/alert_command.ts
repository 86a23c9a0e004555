import { spawn } from 'node:child_process';
import { ALERT_WAY_MS } from '../base/limits/alerts.ts';

/** Where its tools are, and nothing else of this process. */
const ENV = { PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin', LANG: 'C.UTF-8' };

/**
 * Runs the operator's program with `body` on its standard input, without a shell; at the deadline it ends with all that it has
 * started. Resolves with why it failed, or null, and never rejects. What it prints is nobody's.
 */
export function runCommand(
  command: readonly string[],
  body: string,
  deadline_ms = ALERT_WAY_MS,
): Promise<string | null> {
  const { promise, resolve } = Promise.withResolvers<string | null>();
  const [program, ...args] = command;
  const child = spawn(program!, args, { cwd: '/', env: ENV, stdio: ['pipe', 'ignore', 'ignore'], detached: true });
  const timer = setTimeout(() => {
    resolve(`it did not end within ${deadline_ms / 1000} s`);
    killGroup(child.pid);
  }, deadline_ms);
  child.on('error', (error) => resolve(`it could not be started (${error.message})`));
  child.on('exit', (code, signal) => resolve(code === 0 ? null : `it ended with ${signal ?? `code ${code}`}`));
  // One that does not read what it is given is no failure.
  // Without a descriptor to spare there is none, and `error` says so.
  child.stdin?.on('error', () => {});
  child.stdin?.end(body);
  return promise.finally(() => clearTimeout(timer));
}

function killGroup(pid: number | undefined): void {
  try {
    if (pid !== undefined) process.kill(-pid, 'SIGKILL');
  } catch {
    // It has gone meanwhile.
  }
}
