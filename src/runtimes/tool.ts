import { spawn } from 'node:child_process';
import type { Readable } from 'node:stream';
import { OperatingError } from '../base/errors.ts';
import { IMAGE_BUILD_MS } from '../base/limits/sandbox.ts';

/** Programs of the host that fetch and unpack system files (npm, mmdebstrap, tar), run beside the event loop. */

export type OnProgress = (line: string) => void;

export interface Tool {
  /** Its standard output; whoever starts a tool reads it. */
  output: Readable;
  /** Resolves at its good end; else rejects with `OperatingError('unavailable')` that holds the tool's first error. */
  ended: Promise<void>;
}

/** How these tools begin the line that says why: the first tells most, later ones only that it had consequences. */
const ERROR = /^(E:|ERROR|npm error (?!code))/;

/** How a shell says that there is no such program. */
const NOT_FOUND = 127;

/** Starts a tool. `onProgress` gets the lines of its standard error; `fix` says what to do when it is not there. */
export function startTool(argv: string[], fix: string, onProgress: OnProgress, input: Readable | null = null): Tool {
  // The host closes its own files to everybody; what a tool makes is for sandboxes, which run under other uids.
  const child = spawn('/bin/sh', ['-c', 'umask 022 && exec "$@"', 'sh', ...argv], {
    stdio: ['pipe', 'pipe', 'pipe'],
    timeout: IMAGE_BUILD_MS,
  });
  // A tool that ends early closes its input; its exit code tells it.
  child.stdin.on('error', () => {});
  if (input === null) child.stdin.end();
  else input.pipe(child.stdin);
  let last = '';
  let reason: string | null = null;
  child.stderr.on('data', (chunk: Buffer) => {
    for (const line of chunk.toString('utf8').split(/[\r\n]+/)) {
      if (line.trim() === '') continue;
      last = line.trim();
      if (ERROR.test(last)) reason ??= last;
      onProgress(last);
    }
  });
  const ended = new Promise<void>((resolve, reject) => {
    const fail = (reason: string, advice?: string): void =>
      reject(new OperatingError('unavailable', `${argv[0]} failed (${reason})`, advice));
    child.once('error', (error) => fail(error.message));
    child.once('close', (code, signal) => {
      if (code === 0) resolve();
      else if (code === NOT_FOUND) fail('it is not installed', fix);
      else fail(reason ?? (last || `exit ${code ?? signal}`));
    });
  });
  // Whoever waits hears of it; a caller that failed earlier no longer does.
  ended.catch(() => {});
  return { output: child.stdout, ended };
}

/** Runs a tool whose output says nothing. Rejects as `Tool.ended`. */
export function runTool(argv: string[], fix: string, onProgress: OnProgress): Promise<void> {
  const tool = startTool(argv, fix, onProgress);
  tool.output.resume();
  return tool.ended;
}
