import type { DatabaseSync } from 'node:sqlite';
import { OperatingError } from '../base/errors.ts';
import { type Faults, guarded } from '../base/faults.ts';
import { ROTATION_BATCH } from '../base/limits/gateway.ts';
import type { KeySource } from './key_source.ts';
import { isUnder, type Kek, kekOf, open, rewrap, type Scope, seal } from './seal.ts';

/**
 * The vault's key-encryption keys. A canary is opened with them at start; if it does not open, the process refuses to start instead
 * of failing at the first use. During a rotation there are two. The canary is wrapped anew last: under whose key it is, says
 * whether all the rest is.
 */
export interface Keks {
  /** What is sealed from now on, is sealed under it. */
  newest: Kek;
  /** Null: nothing is under another one. */
  older: Kek | null;
}

/** Every secret belongs to the install; a group names it in its `group.yaml`. */
export const OWNER = 'install';
const CANARY: Scope = { secret: '.canary', owner: OWNER, terms: '' };
const CANARY_VALUE = Buffer.from('glassclaw vault canary');

/** A key is made only for a vault that holds nothing yet: a new one for an old vault would lock it. */
export async function unlock(db: DatabaseSync, path: string, source: KeySource, faults: Faults): Promise<Keks> {
  const row = db.prepare('SELECT envelope FROM canary').get() as { envelope: Uint8Array } | undefined;
  const current = await source.read('current');
  if (row === undefined) {
    const kek = kekOf(current ?? (await guarded(faults, 'vault.key', () => source.make('current'))));
    const statement = db.prepare('INSERT INTO canary (one, envelope) VALUES (1, ?)');
    guarded(faults, 'vault.canary', () => statement.run(seal(kek, CANARY, CANARY_VALUE)));
    return { newest: kek, older: null };
  }
  const next = await source.read('next');
  const keks = [next, current].flatMap((key) => (key === null ? [] : [kekOf(key)]));
  const canary = Buffer.from(row.envelope);
  const holder = keks.find((kek) => isUnder(kek, canary));
  if (holder !== undefined) {
    const opened = open(holder, CANARY, canary);
    if (opened.ok && opened.value.equals(CANARY_VALUE)) return { newest: keks[0]!, older: keks[1] ?? null };
  }
  throw whyLocked(path, source.name, { isDamaged: holder !== undefined, isMissing: current === null });
}

function whyLocked(path: string, key: string, found: { isDamaged: boolean; isMissing: boolean }): OperatingError {
  const refuse = (what: string, fix: string): OperatingError => new OperatingError('config', what, fix);
  if (found.isDamaged) return refuse(`${path} is damaged: its canary does not open`, 'restore it from your backup');
  if (!found.isMissing) return refuse(`${key} belongs to another vault than ${path}`, 'put the key of this vault back');
  const fix = 'restore it from your backup; without it the secrets must be set again in a new vault';
  return refuse(`${key} is missing, and the vault was sealed with it`, fix);
}

/** What a rotation has done. */
export interface Rewrapped {
  rewrapped: number;
  /** Envelopes that open under neither key; they stay as they are. */
  damaged: number;
}

interface Row {
  name: string;
  owner: string;
  terms: string;
  envelope: Uint8Array;
  next: Uint8Array | null;
}

/**
 * Wraps the data key of every envelope under the newest key, the canary's last. Each batch is a transaction, and between two of them
 * requests are served; what is under the newest key already is left alone, so that it can be repeated after any end. No value is
 * decrypted.
 */
export async function rewrapAll(db: DatabaseSync, newest: Kek, older: Kek, faults: Faults): Promise<Rewrapped> {
  const done: Rewrapped = { rewrapped: 0, damaged: 0 };
  const page = db.prepare(
    'SELECT name, owner, terms, envelope, next FROM secrets WHERE name > ? ORDER BY name LIMIT ?',
  );
  const update = db.prepare('UPDATE secrets SET envelope = ?, next = ? WHERE name = ?');
  const moved = (scope: Scope, found: Uint8Array): Buffer => {
    const envelope = Buffer.from(found);
    if (isUnder(newest, envelope)) return envelope;
    const wrapped = rewrap(older, newest, scope, envelope);
    done[wrapped === null ? 'damaged' : 'rewrapped'] += 1;
    return wrapped ?? envelope;
  };
  let last = '';
  for (;;) {
    const rows = page.all(last, ROTATION_BATCH) as unknown as Row[];
    if (rows.length === 0) break;
    guarded(faults, 'vault.rewrap', () =>
      inTransaction(db, () => {
        for (const { name, owner, terms, envelope, next } of rows) {
          const scope = { secret: name, owner, terms };
          update.run(moved(scope, envelope), next === null ? null : moved(scope, next), name);
        }
      }),
    );
    last = rows.at(-1)!.name;
    await new Promise(setImmediate);
  }
  const canary = db.prepare('UPDATE canary SET envelope = ?');
  guarded(faults, 'vault.rewrap_canary', () => canary.run(seal(newest, CANARY, CANARY_VALUE)));
  // No copy of a wrap under the old key stays in the log.
  db.exec('PRAGMA wal_checkpoint(TRUNCATE)');
  return done;
}

function inTransaction(db: DatabaseSync, act: () => void): void {
  db.exec('BEGIN IMMEDIATE');
  try {
    act();
    db.exec('COMMIT');
  } catch (error) {
    db.exec('ROLLBACK');
    throw error;
  }
}
