import { type ChildProcess, spawn } from 'node:child_process';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { type ErrorCode, exitCodeOf, messageOf, OperatingError } from '../base/errors.ts';
import { TRIAL_MS } from '../base/limits/backups.ts';
import { holdLock } from '../base/lock.ts';
import type { Paths } from '../base/paths.ts';
import { seconds } from '../evidence/check/document.ts';
import { checkLock } from '../evidence/check/names.ts';
import { brokenPath } from '../evidence/check/path.ts';
import type { Status } from '../evidence/status.ts';
import { whenTrialEnds } from '../operations/starts.ts';
import { Chat } from './check/chat.ts';
import { recordHolds } from './check/experiments.ts';
import { modelServer } from './check/loopback.ts';
import { Scene } from './check/scene.ts';
import { type Io, printable } from './io.ts';
import { checkSecrets } from './secret.ts';

/**
 * `glass up --trial`: whether this checkout would answer on this home. Gateway and host are started as for a look (`--safe`): nothing old
 * runs, nothing leaves. One throw-away group gets one message and answers it from its sandbox; then all of it ends. The ledger is
 * migrated as by any start, and keeps the record of the throw-away; nothing else of the home is changed.
 */
export interface Tried {
  /** What answered. */
  version: string;
  schema: number;
  message: string;
  steps: number;
  /** Secrets that open. */
  secrets: number;
  /** Events in the record. */
  events: number;
  /** What was compared, in words. */
  record: string;
  /** Messages, turns and so on by state, as the home has them besides. */
  inbound: Record<string, number>;
  ms: number;
}

/** Exit code 0: it answered. Rejects with `OperatingError`, whose sentence says what did not. */
export async function trial(paths: Paths, io: Io): Promise<number> {
  const tried = await tryOut(paths, io);
  if (io.json) io.out(JSON.stringify({ trial: true, home: paths.home, ...tried }));
  else {
    const { version, schema, message, steps, secrets, record, ms } = tried;
    io.out(`GlassClaw ${version} answers on ${paths.home} (schema ${schema}), after ${seconds(ms)}`);
    io.out(`  ${message} was answered from a sandbox, its path of ${steps} steps is whole`);
    io.out(`  ${secrets} ${secrets === 1 ? 'secret opens' : 'secrets open'}; ${printable(record)}`);
    io.out('Nothing else ran, nothing left, and what was made for it is removed.');
  }
  return 0;
}

async function tryOut(paths: Paths, io: Io): Promise<Tried> {
  const began = performance.now();
  await holdLock(checkLock(paths.install), 'a check or a trial is running already', 'wait for its end');
  const parts = new TrialParts(paths);
  const scene = new Scene(paths, { ...io, json: true }, 'trial');
  const late = setTimeout(() => parts.fail(lateError()), TRIAL_MS);
  const interrupt = (): void => parts.fail(new OperatingError('unavailable', 'the trial was interrupted'));
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.once(signal, interrupt);
  whenTrialEnds(process.env, interrupt);
  try {
    const seen = await Promise.race([see(scene, paths, io), parts.failed]);
    return { ...seen, ms: Math.round(performance.now() - began) };
  } finally {
    clearTimeout(late);
    scene.end();
    await parts.end();
    process.stdin.destroy(); // else it is waited for
  }
}

function lateError(): OperatingError {
  return new OperatingError(
    'unavailable',
    `nothing answered within ${TRIAL_MS / 1000} s`,
    'see logs/host.log of the home',
  );
}

