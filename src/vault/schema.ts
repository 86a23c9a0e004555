import { chmodSync, closeSync, openSync } from 'node:fs';
import { DatabaseSync } from 'node:sqlite';
import { messageOf, OperatingError } from '../base/errors.ts';

/**
 * Opens a database of the gateway: WAL, strict durability as asked, schema brought up to date in one transaction,
 * files readable by their owner only. The file's lock is held for the life of the process: the kernel refuses a second
 * opener, and each transaction saves ten system calls.
 * Throws `OperatingError`: `conflict` when another process holds it, `config` for a schema newer than this code,
 * `storage` for everything else.
 */
export function openDatabase(path: string, options: DatabaseOptions): DatabaseSync {
  try {
    // SQLite gives its side files the mode of the database, so the database must have it before they exist.
    closeSync(openSync(path, 'a', 0o600));
    chmodSync(path, 0o600);
    const db = new DatabaseSync(path, { timeout: 0 });
    db.exec(`PRAGMA locking_mode = EXCLUSIVE; PRAGMA journal_mode = WAL; PRAGMA foreign_keys = ON;
             PRAGMA synchronous = ${options.synchronous}; PRAGMA trusted_schema = OFF`);
    migrate(db, path, options.migrations);
    return db;
  } catch (error) {
    if (error instanceof OperatingError) throw error;
    if (/locked|busy/.test(messageOf(error)))
      throw new OperatingError('conflict', `${path} is in use: another gateway is already running`, 'stop it first');
    throw new OperatingError('storage', `${path} cannot be used (${messageOf(error)})`, undefined, error);
  }
}

export interface DatabaseOptions {
  /** FULL: a commit survives a power cut. NORMAL: it survives a crash of the process. */
  synchronous: 'FULL' | 'NORMAL';
  /** SQL from version n to n + 1; only ever appended to. */
  migrations: readonly string[];
}

function migrate(db: DatabaseSync, path: string, migrations: readonly string[]): void {
  db.exec('BEGIN IMMEDIATE');
  const { user_version: version } = db.prepare('PRAGMA user_version').get() as { user_version: number };
  if (version > migrations.length) {
    db.exec('ROLLBACK');
    throw new OperatingError(
      'config',
      `${path} was written by a newer version (schema ${version}, this one knows ${migrations.length})`,
      'run the newer version, or restore a backup',
    );
  }
  for (const sql of migrations.slice(version)) db.exec(sql);
  db.exec(`PRAGMA user_version = ${migrations.length}`);
  db.exec('COMMIT');
}
