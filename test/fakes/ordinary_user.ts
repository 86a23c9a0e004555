import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';

/** Words for `setpriv`: an account without any right of its own, and without a name. */
const ORDINARY = ['--reuid=61234', '--regid=61234', '--clear-groups', '--'];

/** Why the tests cannot be run again by an ordinary user. */
export function cannotDrop(): string | false {
  if (process.geteuid!() !== 0) return 'this is an ordinary user';
  const reach = spawnSync('setpriv', [...ORDINARY, process.execPath, fileURLToPath(import.meta.url)]);
  return reach.status === 0 ? false : 'an ordinary user cannot reach this checkout';
}

/** Runs a file of tests once more as an ordinary user, with more words for the test runner. Throws what it printed when one fails. */
export function passesForOrdinaryUser(testUrl: string, ...words: string[]): string {
  // A nested run reports as a child otherwise; and root's run folder is closed to others.
  const { NODE_TEST_CONTEXT: _, XDG_RUNTIME_DIR: __, ...env } = process.env;
  const run = spawnSync('setpriv', [...ORDINARY, process.execPath, '--test', ...words, fileURLToPath(testUrl)], {
    env: { ...env, HOME: '/nonexistent' },
  });
  assert.equal(run.status, 0, run.stdout?.toString());
  return run.stdout.toString();
}
