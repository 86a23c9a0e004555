import { visible } from '../base/text.ts';
import type { Db } from '../ledger/db.ts';
import { lastEventId } from '../ledger/events.ts';
import type { Ledger } from '../ledger/ledger.ts';

/**
 * A group whose turns fail again and again, whatever the cause: its model's endpoint is away, its workspace is full. The person who
 * wrote is told each time; the operator is told here, until a turn of it comes to its end.
 */
const ALERT = 'turns.failing';
/** In a row. One that was given up after the deaths of its sandboxes counts once: it has an alert of its own. */
const FAILURES = 3;
/** Turns of other groups between them: a scan must not go back for ever. */
const TURNS_BACK = 1000;

/** Of a failed one the beginning is told: it may be what a harness says, of any length. */
const REASON_CHARS = 200;

const ENDS = `SELECT e.id, s.group_name AS "group", coalesce(e.data ->> 'outcome', 'failed') = 'failed' AS failed
  FROM events e JOIN sessions s ON s.id = e.session_id
  WHERE e.id > ? AND e.kind IN ('turn.settled', 'turn.attempt_failed') ORDER BY e.id`;

const NEWEST = `SELECT t.state, t.error FROM turns t JOIN sessions s ON s.id = t.session_id
  WHERE t.id > (SELECT max(id) FROM turns) - ${TURNS_BACK} AND s.group_name = ? AND t.state IN ('settled', 'failed')
  ORDER BY t.id DESC LIMIT ${FAILURES}`;

/** Looks at each turn that ends, after its commit. */
export function watchTurns(
  ledger: Ledger,
  tell: { alert(kind: string, subject: string, text: string): void; clear(kind: string, subject: string): void },
): void {
  let cursor = lastEventId(ledger.db);
  ledger.onCommit(() => {
    const newest = lastEventId(ledger.db);
    const ends = ledger.db.all<{ id: number; group: string; failed: number }>(ENDS, cursor);
    cursor = newest;
    for (const { group, failed } of ends) {
      const reason = failed === 1 ? failing(ledger.db, group) : null;
      if (failed === 0) tell.clear(ALERT, group);
      else if (reason !== null) tell.alert(ALERT, group, `The turns of ${group} fail: ${reason}`);
    }
  });
}

/** Why they fail; null: they do not, or not often enough yet. */
function failing(db: Db, group: string): string | null {
  const newest = db.all<{ state: string; error: string | null }>(NEWEST, group);
  const good = newest.findIndex(({ state }) => state === 'settled');
  const failed = good === -1 ? newest : newest.slice(0, good);
  return failed.length < FAILURES ? null : visible(failed[0]!.error ?? 'without a reason').slice(0, REASON_CHARS);
}
