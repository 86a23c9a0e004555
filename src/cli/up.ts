import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, openSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { describeError, OperatingError } from '../base/errors.ts';
import { shortHash } from '../base/ids.ts';
import { holdLock, isHeld } from '../base/lock.ts';
import { type Paths, prepareHome } from '../base/paths.ts';
import type { Status } from '../evidence/status.ts';
import { RESTORING } from '../operations/backup/names.ts';
import { endRestore } from '../operations/backup/restore.ts';
import { UPGRADE_MARK } from '../operations/upgrade/programs.ts';
import { forgetCutShort, placesOf, upgradeLock } from '../operations/upgrade/record.ts';
import { holdBackups } from './backup.ts';
import { installPackagesForStart } from './channel.ts';
import { ControlClient } from './control_client.ts';
import { installForStart } from './harness.ts';
import type { Io } from './io.ts';
import { trial } from './trial.ts';
import { tellReturned } from './upgrade/rest.ts';

/**
 * `glass up`: gateway and host as two processes in the foreground. One that dies is started again at once; one that says
 * by its exit code that it cannot run (configuration, storage, another instance) ends both.
 */
const GATEWAY = 'src/gateway.ts';
const HOST = 'src/host.ts';

/** Exit codes after which another start would only say the same again; see `OperatingError`. */
const FINAL_CODES = new Set([2, 3, 5, 7, 8]);
const RESTART_FIRST_MS = 50;
const RESTART_MAX_MS = 5000;
/** A process that lived this long starts again without a wait. */
const STEADY_MS = 10_000;
const READY_MS = 60_000;
/** The exit code of one that found another there, and for how long that other one is waited for. */
const CONFLICT = 5;
const OTHER_READY_MS = 15_000;

export async function up(args: string[], paths: Paths, io: Io): Promise<number> {
  if (paths.isService)
    throw new OperatingError('refused', 'this GlassClaw is a service', 'systemctl start glassclaw-gateway glassclaw');
  await refuseBetweenVersions(paths.root);
  prepareHome(paths);
  await refuseSecond(paths);
  await endCutRestore(paths, io);
  if (args.includes('--trial')) return trial(paths, io);
  const safe = args.includes('--safe');
  if (!safe) {
    await installForStart(paths, io);
    await installPackagesForStart(paths, io);
  }
  if (args.includes('--detach')) return detach(paths, io, safe);
  return supervise(paths, io, safe);
}

/** An upgrade that moves this checkout starts it by itself; one that was cut short there is ended by the launcher, before this code is read. */
async function refuseBetweenVersions(root: string): Promise<void> {
  if (process.env['GLASS_UPGRADING'] === '1') return;
  if (await isHeld(upgradeLock(shortHash(root))))
    throw new OperatingError(
      'conflict',
      'an upgrade of this checkout is under way',
      'wait for its end: it starts what ran before',
    );
  const places = placesOf(root);
  if (existsSync(places.mender))
    throw new OperatingError(
      'conflict',
      'an upgrade of this checkout was cut short',
      './glass up, the launcher, ends it',
    );
  forgetCutShort(places);
}

/** A restore that was killed after it had begun to count is put through first: half of each is no install. */
async function endCutRestore(paths: Paths, io: Io): Promise<void> {
  if (!existsSync(join(paths.home, RESTORING))) return;
  await holdBackups(paths);
  if (endRestore(paths) && !io.json) io.err('a restore that was cut short is put through');
}

async function refuseSecond(paths: Paths): Promise<void> {
  const client = new ControlClient(paths.controlSocket);
  try {
    await client.call('status');
  } catch {
    return;
  } finally {
    client.close();
  }
  throw running(paths);
}

function running({ home }: Paths): OperatingError {
  const fix = 'talk to it with ./glass chat, or stop it with ./glass down';
  return new OperatingError('conflict', `GlassClaw is already running on ${home}`, fix);
}

async function detach(paths: Paths, io: Io, safe: boolean): Promise<number> {
  const log = openSync(join(paths.logs, 'up.log'), 'a', 0o600);
  // It outlives an upgrade that starts it, and is not ended with one that is killed.
  const { [UPGRADE_MARK]: _, ...env } = process.env;
  const child = spawn(process.execPath, [join(paths.root, 'src/cli/main.ts'), 'up', ...(safe ? ['--safe'] : [])], {
    detached: true,
    stdio: ['ignore', log, log],
    env,
  });
  const ended = new Promise<number>((resolve) => child.on('exit', (code) => resolve(code ?? 1)));
  const decided = new AbortController();
  const ready = await Promise.race([whenReady(paths, decided.signal), ended]);
  decided.abort();
  // Another start at the same moment was quicker: then that one is there, or will be soon.
  if (ready === CONFLICT) await whenReady(paths, AbortSignal.timeout(OTHER_READY_MS)).catch(() => {});
  if (typeof ready === 'number') {
    await refuseSecond(paths);
    throw new OperatingError('unavailable', 'GlassClaw did not start', `see ${join(paths.logs, 'up.log')}`);
  }
  child.unref();
  announce(ready, paths, io);
  return 0;
}

