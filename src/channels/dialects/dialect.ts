/**
 * How a platform writes what Markdown says. Text comes in plain and is escaped by `text` alone, so that nothing which an
 * agent writes becomes markup, or wakes everybody in a chat; all other functions get what is in the dialect already.
 */
export interface Dialect {
  text(plain: string): string;
  strong(inner: string): string;
  emphasis(inner: string): string;
  struck(inner: string): string;
  code(plain: string): string;
  /** `language` is a word of letters, digits, `+`, `#`, `-`, or ''. */
  block(plain: string, language: string): string;
  /** `href` is http, https or mailto. `shown` is null where the address is its own text. */
  link(shown: string | null, href: string): string;
  heading(inner: string, depth: number): string;
  quote(inner: string): string;
}

/** `markdown`: as the agent wrote it, for a client that renders it itself. */
export type Markup =
  | 'markdown'
  | 'github'
  | 'telegram-html'
  | 'slack-mrkdwn'
  | 'discord'
  | 'teams'
  | 'whatsapp'
  | 'plain';

/** Marks each line by itself, without its outer spaces: most platforms end a mark at the line. */
export function marked(inner: string, mark: string): string {
  return inner.replace(/\S(?:[^\n]*\S)?/g, (line) => `${mark}${line}${mark}`);
}

export function eachLine(inner: string, prefix: string): string {
  return inner
    .split('\n')
    .map((line) => `${prefix}${line}`)
    .join('\n');
}

/** A space without width: between `@` and a name it keeps the name from being one. */
export const APART = '\u200b';

/** A block that no line of its own text can end. */
export function fenced(plain: string, language: string): string {
  const longest = Math.max(2, ...[...plain.matchAll(/`+/g)].map(([run]) => run.length));
  const fence = '`'.repeat(longest + 1);
  return `${fence}${language}\n${plain}\n${fence}`;
}

/** As `fenced`, in a line. */
export function ticked(plain: string): string {
  const line = plain.replaceAll('\n', ' ');
  const longest = Math.max(0, ...[...line.matchAll(/`+/g)].map(([run]) => run.length));
  const ticks = '`'.repeat(longest + 1);
  const space = /^`|`$/.test(line) ? ' ' : '';
  return line.trim() === '' ? line : `${ticks}${space}${line}${space}${ticks}`;
}
