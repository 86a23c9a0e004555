import { createHash, randomUUID } from 'node:crypto';

/**
 * Rows have integer keys, so arrival order is key order. People see them with a letter in front: `m12` is a message,
 * `t5` a turn, `o9` an outbound row, `s3` a session, `i7` an inbound row, `a2` an alert, `p6` a person, `h4` a held request or a question, `q2` what an agent asks.
 */
export type IdLetter = 'm' | 't' | 'o' | 's' | 'i' | 'a' | 'c' | 'p' | 'h' | 'k' | 'q';

export function showId(letter: IdLetter, id: number): string {
  return `${letter}${id}`;
}

/** The key behind a shown id, or undefined when it is not one. */
export function parseId(letter: IdLetter, shown: string): number | undefined {
  const match = /^([a-z])(\d{1,15})$/.exec(shown);
  return match?.[1] === letter ? Number(match[2]) : undefined;
}

/** `bytes` of randomness, at most 15, in URL-safe characters. From a UUID, because Node asks the kernel for many of them at once. */
export function randomToken(bytes: number): string {
  const hex = randomUUID().replaceAll('-', '');
  // Without the two digits that say which kind of UUID it is.
  const random = hex.slice(0, 12) + hex.slice(13, 16) + hex.slice(17);
  return Buffer.from(random, 'hex').subarray(0, bytes).toString('base64url');
}

/** A short stable name for a string, for paths and labels: not a secret, not collision-proof against an attacker. */
export function shortHash(text: string): string {
  return createHash('sha256').update(text).digest('hex').slice(0, 10);
}
