import { existsSync, statSync } from 'node:fs';
import { DatabaseSync } from 'node:sqlite';
import { messageOf, OperatingError } from '../base/errors.ts';
import { noFaults } from '../base/faults.ts';
import { LEDGER_CHECKED_BYTES_MAX } from '../base/limits/messages.ts';
import { type Migration, migrate } from './migrate.ts';

/**
 * A commit changes some ten to sixteen pages, a few bytes in each, and each is written whole before its sender is answered: small
 * pages make a commit a third shorter. They hold for a new file; one that exists keeps its own. A checkpoint, which one
 * commit in so many has to wait for, comes after 8 MB.
 */
const SETTINGS = `
  PRAGMA page_size = 1024; PRAGMA journal_mode = WAL; PRAGMA wal_autocheckpoint = 8000;
  PRAGMA synchronous = FULL; PRAGMA trusted_schema = OFF;`;

/**
 * From the first look on: after a crash whoever opens the file first, a backup's reader too, mends its log alone, and the others
 * have to wait for that.
 */
const LOCKED_MS = 2000;

/**
 * Opens `ledger.db`: WAL, synchronous FULL (a commit that was reported survives power loss), defensive mode, foreign
 * keys, integrity checked. The host is its only writer.
 * Throws `OperatingError('storage')` with one sentence, and changes nothing, when the file is corrupt, unwritable, or
 * newer than this code.
 */
export async function openLedgerFile(file: string, migrations: Migration[], faults = noFaults): Promise<DatabaseSync> {
  const isNew = !existsSync(file);
  let db = openChecked(file, isNew);
  const migrated = await migrate(db, file, migrations, isNew, faults);
  if (migrated === 'replaced') db = openChecked(file, false);
  return db;
}

function openChecked(file: string, isNew: boolean): DatabaseSync {
  let db: DatabaseSync | null = null;
  try {
    db = new DatabaseSync(file, {
      enableForeignKeyConstraints: true,
      enableDoubleQuotedStringLiterals: false,
      timeout: LOCKED_MS,
    });
    db.enableDefensive(true);
    if (!isNew) checkIntegrity(db, file);
    db.exec(SETTINGS);
    db.exec('BEGIN IMMEDIATE; ROLLBACK');
    return db;
  } catch (error) {
    db?.close();
    if (error instanceof OperatingError) throw error;
    throw new OperatingError(
      'storage',
      `the ledger ${file} cannot be opened: ${messageOf(error)}`,
      'check the disk and the file’s owner, or restore a copy',
      error,
    );
  }
}

/** `quick_check` does not see that an index has another key than its table: a message that comes twice would be taken twice. */
function checkIntegrity(db: DatabaseSync, file: string): void {
  const isLarge = statSync(file).size > LEDGER_CHECKED_BYTES_MAX;
  for (const check of isLarge ? ['quick_check(1)', 'integrity_check(messages)'] : ['integrity_check(1)']) {
    const row = db.prepare(`PRAGMA ${check}`).get();
    const result = row === undefined ? 'no answer' : String(Object.values(row)[0]);
    if (result === 'ok') continue;
    throw new OperatingError(
      'storage',
      `the ledger ${file} is damaged: ${result}`,
      'nothing was changed; restore a copy of the file',
    );
  }
}
