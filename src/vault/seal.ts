import { createCipheriv, createDecipheriv, createHash, randomBytes } from 'node:crypto';

/**
 * The envelope of one secret:
 *
 *   version (1) | key id (8) | iv (12) | wrapped DEK (32) + tag (16) | iv (12) | ciphertext | tag (16)
 *
 * A fresh data key (DEK) encrypts the value; the key-encryption key (KEK) wraps the DEK. The associated data binds an
 * envelope to its row: version, secret id, owner scope, terms, and for the wrap also the key id. The inner part does not name
 * the KEK, so that a rotation re-wraps 48 bytes and never sees a value.
 */

const VERSION = 1;
const CIPHER = 'aes-256-gcm';
export const KEY_BYTES = 32;
const KEY_ID_BYTES = 8;
const IV_BYTES = 12;
const TAG_BYTES = 16;
const WRAPPED_BYTES = KEY_BYTES + TAG_BYTES;
const WRAP_AT = 1 + KEY_ID_BYTES;
const INNER_AT = WRAP_AT + IV_BYTES + WRAPPED_BYTES;
const HEAD_BYTES = INNER_AT + IV_BYTES;

/** A key-encryption key and its public short name. */
export interface Kek {
  readonly id: Buffer;
  readonly key: Buffer;
}

/** What an envelope belongs to; a swapped row does not open. */
export interface Scope {
  /** The secret's name: its id in the vault. */
  readonly secret: string;
  readonly owner: string;
  /** The text of its kind and hosts; '' for rows from before there were any. */
  readonly terms: string;
}

/** `other_key`: sealed under another KEK. `damaged`: not an envelope, not of this row, or changed. */
export type Opened = { ok: true; value: Buffer } | { ok: false; reason: 'other_key' | 'damaged' };

/** Names a key by a hash that says nothing about it: the key has 256 random bits. */
export function kekOf(key: Buffer): Kek {
  const id = createHash('sha256').update('glassclaw kek id\0').update(key).digest().subarray(0, KEY_ID_BYTES);
  return { id, key };
}

export function seal(kek: Kek, scope: Scope, value: Buffer): Buffer {
  const dek = randomBytes(KEY_BYTES);
  const head = Buffer.concat([Buffer.of(VERSION), kek.id]);
  const wrapped = encrypt(kek.key, dek, wrapData(kek, scope));
  const inner = encrypt(dek, value, innerData(scope));
  dek.fill(0);
  return Buffer.concat([head, wrapped, inner]);
}

/** Must not throw: what it reads comes from a file that anybody may have changed. */
export function open(kek: Kek, scope: Scope, envelope: Buffer): Opened {
  if (envelope.length < HEAD_BYTES + TAG_BYTES || envelope[0] !== VERSION) return { ok: false, reason: 'damaged' };
  if (!isUnder(kek, envelope)) return { ok: false, reason: 'other_key' };
  try {
    const dek = decrypt(kek.key, envelope.subarray(WRAP_AT, INNER_AT), wrapData(kek, scope));
    const value = decrypt(dek, envelope.subarray(INNER_AT), innerData(scope));
    dek.fill(0);
    return { ok: true, value };
  } catch {
    return { ok: false, reason: 'damaged' };
  }
}

/** The same envelope under another KEK, or null for one that `from` does not open. The value is not touched. */
export function rewrap(from: Kek, to: Kek, scope: Scope, envelope: Buffer): Buffer | null {
  try {
    const dek = decrypt(from.key, envelope.subarray(WRAP_AT, INNER_AT), wrapData(from, scope));
    const wrapped = encrypt(to.key, dek, wrapData(to, scope));
    dek.fill(0);
    return Buffer.concat([Buffer.of(VERSION), to.id, wrapped, envelope.subarray(INNER_AT)]);
  } catch {
    return null;
  }
}

/** Whether an envelope says that it was sealed under a KEK. */
export function isUnder(kek: Kek, envelope: Buffer): boolean {
  return envelope[0] === VERSION && envelope.subarray(1, WRAP_AT).equals(kek.id);
}

/** Returns iv | ciphertext | tag. */
function encrypt(key: Buffer, plain: Buffer, data: Buffer): Buffer {
  const iv = randomBytes(IV_BYTES);
  const cipher = createCipheriv(CIPHER, key, iv, { authTagLength: TAG_BYTES });
  cipher.setAAD(data);
  return Buffer.concat([iv, cipher.update(plain), cipher.final(), cipher.getAuthTag()]);
}

function decrypt(key: Buffer, sealed: Buffer, data: Buffer): Buffer {
  // The length is explicit because Node accepts a tag of 4 bytes otherwise.
  const decipher = createDecipheriv(CIPHER, key, sealed.subarray(0, IV_BYTES), { authTagLength: TAG_BYTES });
  decipher.setAAD(data);
  decipher.setAuthTag(sealed.subarray(-TAG_BYTES));
  return Buffer.concat([decipher.update(sealed.subarray(IV_BYTES, -TAG_BYTES)), decipher.final()]);
}

function wrapData(kek: Kek, scope: Scope): Buffer {
  return associated('dek', scope, kek.id.toString('hex'));
}

function innerData(scope: Scope): Buffer {
  return associated('value', scope, '');
}

/** JSON, because it cannot be read in two ways: no field can spill into its neighbour. */
function associated(purpose: 'dek' | 'value', scope: Scope, keyId: string): Buffer {
  const terms = scope.terms === '' ? [] : [scope.terms];
  return Buffer.from(JSON.stringify([VERSION, purpose, scope.secret, keyId, scope.owner, ...terms]));
}
