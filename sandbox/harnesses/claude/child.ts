import { type ChildProcess, spawn } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { MARK_VARIABLE } from './environment.ts';
import type { DriverOptions, FromDriver, ToDriver } from './wire.ts';

/** One driver with its Claude process and everything that they started, as a thing that can be ended at once. */
export class Child {
  readonly #process: ChildProcess;
  readonly #mark: string;
  #ended = false;

  constructor(options: DriverOptions, onMessage: (message: FromDriver) => void) {
    this.#mark = options.mark;
    this.#process = spawn(process.execPath, [join(import.meta.dirname, 'driver.ts')], {
      detached: true, // a process group of its own
      stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
      env: { ...process.env, [MARK_VARIABLE]: options.mark },
    });
    this.#process.on('message', (message: FromDriver) => {
      if (!this.#ended) onMessage(message);
    });
    this.#process.on('exit', () => {
      if (!this.#ended) onMessage({ t: 'broken', reason: 'the process ended', failure: null });
    });
    this.#process.on('error', () => {}); // `exit` follows, or `disconnect` while it is being ended
    this.#process.unref();
    this.#process.channel?.unref();
    this.send({ t: 'open', options });
  }

  send(message: ToDriver): void {
    if (!this.#ended && this.#process.connected) this.#process.send(message);
  }

  /** Ends it and what its shell tool left behind. Says nothing more. */
  end(): void {
    if (this.#ended) return;
    this.#ended = true;
    if (this.#process.pid !== undefined) kill(-this.#process.pid);
    // Commands run in groups of their own; one that forks while it is looked for is found in the next round.
    for (let round = 0; round < 5; round += 1) {
      const left = marked(`${MARK_VARIABLE}=${this.#mark}`);
      if (left.length === 0) return;
      for (const pid of left) kill(pid);
    }
  }
}

/** Running processes with this in their environment. */
function marked(variable: string): number[] {
  return readdirSync('/proc').flatMap((name) => {
    const pid = Number(name);
    if (!Number.isInteger(pid) || pid === process.pid) return [];
    try {
      return readFileSync(`/proc/${pid}/environ`).indexOf(variable) === -1 ? [] : [pid];
    } catch {
      return [];
    }
  });
}

function kill(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // It has ended already.
  }
}