async function see(scene: Scene, paths: Paths, io: Io): Promise<Omit<Tried, 'ms'>> {
  const say = (text: string): void => (io.json ? undefined : io.err(text));
  say('starting gateway and host, to try them out…');
  const status = await scene.until('host and gateway are up', async () => {
    const found = await scene.status();
    return found.gateway === 'connected' ? found : null;
  });
  refuseStopped(status);
  const { damaged, opened } = await checkSecrets(paths);
  if (damaged.length > 0)
    throw new OperatingError('storage', `of the vault these do not open: ${damaged.join(', ')}`, 'set them again');
  say('a throw-away group is made, and gets a message…');
  const answered = await answer(scene);
  say('the record is checked…');
  const { seen: record } = await recordHolds(scene);
  await scene.client.call('check_clear');
  const { version, versions, conservation } = status;
  const events = Number(/^\d+/.exec(record ?? '')?.[0] ?? 0);
  return {
    version,
    schema: versions.schema,
    ...answered,
    secrets: opened,
    events,
    record: record!,
    inbound: conservation.inbound,
  };
}

function refuseStopped({ stopped }: Status): void {
  if (!stopped.some(({ group }) => group === null)) return;
  const fix = 'glass up --safe, glass resume --all, glass down; or try out a copy';
  throw new OperatingError('conflict', 'every group is stopped here, so nothing can answer', fix);
}

/** One message to the model on loopback and back, from a sandbox that has to be started. */
async function answer(scene: Scene): Promise<{ message: string; steps: number }> {
  const model = modelServer();
  await model.open();
  try {
    await scene.client.call('check_clear');
    await scene.client.call('check_group', { port: model.port });
    const chat = await Chat.open(scene, 'answer');
    const message = await chat.say('model');
    const { steps } = await chat.answered(message);
    const broken = brokenPath(steps, 1);
    if (broken !== null) throw new OperatingError('internal', `the path of ${message} is not whole: ${broken}`);
    return { message, steps: steps.length };
  } catch (error) {
    throw error instanceof OperatingError ? error : new OperatingError('unavailable', messageOf(error));
  } finally {
    await model.close();
  }
}

const CODES: ErrorCode[] = ['usage', 'config', 'not_found', 'conflict', 'unavailable', 'refused', 'storage'];
const TERM_MS = 10_000;

/** The two processes. Neither is started again: that one ends is what a trial is to find. */
class TrialParts {
  readonly failed: Promise<never>;
  readonly fail: (error: OperatingError) => void;
  readonly #gateway: ChildProcess;
  readonly #host: ChildProcess;
  #ending = false;

  constructor(paths: Paths) {
    const failed = Promise.withResolvers<never>();
    this.failed = failed.promise;
    this.failed.catch(() => {});
    this.fail = failed.reject;
    const env = { ...process.env, NODE_COMPILE_CACHE: join(paths.cache, 'code-trusted'), GLASS_TRIAL: '1' };
    this.#gateway = this.#start('gateway', paths, env);
    this.#host = this.#start('host', paths, env);
  }

  /** Resolves when neither runs any more; the host goes first, because it ends through the gateway. */
  async end(): Promise<void> {
    this.#ending = true;
    for (const child of [this.#host, this.#gateway]) await ended(child);
  }

  #start(name: string, paths: Paths, env: NodeJS.ProcessEnv): ChildProcess {
    // Its standard input is what tells it that this process lives.
    const child = spawn(process.execPath, ['--disable-sigusr1', join(paths.root, `src/${name}.ts`)], {
      stdio: ['pipe', 'ignore', 'pipe'],
      env,
    });
    let said = '';
    createInterface({ input: child.stderr! }).on('line', (line) => {
      if (!line.startsWith('{') && line.trim() !== '') said = line;
    });
    child.on('close', (code, signal) => {
      if (this.#ending) return;
      const why = said === '' ? `it ended with ${signal ?? `code ${code}`}` : said.replace(/^gateway: /, '');
      const kind = CODES.find((each) => exitCodeOf(new OperatingError(each, '')) === code) ?? 'internal';
      this.fail(new OperatingError(kind, `the ${name} does not start: ${why}`));
    });
    return child;
  }
}

function ended(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return Promise.resolve();
  return new Promise((resolve) => {
    const kill = setTimeout(() => child.kill('SIGKILL'), TERM_MS);
    child.once('exit', () => {
      clearTimeout(kill);
      resolve();
    });
    child.kill('SIGTERM');
  });
}
