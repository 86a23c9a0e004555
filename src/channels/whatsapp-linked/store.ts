import {
  createCipheriv,
  createDecipheriv,
  createHmac,
  createSecretKey,
  type KeyObject,
  randomBytes,
} from 'node:crypto';
import { closeSync, existsSync, mkdirSync, openSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync, type StatementSync } from 'node:sqlite';
import { deserialize, serialize } from 'node:v8';
import { messageOf, OperatingError } from '../../base/errors.ts';

/**
 * What a linked device has to keep, sealed: each value by AES-256-GCM under the key that the vault holds, bound to its place;
 * what it is called, which names people, stands there as a keyed hash. A `set` is on disk as a whole when it returns, or not
 * at all. The folder is the host's account's alone.
 */

/** By type and id; null: it is to be gone. */
export type Data = Record<string, Record<string, unknown>>;

const SETTINGS = 'PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA trusted_schema = OFF;';
const TABLE = `CREATE TABLE kept (
  seq INTEGER PRIMARY KEY,
  type TEXT NOT NULL,
  name BLOB NOT NULL UNIQUE, -- HMAC of type and id
  sealed BLOB NOT NULL -- nonce, tag, ciphertext
) STRICT`;
/** The first row of each file: opens only under the right key. */
const MARK = { type: 'mark', id: '', value: 'glassclaw linked device 1' };
const NONCE_BYTES = 12;
const TAG_BYTES = 16;

export class SealedStore {
  readonly #db: DatabaseSync;
  /** Made once: of plain bytes Node makes one for each use, which takes longer than the use. */
  readonly #key: KeyObject;
  readonly #statements = new Map<string, StatementSync>();
  #isClosed = false;

  /** Makes the folder and the file when they are not there. Throws `OperatingError`, with nothing changed, for one that cannot be opened. */
  static open(folder: string, key: string): SealedStore {
    const bytes = Buffer.from(key, 'base64url');
    if (bytes.length !== 32) throw new OperatingError('config', 'its key is not 32 bytes in base64url');
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    const file = join(folder, 'device.db');
    if (!existsSync(file)) SealedStore.#make(folder, file, bytes);
    let db: DatabaseSync | null = null;
    try {
      db = new DatabaseSync(file);
      check(db);
      const store = new SealedStore(db, bytes);
      store.#prove();
      db.exec(SETTINGS);
      return store;
    } catch (error) {
      db?.close();
      if (error instanceof OperatingError) throw error;
      throw damaged(messageOf(error));
    }
  }

