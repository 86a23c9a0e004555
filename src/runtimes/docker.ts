import { OperatingError } from '../base/errors.ts';
import { cachedFile } from './cached_file.ts';
import { Container } from './container.ts';
import { type Dialect, DOCKER } from './dialect.ts';
import { diskLimit, writtenDisks } from './disks.ts';
import { containerName, containerRequest, INSTALL_LABEL } from './docker_request.ts';
import { Engine } from './engine.ts';
import { type KnownRuntimes, trialKey, tryHatch, unknownRuntime } from './oci_runtime.ts';
import type { LimitState, Runtime, Sandbox, SandboxLimits, SandboxSpec } from './runtime.ts';
import { seccompArch } from './seccomp.ts';
import { dockerSeccompProfile } from './seccomp_docker.ts';
import type { SeccompArch } from './seccomp_table.ts';
import { checkSpec } from './spec.ts';
import { generatedEtc } from './userland.ts';

/**
 * Sandboxes as containers of a Docker engine or of Podman's service, which answers to the same calls; `dialect.ts` holds
 * what differs.
 *
 * A container survives its client: after a SIGKILL of this process it goes on until the runner inside sees its hatch
 * close, or until `reap` of the next host. Binds are not nosuid and nodev here; no_new_privs and the empty capability
 * set stand in for them.
 */

/** The tag that `image.ts` builds. */
export const SANDBOX_IMAGE = 'glassclaw-sandbox:local';

export interface DockerOptions {
  /** `engineSocket` or `podmanSocket`; null: the environment names something that is not a unix socket. */
  socket: string | null;
  /** `paths.cache`: for what a dialect needs as files. */
  cache: string;
  /** `paths.run`: where a trial makes its socket. */
  run: string;
  /** Default: `DOCKER`. */
  dialect?: Dialect;
  /** Default: `SANDBOX_IMAGE`. */
  image?: string;
  /** Default: `ENGINE_QUESTION_MS`. */
  question_ms?: number;
}

/** Its user namespace would give a workspace to another uid, and its control groups may be missing. */
const ROOTLESS = 'Podman’s service runs as an ordinary user, which is not supported: use that of root, or bubblewrap';

/** What the engine says it can limit, and which OCI runtimes it has. */
interface EngineInfo extends KnownRuntimes {
  MemoryLimit?: boolean;
  SwapLimit?: boolean;
  PidsLimit?: boolean;
  CpuCfsQuota?: boolean;
  /** Among others, what its kernel cannot throttle. */
  Warnings?: string[];
  /** Podman only: it runs as an ordinary user. */
  Rootless?: boolean;
}

export class DockerRuntime implements Runtime {
  readonly name: 'docker' | 'podman';
  readonly #engine: Engine | null;
  readonly #dialect: Dialect;
  readonly #image: string;
  readonly #folders: { cache: string; run: string };
  /** Null before the first `check` or `start`. */
  #info: EngineInfo | null = null;
  /** What came of the trial of each OCI runtime, by `trialKey`: null is good. */
  readonly #trials = new Map<string, Promise<string | null>>();
  /** The last `reap`. Where it found nobody, it is done before the first container, once for all starts that wait. */
  #reaped: Promise<number> = Promise.resolve(0);

  constructor(options: DockerOptions) {
    this.#dialect = options.dialect ?? DOCKER;
    this.name = this.#dialect.name;
    this.#engine = options.socket === null ? null : new Engine(options.socket, this.#dialect, options.question_ms);
    this.#image = options.image ?? SANDBOX_IMAGE;
    this.#folders = { cache: options.cache, run: options.run };
  }

  async check(): Promise<string[]> {
    try {
      const engine = this.#required();
      architecture();
      this.#info = await infoOf(engine);
      if (this.#info.Rootless) return [ROOTLESS];
      const image = await engine.expect('GET', `/images/${this.#image}/json`, undefined, [404]);
      return image.status === 404
        ? [`The image ${this.#image} is missing: node src/runtimes/image.ts ${this.name}`]
        : [];
    } catch (error) {
      if (!(error instanceof OperatingError)) throw error;
      return [error.fix === undefined ? error.message : `${error.message}: ${error.fix}`];
    }
  }

  engine(): string | null {
    return this.#info === null ? null : `${this.#info.ServerVersion} ${this.#info.DefaultRuntime}`;
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
      { name: 'shm_bytes', state: 'enforced', reason: 'size of its tmpfs' },
      { name: 'open_files', state: 'enforced', reason: 'RLIMIT_NOFILE of each process' },
      diskLimit(
        this.#folders.cache,
        state('disk_write_bytes', !info?.Warnings?.some((text) => /throttle\.write_bps|io\.max \(wbps\)/.test(text))),
      ),
    ];
  }

