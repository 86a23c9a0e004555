import { messageOf, OperatingError } from '../base/errors.ts';
import { type Faults, guarded } from '../base/faults.ts';
import { GROUP_COMMIT_MAX } from '../base/limits/messages.ts';
import { Db } from './db.ts';
import { readMigrations } from './migrate.ts';
import { openLedgerFile } from './open.ts';

/** A write that nobody waits for joins the next commit, or makes one of its own after this. In milliseconds. */
const LAZY_MS = 10;

/** Waits of `insist` after a storage error, in milliseconds. */
const INSIST_FIRST_MS = 100;
const INSIST_MAX_MS = 5000;

interface Job {
  name: string;
  run: (db: Db) => unknown;
  resolve: (value: unknown) => void;
  reject: (error: unknown) => void;
}

type Outcome = { ok: true; value: unknown } | { ok: false; error: unknown };

/**
 * The host's state. Jobs that are waiting when the event loop comes round run in one transaction (group commit): one
 * fsync serves them all, each behind its own savepoint, so that one that throws takes no other with it. A job that is
 * asked for while another runs joins its transaction: the turn that a message begins is on disk together with it.
 * A promise of `write` resolves after the commit: what it says is on disk.
 */
export class Ledger {
  readonly db: Db;
  readonly #faults: Faults;
  #queue: Job[] = [];
  #scheduled = false;
  #lazy: NodeJS.Timeout | null = null;
  #closed = false;
  readonly #listeners = new Set<() => void>();
  readonly #troubled = new Set<(error: Error) => void>();
  #commits = 0;

  private constructor(db: Db, faults: Faults) {
    this.db = db;
    this.#faults = faults;
  }

  /** Opens and migrates. Throws `OperatingError('storage')`. */
  static async open(file: string, faults: Faults): Promise<Ledger> {
    const opened = await guarded(faults, 'ledger.open', () => openLedgerFile(file, readMigrations(), faults));
    return new Ledger(new Db(opened), faults);
  }

  /**
   * Runs `job` in a transaction. `name` is a fault point: the crash matrix kills before and after it.
   * Rejects with what the job threw, or with `OperatingError('storage')` when the commit failed: then nothing of it holds.
   */
  write<T>(name: string, job: (db: Db) => T): Promise<T> {
    const written = this.#enqueue(name, job);
    if (!this.#scheduled) {
      this.#scheduled = true;
      setImmediate(() => this.#flush());
    }
    return written;
  }

  /**
   * As `write`, for what is not on a message's path (a receipt, a hop): it shares the commit of whatever comes next, so
   * that under load it costs no fsync of its own.
   */
  writeSoon<T>(name: string, job: (db: Db) => T): Promise<T> {
    const written = this.#enqueue(name, job);
    this.#lazy ??= setTimeout(() => this.#flush(), LAZY_MS);
    return written;
  }

  /**
   * As `write`, but a storage error (full or read-only disk) is tried again until it goes through: for facts that
   * have already happened outside and exist nowhere else.
   */
  async insist<T>(name: string, job: (db: Db) => T, urgency: 'now' | 'soon' = 'now'): Promise<T> {
    for (let wait = INSIST_FIRST_MS; ; wait = Math.min(wait * 2, INSIST_MAX_MS)) {
      try {
        return await (urgency === 'now' ? this.write(name, job) : this.writeSoon(name, job));
      } catch (error) {
        if (!(error instanceof OperatingError) || error.code !== 'storage' || this.#closed) throw error;
        await new Promise((resolve) => setTimeout(resolve, wait));
      }
    }
  }

  /** Commits made since the start. */
  get commits(): number {
    return this.#commits;
  }

  /** Calls back after each commit; for streams that follow the events. Returns how to stop that. */
  onCommit(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Calls back with each commit that a storage error undid, whoever had asked for it: most who ask tell only their own caller. */
  onTrouble(listener: (error: Error) => void): void {
    this.#troubled.add(listener);
  }

  close(): void {
    this.#flush();
    this.#closed = true;
    this.db.raw.close();
  }

  #enqueue<T>(name: string, job: (db: Db) => T): Promise<T> {
    if (this.#closed) return Promise.reject(new OperatingError('storage', 'the ledger is closed'));
    return new Promise<T>((resolve, reject) => {
      this.#queue.push({ name, run: job, resolve: resolve as (value: unknown) => void, reject });
    });
  }

  #flush(): void {
    this.#scheduled = false;
    if (this.#lazy !== null) clearTimeout(this.#lazy);
    this.#lazy = null;
    const waiting = this.#queue.splice(0);
    while (waiting.length > 0) this.#commit(waiting.splice(0, GROUP_COMMIT_MAX));
  }

  #commit(jobs: Job[]): void {
    for (const job of jobs) this.#faults.point(`ledger.${job.name}:before`);
    let outcomes: Outcome[];
    try {
      this.db.raw.exec('BEGIN IMMEDIATE');
      outcomes = jobs.map((job) => this.#runOne(job, jobs.length > 1));
      for (let job = this.#queue.shift(); job !== undefined; job = this.#queue.shift()) {
        this.#faults.point(`ledger.${job.name}:before`);
        jobs.push(job);
        outcomes.push(this.#runOne(job, true));
      }
      if (!this.db.raw.isTransaction) throw new Error('the transaction was rolled back');
      this.db.raw.exec('COMMIT');
      this.#commits += 1;
    } catch (error) {
      this.#rollBack();
      const failure = storageError(error);
      for (const job of jobs) job.reject(failure);
      if (isStorageError(error)) for (const listener of this.#troubled) listener(failure as OperatingError);
      return;
    }
    for (const job of jobs) this.#faults.point(`ledger.${job.name}:after`);
    outcomes.forEach((outcome, index) => {
      if (outcome.ok) jobs[index]!.resolve(outcome.value);
      else jobs[index]!.reject(outcome.error);
    });
    for (const listener of this.#listeners) listener();
  }

  /** Throws only when the whole transaction is lost. */
  #runOne(job: Job, shared: boolean): Outcome {
    if (!shared) return { ok: true, value: job.run(this.db) };
    this.db.raw.exec('SAVEPOINT job');
    try {
      const value = job.run(this.db);
      this.db.raw.exec('RELEASE job');
      return { ok: true, value };
    } catch (error) {
      if (isStorageError(error) || !this.db.raw.isTransaction) throw error;
      this.db.head = null;
      this.db.raw.exec('ROLLBACK TO job; RELEASE job');
      return { ok: false, error };
    }
  }

  #rollBack(): void {
    this.db.head = null;
    try {
      if (this.db.raw.isTransaction) this.db.raw.exec('ROLLBACK');
    } catch {
      // A disk that fails here has failed the transaction already; the next BEGIN tells.
    }
  }
}

/** SQLite's result codes for a disk that is full, failing, read-only or locked away. */
const STORAGE_CODES = new Set([5, 6, 8, 10, 11, 13, 14, 26]);

function isStorageError(error: unknown): boolean {
  if (typeof error !== 'object' || error === null || !('errcode' in error)) return false;
  return typeof error.errcode === 'number' && STORAGE_CODES.has(error.errcode & 0xff);
}

function storageError(error: unknown): unknown {
  if (!isStorageError(error)) return error;
  return new OperatingError(
    'storage',
    `the ledger cannot be written: ${messageOf(error)}`,
    'free some space or make the disk writable',
    error,
  );
}
