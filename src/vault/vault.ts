import { createPrivateKey, createPublicKey, generateKeyPairSync, type KeyObject, sign } from 'node:crypto';
import { backup, type DatabaseSync, type StatementSync } from 'node:sqlite';
import type { Clock } from '../base/clock.ts';
import { OperatingError } from '../base/errors.ts';
import { type Faults, guarded } from '../base/faults.ts';
import { SECRET_BYTES_MAX, SECRET_BYTES_MIN, SECRETS_MAX } from '../base/limits/gateway.ts';
import { MODEL_TERMS, type SecretTerms, termsSchema } from '../protocol/secrets.ts';
import type { KeySource } from './key_source.ts';
import { openDatabase } from './schema.ts';
import { kekOf, open, seal } from './seal.ts';
import { type Keks, OWNER, type Rewrapped, rewrapAll, unlock } from './unlock.ts';

/**
 * `vault.db`: one row per secret, with its terms (kind and hosts) in the clear, its value sealed, and beside it a next value where
 * the operator prepares a change. A seal holds for its row and its terms only. Only the gateway opens the file, and the kernel
 * keeps it so: it stays locked.
 */

const MIGRATIONS = [
  `CREATE TABLE canary (
     one INTEGER PRIMARY KEY CHECK (one = 1),
     envelope BLOB NOT NULL
   ) STRICT;
   CREATE TABLE secrets (
     name TEXT PRIMARY KEY,
     owner TEXT NOT NULL,
     envelope BLOB NOT NULL,
     created_ms INTEGER NOT NULL,
     updated_ms INTEGER NOT NULL
   ) STRICT, WITHOUT ROWID;`,
  `ALTER TABLE secrets ADD COLUMN terms TEXT NOT NULL DEFAULT '';
   ALTER TABLE secrets ADD COLUMN next BLOB;`,
];

export interface SecretInfo extends SecretTerms {
  name: string;
  /** Whether a next value is stored. */
  next: boolean;
  created_ms: number;
  updated_ms: number;
}

export interface Secret {
  terms: SecretTerms;
  value: Buffer;
  next: Buffer | null;
}

export interface Rotated extends Rewrapped {
  /** What is left to the operator, in a sentence. */
  left: string | null;
}

/** Not a name that anybody can ask for, set or inject: those begin with a letter. */
const SIGNER = '.signer';
const IS_SECRET = `name <> '${SIGNER}'`;

interface Row {
  owner: string;
  terms: string;
  envelope: Uint8Array;
  next: Uint8Array | null;
}

export class Vault {
  readonly #db: DatabaseSync;
  readonly #source: KeySource;
  readonly #clock: Clock;
  readonly #faults: Faults;
  readonly #get: StatementSync;
  readonly #put: StatementSync;
  #keks: Keks;
  #signer: KeyObject | null = null;
  #rotating: Promise<Rotated> | null = null;
  #generation = 0;

  /**
   * Opens or creates the vault, and ends a rotation that was cut short. Rejects with an `OperatingError` of one sentence when it
   * must not be used.
   */
  static async unlock(path: string, source: KeySource, clock: Clock, faults: Faults): Promise<Vault> {
    const db = guarded(faults, 'vault.open', () => openDatabase(path, { synchronous: 'FULL', migrations: MIGRATIONS }));
    try {
      db.exec('PRAGMA secure_delete = ON');
      const vault = new Vault(db, await unlock(db, path, source, faults), { source, clock, faults });
      if (vault.#keks.older !== null) await vault.rotate();
      return vault;
    } catch (error) {
      db.close();
      throw error;
    }
  }

  private constructor(
    db: DatabaseSync,
    keks: Keks,
    { source, clock, faults }: { source: KeySource; clock: Clock; faults: Faults },
  ) {
    this.#db = db;
    this.#keks = keks;
    this.#source = source;
    this.#clock = clock;
    this.#faults = faults;
    this.#get = db.prepare('SELECT owner, terms, envelope, next FROM secrets WHERE name = ?');
    this.#put = db.prepare(
      `INSERT INTO secrets (name, owner, terms, envelope, created_ms, updated_ms) VALUES (?1, ?2, ?3, ?4, ?5, ?5)
       ON CONFLICT (name) DO UPDATE SET owner = ?2, terms = ?3, envelope = ?4, updated_ms = ?5`,
    );
  }

