import { createHash, timingSafeEqual } from 'node:crypto';
import { PAIRING_MS } from '../base/limits/talk.ts';
import type { Db } from './db.ts';
import type { Role } from './people.ts';

/** A code that makes whoever sends it a person, once. */
export interface PairingTerms {
  channel: string;
  /** Who they are; null: somebody new. */
  person_id: number | null;
  /** Null: what the person has already. */
  role: Role | null;
  group_name: string;
  /** Who answers in the chat that the code comes from. */
  wire_group: string;
}

export interface PairingRow extends PairingTerms {
  id: number;
  code_hash: string;
}

function hashOfCode(channel: string, code: string): Buffer {
  return createHash('sha256')
    .update(`${channel}\0${code.replaceAll('-', '').toUpperCase()}`)
    .digest();
}

/** Keeps the hash of a code. Returns when it expires, in milliseconds since the epoch. */
export function insertPairing(db: Db, now: number, terms: PairingTerms, code: string): number {
  const { channel, person_id, role, group_name, wire_group } = terms;
  const expires = now + PAIRING_MS;
  db.run(
    `INSERT INTO pairings (channel, code_hash, person_id, role, group_name, wire_group, created_ms, expires_ms)
     VALUES (?, ?, ?, ?, ?, ?, ?, ?)`,
    ...[channel, hashOfCode(channel, code).toString('hex'), person_id, role, group_name, wire_group, now, expires],
  );
  return expires;
}

export function openPairings(db: Db, now: number, channel: string): PairingRow[] {
  return db.all(
    'SELECT * FROM pairings INDEXED BY pairings_open WHERE channel = ? AND used_ms IS NULL AND expires_ms > ? ORDER BY id',
    ...[channel, now],
  );
}

/** The open pairing of a code. Every open one is compared, each in the same time. */
export function pairingOf(db: Db, now: number, channel: string, code: string): PairingRow | undefined {
  const given = hashOfCode(channel, code);
  const equal = openPairings(db, now, channel).filter((row) =>
    timingSafeEqual(Buffer.from(row.code_hash, 'hex'), given),
  );
  return equal[0];
}

/** False: it was used before. */
export function usePairing(db: Db, now: number, id: number): boolean {
  return db.run('UPDATE pairings SET used_ms = ? WHERE id = ? AND used_ms IS NULL', now, id) === 1;
}
