import type { Authority } from '../authority/authority.ts';
import { keepAuthority, keptAuthority } from '../authority/store.ts';
import { OperatingError } from '../base/errors.ts';
import type { Paths } from '../base/paths.ts';
import { type AuthorityRow, authorityInForce } from '../ledger/authorities.ts';
import type { Db } from '../ledger/db.ts';
import type { LimitState } from '../runtimes/runtime.ts';

/** The authority of a group that is in force, and whether this machine still keeps what it was applied with. */
export interface InForce {
  authority: Authority;
  row: AuthorityRow;
}

/**
 * Throws `OperatingError('config')` when nothing was ever applied, or what was is of another version. A file that is
 * missing is written again from the ledger, for the gateway.
 */
export function inForce(db: Db, paths: Paths, group: string): InForce {
  const row = authorityInForce(db, group);
  if (row === undefined)
    throw new OperatingError(
      'config',
      `nothing of groups/${group}/group.yaml is in force`,
      `./glass group apply ${group}`,
    );
  keepAuthority(paths.authorities, JSON.parse(row.object));
  return { authority: keptAuthority(paths.authorities, row.hash), row };
}

/** Throws `OperatingError('refused')` when a limit that was enforced when the authority was applied no longer is. */
export function checkControls(row: AuthorityRow, now: LimitState[]): void {
  const applied = JSON.parse(row.controls) as LimitState[];
  for (const { name, state } of applied) {
    const today = now.find((limit) => limit.name === name);
    if (weight(today?.state ?? 'absent') >= weight(state)) continue;
    throw new OperatingError(
      'refused',
      `the limit ${name} was ${state} when the group was applied, and is ${today?.state ?? 'absent'} now (${today?.reason ?? 'this runtime has none'})`,
      `repair that, or accept it with ./glass group apply ${row.group_name}`,
    );
  }
}

function weight(state: LimitState['state']): number {
  return { absent: 0, watched: 1, enforced: 2 }[state];
}
