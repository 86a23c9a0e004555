import { type ChildProcess, spawn } from 'node:child_process';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ROOT } from '../../src/base/paths.ts';
import type { CheckReport } from '../../src/evidence/check/report.ts';
import { keptCodeOf } from '../fakes/code_cache.ts';
import { Install } from '../fakes/install.ts';

/** An install under `glass up`, as an operator has one, and `glass check` on it. */
export class SupervisedInstall {
  readonly install: Install;
  readonly #root: string;
  readonly #env: NodeJS.ProcessEnv;
  #up: ChildProcess | null = null;

  /** `root`: the checkout that runs. */
  constructor(root = ROOT) {
    this.#root = root;
    this.install = new Install(tmpdir(), root);
    this.#env = { ...process.env, ...keptCodeOf(root), NO_COLOR: '1', GLASS_HOME: this.install.paths.home };
  }

  /** `alone`: gateway and host one by one, so that nobody starts them again. */
  async start(how: 'up' | 'alone' = 'up'): Promise<void> {
    this.install.group('assistant', 'harness: probe\nlimits: {idle: 20s}\n');
    // Another install's tests may have the usual port.
    this.install.install(`webhooks: { listen: "127.0.0.1:${await freePort()}" } # its own\n`);
    if (how === 'alone') return this.install.start();
    this.#up = this.#spawn(['up'], 'ignore');
    await this.install.ready();
  }

  /** Runs it to its end. What it printed is in `out`, and in `report` where that was a report. */
  async check(...words: string[]): Promise<Checked> {
    const { child, said } = this.begin(...words);
    const code = await new Promise<number | null>((resolve) => child.once('close', resolve));
    return { code, out: said.out, err: said.err, report: reportIn(said.out) };
  }

  /** Begins one, with `--json`; `said` grows. */
  begin(...words: string[]): { child: ChildProcess; said: { out: string; err: string } } {
    const said = { out: '', err: '' };
    const child = this.#spawn(['check', '--json', ...words], 'pipe');
    child.stdout!.on('data', (chunk) => {
      said.out += String(chunk);
    });
    child.stderr!.on('data', (chunk) => {
      said.err += String(chunk);
    });
    return { child, said };
  }

  /** The process of `glass up`. */
  get up(): number {
    return this.#up!.pid!;
  }

  async stop(): Promise<void> {
    const up = this.#up;
    if (up !== null && up.exitCode === null && up.signalCode === null) {
      const gone = new Promise((resolve) => up.once('exit', resolve));
      up.kill('SIGCONT');
      up.kill('SIGTERM');
      await gone;
    }
    await this.install.stop();
  }

  #spawn(words: string[], stdio: 'ignore' | 'pipe'): ChildProcess {
    const argv = ['--disable-sigusr1', join(this.#root, 'src/cli/main.ts'), ...words];
    return spawn(process.execPath, argv, { env: this.#env, stdio: ['ignore', stdio, stdio] });
  }
}

export interface Checked {
  code: number | null;
  out: string;
  err: string;
  report: (CheckReport & { report: string }) | null;
}

function reportIn(out: string): Checked['report'] {
  return out.startsWith('{"state"') ? JSON.parse(out) : null;
}

/** The claims in that state, in order; of those that failed also why. */
export function claimsIn({ report }: Checked, state: string): string[] {
  const claims = report?.checks.flatMap((check) => check.claims) ?? [];
  return claims
    .filter((claim) => claim.state === state)
    .map(({ what, seen }) => (state === 'failed' ? `${what}: ${seen}` : what));
}

function freePort(): Promise<number> {
  const server = createServer();
  return new Promise((resolve) => {
    server.listen(0, '127.0.0.1', () => {
      const { port } = server.address() as { port: number };
      server.close(() => resolve(port));
    });
  });
}
