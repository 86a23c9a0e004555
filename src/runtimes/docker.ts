import { setTimeout as sleep } from 'node:timers/promises';
import { messageOf, OperatingError } from '../base/errors.ts';
import { ENGINE_RETRY_MS, START_OUTPUT_BYTES_MAX } from '../base/limits.ts';
import { containerName, containerRequest, INSTALL_LABEL } from './docker_request.ts';
import { demultiplexer, Engine } from './engine.ts';
import { isRunning } from './leftovers.ts';
import { paced } from './paced.ts';
import type { LimitState, Runtime, Sandbox, SandboxExit, SandboxLimits, SandboxSpec } from './runtime.ts';
import { seccompArch } from './seccomp.ts';
import type { SeccompArch } from './seccomp_table.ts';
import { checkSpec } from './spec.ts';

/**
 * Sandboxes as containers of a Docker engine (Podman's service answers to the same calls).
 *
 * A container survives its client: after a SIGKILL of this process it goes on until the runner inside sees its hatch
 * close, or until `reap` of the next host. Binds are not nosuid and nodev here; no_new_privs and the empty capability
 * set stand in for them.
 */

/** The tag that `image.ts` builds. */
export const SANDBOX_IMAGE = 'glassclaw-sandbox:local';

export interface DockerOptions {
  /** `engineSocket(env)`; null: `DOCKER_HOST` names something that is not a unix socket. */
  socket: string | null;
  /** Default: `SANDBOX_IMAGE`. */
  image?: string;
}

/** What the engine says it can limit; null before the first `check`. */
type EngineInfo = { MemoryLimit?: boolean; SwapLimit?: boolean; PidsLimit?: boolean; CpuCfsQuota?: boolean };

export class DockerRuntime implements Runtime {
  readonly name = 'docker';
  readonly #engine: Engine | null;
  readonly #image: string;
  #info: EngineInfo | null = null;

  constructor(options: DockerOptions) {
    this.#engine = options.socket === null ? null : new Engine(options.socket);
    this.#image = options.image ?? SANDBOX_IMAGE;
  }

  async check(): Promise<string[]> {
    try {
      const engine = this.#required();
      architecture();
      this.#info = (await engine.expect('GET', '/info')).body as EngineInfo;
      const image = await engine.expect('GET', `/images/${this.#image}/json`, undefined, [404]);
      return image.status === 404 ? [`The image ${this.#image} is missing: node src/runtimes/image.ts`] : [];
    } catch (error) {
      if (!(error instanceof OperatingError)) throw error;
      return [error.fix === undefined ? error.message : `${error.message}: ${error.fix}`];
    }
  }

  async limits(): Promise<LimitState[]> {
    if (this.#info === null) await this.check();
    const info = this.#info;
    const state = (name: keyof SandboxLimits, offered: boolean | undefined): LimitState => {
      if (info === null) return { name, state: 'absent', reason: 'the container engine does not answer' };
      if (offered) return { name, state: 'enforced', reason: 'control group of the container' };
      return { name, state: 'absent', reason: 'the container engine has no control group for it' };
    };
    return [
      state('memory_bytes', info?.MemoryLimit),
      state('pids', info?.PidsLimit),
      state('cpus', info?.CpuCfsQuota),
      { name: 'tmp_bytes', state: 'enforced', reason: 'size of the tmpfs' },
      { name: 'shm_bytes', state: 'enforced', reason: 'size of the tmpfs' },
      { name: 'open_files', state: 'enforced', reason: 'RLIMIT_NOFILE of each process' },
    ];
  }

  async start(spec: SandboxSpec, onOutput: (chunk: Buffer) => void): Promise<Sandbox> {
    checkSpec(spec, process.geteuid!());
    const engine = this.#required();
    const user =
      spec.uid === null ? { uid: process.geteuid!(), gid: process.getegid!() } : { uid: spec.uid, gid: spec.uid };
    const body = containerRequest(spec, user, this.#image, architecture());
    const created = await engine.expect('POST', `/containers/create?name=${containerName(spec)}`, body);
    const container = new Container(engine, (created.body as { Id: string }).Id);
    try {
      return await container.start(onOutput);
    } catch (error) {
      await container.remove();
      throw error;
    }
  }

  async reap(install: string): Promise<number> {
    if (this.#engine === null) return 0;
    const filters = encodeURIComponent(JSON.stringify({ label: [`${INSTALL_LABEL}=${install}`] }));
    const found = await this.#engine.expect('GET', `/containers/json?all=1&filters=${filters}`);
    const leftovers = found.body as { Id: string }[];
    const engine = this.#engine;
    await Promise.all(leftovers.map(({ Id }) => new Container(engine, Id).remove()));
    return leftovers.length;
  }

  #required(): Engine {
    if (this.#engine !== null) return this.#engine;
    throw new OperatingError('unavailable', 'DOCKER_HOST is not a unix socket', 'unset it, or give it as unix:///…');
  }
}

interface ContainerState {
  Pid: number;
  ExitCode: number;
  OOMKilled: boolean;
  Running: boolean;
  Error: string;
}

class Container {
  readonly #engine: Engine;
  readonly #path: string;

  constructor(engine: Engine, id: string) {
    this.#engine = engine;
    this.#path = `/containers/${id}`;
  }

  /** Attached before it is started: its first line is not lost. */
  async start(onOutput: (chunk: Buffer) => void): Promise<Sandbox> {
    const output = await this.#engine.stream('POST', `${this.#path}/attach?stream=1&stdout=1&stderr=1`);
    const readRest = paced(output, demultiplexer(onOutput));
    const drained = new Promise<void>((resolve) => output.once('close', resolve));
    // A broken stream is followed by its close, and the wait below tells what became of the container.
    output.on('error', () => {});
    try {
      await this.#engine.expect('POST', `${this.#path}/start`);
    } catch (error) {
      output.destroy();
      throw error;
    }
    const { Pid } = await this.#state();
    const exited = this.#exited(Pid, drained, readRest);
    return { pid: Pid, exited, kill: () => void this.#kill() };
  }

  /** Ends and removes it. Never rejects: what is left, the next `reap` finds. */
  async remove(): Promise<void> {
    await this.#engine.call('DELETE', `${this.#path}?force=1&v=1`).catch(() => {});
  }

  async #kill(): Promise<void> {
    await this.#engine.call('POST', `${this.#path}/kill`).catch(() => {});
  }

  async #exited(pid: number, drained: Promise<void>, readRest: () => void): Promise<SandboxExit> {
    const exit = await this.#wait(pid);
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
        const state = await this.#state();
        return { code: state.ExitCode, signal: null, reason: reasonOf(state) };
      } catch (error) {
        if (!isRunning(pid))
          return { code: null, signal: null, reason: messageOf(error).slice(0, START_OUTPUT_BYTES_MAX) };
      }
      await sleep(ENGINE_RETRY_MS);
    }
  }

  async #state(): Promise<ContainerState> {
    const answer = await this.#engine.expect('GET', `${this.#path}/json`);
    return (answer.body as { State: ContainerState }).State;
  }
}

function reasonOf(state: ContainerState): string | null {
  if (state.OOMKilled && state.ExitCode !== 0) return 'out of memory';
  return state.Error === '' ? null : `start failed: ${state.Error}`;
}

function architecture(): SeccompArch {
  const arch = seccompArch(process.arch);
  if (arch === null) throw new OperatingError('unavailable', `There is no system call filter for ${process.arch}`);
  return arch;
}
