import type { DatabaseSync, StatementSync } from 'node:sqlite';
import type { Clock } from '../base/clock.ts';
import { OperatingError } from '../base/errors.ts';
import { type Faults, guarded } from '../base/faults.ts';
import { SECRET_BYTES_MAX, SECRET_BYTES_MIN, SECRETS_MAX } from '../base/limits.ts';
import type { KeySource } from './keys.ts';
import { openDatabase } from './schema.ts';
import { type Kek, open, type Scope, seal } from './seal.ts';

/**
 * `vault.db`: one sealed row per secret. Only the gateway opens it, and the kernel keeps it so: the file stays locked.
 * A canary is opened at start; if it does not open, the process refuses to start instead of failing at the first use.
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
];

/** Every secret belongs to the install; a group names it in its `group.yaml`. */
const OWNER = 'install';
const CANARY: Scope = { secret: '.canary', owner: OWNER };
const CANARY_VALUE = Buffer.from('glassclaw vault canary');

export interface SecretInfo {
  name: string;
  created_ms: number;
  updated_ms: number;
}

export class Vault {
  readonly #db: DatabaseSync;
  readonly #kek: Kek;
  readonly #clock: Clock;
  readonly #faults: Faults;
  readonly #get: StatementSync;
  readonly #put: StatementSync;
  #generation = 0;

  /** Opens or creates the vault. Throws `OperatingError` with one sentence when it must not be used. */
  constructor(path: string, source: KeySource, clock: Clock, faults: Faults) {
    this.#clock = clock;
    this.#faults = faults;
    this.#db = guarded(faults, 'vault.open', () => openDatabase(path, { synchronous: 'FULL', migrations: MIGRATIONS }));
    this.#db.exec('PRAGMA secure_delete = ON');
    try {
      this.#kek = this.#unlock(path, source);
    } catch (error) {
      this.#db.close();
      throw error;
    }
    this.#get = this.#db.prepare('SELECT owner, envelope FROM secrets WHERE name = ?');
    this.#put = this.#db.prepare(
      `INSERT INTO secrets (name, owner, envelope, created_ms, updated_ms) VALUES (?1, ?2, ?3, ?4, ?4)
       ON CONFLICT (name) DO UPDATE SET owner = ?2, envelope = ?3, updated_ms = ?4`,
    );
  }

  /** Grows with each change, so that a holder of something derived from a secret can see that it is stale. */
  get generation(): number {
    return this.#generation;
  }

  /** Stores or replaces. Returns true when the name is new. Throws `OperatingError('usage')` for a value out of bounds. */
  set(name: string, value: Buffer): boolean {
    if (value.length > SECRET_BYTES_MAX)
      throw new OperatingError('usage', `the value has more than ${SECRET_BYTES_MAX} bytes`);
    if (value.length < SECRET_BYTES_MIN) {
      throw new OperatingError(
        'usage',
        `the value has fewer than ${SECRET_BYTES_MIN} bytes: it could not be told apart in a reply`,
      );
    }
    const created = this.#get.get(name) === undefined;
    if (created && this.names().length >= SECRETS_MAX)
      throw new OperatingError('conflict', `the vault holds ${SECRETS_MAX} secrets: remove one first`);
    const envelope = seal(this.#kek, { secret: name, owner: OWNER }, value);
    guarded(this.#faults, 'vault.set', () => this.#put.run(name, OWNER, envelope, this.#clock.now()));
    this.#generation += 1;
    return created;
  }

  /** Returns false when there is no such secret. */
  remove(name: string): boolean {
    const statement = this.#db.prepare('DELETE FROM secrets WHERE name = ?');
    const { changes } = guarded(this.#faults, 'vault.remove', () => statement.run(name));
    this.#generation += 1;
    return Number(changes) > 0;
  }

  list(): SecretInfo[] {
    const rows = this.#db.prepare('SELECT name, created_ms, updated_ms FROM secrets ORDER BY name').all();
    return rows as unknown as SecretInfo[];
  }

  names(): string[] {
    return this.list().map((row) => row.name);
  }

  /** The value, or null when the name is not set. Throws `OperatingError('storage')` for a row that does not open. */
  open(name: string): Buffer | null {
    const row = this.#get.get(name) as { owner: string; envelope: Uint8Array } | undefined;
    if (row === undefined) return null;
    const opened = open(this.#kek, { secret: name, owner: row.owner }, Buffer.from(row.envelope));
    if (opened.ok) return opened.value;
    throw new OperatingError(
      'storage',
      `the secret "${name}" cannot be opened: its row was changed outside the gateway`,
      `set it again: glass secret set ${name}`,
    );
  }

  close(): void {
    this.#db.close();
  }

  #unlock(path: string, source: KeySource): Kek {
    const row = this.#db.prepare('SELECT envelope FROM canary').get() as { envelope: Uint8Array } | undefined;
    const kek = source.load(row === undefined);
    if (row === undefined) {
      const envelope = seal(kek, CANARY, CANARY_VALUE);
      const statement = this.#db.prepare('INSERT INTO canary (one, envelope) VALUES (1, ?)');
      guarded(this.#faults, 'vault.canary', () => statement.run(envelope));
      return kek;
    }
    const opened = open(kek, CANARY, Buffer.from(row.envelope));
    if (opened.ok && opened.value.equals(CANARY_VALUE)) return kek;
    const other = !opened.ok && opened.reason === 'other_key';
    throw new OperatingError(
      'config',
      other ? `the key file belongs to another vault than ${path}` : `${path} is damaged: its canary does not open`,
      other ? 'put the key file of this vault back' : 'restore it from your backup',
    );
  }
}
