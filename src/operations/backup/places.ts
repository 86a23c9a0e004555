import { globSync, readdirSync, rmdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { pathsOf } from '../../base/paths.ts';

/**
 * What an install has outside of its home, when the home was only there to be tried out: its run folder, and its control groups, of which
 * every night would leave some. What is in use stays. Never throws.
 */
export function forgetPlaces(home: string): void {
  const { run, install } = pathsOf(home, process.env);
  rmSync(run, { recursive: true, force: true });
  for (const group of globSync(`/sys/fs/cgroup/{,*/}glassclaw/${install}`)) removeGroups(group);
}

/** The deepest first: a control group goes when it is empty, and its files go with it. */
function removeGroups(folder: string): void {
  try {
    for (const entry of readdirSync(folder, { withFileTypes: true }))
      if (entry.isDirectory()) removeGroups(join(folder, entry.name));
    rmdirSync(folder);
  } catch {
    // Something lives in it, or it is another account's.
  }
}