/** Alone on its home from here to its end: of two at the same moment one would have the gateway's lock, the other the host's, and neither start. */
async function supervise(paths: Paths, io: Io, safe: boolean): Promise<number> {
  await holdLock(`${paths.install}/up`, running(paths).message, running(paths).fix!);
  return new Promise((resolve) => {
    const ending = new AbortController();
    const end = (code: number): void => {
      if (ending.signal.aborted) return;
      ending.abort();
      // The host drains through the gateway, so that the gateway goes last.
      void host
        .stop()
        .then(() => gateway.stop())
        .then(() => resolve(code));
    };
    const say = (text: string): void => io.err(text);
    // With the compiled code a process starts in half the time and 20 MB smaller: types are stripped already.
    const compiled = { NODE_COMPILE_CACHE: join(paths.cache, 'code-trusted') };
    const environment = { ...process.env, ...compiled, GLASS_SAFE: safe ? '1' : '0' };
    const part = (name: string, file: string): Part => new Part(name, join(paths.root, file), environment, end, say);
    const gateway = part('gateway', GATEWAY);
    const host = part('host', HOST);
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => end(0));
    whenReady(paths, ending.signal).then(
      (status) => {
        announce(status, paths, io);
        void tellReturned(paths, placesOf(paths.root));
      },
      (error) => (ending.signal.aborted ? undefined : io.err(describeError(error))),
    );
  });
}

/** One process, kept alive until it is stopped. */
class Part {
  readonly #name: string;
  readonly #file: string;
  readonly #onFinal: (code: number) => void;
  readonly #say: (text: string) => void;
  readonly #env: NodeJS.ProcessEnv;
  #child: ChildProcess | null = null;
  #wait = RESTART_FIRST_MS;
  #stopping = false;

  constructor(
    name: string,
    file: string,
    env: NodeJS.ProcessEnv,
    onFinal: (code: number) => void,
    say: (text: string) => void,
  ) {
    this.#name = name;
    this.#file = file;
    this.#env = env;
    this.#onFinal = onFinal;
    this.#say = say;
    this.#start();
  }

  /** Resolves when it is gone. */
  stop(): Promise<void> {
    this.#stopping = true;
    const child = this.#child;
    if (child === null || child.exitCode !== null || child.signalCode !== null) return Promise.resolve();
    child.kill('SIGTERM');
    return new Promise((resolve) => child.on('exit', () => resolve()));
  }

  #start(): void {
    const began = performance.now();
    this.#child = spawn(process.execPath, ['--disable-sigusr1', this.#file], {
      stdio: ['ignore', 'ignore', 'pipe'],
      env: this.#env,
    });
    // What is for programs (that a part is ready) stays out of the operator's terminal; sentences and stacks go there.
    createInterface({ input: this.#child.stderr! }).on('line', (line) => {
      if (!line.includes('"event":"ready"')) this.#say(alertOf(line) ?? line);
    });
    this.#child.on('exit', (code, signal) => {
      if (this.#stopping) return;
      if (code === 0) return this.#onFinal(0);
      if (code !== null && FINAL_CODES.has(code)) return this.#onFinal(code);
      if (performance.now() - began > STEADY_MS) this.#wait = RESTART_FIRST_MS;
      this.#say(`the ${this.#name} ended (${signal ?? `code ${code}`}); it starts again`);
      setTimeout(() => this.#start(), this.#wait);
      this.#wait = Math.min(this.#wait * 2, RESTART_MAX_MS);
    });
  }
}

/** The sentence of an alert, which comes as a line for programs; null: it is none. */
export function alertOf(line: string): string | null {
  if (!line.includes('"event":"alert"')) return null;
  try {
    return `⚠ ${(JSON.parse(line) as { text: string }).text}`;
  } catch {
    return line; // of a process that died over it
  }
}

const NO_GATEWAY = new OperatingError('unavailable', 'the host runs without its gateway', 'see ./glass status');

/** Asks until the host answers and has its gateway; rejects after a minute, or when nobody wants to know any more. */
async function whenReady(paths: Paths, signal: AbortSignal): Promise<Status> {
  const client = new ControlClient(paths.controlSocket);
  const until = performance.now() + READY_MS;
  try {
    for (;;) {
      try {
        const status = await client.call<Status>('status');
        if (status.gateway === 'connected') return status;
        if (performance.now() > until || signal.aborted) throw NO_GATEWAY;
      } catch (error) {
        if (performance.now() > until || signal.aborted) throw error;
      }
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  } finally {
    client.close();
  }
}

function announce(status: Status, paths: Paths, io: Io): void {
  if (io.json) return io.out(JSON.stringify({ ready: true, home: paths.home, control: paths.controlSocket }));
  const stopped = status.stopped.find(({ group }) => group === null);
  const mode = status.safe
    ? ', in safe mode: nothing runs and nothing leaves'
    : stopped === undefined
      ? ''
      : `, stopped as a whole by ${stopped.by}: ./glass resume --all [--drop-held] lets it go on`;
  io.out(`GlassClaw ${status.version} is up on ${paths.home}${mode}`);
  for (const group of status.groups) {
    io.out(
      `  ${group.name}: ${group.problem ?? (group.harness === 'probe' ? 'probe, a stand-in without a model (./glass secret set anthropic)' : `${group.harness}, ${group.model}`)}`,
    );
  }
  for (const problem of status.runtime.problems) io.out(`  ! ${problem}`);
  for (const limit of status.runtime.limits.filter((known) => known.state === 'absent'))
    io.out(`  ! no limit on ${limit.name}: ${limit.reason}`);
  io.out(
    'Talk to it: ./glass chat      Look at it: ./glass status, ./glass trace latest      End it: Ctrl-C or ./glass down',
  );
}
