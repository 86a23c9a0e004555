import { spawn } from 'node:child_process';
import { constants } from 'node:os';

/** Runs one command of the agent, with everything bounded. Its process group ends with it; what left the group lives until the sandbox ends, within the sandbox's limits. */

/** Characters kept of the beginning and of the end of an output: what a model still reads. */
const OUTPUT_KEPT = 8 * 1024;
export const COMMAND_SECONDS = 120;
export const COMMAND_SECONDS_MAX = 600;
/** After the shell has ended, its last output is already in the pipe. */
const DRAIN_MS = 50;

export interface CommandResult {
  ok: boolean;
  /** Output and, when it is not zero, how the command ended. */
  text: string;
}

export function runCommand(
  command: string,
  options: { cwd: string; seconds: number; signal: AbortSignal },
): Promise<CommandResult> {
  return new Promise((resolve) => {
    const child = spawn('/bin/sh', ['-c', command], {
      cwd: options.cwd,
      detached: true, // a process group of its own, so that all of it can be ended
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    const output = new Kept();
    let ended = '';
    const kill = (why: string): void => {
      ended ||= why;
      killGroup(child.pid);
    };
    const timer = setTimeout(() => kill(`stopped after ${options.seconds} s`), options.seconds * 1000);
    const onAbort = (): void => kill('interrupted');
    options.signal.addEventListener('abort', onAbort, { once: true });
    if (options.signal.aborted) onAbort();

    child.stdout.on('data', (chunk: Buffer) => output.add(chunk));
    child.stderr.on('data', (chunk: Buffer) => output.add(chunk));
    const finish = (how: string): void => {
      clearTimeout(timer);
      options.signal.removeEventListener('abort', onAbort);
      child.stdout.destroy();
      child.stderr.destroy();
      const status = ended || how;
      resolve({ ok: status === '', text: [output.text(), status && `[${status}]`].filter(Boolean).join('\n') });
    };
    child.on('error', (error) => finish(`cannot be started: ${error.message}`));
    // Not `close`: a child in the background may hold the pipes for ever.
    child.on('exit', (code, signal) => {
      killGroup(child.pid);
      const how = signal === null ? (code === 0 ? '' : `exit code ${code}`) : `ended by ${signal}`;
      setTimeout(() => finish(how), DRAIN_MS);
    });
  });
}

/** The beginning and the end of a stream of any length. */
class Kept {
  #head = Buffer.alloc(0);
  #tail = Buffer.alloc(0);
  #dropped = 0;

  add(chunk: Buffer): void {
    const room = OUTPUT_KEPT - this.#head.length;
    if (room > 0) this.#head = Buffer.concat([this.#head, chunk.subarray(0, room)]);
    const rest = Buffer.concat([this.#tail, chunk.subarray(Math.max(0, room))]);
    this.#tail = Buffer.from(rest.subarray(-OUTPUT_KEPT));
    this.#dropped += rest.length - this.#tail.length;
  }

  text(): string {
    const cut = this.#dropped === 0 ? '' : `\n[… ${this.#dropped} bytes left out …]\n`;
    return this.#head.toString() + cut + this.#tail.toString();
  }
}

function killGroup(pid: number | undefined): void {
  if (pid === undefined) return;
  try {
    process.kill(-pid, constants.signals.SIGKILL);
  } catch {
    // It has ended already.
  }
}
