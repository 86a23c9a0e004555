import { type ChildProcess, type SpawnSyncReturns, spawn, spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { type Paths, pathsOf, ROOT } from '../../src/base/paths.ts';
import { ControlClient } from '../../src/cli/control_client.ts';
import type { Status } from '../../src/evidence/status.ts';
import { LineClient } from '../../src/protocol/lines_client.ts';
import type { SecretTerms } from '../../src/protocol/secrets.ts';
import { applyGroup } from './authorities.ts';
import { keptCodeOf } from './code_cache.ts';
import { remove } from './remove.ts';
import { keepWarmCode, takeWarmCode } from './sandbox_code.ts';

/** A throw-away install: gateway and host as they ship, on a home of their own. */
export class Install {
  readonly paths: Paths;
  readonly control: ControlClient;
  readonly #root: string;
  readonly #env: NodeJS.ProcessEnv;
  readonly #children = new Map<'gateway' | 'host', ChildProcess>();

  /**
   * `within`: the folder that its home is made in. `root`: the checkout that runs. `env`: more of its processes' environment;
   * with `GLASS_TEST_PLATFORM` the host has the fake platform as one more channel.
   */
  constructor(within = tmpdir(), root = ROOT, env: NodeJS.ProcessEnv = {}) {
    this.#root = root;
    const home = mkdtempSync(join(within, 'gb-'));
    this.#env = { ...process.env, ...keptCodeOf(root), ...env, GLASS_HOME: home };
    this.paths = pathsOf(home, this.#env);
    this.control = new ControlClient(this.paths.controlSocket);
  }

  group(name: string, yaml: string): void {
    const { folder, yaml: file, workspace, skills } = this.paths.group(name);
    for (const made of [folder, workspace, skills]) mkdirSync(made, { recursive: true });
    writeFileSync(file, yaml);
  }

  /** Writes a group's file and puts it in force. */
  async change(name: string, yaml: string): Promise<void> {
    this.group(name, yaml);
    await applyGroup(this.control, name);
  }

  install(yaml: string): void {
    mkdirSync(this.paths.home, { recursive: true });
    writeFileSync(this.paths.config, yaml);
  }

  /** Resolves when the host answers and has its gateway. Its sandboxes' code is compiled already where another install has done it. */
  async start(): Promise<void> {
    takeWarmCode(this.paths);
    this.spawn('gateway');
    this.spawn('host');
    await this.ready();
  }

  /** `more`: of the environment of this life alone. */
  spawn(part: 'gateway' | 'host', more: NodeJS.ProcessEnv = {}): void {
    const onPlatform = part === 'host' && this.#env['GLASS_TEST_PLATFORM'] !== undefined;
    const file = onPlatform ? 'test/fakes/host.ts' : `src/${part}.ts`;
    const child = spawn(process.execPath, ['--disable-sigusr1', join(this.#root, file)], {
      env: { ...this.#env, ...more },
      stdio: 'ignore',
    });
    this.#children.set(part, child);
  }

  /** The command line on this home, as in a pipe. */
  glass(...words: string[]): SpawnSyncReturns<string> {
    return this.typed('', ...words);
  }

  /** As `glass`, with that on its standard input. */
  typed(input: string, ...words: string[]): SpawnSyncReturns<string> {
    return spawnSync(process.execPath, [join(this.#root, 'src/cli/main.ts'), ...words], {
      env: { ...this.#env, NO_COLOR: '1' },
      encoding: 'utf8',
      input,
      timeout: 60_000,
      maxBuffer: 2 ** 24,
    });
  }

  pid(part: 'gateway' | 'host'): number {
    return this.#children.get(part)!.pid!;
  }

  async ready(): Promise<Status> {
    return until('ready', async () => {
      const status = await this.control.call<Status>('status');
      if (status.gateway !== 'connected') throw new Error('the gateway is not connected');
      return status;
    });
  }

  /** Restarts once, after the caches of compiled code are filled: what is promised holds from the second start on. */
  async settle(): Promise<void> {
    await sleep(SETTLE_MS);
    await this.end('host', 'SIGTERM');
    await this.end('gateway', 'SIGTERM');
    await this.start();
  }

  /** Without `terms`: a model's. */
  async secret(name: string, value: string, terms?: SecretTerms): Promise<void> {
    const client = await LineClient.connect(this.paths.vaultSocket, 5000, { peer: 'the gateway' });
    await client.request({ op: 'set', name, value, terms }, 5000);
    client.close();
  }

  async stop(): Promise<void> {
    this.control.close();
    for (const part of ['host', 'gateway'] as const) await this.end(part, 'SIGTERM');
    keepWarmCode(this.paths);
    remove(this.paths.run);
    remove(this.paths.home);
  }

  /** For `afterEach`: a failed test on somebody else's machine is explained by what both processes wrote. */
  explain(context: object): void {
    const test = context as TestContext & { passed: boolean };
    if (test.passed) return;
    for (const part of ['gateway', 'host'] as const) {
      try {
        const lines = readFileSync(join(this.paths.logs, `${part}.log`), 'utf8')
          .trimEnd()
          .split('\n');
        for (const line of lines.slice(-LOG_LINES_SHOWN)) test.diagnostic(line.slice(0, 500));
      } catch {
        test.diagnostic(`${part} wrote no log`);
      }
    }
  }

  /** Resolves when it has ended by itself. */
  died(part: 'gateway' | 'host'): Promise<void> {
    return until(`the ${part} has died`, async () => {
      const child = this.#children.get(part)!;
      if (child.exitCode === null && child.signalCode === null) throw new Error('it lives');
    });
  }

  end(part: 'gateway' | 'host', signal: 'SIGTERM' | 'SIGKILL'): Promise<void> {
    const child = this.#children.get(part);
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return Promise.resolve();
    return new Promise((resolve) => {
      child.on('exit', () => resolve());
      child.kill(signal);
    });
  }
}

/** Only what is red waits so long: cold starts took half of it on two processors that were kept busy by others. */
const UNTIL_MS = 90_000;

/** Tries until it works; a bounded loop. */
export async function until<T>(what: string, attempt: () => Promise<T>, within_ms = UNTIL_MS): Promise<T> {
  const end = performance.now() + within_ms;
  for (;;) {
    try {
      return await attempt();
    } catch (error) {
      if (performance.now() > end) throw new Error(`${what}: not within ${within_ms / 1000} s`, { cause: error });
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
  }
}

/** A warm-up of the largest harness takes about a second. */
const SETTLE_MS = 4000;
const LOG_LINES_SHOWN = 15;

function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
