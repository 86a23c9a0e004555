import { backup, type DatabaseSync, type StatementSync } from 'node:sqlite';
import { setImmediate } from 'node:timers/promises';
import type { Clock } from '../base/clock.ts';
import { type Faults, guarded } from '../base/faults.ts';
import { AUDIT_OPEN_MS, AUDIT_PATH_CHARS_MAX, AUDIT_ROWS_MAX, AUDIT_WAL_PAGES } from '../base/limits/gateway.ts';
import { redact } from '../base/log.ts';
import { type Cut, cutBytes, dayBefore } from '../protocol/chain.ts';
import type { AuditRow, EventAnchor, UsageRow } from '../protocol/gateway.ts';
import { openDatabase } from '../vault/schema.ts';
import type { Used } from './budget.ts';
import { begunLink, type Ended, endedLink, FIRST_LINK, headLink, type Link } from './chain.ts';
import type { Amount } from './prices.ts';
import { addHead, cutAt, cutBefore, eventKnownAt, RECORD_TABLES } from './record.ts';
import { NO_USAGE, type Usage } from './usage.ts';

/**
 * `audit.db`: one row per request of an agent. It is inserted before the first byte leaves; a request that cannot be
 * recorded is not made. WAL with synchronous NORMAL: 0.02 ms a row instead of 0.45, and a crash of this process loses
 * none; a power cut may lose the newest. An id is the time in microseconds, so that a window of time is a range of rows and
 * no index is needed: each one costs 15 µs of every request.
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
  // Of rows from before there was a chain its columns are null.
  `DROP INDEX requests_session;
   DROP INDEX requests_at;
   UPDATE requests SET id = at_ms * 1000 + id % 1000;
   ALTER TABLE requests ADD COLUMN begun_seq INTEGER;
   ALTER TABLE requests ADD COLUMN begun_hash TEXT;
   ALTER TABLE requests ADD COLUMN ended_seq INTEGER;
   ALTER TABLE requests ADD COLUMN ended_hash TEXT;`,
  RECORD_TABLES,
];

/** Ids to a millisecond. */
const IDS_PER_MS = 1000;
/** How far a clock that was set back may be behind the ids. */
const CLOCK_BACK_MS = 60 * 60 * 1000;

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

/** The row of a request that runs. */
export interface Running {
  id: number;
  rule: string;
}

const NO_OUTCOME = { ...NO_USAGE, request_bytes: 0, response_bytes: 0, redacted: 0 };

export class Audit {
  readonly #db: DatabaseSync;
  readonly #clock: Clock;
  readonly #faults: Faults;
  readonly #insert: StatementSync;
  readonly #update: StatementSync;
  #lastId: number;
  #head: Link;

