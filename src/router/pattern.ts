import { OperatingError } from '../base/errors.ts';
import { PATTERN_CHARS_MAX, PATTERN_TEXT_CHARS_MAX } from '../base/limits/talk.ts';
import { visible } from '../base/text.ts';

/**
 * When a wiring engages by what is said. The grammar:
 *
 *   pattern     = alternative *( "|" alternative )
 *   alternative = 1*( "*" / "?" / "\" character / character )
 *
 * An alternative is held against the whole message, upper and lower case alike: `*` is any run of characters, also none and
 * also over lines, `?` is one character, `\` takes the next one as it is. So `*deploy*` finds a word anywhere, `!run *` a
 * message that begins so. It is walked once, each place of the pattern beside the others: there is nothing to go back to,
 * and the time is at most the product of both lengths, which have bounds.
 */
type Part = { any: true } | { any: false; char: string | null };

/** Throws `OperatingError('usage')` for what is no pattern. */
export function checkPattern(pattern: string): void {
  const parsed = parse(pattern);
  if (typeof parsed === 'string')
    throw new OperatingError(
      'usage',
      `the pattern "${visible(pattern.slice(0, 60))}" ${parsed}`,
      'try "*deploy*|!run *"',
    );
}

/** Whether the beginning of a text, up to the bound, matches. What is no pattern matches nothing. */
export function matches(pattern: string, text: string): boolean {
  const alternatives = parse(pattern);
  if (typeof alternatives === 'string') return false;
  const chars = [...folded(text.slice(0, PATTERN_TEXT_CHARS_MAX).trim())];
  return alternatives.some((parts) => walk(parts, chars));
}

function parse(pattern: string): Part[][] | string {
  if (pattern.length > PATTERN_CHARS_MAX) return `has more than ${PATTERN_CHARS_MAX} characters`;
  if (visible(pattern) !== pattern) return 'has characters that cannot be seen';
  const alternatives: Part[][] = [[]];
  const chars = [...folded(pattern)];
  for (let at = 0; at < chars.length; at += 1) {
    const char = chars[at]!;
    const parts = alternatives.at(-1)!;
    if (char === '|') alternatives.push([]);
    else if (char === '*') parts.push({ any: true });
    else if (char === '?') parts.push({ any: false, char: null });
    else if (char !== '\\') parts.push({ any: false, char });
    else {
      at += 1;
      if (at === chars.length) return 'ends with a "\\" that stands before nothing';
      parts.push({ any: false, char: chars[at]! });
    }
  }
  if (alternatives.some((parts) => parts.length === 0)) return 'has an alternative without a character';
  if (alternatives.some((parts) => parts.every((part) => part.any))) return 'matches everything: say always';
  return alternatives;
}

function folded(text: string): string {
  return text.normalize('NFC').toLowerCase();
}

/** `at[i]`: the first i parts may have matched what was read so far. */
function walk(parts: Part[], chars: string[]): boolean {
  let at = skipRuns(parts, [true, ...parts.map(() => false)]);
  for (const char of chars) {
    const next = at.map((here, i) => here && i < parts.length && parts[i]!.any);
    parts.forEach((part, i) => {
      if (at[i] && !part.any && (part.char === null || part.char === char)) next[i + 1] = true;
    });
    at = skipRuns(parts, next);
    if (!at.includes(true)) return false;
  }
  return at[parts.length]!;
}

/** A run of none. */
function skipRuns(parts: Part[], at: boolean[]): boolean[] {
  parts.forEach((part, i) => {
    if (at[i] && part.any) at[i + 1] = true;
  });
  return at;
}
