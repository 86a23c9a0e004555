import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { ROOT } from '../../../src/base/paths.ts';

/** From the start of its process to its first line. */
const START_MS = 60_000;
/** From being asked to end to being ended. */
const STOP_MS = 10_000;

const FOLDER = join(ROOT, 'test/oracles');

/** Why tests that need this one are skipped, or null. Its name is that of its folder. */
export function missingOf(name: string): string | null {
  if (existsSync(join(FOLDER, name, 'node_modules'))) return null;
  return `it is not here: npm ci --ignore-scripts --prefix test/oracles/${name}`;
}

/** A platform, or a bot, that others have made, as a process of ours: its `start.mjs` tells its port, on this machine, on the first line. */
export class Emulator {
  readonly url: string;
  readonly child: ChildProcess;

  private constructor(child: ChildProcess, port: number) {
    this.child = child;
    this.url = `http://127.0.0.1:${port}`;
  }

  /** `input`: what it reads on standard input. Rejects with what it printed when it ends instead, or tells nothing in time. */
  static async start(name: string, args: readonly string[] = [], input = ''): Promise<Emulator> {
    // The last one is how it learns that we are gone.
    const stdio = ['pipe', 'pipe', 'pipe', 'ipc'] as const;
    const child = spawn(process.execPath, [join(FOLDER, name, 'start.mjs'), ...args], { stdio: [...stdio] });
    let [said, wrong] = ['', ''];
    child.stdin!.end(input);
    child.stderr!.on('data', (part) => (wrong += part));
    const { promise, resolve, reject } = Promise.withResolvers<number>();
    const failed = (why: string): void => reject(new Error(`${name} ${why}: ${said}${wrong}`));
    const timer = setTimeout(() => failed('is not there in time'), START_MS);
    child.stdout!.on('data', (part) => {
      said += part;
      const [, port] = /^(\d+)\n/.exec(said) ?? [];
      if (port !== undefined) resolve(Number(port));
    });
    child.on('exit', () => failed('has ended'));
    try {
      return new Emulator(child, await promise);
    } catch (error) {
      child.kill('SIGKILL');
      throw error;
    } finally {
      clearTimeout(timer);
    }
  }

  async stop(): Promise<void> {
    if (this.child.exitCode !== null || this.child.signalCode !== null) return;
    const ended = new Promise((resolve) => this.child.once('exit', resolve));
    const timer = setTimeout(() => this.child.kill('SIGKILL'), STOP_MS);
    this.child.kill('SIGTERM');
    await ended;
    clearTimeout(timer);
  }
}
