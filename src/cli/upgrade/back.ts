import { OperatingError } from '../../base/errors.ts';
import { isKept, requireSpace, schemaChanges, since } from '../../operations/upgrade/databases.ts';
import { readCheckout } from '../../operations/upgrade/git.ts';
import { type LogLine, lastUpgrade, type Place, readLog, type UpgradeRecord } from '../../operations/upgrade/record.ts';
import { confirmed } from '../confirm.ts';
import { type Io, printable } from '../io.ts';
import { nameOf, refuseEdits, refuseShared } from './look.ts';
import type { Ground } from './move.ts';

/** What `glass upgrade back` goes to, and what that costs. */
export interface WayBack {
  last: LogLine;
  from: Place;
  to: Place;
  /** Folder whose databases come back with the old version; null: the present ones stay. */
  lose: string | null;
}

/**
 * The version before the last upgrade of this home. Where no schema has changed since, nothing is lost; else only what the operator
 * has said they lose. Rejects with `OperatingError` and what to do.
 */
export async function wayBack({ paths, places, git }: Ground, flags: ReadonlySet<string>): Promise<WayBack> {
  const here = await readCheckout(git);
  refuseShared(git.root, paths);
  await refuseEdits(git);
  const last = lastUpgrade(readLog(places), paths.home, here.commit);
  if (last === null)
    throw new OperatingError(
      'not_found',
      `no upgrade of ${paths.home} led to what is checked out now, so there is no version before it`,
      './glass upgrade log shows what was done',
    );
  requireSpace(paths);
  const from: Place = { commit: here.commit, version: here.version, branch: here.branch };
  const kept = last.kept ?? '';
  if (!isKept(kept))
    throw new OperatingError(
      'not_found',
      `the databases from before the upgrade are no longer in ${kept}, so nobody can say what going back would lose`,
      './glass backup list has older ones',
    );
  const changes = schemaChanges(paths, kept);
  if (changes.length === 0) return { last, from, to: last.from, lose: null };
  if (!flags.has('lose-since'))
    throw new OperatingError(
      'refused',
      `${last.from.version} cannot read what ${here.version} has written (${changes.join('; ')}): going back puts the databases of ${utc(last.at_ms)} in place, and loses ${lossWords(since(paths, kept))} since`,
      './glass upgrade back --lose-since, if that is right',
    );
  return { last, from, to: last.from, lose: kept };
}

/** Resolves with false when somebody says no. */
export async function agreed(ground: Ground, { from, to, lose }: WayBack, yes: boolean, io: Io): Promise<boolean> {
  const what =
    lose === null
      ? 'the databases stay as they are: nothing is lost'
      : `${lossWords(since(ground.paths, lose))} since are lost; the databases as they are now are kept in upgrades/, and the emergency stop is in force then`;
  io.err(printable(`${nameOf(from)} → ${nameOf(to)}: ${what}`));
  return yes || confirmed('Go back?', '--yes');
}

function lossWords({ messages, outbound }: { messages: number; outbound: number }): string {
  return `${messages} messages that came in and ${outbound} that went out`;
}

function utc(ms: number): string {
  return `${new Date(ms).toISOString().slice(0, 16).replace('T', ' ')} UTC`;
}

export function backRecord(
  id: string,
  home: string,
  was: UpgradeRecord['was'],
  kept: string,
  way: WayBack,
): UpgradeRecord {
  const { from, to, lose } = way;
  return {
    id,
    verb: 'back',
    step: 'staging',
    home,
    was,
    from,
    to,
    kept,
    lose,
    backup: null,
    began_ms: Date.now(),
    why: null,
  };
}