  /** Grows with each change, so that a holder of something derived from a secret can see that it is stale. */
  get generation(): number {
    return this.#generation;
  }

  /**
   * Stores or replaces the value; without `terms` those that it has are kept. Returns true when the name is new. Throws
   * `OperatingError`: `usage` for a value out of bounds, `conflict` for new terms beside a next value.
   */
  set(name: string, value: Buffer, terms?: SecretTerms): boolean {
    checkSize(value);
    const row = this.#row(name);
    if (row === undefined && this.names().length >= SECRETS_MAX)
      throw new OperatingError('conflict', `the vault holds ${SECRETS_MAX} secrets: remove one first`);
    const text = terms === undefined ? (row?.terms ?? '') : JSON.stringify(terms);
    if (row !== undefined && row.next !== null && row.terms !== text)
      throw new OperatingError(
        'conflict',
        `"${name}" has a next value, which is sealed for the kind and hosts that it has`,
        `glass secret promote ${name}, or glass secret remove ${name} --next`,
      );
    const envelope = seal(this.#keks.newest, { secret: name, owner: OWNER, terms: text }, value);
    guarded(this.#faults, 'vault.set', () => this.#put.run(name, OWNER, text, envelope, this.#clock.now()));
    this.#generation += 1;
    return row === undefined;
  }

  /** Replaces the value if it is still the one that the caller has seen. Returns whether it was. Throws as `set`. */
  replace(name: string, seen: Buffer, value: Buffer): boolean {
    if (this.read(name)?.value.equals(seen) !== true) return false;
    this.set(name, value);
    return true;
  }

  /** Stores a value beside the current one, in place of an earlier next one. Throws as `set`, and `not_found`. */
  setNext(name: string, value: Buffer): void {
    checkSize(value);
    const { owner, terms } = this.#known(name);
    const envelope = seal(this.#keks.newest, { secret: name, owner, terms }, value);
    const statement = this.#db.prepare('UPDATE secrets SET next = ? WHERE name = ?');
    guarded(this.#faults, 'vault.set_next', () => statement.run(envelope, name));
    this.#generation += 1;
  }

  /** The next value becomes the current one, and the other way round. Throws `OperatingError`: `not_found`, `conflict`. */
  promote(name: string): void {
    if (this.#known(name).next === null)
      throw new OperatingError('conflict', `"${name}" has no next value`, `glass secret set ${name} --next`);
    const swap = this.#db.prepare('UPDATE secrets SET envelope = next, next = envelope, updated_ms = ? WHERE name = ?');
    guarded(this.#faults, 'vault.promote', () => swap.run(this.#clock.now(), name));
    this.#generation += 1;
  }

  /** Returns false when there is no such secret. */
  remove(name: string): boolean {
    const statement = this.#db.prepare('DELETE FROM secrets WHERE name = ?');
    const { changes } = guarded(this.#faults, 'vault.remove', () => statement.run(name));
    this.#generation += 1;
    return Number(changes) > 0;
  }

  /** Returns false when it has none. */
  removeNext(name: string): boolean {
    const statement = this.#db.prepare('UPDATE secrets SET next = NULL WHERE name = ? AND next IS NOT NULL');
    const { changes } = guarded(this.#faults, 'vault.remove_next', () => statement.run(name));
    this.#generation += 1;
    return Number(changes) > 0;
  }

  list(): SecretInfo[] {
    const rows = this.#db
      .prepare(
        `SELECT name, terms, next IS NOT NULL AS has_next, created_ms, updated_ms FROM secrets WHERE ${IS_SECRET} ORDER BY name`,
      )
      .all() as unknown as (Omit<SecretInfo, 'form' | 'hosts' | 'next'> & { terms: string; has_next: number })[];
    return rows.map(({ terms, has_next, ...row }) => ({ ...row, ...termsOf(row.name, terms), next: has_next === 1 }));
  }

  names(): string[] {
    return this.#db
      .prepare(`SELECT name FROM secrets WHERE ${IS_SECRET} ORDER BY name`)
      .all()
      .map((row) => row['name'] as string);
  }

  /** The secret, or null when the name is not set. Throws `OperatingError('storage')` for a row that does not open. */
  read(name: string): Secret | null {
    const row = this.#row(name);
    if (row === undefined) return null;
    const terms = termsOf(name, row.terms);
    const next = row.next === null ? null : this.#open(name, row, row.next);
    return { terms, value: this.#open(name, row, row.envelope), next };
  }

  /** Opens every secret, next values too, and says which do not open. No value leaves it. */
  check(): { opened: number; damaged: string[] } {
    const names = this.names();
    const damaged = names.filter((name) => {
      try {
        const secret = this.read(name);
        secret?.value.fill(0);
        secret?.next?.fill(0);
        return false;
      } catch {
        return true;
      }
    });
    return { opened: names.length - damaged.length, damaged };
  }

  /** Puts everything under a new key; the old one is gone at its end. Goes on where an earlier rotation was cut short. */
  rotate(): Promise<Rotated> {
    this.#rotating ??= this.#rotate().finally(() => {
      this.#rotating = null;
    });
    return this.#rotating;
  }

  /** Ed25519, in base64, by a key of the install's own that never leaves the vault. */
  sign(bytes: Buffer): string {
    return sign(null, bytes, this.#signing()).toString('base64');
  }

  /** The public half: DER (SPKI) in base64. */
  signer(): string {
    return createPublicKey(this.#signing()).export({ format: 'der', type: 'spki' }).toString('base64');
  }

  /** A whole copy as a new file, sealed as it is; what is set meanwhile is in it too. */
  async copy(file: string): Promise<void> {
    await backup(this.#db, file);
  }

  close(): void {
    this.#db.close();
  }

  /** Made when it is first needed. */
  #signing(): KeyObject {
    if (this.#signer !== null) return this.#signer;
    const kept = this.read(SIGNER);
    const key = kept === null ? generateKeyPairSync('ed25519').privateKey : createPrivateKey(kept.value);
    if (kept === null) this.set(SIGNER, Buffer.from(key.export({ format: 'pem', type: 'pkcs8' })));
    this.#signer = key;
    return key;
  }

  async #rotate(): Promise<Rotated> {
    const source = this.#source;
    if (this.#keks.older === null) {
      const found = await source.read('next');
      const next = kekOf(found ?? (await guarded(this.#faults, 'vault.next_key', () => source.make('next'))));
      this.#keks = { newest: next, older: this.#keks.newest };
    }
    const { newest, older } = this.#keks;
    const done = await rewrapAll(this.#db, newest, older!, this.#faults);
    const left = await guarded(this.#faults, 'vault.settle_key', () => source.settle());
    this.#keks = { newest, older: null };
    return { ...done, left };
  }

  #row(name: string): Row | undefined {
    return this.#get.get(name) as Row | undefined;
  }

  #known(name: string): Row {
    const row = this.#row(name);
    if (row === undefined) throw new OperatingError('not_found', `there is no secret "${name}"`);
    return row;
  }

  #open(name: string, { owner, terms }: Row, envelope: Uint8Array): Buffer {
    const { newest, older } = this.#keks;
    for (const kek of older === null ? [newest] : [newest, older]) {
      const opened = open(kek, { secret: name, owner, terms }, Buffer.from(envelope));
      if (opened.ok) return opened.value;
    }
    throw changedOutside(name);
  }
}

function checkSize(value: Buffer): void {
  if (value.length > SECRET_BYTES_MAX)
    throw new OperatingError('usage', `the value has more than ${SECRET_BYTES_MAX} bytes`);
  if (value.length >= SECRET_BYTES_MIN) return;
  const what = `the value has fewer than ${SECRET_BYTES_MIN} bytes: it could not be told apart in a reply`;
  throw new OperatingError('usage', what);
}

function termsOf(name: string, text: string): SecretTerms {
  if (text === '') return MODEL_TERMS;
  try {
    return termsSchema.parse(JSON.parse(text));
  } catch {
    throw changedOutside(name);
  }
}

function changedOutside(name: string): OperatingError {
  return new OperatingError(
    'storage',
    `the secret "${name}" cannot be opened: its row was changed outside the gateway`,
    `set it again: glass secret set ${name}`,
  );
}
