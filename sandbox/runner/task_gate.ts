import { type ChildProcess, spawn } from 'node:child_process';
import { TASK_GATE_MS, TASK_GATE_OUTPUT_BYTES_MAX } from '../../src/base/limits/messages.ts';
import { cutBytes } from '../../src/base/text.ts';

/**
 * The script of a task that decides whether a model is woken: exit code 0 wakes it and shows it what was printed, 1 lets
 * it sleep, anything else is a failure that a person hears of. Runs as any command of the agent would.
 */
export type GateResult =
  | { kind: 'wake'; output: string }
  | { kind: 'sleep' }
  | { kind: 'failed'; reason: string }
  | { kind: 'interrupted' };

export interface RunningGate {
  result: Promise<GateResult>;
  /** Ends it and what it has started. */
  interrupt(): void;
}

export function runGate(script: string, cwd: string, ms: number = TASK_GATE_MS): RunningGate {
  const child = spawn('/bin/sh', ['-c', script], { cwd, detached: true, stdio: ['ignore', 'pipe', 'pipe'] });
  let interrupted = false;
  let late = false;
  const timer = setTimeout(() => {
    late = true;
    end(child);
  }, ms);
  const [output, errors] = [collected(child.stdout), collected(child.stderr)];
  const result = new Promise<GateResult>((resolve) => {
    child.on('error', (error) => resolve({ kind: 'failed', reason: `its gate could not start: ${error.message}` }));
    child.on('close', (code, signal) => {
      clearTimeout(timer);
      if (interrupted) resolve({ kind: 'interrupted' });
      else if (late) resolve({ kind: 'failed', reason: `its gate took longer than ${ms / 1000} seconds` });
      else if (code === 0) resolve({ kind: 'wake', output: output() });
      else if (code === 1) resolve({ kind: 'sleep' });
      else
        resolve({ kind: 'failed', reason: `its gate ended with ${signal ?? code}: ${cutBytes(errors().trim(), 300)}` });
    });
  });
  return {
    result,
    interrupt: () => {
      interrupted = true;
      end(child);
    },
  };
}

function end({ pid }: ChildProcess): void {
  try {
    if (pid !== undefined) process.kill(-pid, 'SIGKILL');
  } catch {
    // It has ended already.
  }
}

/** The beginning of a stream; the rest is read and dropped. */
function collected(stream: NodeJS.ReadableStream): () => string {
  let text = '';
  stream.on('data', (part: Buffer) => {
    if (text.length < TASK_GATE_OUTPUT_BYTES_MAX) text += part.toString();
  });
  return () => cutBytes(text, TASK_GATE_OUTPUT_BYTES_MAX);
}
