import { rmSync } from 'node:fs';
import { describeError, exitCodeOf } from '../../base/errors.ts';
import { shortHash } from '../../base/ids.ts';
import { holdLock } from '../../base/lock.ts';
import { pathsOf } from '../../base/paths.ts';
import { Git } from '../../operations/upgrade/git.ts';
import { placesOf, readRecord, upgradeLock } from '../../operations/upgrade/record.ts';
import { mend } from './move.ts';

/**
 * The program that the launcher starts, from the tree of the version that began it, when an upgrade of the checkout was cut short while
 * it moved: `node mend.ts <checkout> <verb>`. Exit code 0: the checkout is whole, and the verb may run.
 */
async function main(root: string, verb: string): Promise<number> {
  const places = placesOf(root);
  const say = (line: string): void => void process.stderr.write(`glass: ${line}\n`);
  try {
    await holdLock(upgradeLock(shortHash(root)), 'an upgrade of this checkout is under way', 'wait for its end');
    const record = readRecord(places);
    if (record === null) rmSync(places.mender, { force: true });
    else {
      const paths = pathsOf(record.home, process.env);
      // `up` starts it by itself, as it is asked to.
      say(await mend({ paths, places, git: new Git(root), say }, record, verb !== 'up'));
    }
    return 0;
  } catch (error) {
    say(describeError(error));
    return exitCodeOf(error);
  }
}

if (import.meta.main) process.exitCode = await main(process.argv[2]!, process.argv[3] ?? '');
