import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { OperatingError } from '../base/errors.ts';
import type { Paths } from '../base/paths.ts';

/** Measurements that need no install, and can be had alone. */
const PARTS = ['trace'];

/** `glass bench [trace]`: runs the project's own measurements, in installs of their own; yours is not touched. */
export function bench([part]: string[], paths: Paths): Promise<number> {
  if (part !== undefined && !PARTS.includes(part))
    throw new OperatingError(
      'usage',
      `there is no measurement "${part}" to be had alone`,
      `one of: ${PARTS.join(', ')}`,
    );
  const child = spawn(process.execPath, [join(paths.root, `bench/${part ?? 'bench'}.ts`)], { stdio: 'inherit' });
  return new Promise((resolve) => child.on('exit', (code) => resolve(code ?? 1)));
}