  /** Opens or creates the file. Requests that a crash left open are closed as `error`. Throws `OperatingError`. */
  constructor(path: string, clock: Clock, faults: Faults) {
    this.#clock = clock;
    this.#faults = faults;
    this.#db = guarded(faults, 'audit.open', () =>
      openDatabase(path, { synchronous: 'NORMAL', migrations: MIGRATIONS }),
    );
    this.#insert = this.#db.prepare(
      `INSERT INTO requests (id, session, group_name, at_ms, method, host, path, service, secret, rule, decision, ended_ms,
         status, cost_micros, tokens, begun_seq, begun_hash, ended_seq, ended_hash)
       VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
    );
    this.#update = this.#db.prepare(
      `UPDATE requests SET ended_ms = ?, decision = ?, rule = ?, status = ?, model = ?, request_bytes = ?,
         response_bytes = ?, input_tokens = ?, output_tokens = ?, redacted = ?, cost_micros = ?, tokens = ?,
         ended_seq = ?, ended_hash = ? WHERE id = ?`,
    );
    this.#db.exec(`PRAGMA wal_autocheckpoint = ${AUDIT_WAL_PAGES}`);
    const newest = 'SELECT coalesce((SELECT max(id) FROM requests), (SELECT through FROM cut), 0) AS id';
    const last = this.#db.prepare(newest).get() as { id: number };
    this.#lastId = last.id;
    this.#head = this.#lastLink();
    guarded(faults, 'audit.recover', () => this.#closeOrphans());
  }

  /** The newest link of the chain: what an anchor holds. */
  get head(): Link {
    return this.#head;
  }

  /**
   * Records an allowed request, with what is reserved for it, before it leaves. Throws when it cannot: then it must not
   * leave.
   */
  begin(asked: Asked, secret: string | null, reserved: Amount): Running {
    return guarded(this.#faults, 'audit.begin', () => this.#add(asked, secret, reserved, null));
  }

  /** Throws when the disk refuses; the row then stays open until the next start. */
  end({ id, rule }: Running, { rule: changed, ...outcome }: Outcome, used: Amount): void {
    const ended = { ...outcome, ...used, id, rule: changed ?? rule, ended_ms: this.#clock.now() };
    guarded(this.#faults, 'audit.end', () => this.#end(ended));
  }

  /** Records a refused request. Throws when the disk refuses. */
  refused(asked: Asked, status: number): void {
    guarded(this.#faults, 'audit.refused', () => this.#add(asked, null, NOTHING, status));
  }

  /** The requests of a session in a window, oldest first, at most one answer's worth. */
  rows(session: string, from_ms: number, to_ms: number): AuditRow[] {
    const statement = this.#db.prepare(
      `SELECT ${COLUMNS} FROM requests WHERE id BETWEEN ? AND ? AND session = ? AND at_ms BETWEEN ? AND ? ORDER BY id LIMIT ?`,
    );
    const [first, last] = [from_ms * IDS_PER_MS, (to_ms + CLOCK_BACK_MS) * IDS_PER_MS];
    return statement.all(first, last, session, from_ms, to_ms, AUDIT_ROWS_MAX) as unknown as AuditRow[];
  }

  /** The newest requests since a time, oldest first; `group` null: of all. Reads all rows since then. */
  log(group: string | null, since_ms: number, most: number): AuditRow[] {
    const statement = this.#db.prepare(
      `SELECT ${COLUMNS} FROM requests WHERE id >= ? AND at_ms >= ? AND (?3 IS NULL OR group_name = ?3) ORDER BY id DESC LIMIT ?`,
    );
    const rows = statement.all(since_ms * IDS_PER_MS, since_ms, group, most) as unknown as AuditRow[];
    return rows.reverse();
  }

  /** Writes down a head of the host's events, or what `cut` (a day) of them was signed. Throws when the disk refuses. */
  hostHead({ event, hash }: EventAnchor, cut: string | null = null): Link {
    const head = { at_ms: this.#clock.now(), event, event_hash: hash, cut };
    const link = headLink(this.#head, head);
    guarded(this.#faults, 'audit.head', () => addHead(this.#db, { ...head, ...link }));
    this.#head = link;
    return link;
  }

  /** The newest event that the host had told of by then. */
  eventKnownAt(at_ms: number): number {
    return eventKnownAt(this.#db, at_ms);
  }

  /** Removes the requests before a time, the beginning of a day, up to the last moment before it at which none ran. */
  async cut(before_ms: number, sign: (bytes: Buffer) => string): Promise<void> {
    const next = (): Cut | null => cutBefore(this.#db, dayBefore(before_ms), before_ms * IDS_PER_MS);
    for (let cut = next(); cut !== null; cut = next()) {
      const signed = { ...cut, signature: sign(cutBytes('requests', cut)) };
      guarded(this.#faults, 'audit.cut', () => cutAt(this.#db, signed));
      await setImmediate();
    }
  }

  /** For who reads all of it, as it is now: up to a row's key, and a link's number. */
  read<T>(act: (db: DatabaseSync, now: { until: number; last: number }) => T): T {
    return act(this.#db, { until: this.#lastId, last: this.#head.seq });
  }

  /** What a group's requests that left have used, and what is reserved for those that run. Throws when the disk refuses. */
  usedSince(group: string, since_ms: number): Used {
    const statement = this.#db.prepare(
      `SELECT coalesce(sum(cost_micros), 0) AS cost_micros, coalesce(sum(tokens), 0) AS tokens, count(*) AS requests
       FROM requests WHERE id >= ? AND at_ms >= ? AND group_name = ? AND decision <> 'deny'`,
    );
    return statement.get(since_ms * IDS_PER_MS, since_ms, group) as unknown as Used;
  }

  /** Of models. */
  usage(since_ms: number): UsageRow[] {
    const statement = this.#db.prepare(
      `SELECT group_name AS "group", count(*) AS requests, coalesce(sum(input_tokens), 0) AS input_tokens,
         coalesce(sum(output_tokens), 0) AS output_tokens, sum(cost_micros) AS cost_micros
       FROM requests WHERE id >= ? AND at_ms >= ? AND decision <> 'deny' AND service IS NULL GROUP BY group_name ORDER BY group_name`,
    );
    return statement.all(since_ms * IDS_PER_MS, since_ms) as unknown as UsageRow[];
  }

  /** Requests of a group that a service let out since a time. Reads all rows since then: for the start of a count. */
  countSince(group: string, service: string, since_ms: number): number {
    const statement = this.#db.prepare(
      "SELECT count(*) AS n FROM requests WHERE id >= ? AND at_ms >= ? AND group_name = ? AND service = ? AND decision <> 'deny'",
    );
    return (statement.get(since_ms * IDS_PER_MS, since_ms, group, service) as { n: number }).n;
  }

  /** When each secret was last injected. Reads the whole table: for an operator's list, not for a request. */
  lastUsed(): Map<string, number> {
    const rows = this.#db
      .prepare('SELECT secret, max(at_ms) AS at_ms FROM requests WHERE secret IS NOT NULL GROUP BY secret')
      .all() as { secret: string; at_ms: number }[];
    return new Map(rows.map((row) => [row.secret, row.at_ms]));
  }

  /** A whole copy as a new file; requests that come meanwhile are in it too. */
  async copy(file: string): Promise<void> {
    await backup(this.#db, file);
  }

  close(): void {
    this.#db.close();
  }

  #add(asked: Asked, secret: string | null, { cost_micros, tokens }: Amount, refusedWith: number | null): Running {
    const at_ms = this.#clock.now();
    const id = Math.max(this.#lastId + 1, at_ms * IDS_PER_MS);
    // The agent's own text: it may carry anything.
    const path = redact(asked.path.slice(0, AUDIT_PATH_CHARS_MAX));
    const { session, group, method, host, service, rule } = asked;
    const begun = begunLink(this.#head, { id, session, group, at_ms, method, host, path, service, secret });
    const refused = refusedWith !== null;
    const [decision, ended_ms] = refused ? ['deny', at_ms] : ['allow', null];
    const outcome = { ...NO_OUTCOME, id, ended_ms: at_ms, decision, rule, status: refusedWith, cost_micros, tokens };
    const ended = refused ? endedLink(begun, outcome) : null;
    const asking = [id, session, group, at_ms, method, host, path, service, secret, rule];
    const links = [begun.seq, begun.hash, ended?.seq ?? null, ended?.hash ?? null];
    this.#insert.run(...asking, decision, ended_ms, refusedWith, cost_micros, tokens, ...links);
    this.#lastId = id;
    this.#head = ended ?? begun;
    return { id, rule };
  }

  #end(row: Ended): void {
    const link = endedLink(this.#head, row);
    this.#update.run(
      row.ended_ms,
      row.decision,
      row.rule,
      row.status,
      row.model,
      row.request_bytes,
      row.response_bytes,
      row.input_tokens,
      row.output_tokens,
      row.redacted,
      row.cost_micros,
      row.tokens,
      link.seq,
      link.hash,
      row.id,
    );
    this.#head = link;
  }

  #closeOrphans(): void {
    const orphans = this.#db
      .prepare(
        `SELECT id, rule, status, model, request_bytes, response_bytes, input_tokens, output_tokens, redacted, cost_micros,
           tokens FROM requests WHERE id >= ? AND ended_ms IS NULL ORDER BY id`,
      )
      .all(this.#oldestOpen()) as unknown as Omit<Ended, 'decision' | 'ended_ms'>[];
    for (const orphan of orphans) this.#end({ ...orphan, decision: 'error', ended_ms: this.#clock.now() });
  }

  #lastLink(): Link {
    const last = this.#db.prepare(
      `SELECT begun_seq AS seq, begun_hash AS hash FROM requests WHERE id >= ?1 AND begun_seq IS NOT NULL
       UNION ALL SELECT ended_seq, ended_hash FROM requests WHERE id >= ?1 AND ended_seq IS NOT NULL
       UNION ALL SELECT seq, hash FROM heads WHERE seq = (SELECT max(seq) FROM heads)
       UNION ALL SELECT seq, hash FROM cut WHERE seq > 0
       ORDER BY seq DESC LIMIT 1`,
    );
    return (last.get(this.#oldestOpen()) as Link | undefined) ?? FIRST_LINK;
  }

  /** No row before this id can belong to a request that ran at the last crash. */
  #oldestOpen(): number {
    return this.#lastId - AUDIT_OPEN_MS * IDS_PER_MS;
  }
}
