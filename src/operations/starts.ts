import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { OperatingError } from '../base/errors.ts';
import { RESTORING } from './backup/names.ts';

/** What host and gateway ask alike when they start, and nothing that either would have to load for it. */

/** Neither may start on a home of which a half is another one's. Throws `OperatingError('conflict')`. */
export function refuseHalfRestored(home: string): void {
  if (!existsSync(join(home, RESTORING))) return;
  const fix = './glass up puts it through, if it was cut short';
  throw new OperatingError('conflict', `${home} is being put back from a backup`, fix);
}

/** Both processes of a trial end with the one that wants it, also when that is killed: their standard input is its pipe. */
export function whenTrialEnds(env: NodeJS.ProcessEnv, end: () => void): void {
  if (env['GLASS_TRIAL'] === '1') process.stdin.on('end', end).on('error', end).resume();
}
