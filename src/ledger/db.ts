import type { DatabaseSync, SQLInputValue, StatementSync } from 'node:sqlite';

/** A thin, typed view of one SQLite connection: statements are prepared once and kept. SQL stays visible where it runs. */
export class Db {
  readonly raw: DatabaseSync;
  /**
   * The newest hop (`events.ts`), which the next one covers; null: it is to be read, which after a write takes eight microseconds. It is the
   * newest one because every hop is written there, and whatever rolls back (`ledger.ts`) forgets it.
   */
  head: { id: number; hash: string } | null = null;
  readonly #statements = new Map<string, StatementSync>();

  constructor(raw: DatabaseSync) {
    this.raw = raw;
  }

  /** Runs a statement; returns how many rows it changed. */
  run(sql: string, ...values: SQLInputValue[]): number {
    return Number(this.#prepare(sql).run(...values).changes);
  }

  /** Runs an INSERT; returns the new row's key. */
  insert(sql: string, ...values: SQLInputValue[]): number {
    return Number(this.#prepare(sql).run(...values).lastInsertRowid);
  }

  /** The first row, or undefined. The caller states the shape that its SELECT has. */
  get<Row>(sql: string, ...values: SQLInputValue[]): Row | undefined {
    return this.#prepare(sql).get(...values) as Row | undefined;
  }

  all<Row>(sql: string, ...values: SQLInputValue[]): Row[] {
    return this.#prepare(sql).all(...values) as Row[];
  }

  #prepare(sql: string): StatementSync {
    let statement = this.#statements.get(sql);
    if (statement === undefined) {
      statement = this.raw.prepare(sql);
      this.#statements.set(sql, statement);
    }
    return statement;
  }
}
