import { createHash } from 'node:crypto';
import { MARK_CHARS_MAX } from './limits.ts';

/**
 * GitHub knows no idempotency key. So each comment ends with a mark that nobody is shown, by which one whose outcome was lost
 * is found again.
 */

/** Of the mark around its key, and of the empty line above it. */
const AROUND_CHARS = '\n\n<!-- glassclaw: -->'.length;
const PLAIN = /^[\w:.]+(?:-[\w:.]+)*$/;

export function markOf(key: string): string {
  const fits = PLAIN.test(key) && key.length <= MARK_CHARS_MAX - AROUND_CHARS;
  // Two dashes would end the mark too early.
  return `<!-- glassclaw:${fits ? key : createHash('sha256').update(key).digest('hex')} -->`;
}

export function marked(body: string, key: string): string {
  return `${body}\n\n${markOf(key)}`;
}

export function isMarked(body: string): boolean {
  return /<!-- glassclaw:[\w:.-]+ -->\s*$/.test(body.slice(-MARK_CHARS_MAX));
}
