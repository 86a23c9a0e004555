import { createPublicKey, hash, verify } from 'node:crypto';
import { z } from 'zod';

/**
 * What the two records, the host's events and the gateway's requests, have in common. Each is a chain: a link's hash covers the hash
 * before it, its own number and what it says. A record may be cut at its beginning, by whole days, at a cut that the gateway has signed.
 */
export const hashSchema = z.string().regex(/^[0-9a-f]{64}$/);
export const daySchema = z.string().regex(/^\d{4}-\d\d-\d\d$/, 'must be a day such as 2026-01-31');

/** SHA-256, hex. JSON, because it cannot be read in two ways. */
export function linkHash(before: string, seq: number, what: readonly (string | number | null)[]): string {
  return hash('sha256', JSON.stringify([before, seq, ...what]));
}

/** Where a record begins, in place of the rows that were removed. */
export const cutSchema = z.strictObject({
  /** The last day (UTC) of what was removed. */
  day: daySchema,
  /** Key of the last row that was removed. */
  through: z.int().min(1),
  /** Number and hash of the last link that was removed: the next one covers it. Of events, `seq` is `through`. */
  seq: z.int().min(0),
  hash: z.union([hashSchema, z.literal('')]),
  /** Rows removed, over all cuts. */
  count: z.int().min(1),
});
export type Cut = z.infer<typeof cutSchema>;

export interface SignedCut extends Cut {
  /** Ed25519, base64. */
  signature: string;
}

/** The bytes that a signature is of. */
export function cutBytes(record: 'events' | 'requests', { day, through, seq, hash: value, count }: Cut): Buffer {
  return Buffer.from(JSON.stringify(['glassclaw cut', record, day, through, seq, value, count]));
}

/** `key`: the public one, DER (SPKI) in base64. What is no key or no signature is none: it must not throw. */
export function isSigned(record: 'events' | 'requests', { signature, ...cut }: SignedCut, key: string): boolean {
  try {
    const publicKey = createPublicKey({ key: Buffer.from(key, 'base64'), format: 'der', type: 'spki' });
    const bytes = Buffer.from(signature, 'base64');
    // Node passes over what is no base64.
    return bytes.toString('base64') === signature && verify(null, cutBytes(record, cut), publicKey, bytes);
  } catch {
    return false;
  }
}

export const DAY_MS = 24 * 3_600_000;

/** Everything before this belongs to days that are over for longer than `keep_ms`. In milliseconds. */
export function startOfKept(now_ms: number, keep_ms: number): number {
  return Math.floor((now_ms - keep_ms) / DAY_MS) * DAY_MS;
}

/** The day before a time, in UTC. */
export function dayBefore(at_ms: number): string {
  return new Date(at_ms - 1).toISOString().slice(0, 10);
}

/** The first moment after a day, in milliseconds. */
export function endOfDay(day: string): number {
  return Date.parse(`${day}T00:00:00Z`) + DAY_MS;
}
