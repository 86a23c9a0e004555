import { OVERDUE_MS } from '../base/limits/messages.ts';
import type { Db } from './db.ts';
import { IS_OPEN } from './messages.ts';
import { stoppedSql } from './stops.ts';

/**
 * The two conservation laws, as queries. What comes in is in exactly one state, what goes out is in exactly one state,
 * nothing is in neither; states that should pass do pass.
 */
export interface Conservation {
  messages: number;
  inbound: Record<string, number>;
  outbound: Record<string, number>;
  /** Rows longer in a passing state than they should be. */
  overdue: { inbound: number; outbound: number };
  /** Answered messages of which every reply was rejected: nobody heard the answer. */
  unheard: number;
  /** Broken laws, as sentences; empty when they hold. */
  violations: string[];
}

interface Law {
  /** Counts the rows that break it. */
  sql: string;
  sentence: string;
}

export const LAWS: readonly Law[] = [
  {
    sql: 'SELECT count(*) AS n FROM messages m WHERE NOT EXISTS (SELECT 1 FROM inbound i WHERE i.message_id = m.id)',
    sentence: 'messages are in no state',
  },
  {
    sql: "SELECT count(*) AS n FROM inbound i LEFT JOIN turns t ON t.id = i.turn_id WHERE i.state = 'running' AND (t.id IS NULL OR t.state <> 'running')",
    sentence: 'messages count as running without a running turn',
  },
  {
    sql: "SELECT count(*) AS n FROM inbound WHERE session_id IS NULL AND state NOT IN ('ignored', 'held', 'cancelled', 'failed', 'answered')",
    sentence: 'messages wait for nobody',
  },
  {
    sql: `SELECT count(*) AS n FROM inbound i LEFT JOIN turns t ON t.id = i.turn_id
           WHERE i.state IN ('answered', 'silent') AND i.session_id IS NOT NULL AND (t.id IS NULL OR t.state <> 'settled')`,
    sentence: 'messages count as answered without a settled turn',
  },
  {
    sql: "SELECT count(*) AS n FROM turns t WHERE t.state = 'running' AND NOT EXISTS (SELECT 1 FROM inbound i WHERE i.turn_id = t.id AND i.state = 'running')",
    sentence: 'turns run without a message',
  },
  {
    sql: "SELECT count(*) AS n FROM asks a JOIN turns t ON t.id = a.turn_id WHERE a.state = 'pending' AND t.state NOT IN ('running', 'waiting') AND (t.state <> 'split' OR NOT EXISTS (SELECT 1 FROM turn_inbound x JOIN inbound i ON i.id = x.inbound_id WHERE x.turn_id = t.id AND i.state IN ('queued', 'running')))",
    sentence: 'questions wait for a turn that is over',
  },
  {
    sql: "SELECT count(*) AS n FROM outbound WHERE state = 'sent' AND receipt IS NULL",
    sentence: 'sends count as sent without a receipt',
  },
  {
    sql: `SELECT count(*) AS n FROM drafts d JOIN turns t ON t.id = d.turn_id
           WHERE d.state IN ('sending', 'shown') AND t.state NOT IN ('running', 'waiting')
             AND NOT EXISTS (SELECT 1 FROM outbound o WHERE o.turn_id = t.id AND o.kind <> 'send')`,
    sentence: 'drafts stand for an answer that nobody gives',
  },
];

/** Of the last day: what a person has had the time to see is not said for ever. */
const UNHEARD_MS = 24 * 3_600_000;
const UNHEARD = `SELECT count(*) AS n FROM turns t WHERE t.state = 'settled' AND t.ended_ms > ?
  AND EXISTS (SELECT 1 FROM outbound o WHERE o.turn_id = t.id AND o.ordinal >= 0 AND o.state = 'rejected' AND o.stopped = 0)
  AND NOT EXISTS (SELECT 1 FROM outbound o WHERE o.turn_id = t.id AND o.ordinal >= 0 AND o.state <> 'rejected')`;

/** A queued row with a reason waits for somebody to be there (a terminal, say): it is where it should be, and what is behind it too, however long. */
const OVERDUE_OUTBOUND = `SELECT count(*) AS n FROM outbound o
  WHERE state IN ('queued', 'sending', 'retry') AND updated_ms < ? AND NOT EXISTS (
    SELECT 1 FROM outbound h INDEXED BY outbound_open WHERE h.chat_id = o.chat_id AND h.id <= o.id
       AND h.state IN ('queued', 'sending', 'retry') AND h.state = 'queued' AND h.error IS NOT NULL)`;

/** What waits behind a question of its session, or for its group to go on, waits for a person, who may take their time. */
const OVERDUE_INBOUND = `SELECT count(*) AS n FROM inbound i INDEXED BY inbound_open WHERE ${IS_OPEN} AND updated_ms < ?
  AND NOT EXISTS (SELECT 1 FROM asks a INDEXED BY asks_waiting WHERE a.session_id = i.session_id AND a.state = 'pending')
  AND NOT ${stoppedSql('(SELECT group_name FROM sessions s WHERE s.id = i.session_id)')}`;

export function conservation(db: Db, now: number): Conservation {
  return {
    messages: count(db, 'SELECT count(*) AS n FROM messages'),
    inbound: countByState(db, 'inbound'),
    outbound: countByState(db, 'outbound'),
    overdue: overdue(db, now),
    unheard: unheard(db, now),
    violations: LAWS.flatMap((law) => brokenBy(db, law)),
  };
}

export function overdue(db: Db, now: number): Conservation['overdue'] {
  const late = now - OVERDUE_MS;
  return { inbound: count(db, OVERDUE_INBOUND, late), outbound: count(db, OVERDUE_OUTBOUND, late) };
}

export function unheard(db: Db, now: number): number {
  return count(db, UNHEARD, now - UNHEARD_MS);
}

/** A sentence when the law is broken. */
export function brokenBy(db: Db, law: Law): string[] {
  const broken = count(db, law.sql);
  return broken === 0 ? [] : [`${broken} ${law.sentence}`];
}

function count(db: Db, sql: string, ...values: (number | string)[]): number {
  return db.get<{ n: number }>(sql, ...values)?.n ?? 0;
}

function countByState(db: Db, table: 'inbound' | 'outbound'): Record<string, number> {
  const rows = db.all<{ state: string; n: number }>(
    `SELECT state, count(*) AS n FROM ${table} GROUP BY state ORDER BY state`,
  );
  return Object.fromEntries(rows.map((row) => [row.state, row.n]));
}
