import { APART, type Dialect, eachLine, fenced, marked, ticked } from './dialect.ts';

/**
 * Discord's Markdown. Nothing here can wake everybody, not in code either: whether something is code is the client's to say. The
 * driver forbids mentions all the same (`allowed_mentions`).
 */
export const discord: Dialect = {
  text: (plain) => calm(escaped(plain)),
  strong: (inner) => marked(inner, '**'),
  emphasis: (inner) => marked(inner, '*'),
  struck: (inner) => marked(inner, '~~'),
  code: (plain) => calm(ticked(plain)),
  block: (plain, language) => calm(fenced(plain, language)),
  link: (shown, href) => {
    const to = href.replace(/[()<>\s]/g, (c) => `%${c.charCodeAt(0).toString(16).toUpperCase().padStart(2, '0')}`);
    return shown === null ? to : `[${shown.replaceAll('\n', ' ')}](${to})`;
  },
  heading: (inner, depth) => `${'#'.repeat(Math.min(depth, 3))} ${inner.replaceAll('\n', ' ')}`,
  quote: (inner) => eachLine(inner, '> '),
};

function escaped(plain: string): string {
  return plain
    .replace(/[\\`*_~|[\]]/g, '\\$&')
    .replace(/^([^\S\n]*)([>#+-]+)(?=\s|#)/gm, '$1\\$2')
    .replace(/^([^\S\n]*\d+)\.(?=\s)/gm, '$1\\.');
}

function calm(text: string): string {
  return text.replace(/@(?=everyone|here)/gi, `@${APART}`).replace(/<(?=@|#|id:)/g, `<${APART}`);
}
