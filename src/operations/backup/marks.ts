import { existsSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import type { Clock } from '../../base/clock.ts';
import type { Paths } from '../../base/paths.ts';
import type { Db } from '../../ledger/db.ts';
import { recordEvent } from '../../ledger/events.ts';
import { countsOfGroup, holdEverything, takeStop } from '../../ledger/stops.ts';
import { RESTORED } from './names.ts';

/** What a restore leaves for the host that starts on its home. */

/**
 * In the first transaction on a home that was put back: everything is stopped, and nothing that waited leaves by itself, because it may
 * have been answered or sent since. Safe to repeat: the note goes once that is on disk (`forgetRestore`).
 */
export function stopRestored(db: Db, clock: Clock, paths: Paths): void {
  const of = restoredOf(paths.home);
  if (of === null) return;
  const by = `the restore of ${of}`;
  const { isNew } = takeStop(db, clock.now(), '', by);
  holdEverything(db, clock.now());
  const { held, waiting, sending } = countsOfGroup(db, '');
  const data = { group: '', by, turns: 0, held, sending: sending.length, waiting };
  if (isNew) recordEvent(db, clock, 'group.stopped', {}, data);
}

export function forgetRestore({ home }: Paths): void {
  rmSync(join(home, RESTORED), { force: true });
}

/** The time that the backup is of; null: this is no restored home, or one that has started. */
function restoredOf(home: string): string | null {
  try {
    const { of } = JSON.parse(readFileSync(join(home, RESTORED), 'utf8')) as { of?: unknown };
    return String(of).slice(0, 30);
  } catch {
    // A note that cannot be read is one all the same.
    return existsSync(join(home, RESTORED)) ? 'a backup' : null;
  }
}
