import { showId } from '../base/ids.ts';
import type { Db } from '../ledger/db.ts';
import type { AuditRow } from '../protocol/gateway.ts';

/** What groups asked for and what became of it, from the gateway's record, each request with the turn that made it. */
export interface LoggedRequest extends AuditRow {
  /** Null: no turn of that session ran then, which only happens when a program goes on after its turn. */
  turn: string | null;
}

/** The gateway's side. */
export interface AskEgress {
  log(group: string | null, since_ms: number, limit: number): Promise<AuditRow[]>;
}

export interface LogQuery {
  group: string | null;
  since_ms: number;
  limit: number;
}

/** The newest requests, oldest of them first. */
export async function egressLog(db: Db, gateway: AskEgress, query: LogQuery): Promise<LoggedRequest[]> {
  const rows = await gateway.log(query.group, query.since_ms, query.limit);
  return rows.map((row) => ({ ...row, turn: turnAt(db, Number(row.session.slice(1)), row.at_ms) }));
}

function turnAt(db: Db, session: number, at_ms: number): string | null {
  const turn = db.get<{ id: number }>(
    `SELECT id FROM turns WHERE session_id = ?1 AND started_ms <= ?2 AND coalesce(ended_ms, ?2) >= ?2
     ORDER BY id DESC LIMIT 1`,
    session,
    at_ms,
  );
  return turn === undefined ? null : showId('t', turn.id);
}
