import { OperatingError } from '../base/errors.ts';
import { EVENTS_AT_ONCE } from '../base/limits/messages.ts';
import { cutOf, signersOf } from '../ledger/cuts.ts';
import type { Db } from '../ledger/db.ts';
import { beforeChain, chainedAfter, eventHeadAt } from '../ledger/events.ts';
import { endOfDay } from '../protocol/chain.ts';

export interface ExportQuery {
  /** Days (UTC), both included; null: from the first one, to the last one. */
  from: string | null;
  to: string | null;
}

/**
 * The events as lines that somebody else can check (docs/SECURITY.md): what they begin with, each with its hash, and the last one again, so
 * that a stream that was cut is seen. Throws `OperatingError('not_found')` when there are none.
 */
export function* exportLines(db: Db, { from, to }: ExportQuery): Generator<object> {
  const cut = cutOf(db);
  const begin = cut?.through ?? 0;
  const firstAt = (at_ms: number): number | undefined =>
    db.get<{ id: number }>('SELECT id FROM events WHERE id > ? AND at_us >= ? ORDER BY id LIMIT 1', begin, at_ms * 1000)
      ?.id;
  const first = from === null ? begin + 1 : firstAt(Date.parse(`${from}T00:00:00Z`));
  const end = (to === null ? undefined : firstAt(endOfDay(to))) ?? Number.MAX_SAFE_INTEGER;
  if (first === undefined || first >= end) throw new OperatingError('not_found', 'there are no events of these days');
  // Those from before the chain have one hash for all of them: none can be left out.
  const isBefore = chainedAfter(db, first - 1, 1)[0]?.hash === null;
  let last = isBefore ? 0 : first - 1;
  const hash = last === begin ? (cut?.hash ?? (isBefore ? '' : beforeChain(0, ''))) : eventHeadAt(db, last)!.hash;
  yield { format: 'glassclaw events 1', cut, signers: signersOf(db), before: { id: last, hash } };
  let newest: string | null = null;
  for (;;) {
    const rows = chainedAfter(db, last, EVENTS_AT_ONCE).filter(({ id }) => id < end);
    yield* rows;
    newest = rows.at(-1)?.hash ?? newest;
    last = rows.at(-1)?.id ?? last;
    if (rows.length < EVENTS_AT_ONCE) break;
  }
  yield { end: { id: last, hash: newest } };
}
