import { spawn } from 'node:child_process';
import { join } from 'node:path';
import type { Paths } from '../base/paths.ts';

/** `glass bench`: runs the project's own measurements, in installs of their own; yours is not touched. */
export function bench(_args: string[], paths: Paths): Promise<number> {
  const child = spawn(process.execPath, [join(paths.root, 'bench/bench.ts')], { stdio: 'inherit' });
  return new Promise((resolve) => child.on('exit', (code) => resolve(code ?? 1)));
}