  async start(spec: SandboxSpec, onOutput: (chunk: Buffer) => void): Promise<Sandbox> {
    checkSpec(spec, process.geteuid!());
    const engine = this.#required();
    this.#info ??= await infoOf(engine);
    if (this.#info.Rootless) throw new OperatingError('unavailable', ROOTLESS);
    this.#reaped = this.#reaped.catch(() => this.#endLeftovers(spec.install));
    await this.#reaped;
    if (spec.oci_runtime !== null) await this.#requireRuntime(engine, spec, spec.oci_runtime);
    return this.#start(engine, spec, onOutput);
  }

  reap(install: string): Promise<number> {
    this.#reaped = this.#endLeftovers(install);
    return this.#reaped;
  }

  async #endLeftovers(install: string): Promise<number> {
    if (this.#engine === null) return 0;
    const filters = encodeURIComponent(JSON.stringify({ label: [`${INSTALL_LABEL}=${install}`] }));
    const found = await this.#engine.expect('GET', `/containers/json?all=1&filters=${filters}`);
    const leftovers = found.body as { Id: string }[];
    const engine = this.#engine;
    await Promise.all(leftovers.map(({ Id }) => new Container(engine, Id).remove()));
    return leftovers.length;
  }

  async #start(engine: Engine, spec: SandboxSpec, onOutput: (chunk: Buffer) => void): Promise<Sandbox> {
    const body = containerRequest({
      spec,
      user: spec.uid === null ? { uid: process.geteuid!(), gid: process.getegid!() } : { uid: spec.uid, gid: spec.uid },
      image: this.#image,
      dialect: this.#dialect,
      seccomp: this.#seccomp(),
      disks: writtenDisks(spec),
      etc: this.#dialect.covered.length === 0 ? '' : generatedEtc(this.#folders.cache),
    });
    const container = await createContainer(engine, spec, body);
    try {
      return await container.start(onOutput);
    } catch (error) {
      await container.remove();
      throw error;
    }
  }

  /** Throws `OperatingError('unavailable')` for an OCI runtime that the engine has not, or that has no hatch. */
  async #requireRuntime(engine: Engine, spec: SandboxSpec, name: string): Promise<void> {
    const info = await infoOf(engine);
    const unknown = unknownRuntime(this.#dialect, info, name);
    if (unknown !== null) throw new OperatingError('unavailable', unknown);
    const key = trialKey(info, name);
    const begin = (): Promise<string | null> =>
      tryHatch(spec, this.#folders.run, (trial, onOutput) => this.#start(engine, trial, onOutput));
    const trial = this.#trials.get(key) ?? begin();
    this.#trials.set(key, trial);
    const problem = await trial;
    if (problem === null) return;
    // Not kept: the operator may have put it right where no key shows it, as a new service of Podman.
    this.#trials.delete(key);
    throw new OperatingError('unavailable', problem);
  }

  #seccomp(): string {
    const profile = JSON.stringify(dockerSeccompProfile(architecture()));
    return this.#dialect.seccomp === 'inline'
      ? profile
      : cachedFile(this.#folders.cache, 'seccomp.json', Buffer.from(profile));
  }

  #required(): Engine {
    if (this.#engine !== null) return this.#engine;
    const variable = this.#dialect.name === 'docker' ? 'DOCKER_HOST' : 'CONTAINER_HOST';
    throw new OperatingError('unavailable', `${variable} is not a unix socket`, 'unset it, or give it as unix:///…');
  }
}

/**
 * Makes a container. One of its name that an engine left over, which was away when it was to be removed, is ended first:
 * each later start of its session was refused for it, by Docker with 409, by Podman with 500. Never
 * another install's.
 */
async function createContainer(engine: Engine, spec: SandboxSpec, body: object): Promise<Container> {
  const name = containerName(spec);
  const create = () => engine.expect('POST', `/containers/create?name=${name}`, body);
  const made = await create().catch(async (error) => {
    const found = await engine.expect('GET', `/containers/${name}/json`, undefined, [404]);
    if (found.status === 404) throw error;
    const { Id, Config } = found.body as { Id: string; Config: { Labels: Record<string, string> | null } };
    const says = `A container of somebody else has the name ${name}`;
    if (Config.Labels?.[INSTALL_LABEL] !== spec.install)
      throw new OperatingError('unavailable', says, 'rename or remove it');
    await new Container(engine, Id).remove();
    return create();
  });
  return new Container(engine, (made.body as { Id: string }).Id);
}

async function infoOf(engine: Engine): Promise<EngineInfo> {
  return (await engine.expect('GET', '/info')).body as EngineInfo;
}

function architecture(): SeccompArch {
  const arch = seccompArch(process.arch);
  if (arch === null) throw new OperatingError('unavailable', `There is no system call filter for ${process.arch}`);
  return arch;
}
