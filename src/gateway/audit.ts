import type { DatabaseSync, StatementSync } from 'node:sqlite';
import type { Clock } from '../base/clock.ts';
import { type Faults, guarded } from '../base/faults.ts';
import { AUDIT_OPEN_MS, AUDIT_PATH_CHARS_MAX, AUDIT_ROWS_MAX, AUDIT_WAL_PAGES } from '../base/limits.ts';
import { redact } from '../base/log.ts';
import type { AuditRow, UsageRow } from '../protocol/gateway.ts';
import { openDatabase } from '../vault/schema.ts';
import type { Used } from './budget.ts';
import type { Amount } from './prices.ts';
import type { Usage } from './usage.ts';

/**
 * `audit.db`: one row per request of an agent. It is inserted before the first byte leaves; a request that cannot be
 * recorded is not made. WAL with synchronous NORMAL: 0.02 ms a row instead of 0.45, and a crash of this process loses
 * none; a power cut may lose the newest. Two indexes and no more: each one costs 15 µs of every request.
 */

const MIGRATIONS = [
  `CREATE TABLE requests (
     id INTEGER PRIMARY KEY,
     session TEXT NOT NULL,
     group_name TEXT NOT NULL,
     at_ms INTEGER NOT NULL,
     ended_ms INTEGER,
     method TEXT NOT NULL,
     host TEXT NOT NULL,
     path TEXT NOT NULL,
     decision TEXT NOT NULL CHECK (decision IN ('allow', 'deny', 'error')),
     rule TEXT NOT NULL,
     status INTEGER,
     secret TEXT,
     model TEXT,
     request_bytes INTEGER NOT NULL DEFAULT 0,
     response_bytes INTEGER NOT NULL DEFAULT 0,
     input_tokens INTEGER,
     output_tokens INTEGER,
     redacted INTEGER NOT NULL DEFAULT 0
   ) STRICT;
   CREATE INDEX requests_session ON requests (session, at_ms);
   CREATE INDEX requests_at ON requests (at_ms);`,
  `ALTER TABLE requests ADD COLUMN service TEXT;`,
  `ALTER TABLE requests ADD COLUMN cost_micros INTEGER NOT NULL DEFAULT 0;
   ALTER TABLE requests ADD COLUMN tokens INTEGER NOT NULL DEFAULT 0;`,
];

const COLUMNS = `id, session, group_name AS "group", at_ms, ended_ms, method, host, path, decision, rule, status, secret,
  service, model, request_bytes, response_bytes, input_tokens, output_tokens, cost_micros`;

/** Of a request that did not leave. */
export const NOTHING: Amount = { cost_micros: 0, tokens: 0 };

/** Whose request, and what was asked for. */
export interface Asked {
  session: string;
  group: string;
  method: string;
  host: string;
  path: string;
  rule: string;
  /** Of the group's authority; null: it was not about one. */
  service: string | null;
}

/** How a request ended. */
export interface Outcome extends Usage {
  decision: 'allow' | 'deny' | 'error';
  /** Null keeps the rule that let it through. */
  rule: string | null;
  /** What the agent was answered; null when it went away before. */
  status: number | null;
  request_bytes: number;
  response_bytes: number;
  /** Occurrences of the secret masked in the reply. */
  redacted: number;
}

export class Audit {
  readonly #db: DatabaseSync;
  readonly #clock: Clock;
  readonly #faults: Faults;
  readonly #insert: StatementSync;
  readonly #update: StatementSync;

