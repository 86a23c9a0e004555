import { readdirSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { backup, DatabaseSync } from 'node:sqlite';
import { fileURLToPath } from 'node:url';
import { messageOf, OperatingError } from '../base/errors.ts';
import { type Faults, guarded } from '../base/faults.ts';

/** One numbered SQL file. */
export interface Migration {
  version: number;
  name: string;
  sql: string;
}

const FOLDER = join(dirname(fileURLToPath(import.meta.url)), 'migrations');

/** The migrations of this code, in order. */
export function readMigrations(folder = FOLDER): Migration[] {
  return readdirSync(folder)
    .filter((name) => /^\d{4}_[a-z_]+\.sql$/.test(name))
    .sort()
    .map((name) => ({ version: Number(name.slice(0, 4)), name, sql: readFileSync(join(folder, name), 'utf8') }));
}

/**
 * Brings the file to the newest schema. A ledger with data is migrated as a copy, taken by SQLite's backup API; the
 * copy is checked and then takes the file's place in one rename, so a failure leaves the old file in force.
 * Returns `replaced` when the caller must open the file again (`db` is then closed).
 */
export async function migrate(
  db: DatabaseSync,
  file: string,
  migrations: Migration[],
  isNew: boolean,
  faults: Faults,
): Promise<'current' | 'replaced'> {
  const version = versionOf(db);
  const newest = migrations.at(-1)?.version ?? 0;
  if (version > newest) {
    db.close();
    throw new OperatingError(
      'storage',
      `the ledger ${file} has schema ${version}, this GlassClaw knows ${newest}`,
      'run the newer GlassClaw; nothing was changed',
    );
  }
  const pending = migrations.filter((migration) => migration.version > version);
  if (pending.length === 0) return 'current';
  if (isNew || version === 0) {
    apply(db, pending, file);
    return 'current';
  }
  await migrateCopy(db, file, pending, faults);
  return 'replaced';
}

async function migrateCopy(db: DatabaseSync, file: string, pending: Migration[], faults: Faults): Promise<void> {
  const copyFile = `${file}.migrating`;
  removeDatabase(copyFile);
  try {
    await guarded(faults, 'migration.copy', () => backup(db, copyFile));
    guarded(faults, 'migration.apply', () => bringForward(copyFile, file, pending));
    await guarded(faults, 'migration.keep', () => backup(db, `${file}.before-${pending[0]!.version}`));
    emptyLog(db, file);
  } catch (error) {
    db.close();
    removeDatabase(copyFile);
    if (error instanceof OperatingError) throw error;
    throw new OperatingError(
      'storage',
      `${file} could not be copied for its migration: ${messageOf(error)}`,
      'the old ledger is still in force',
      error,
    );
  }
  db.close();
  rmSync(`${file}-wal`, { force: true });
  rmSync(`${file}-shm`, { force: true });
  guarded(faults, 'migration.replace', () => renameSync(copyFile, file));
}

function bringForward(copyFile: string, file: string, pending: Migration[]): void {
  const copy = new DatabaseSync(copyFile, { enableForeignKeyConstraints: true });
  try {
    for (const migration of pending) apply(copy, [migration], file);
    verify(copy, file);
    copy.exec('PRAGMA journal_mode = DELETE');
  } finally {
    copy.close();
  }
}

/** The write-ahead log goes before the file is replaced: all of it is in the old file then, should that be the last that is done. */
function emptyLog(db: DatabaseSync, file: string): void {
  if (db.prepare('PRAGMA wal_checkpoint(TRUNCATE)').get()?.['busy'] === 0) return;
  const fix = 'the old ledger is still in force; end what reads it and start again';
  throw new OperatingError('storage', `${file} is read by another program, and cannot be migrated meanwhile`, fix);
}

/** In one transaction: all of them, or none. */
function apply(db: DatabaseSync, migrations: Migration[], file: string): void {
  let begun = '';
  try {
    db.exec('BEGIN IMMEDIATE');
    for (const { version, name, sql } of migrations) {
      begun = name;
      db.exec(`${sql}\n;PRAGMA user_version = ${version}`);
    }
    db.exec('COMMIT');
  } catch (error) {
    if (db.isTransaction) db.exec('ROLLBACK');
    throw new OperatingError(
      'storage',
      `migration ${begun} of ${file} failed: ${messageOf(error)}`,
      'the old ledger is still in force',
      error,
    );
  }
}

function verify(db: DatabaseSync, file: string): void {
  const integrity = db.prepare('PRAGMA integrity_check(1)').get();
  const broken = db.prepare('PRAGMA foreign_key_check').get();
  if (integrity?.['integrity_check'] !== 'ok' || broken !== undefined) {
    throw new OperatingError(
      'storage',
      `the migrated copy of ${file} failed its check`,
      'the old ledger is still in force',
    );
  }
}

function versionOf(db: DatabaseSync): number {
  return Number(db.prepare('PRAGMA user_version').get()?.['user_version'] ?? 0);
}

function removeDatabase(file: string): void {
  for (const suffix of ['', '-wal', '-shm', '-journal']) rmSync(file + suffix, { force: true });
}
