import type { ChildProcess } from 'node:child_process';
import type { Duplex } from 'node:stream';
import { systemCodeOf } from '../base/errors.ts';
import { OUTPUT_BYTES_PER_SECOND_MAX } from '../base/limits/messages.ts';
import { START_OUTPUT_BYTES_MAX } from '../base/limits/sandbox.ts';
import { paced } from '../base/paced.ts';
import { HANDSHAKE_FD, START_NAME, STATUS_FD, WATCHER_FD } from './bubblewrap_argv.ts';
import type { Cgroup } from './cgroup.ts';
import { carriesLabel, endAll } from './leftovers.ts';
import type { Sandbox, SandboxExit } from './runtime.ts';

/** One bubblewrap sandbox from its spawn to its end: the handshake, the output, the kill, and the reason of the end. */

/** The sandbox of a spawned launcher. `group` is removed at the end. */
export function watch(child: ChildProcess, group: Cgroup, label: string, onOutput: (chunk: Buffer) => void): Sandbox {
  const heard: Heard = { status: '', head: Buffer.alloc(0), started: false };
  const output = (chunk: Buffer): void => {
    const { head } = heard;
    if (head.length < START_OUTPUT_BYTES_MAX) {
      heard.head = Buffer.concat([head, chunk]).subarray(0, START_OUTPUT_BYTES_MAX);
    }
    onOutput(chunk);
  };
  for (const stream of [child.stdout!, child.stderr!])
    child.once('exit', paced(stream, OUTPUT_BYTES_PER_SECOND_MAX, output));
  pipeOf(child, STATUS_FD).on('data', (chunk: Buffer) => {
    heard.status += chunk.toString('latin1');
  });
  shakeHands(child, heard);
  const exited = ended(child).then(async ([code, signal]) => {
    const init = Number(/"child-pid": (\d+)/.exec(heard.status)?.[1] ?? 0);
    // Killed in the middle of its set-up, bubblewrap may leave the init behind; else it is gone already.
    if (init > 0 && carriesLabel(init, label)) await endAll([init]);
    const exit: SandboxExit = { code, signal, reason: reasonOf(code, heard, group.oomKills()) };
    await group.remove();
    return exit;
  });
  return { pid: child.pid!, exited, kill: () => kill(child) };
}

/** What a sandbox has told so far. */
interface Heard {
  /** bubblewrap's own JSON lines. */
  status: string;
  /** The beginning of the output, to explain a failed start. */
  head: Buffer;
  started: boolean;
}

/** Answers the sandbox's first program, and lets the watcher go. At the end of bubblewrap both get end-of-file. */
function shakeHands(child: ChildProcess, heard: Heard): void {
  const [hands, watcher] = [pipeOf(child, HANDSHAKE_FD), pipeOf(child, WATCHER_FD)];
  for (const stream of [hands, watcher]) {
    stream.resume();
    // The other end may be gone at any moment; `exit` tells it.
    stream.on('error', () => {});
    child.once('exit', () => stream.destroy());
  }
  hands.once('data', () => {
    heard.started = true;
    hands.end('go\n');
    watcher.end('started\n');
  });
}

function ended(child: ChildProcess): Promise<[number | null, string | null]> {
  return new Promise((resolve) => {
    child.once('close', (code, signal) => resolve([code, signal]));
  });
}

function reasonOf(code: number | null, heard: Heard, oomKills: number): string | null {
  if (oomKills > 0 && code !== 0) return 'out of memory';
  if (code === null) return null;
  const said = heard.head.toString('utf8').trim().split('\n').at(-1) ?? '';
  // The last steps before the program, inside, tell a failure in words only.
  const refused = code >= 126 && (said.startsWith(`${START_NAME}: `) || said.startsWith('prlimit: '));
  if (heard.started && !refused) return null;
  return `start failed: ${said === '' ? `exit code ${code}` : said}`;
}

/** The group, not only the process: while it is being launched, `mount` and `mkdir` run beside it. */
function kill(child: ChildProcess): void {
  if (child.exitCode !== null || child.signalCode !== null) return;
  try {
    process.kill(-child.pid!, 'SIGKILL');
  } catch (error) {
    if (systemCodeOf(error) !== 'ESRCH') throw error;
  }
}

/** Node's types know five streams; there are as many as `stdio` asked for, and a pipe can be read and written. */
function pipeOf(child: ChildProcess, fd: number): Duplex {
  return (child.stdio as (Duplex | null | undefined)[])[fd]!;
}