  /** Opens or creates the file. Requests that a crash left open are closed as `error`. Throws `OperatingError`. */
  constructor(path: string, clock: Clock, faults: Faults) {
    this.#clock = clock;
    this.#faults = faults;
    this.#db = guarded(faults, 'audit.open', () =>
      openDatabase(path, { synchronous: 'NORMAL', migrations: MIGRATIONS }),
    );
    this.#insert = this.#db.prepare(
      `INSERT INTO requests (session, group_name, at_ms, method, host, path, rule, service, decision, secret, ended_ms, status,
         cost_micros, tokens)
       VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
    );
    this.#update = this.#db.prepare(
      `UPDATE requests SET ended_ms = ?, decision = ?, rule = coalesce(?, rule), status = ?, model = ?,
         request_bytes = ?, response_bytes = ?, input_tokens = ?, output_tokens = ?, redacted = ?,
         cost_micros = ?, tokens = ? WHERE id = ?`,
    );
    this.#db.exec(`PRAGMA wal_autocheckpoint = ${AUDIT_WAL_PAGES}`);
    const orphans = this.#db.prepare(
      `UPDATE requests SET ended_ms = ?, decision = 'error'
       WHERE ended_ms IS NULL AND at_ms >= (SELECT max(at_ms) FROM requests) - ?`,
    );
    guarded(faults, 'audit.recover', () => orphans.run(clock.now(), AUDIT_OPEN_MS));
  }

  /**
   * Records an allowed request, with what is reserved for it, before it leaves; returns its id. Throws when it cannot: then
   * it must not leave.
   */
  begin(asked: Asked, secret: string | null, reserved: Amount): number {
    return guarded(this.#faults, 'audit.begin', () => this.#add(asked, 'allow', secret, null, null, reserved));
  }

  /** Throws when the disk refuses; the row then stays open until the next start. */
  end(id: number, end: Outcome, used: Amount): void {
    guarded(this.#faults, 'audit.end', () =>
      this.#update.run(
        this.#clock.now(),
        end.decision,
        end.rule,
        end.status,
        end.model,
        end.request_bytes,
        end.response_bytes,
        end.input_tokens,
        end.output_tokens,
        end.redacted,
        used.cost_micros,
        used.tokens,
        id,
      ),
    );
  }

  /** Records a refused request. Throws when the disk refuses. */
  refused(asked: Asked, status: number): void {
    guarded(this.#faults, 'audit.refused', () => this.#add(asked, 'deny', null, this.#clock.now(), status, NOTHING));
  }

  /** The requests of a session in a window, oldest first, at most one answer's worth. */
  rows(session: string, from_ms: number, to_ms: number): AuditRow[] {
    const statement = this.#db.prepare(
      `SELECT ${COLUMNS} FROM requests WHERE session = ? AND at_ms BETWEEN ? AND ? ORDER BY at_ms, id LIMIT ?`,
    );
    return statement.all(session, from_ms, to_ms, AUDIT_ROWS_MAX) as unknown as AuditRow[];
  }

  /** What a group's requests that left have used, and what is reserved for those that run. Throws when the disk refuses. */
  usedSince(group: string, since_ms: number): Used {
    const statement = this.#db.prepare(
      `SELECT coalesce(sum(cost_micros), 0) AS cost_micros, coalesce(sum(tokens), 0) AS tokens, count(*) AS requests
       FROM requests WHERE group_name = ? AND at_ms >= ? AND decision <> 'deny'`,
    );
    return statement.get(group, since_ms) as unknown as Used;
  }

  /** Of models. */
  usage(since_ms: number): UsageRow[] {
    const statement = this.#db.prepare(
      `SELECT group_name AS "group", count(*) AS requests, coalesce(sum(input_tokens), 0) AS input_tokens,
         coalesce(sum(output_tokens), 0) AS output_tokens, sum(cost_micros) AS cost_micros
       FROM requests WHERE at_ms >= ? AND decision <> 'deny' AND service IS NULL GROUP BY group_name ORDER BY group_name`,
    );
    return statement.all(since_ms) as unknown as UsageRow[];
  }

  /** Requests of a group that a service let out since a time. Reads all rows since then: for the start of a count. */
  countSince(group: string, service: string, since_ms: number): number {
    const statement = this.#db.prepare(
      "SELECT count(*) AS n FROM requests WHERE at_ms >= ? AND group_name = ? AND service = ? AND decision <> 'deny'",
    );
    return (statement.get(since_ms, group, service) as { n: number }).n;
  }

  /** When each secret was last injected. Reads the whole table: for an operator's list, not for a request. */
  lastUsed(): Map<string, number> {
    const rows = this.#db
      .prepare('SELECT secret, max(at_ms) AS at_ms FROM requests WHERE secret IS NOT NULL GROUP BY secret')
      .all() as { secret: string; at_ms: number }[];
    return new Map(rows.map((row) => [row.secret, row.at_ms]));
  }

  close(): void {
    this.#db.close();
  }

  #add(
    asked: Asked,
    decision: 'allow' | 'deny',
    secret: string | null,
    ended_ms: number | null,
    status: number | null,
    { cost_micros, tokens }: Amount,
  ): number {
    // The agent's own text: it may carry anything.
    const path = redact(asked.path.slice(0, AUDIT_PATH_CHARS_MAX));
    const { lastInsertRowid } = this.#insert.run(
      asked.session,
      asked.group,
      this.#clock.now(),
      asked.method,
      asked.host,
      path,
      asked.rule,
      asked.service,
      decision,
      secret,
      ended_ms,
      status,
      cost_micros,
      tokens,
    );
    return Number(lastInsertRowid);
  }
}
