import { setTimeout as sleep } from 'node:timers/promises';
import { messageOf, OperatingError } from '../base/errors.ts';
import { OUTPUT_BYTES_PER_SECOND_MAX } from '../base/limits/messages.ts';
import { ENGINE_OOM_MS, ENGINE_RETRY_MS, ENGINE_START_MS, START_OUTPUT_BYTES_MAX } from '../base/limits/sandbox.ts';
import { paced } from '../base/paced.ts';
import { demultiplexer, type Engine } from './engine.ts';
import { isRunning } from './leftovers.ts';
import type { Sandbox, SandboxExit } from './runtime.ts';

/** One container of an engine from its creation to its removal. */

interface ContainerState {
  Pid: number;
  ExitCode: number;
  OOMKilled: boolean;
  Running: boolean;
  Error: string;
}

/** What the kernel reports for SIGKILL, as a shell counts. */
const KILLED = 137;

export class Container {
  readonly #engine: Engine;
  readonly #path: string;
  #killed = false;
  #ended = false;

  constructor(engine: Engine, id: string) {
    this.#engine = engine;
    this.#path = `/containers/${id}`;
  }

  /**
   * Attached before it is started: its first line is not lost. Rejects with `OperatingError('unavailable')` when the
   * engine refuses or does not answer in time; the caller then removes it.
   */
  async start(onOutput: (chunk: Buffer) => void): Promise<Sandbox> {
    const output = await inTime(
      this.#engine.stream('POST', `${this.#path}/attach?stream=1&stdout=1&stderr=1`),
      'attach',
    );
    const readRest = paced(output, OUTPUT_BYTES_PER_SECOND_MAX, demultiplexer(onOutput));
    const drained = new Promise<void>((resolve) => output.once('close', resolve));
    // A broken stream is followed by its close, and the wait below tells what became of the container.
    output.on('error', () => {});
    try {
      await inTime(this.#engine.expect('POST', `${this.#path}/start`), 'start');
    } catch (error) {
      output.destroy();
      throw error;
    }
    const { State, Image } = await this.#seen();
    const exited = this.#exited(State.Pid, drained, readRest);
    return { pid: State.Pid, image: Image, exited, kill: () => void this.#kill() };
  }

  /** Ends and removes it. Never rejects: what is left, the next `reap` finds. */
  async remove(): Promise<void> {
    await inTime(this.#engine.call('DELETE', `${this.#path}?force=1&v=1`), 'removal').catch(() => {});
  }

  /** Until the engine took it: one that was away at that moment came back to a container that nobody ended. Never rejects. */
  async #kill(): Promise<void> {
    if (this.#killed) return;
    this.#killed = true;
    while (!this.#ended) {
      // 404 and 409: it has ended by itself.
      const call = this.#engine.expect('POST', `${this.#path}/kill`, undefined, [404, 409]);
      const taken = await inTime(call, 'kill').then(
        () => true,
        () => false,
      );
      if (taken) return;
      await sleep(ENGINE_RETRY_MS);
    }
  }

  async #exited(pid: number, drained: Promise<void>, readRest: () => void): Promise<SandboxExit> {
    const exit = await this.#wait(pid);
    this.#ended = true;
    readRest();
    await Promise.race([drained, sleep(ENGINE_RETRY_MS, undefined, { ref: false })]);
    await this.remove();
    return exit;
  }

  /** An engine that restarts cuts the wait, not always the container: asks again until one of the two has ended. */
  async #wait(pid: number): Promise<SandboxExit> {
    for (;;) {
      try {
        await this.#engine.expect('POST', `${this.#path}/wait`);
        const seen = await this.#seen();
        const isUntold = seen.State.ExitCode === KILLED && !seen.State.OOMKilled && !this.#killed;
        const { State } = isUntold ? await sleep(ENGINE_OOM_MS).then(() => this.#seen()) : seen;
        return { code: State.ExitCode, signal: null, reason: this.#reasonOf(State) };
      } catch (error) {
        if (!isRunning(pid))
          return { code: null, signal: null, reason: messageOf(error).slice(0, START_OUTPUT_BYTES_MAX) };
      }
      await sleep(ENGINE_RETRY_MS);
    }
  }

  #reasonOf(state: ContainerState): string | null {
    if (state.OOMKilled && state.ExitCode !== 0) return 'out of memory';
    if (state.Error !== '') return `start failed: ${state.Error}`;
    const unexplained = state.ExitCode === KILLED && !this.#killed && !this.#engine.dialect.tellsOutOfMemory;
    return unexplained ? 'killed: out of memory, or by somebody (the engine does not tell)' : null;
  }

  async #seen(): Promise<{ State: ContainerState; Image: string }> {
    const answer = await this.#engine.expect('GET', `${this.#path}/json`);
    return answer.body as { State: ContainerState; Image: string };
  }
}

/** An engine's OCI runtime can hang, and the engine with it; the call itself is left behind. */
async function inTime<T>(call: Promise<T>, what: string): Promise<T> {
  const timer = new AbortController();
  const late = sleep(ENGINE_START_MS, undefined, { signal: timer.signal }).then(() => {
    throw new OperatingError('unavailable', `The container engine did not answer to a ${what} in time`);
  });
  // Whichever of the two comes second has nobody who listens any more.
  late.catch(() => {});
  call.catch(() => {});
  try {
    return await Promise.race([call, late]);
  } finally {
    timer.abort();
  }
}