  /** Beside its place, then renamed: an empty file is never taken for a new one. */
  static #make(folder: string, file: string, key: Buffer): void {
    const draft = join(folder, 'device.new.db');
    for (const left of [draft, `${draft}-journal`]) rmSync(left, { force: true });
    closeSync(openSync(draft, 'wx', 0o600));
    const db = new DatabaseSync(draft);
    new SealedStore(db, key).#begin();
    db.close();
    renameSync(draft, file);
  }

  private constructor(db: DatabaseSync, key: Buffer) {
    this.#db = db;
    this.#key = createSecretKey(key);
  }

  get(type: string, id: string): unknown {
    const name = this.#name(type, id);
    const row = this.#prepared('SELECT sealed FROM kept WHERE name = ?').get(name);
    return row === undefined ? undefined : this.#unsealed(name, row['sealed'] as Uint8Array).value;
  }

  /** All of a type, in the order in which they were first put. */
  all(type: string): [id: string, value: unknown][] {
    const rows = this.#prepared('SELECT name, sealed FROM kept WHERE type = ? ORDER BY seq').all(type);
    return rows.map((row) => {
      const { id, value } = this.#unsealed(Buffer.from(row['name'] as Uint8Array), row['sealed'] as Uint8Array);
      return [id, value];
    });
  }

  /** Durable when it returns. Throws `OperatingError` when the disk does not take it: then nothing of it is there. */
  set(data: Data): void {
    this.#write(() => {
      const put = this.#prepared(
        'INSERT INTO kept (type, name, sealed) VALUES (?, ?, ?) ON CONFLICT (name) DO UPDATE SET sealed = excluded.sealed',
      );
      const drop = this.#prepared('DELETE FROM kept WHERE name = ?');
      for (const [type, values] of Object.entries(data))
        for (const [id, value] of Object.entries(values)) {
          const name = this.#name(type, id);
          if (value === null || value === undefined) drop.run(name);
          else put.run(type, name, this.#sealed(name, id, value));
        }
    });
  }

  /** All but one type, and the mark. */
  clearBut(type: string): void {
    this.#write((db) => db.prepare('DELETE FROM kept WHERE type NOT IN (?, ?)').run(type, MARK.type));
  }

  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#db.close();
  }

  /** A session is asked for ten times in the life of one message. */
  #prepared(sql: string): StatementSync {
    const statement = this.#statements.get(sql) ?? this.#db.prepare(sql);
    this.#statements.set(sql, statement);
    return statement;
  }

  #write(act: (db: DatabaseSync) => void): void {
    try {
      this.#db.exec('BEGIN IMMEDIATE');
      act(this.#db);
      this.#db.exec('COMMIT');
    } catch (error) {
      if (this.#db.isOpen && this.#db.isTransaction) this.#db.exec('ROLLBACK');
      const why = `what this linked device has to keep cannot be written (${messageOf(error)})`;
      throw new OperatingError('storage', why, undefined, error);
    }
  }

  /** The table and its mark, together. */
  #begin(): void {
    this.#write((db) => {
      db.exec(TABLE);
      const name = this.#name(MARK.type, MARK.id);
      const mark = this.#sealed(name, MARK.id, MARK.value);
      db.prepare('INSERT INTO kept (type, name, sealed) VALUES (?, ?, ?)').run(MARK.type, name, mark);
    });
  }

  /** All of it, once: what is found later would be found by Baileys, which takes it for another's fault. */
  #prove(): void {
    const rows = this.#db.prepare('SELECT type, name, sealed FROM kept ORDER BY seq').all();
    if (rows[0]?.['type'] !== MARK.type) throw damaged('it has no beginning');
    for (const [at, row] of rows.entries()) {
      try {
        this.#unsealed(Buffer.from(row['name'] as Uint8Array), row['sealed'] as Uint8Array);
      } catch {
        throw at === 0 ? otherKey() : damaged('a part of it does not open');
      }
    }
  }

  #name(type: string, id: string): Buffer {
    return createHmac('sha256', this.#key).update(`${type}\0${id}`).digest();
  }

  #sealed(name: Buffer, id: string, value: unknown): Buffer {
    const nonce = randomBytes(NONCE_BYTES);
    const cipher = createCipheriv('aes-256-gcm', this.#key, nonce).setAAD(name);
    const bytes = Buffer.concat([cipher.update(serialize({ id, value })), cipher.final()]);
    return Buffer.concat([nonce, cipher.getAuthTag(), bytes]);
  }

  #unsealed(name: Buffer, sealed: Uint8Array): { id: string; value: unknown } {
    const nonce = sealed.subarray(0, NONCE_BYTES);
    const tag = sealed.subarray(NONCE_BYTES, NONCE_BYTES + TAG_BYTES);
    const decipher = createDecipheriv('aes-256-gcm', this.#key, nonce).setAAD(name).setAuthTag(tag);
    const bytes = [decipher.update(sealed.subarray(NONCE_BYTES + TAG_BYTES)), decipher.final()];
    return deserialize(Buffer.concat(bytes));
  }
}

function check(db: DatabaseSync): void {
  const row = db.prepare('PRAGMA quick_check(1)').get();
  const said = row === undefined ? 'no answer' : String(Object.values(row)[0]);
  if (said !== 'ok') throw damaged('a page of it cannot be read');
  if (db.prepare("SELECT 1 FROM sqlite_schema WHERE name = 'kept'").get() === undefined) throw damaged('it is empty');
}

function otherKey(): OperatingError {
  return new OperatingError(
    'config',
    'what this linked device keeps does not open under its key in the vault: put the right key back, or remove the channel and link it anew',
  );
}

function damaged(why: string): OperatingError {
  return new OperatingError(
    'storage',
    `what this linked device keeps is damaged (${why}); nothing was changed: remove the channel and link it anew`,
  );
}
