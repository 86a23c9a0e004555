import type { Db } from '../ledger/db.ts';
import { lastEventId } from '../ledger/events.ts';
import type { Ledger } from '../ledger/ledger.ts';

/** The warning of the rule of two is written in whatever transaction brings the third mark; here it leaves, after that. */
export function deliverWarnings(
  { ledger, deliver }: { ledger: Ledger; deliver(chat: number): void },
  operatorChat: number,
): void {
  let seen = lastEventId(ledger.db);
  ledger.onCommit(() => {
    if (isWarned(ledger.db, seen)) deliver(operatorChat);
    seen = lastEventId(ledger.db);
  });
}

function isWarned(db: Db, after: number): boolean {
  const sql = "SELECT 1 AS yes FROM events WHERE id > ? AND kind = 'session.rule_of_two' LIMIT 1";
  return db.get(sql, after) !== undefined;
}
