import { spawn } from 'node:child_process';
import { join } from 'node:path';
import type { Paths } from '../base/paths.ts';

/**
 * `glass bench [part…]`: runs the project's own measurements, or the parts that are named, in installs of their own; yours is not
 * touched.
 */
export function bench(parts: string[], paths: Paths): Promise<number> {
  const child = spawn(process.execPath, [join(paths.root, 'bench/bench.ts'), ...parts], { stdio: 'inherit' });
  return new Promise((resolve) => child.on('exit', (code) => resolve(code ?? 1)));
}
