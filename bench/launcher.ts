import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { ROOT } from '../src/base/paths.ts';
import { spreadOf } from './install.ts';

const TIMES = 15;

/** Median of `./glass help`, to its end, where everything is there already. */
export function launcherTime(): number {
  const times = Array.from({ length: TIMES }, () => {
    const began = performance.now();
    spawnSync(join(ROOT, 'glass'), ['help'], { stdio: 'ignore' });
    return performance.now() - began;
  });
  return Math.round(spreadOf(times).p50);
}
