import { BUNDLE_STRING_CHARS_MAX } from '../base/limits/telemetry.ts';
import { redact } from '../base/log.ts';

/**
 * What may leave in a diagnostics bundle. Numbers and flags pass; a string passes where its key is known to hold nothing of a
 * person's, and then without what looks like a credential, without names, cut. What is not known is left out, and says so.
 */
export type Mask = (text: string) => string;

/** A run of letters and digits that is too long for a word: a token, unless it is a hash or the like. */
const LONG = /[A-Za-z0-9_+=~-]{20,}/g;
const HARMLESS = /^(?:[0-9a-f]{20,}|[a-z_-]+|[A-Z_-]+|\d+)$/;
const SECRET_NAME = /TOKEN|KEY|SECRET|PASS|CREDENTIAL|AUTH/i;

/**
 * `places`: texts with what stands for them, such as the home's path; `names`: of people and chats, null to let them pass. Values of
 * this process's own environment whose name sounds like a credential never pass.
 */
export function maskOf(
  places: readonly [string, string][],
  names: readonly string[] | null,
  env: NodeJS.ProcessEnv,
): Mask {
  const secrets = Object.entries(env).flatMap(([name, value = '']) =>
    SECRET_NAME.test(name) && value.length >= 6 ? [value] : [],
  );
  const known = [...new Set(names ?? [])].filter((name) => name.length > 1).sort((a, b) => b.length - a.length);
  return (text) => {
    let said = text;
    for (const secret of secrets) said = said.replaceAll(secret, '[secret]');
    said = redact(said);
    for (const name of known) said = said.replace(wordOf(name), '[name]');
    for (const [place, shown] of places) said = said.replaceAll(place, shown);
    said = said.replace(LONG, (run) => (HARMLESS.test(run) ? run : '[long]'));
    return said.length > BUNDLE_STRING_CHARS_MAX ? `${said.slice(0, BUNDLE_STRING_CHARS_MAX)}…` : said;
  };
}

/** Not in the middle of a word: somebody may be called Al. */
function wordOf(name: string): RegExp {
  const plain = name.replace(/[\\^$.*+?()[\]{}|/]/g, '\\$&');
  return new RegExp(`(?<![\\p{L}\\p{N}])${plain}(?![\\p{L}\\p{N}])`, 'gu');
}

/** Each string masked; keys of `without` are left out. */
export function masked(value: unknown, mask: Mask, without: ReadonlySet<string> = new Set()): unknown {
  return walk(value, (text, key) => (without.has(key) ? leftOut(text) : mask(text)), mask);
}

/** Strings pass under the keys of `only`, masked; of the others there is the length. */
export function maskedOnly(value: unknown, mask: Mask, only: ReadonlySet<string>): unknown {
  return walk(value, (text, key) => (only.has(key) ? mask(text) : leftOut(text)), mask);
}

function walk(value: unknown, string: (text: string, key: string) => string, mask: Mask, key = ''): unknown {
  if (typeof value === 'string') return string(value, key);
  if (Array.isArray(value)) return value.map((item) => walk(item, string, mask, key));
  if (typeof value !== 'object' || value === null) return value;
  // Keys are names that an operator chose; none of them is a text.
  return Object.fromEntries(Object.entries(value).map(([name, item]) => [mask(name), walk(item, string, mask, name)]));
}

function leftOut(text: string): string {
  return `[left out: ${text.length} characters]`;
}
