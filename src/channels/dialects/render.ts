import { createRequire } from 'node:module';
import type { Token, Tokens } from 'marked';
import { DIALECT_MARKS_MAX, DIALECT_NESTING_MAX, DIALECT_PARSE_CHARS_MAX } from '../../base/limits/messages.ts';
import type { Dialect } from './dialect.ts';
import { plain } from './plain.ts';

/** Read at the first message that needs it: 5 MB that a chat whose dialect is Markdown never asks for. */
let library: typeof import('marked') | undefined;

function lexer(markdown: string): Token[] {
  library ??= createRequire(import.meta.url)('marked') as typeof import('marked');
  return library.lexer(markdown, { gfm: true });
}

/**
 * Markdown, read by the library's lexer, in the words of a dialect. No word of the text is lost: raw HTML, definitions and
 * addresses that may not be opened are shown as text. What would keep the lexer busy is not given to it: it is text too.
 */
export function render(markdown: string, dialect: Dialect): string {
  const clean = harmless(markdown);
  if (!isTame(clean)) return dialect.text(clean);
  try {
    return blocks(lexer(clean), dialect).trimEnd();
  } catch {
    return dialect.text(clean); // nested deeper than its stack
  }
}

/** Controls, and the directions that put words where they do not stand. */
const UNWELCOME = /[\0-\x08\x0b-\x1f\x7f\u202a-\u202e\u2066-\u2069]/g;

export function harmless(text: string): string {
  return text.toWellFormed().replace(/\r\n?/g, '\n').replace(UNWELCOME, '');
}

export function marksIn(text: string): number {
  return text.match(/[*_~[\]<@`]/g)?.length ?? 0;
}

/** Whether the lexer is through with it at once: its work grows with the square of the marks and of the nesting. */
function isTame(text: string): boolean {
  if (text.length > DIALECT_PARSE_CHARS_MAX) return false;
  if (marksIn(text) > DIALECT_MARKS_MAX) return false;
  return !text
    .split('\n')
    .some((line) => (/^[\s>*+.)\d-]+/.exec(line)?.[0].match(/[>*+.)-]/g)?.length ?? 0) > DIALECT_NESTING_MAX);
}

function blocks(tokens: Token[], dialect: Dialect, tight = false): string {
  const shown = tokens.map((token) => block(token, dialect)).filter((text) => text !== '');
  return shown.join(tight ? '\n' : '\n\n');
}

function block(token: Token, dialect: Dialect): string {
  switch (token.type) {
    case 'space':
      return '';
    case 'code':
      return code(token as Tokens.Code, dialect);
    case 'heading':
      // Mostly it is bold as a whole.
      return dialect.heading(inlines(token.tokens ?? [], { ...dialect, strong: (inner) => inner }), token['depth']);
    case 'hr':
      return '———';
    case 'blockquote':
      return dialect.quote(blocks(token.tokens ?? [], dialect));
    case 'list':
      return list(token as Tokens.List, dialect);
    case 'table':
      return dialect.block(table(token as Tokens.Table), '');
    case 'checkbox':
    case 'paragraph':
    case 'text':
      return inlines([token], dialect);
    default:
      return dialect.text(token.raw.trimEnd()); // raw HTML, a definition
  }
}

/** What stands beside the fence is a language, or words that somebody is to read. */
function code({ text, lang = '' }: Tokens.Code, dialect: Dialect): string {
  const info = lang.trim();
  const language = /^[\w+#-]{0,20}$/.test(info) ? info : '';
  const block = dialect.block(text.replace(/\n$/, ''), language);
  return language === info ? block : `${dialect.text(info)}\n${block}`;
}

function list({ items, ordered, start }: Tokens.List, dialect: Dialect): string {
  return items
    .map((item, at) => {
      const box = item.task ? (item.checked ? '[x] ' : '[ ] ') : '';
      const bullet = ordered ? `${Number(start) + at}.` : '•';
      const inner = item.tokens.filter(({ type }) => type !== 'checkbox');
      return `${bullet} ${dialect.text(box)}${blocks(inner, dialect, true).replaceAll('\n', '\n  ')}`;
    })
    .join('\n');
}

/** No chat has tables: columns of words, in a block whose letters are equally wide. */
function table({ header, rows, raw }: Tokens.Table): string {
  // The reader drops cells that have no column.
  if (raw.split('\n').some((line) => (line.match(/\|/g)?.length ?? 0) > header.length + 1)) return raw.trimEnd();
  const cells = [header, ...rows].map((row) => row.map((cell) => inlines(cell.tokens, plain).replaceAll('\n', ' ')));
  const wide = header.map((_, at) => Math.min(30, Math.max(...cells.map((row) => row[at]?.length ?? 0))));
  return cells
    .map((row) =>
      row
        .map((cell, at) => cell.padEnd(wide[at] ?? 0))
        .join(' | ')
        .trimEnd(),
    )
    .join('\n');
}

function inlines(tokens: Token[], dialect: Dialect): string {
  return tokens.map((token) => inline(token, dialect)).join('');
}

function inline(token: Token, dialect: Dialect): string {
  const { tokens } = token as Tokens.Generic;
  const inner = (): string => inlines(tokens ?? [], dialect);
  switch (token.type) {
    case 'strong':
      return dialect.strong(inner());
    case 'em':
      return dialect.emphasis(inner());
    case 'del':
      return dialect.struck(inner());
    case 'codespan':
      return dialect.code(token['text']);
    case 'br':
      return '\n';
    case 'link':
    case 'image':
      return link(token as Tokens.Link, dialect);
    case 'paragraph':
    case 'text':
      return tokens ? inner() : dialect.text(decoded(token['text']));
    case 'escape':
      return dialect.text(token['text']);
    default:
      return dialect.text(token.raw); // a tag, a box
  }
}

/** What may be opened by a touch. */
const OPENED = /^(?:https?:\/\/|mailto:)[^\s\\]+$/i;

function link({ href, text, tokens }: Tokens.Link, dialect: Dialect): string {
  const shown = inlines(tokens ?? [], dialect);
  const address = decoded(href);
  if (!OPENED.test(address)) return address === '' ? shown : `${shown} ${dialect.text(`(${address})`)}`;
  const own = text === href || `mailto:${text}` === href || shown.trim() === '';
  return dialect.link(own ? null : shown, address);
}

const ENTITIES: Record<string, string> = { amp: '&', lt: '<', gt: '>', quot: '"', '#39': "'" };

function decoded(text: string): string {
  return text.replace(/&(amp|lt|gt|quot|#39);/g, (_, name: string) => ENTITIES[name]!);
}
