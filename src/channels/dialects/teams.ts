import { type Dialect, eachLine, fenced, marked, ticked } from './dialect.ts';

/** The Markdown that Teams shows. It takes some HTML too, so that what looks like a tag is an entity; a mention needs more than words. */
export const teams: Dialect = {
  text: escaped,
  strong: (inner) => marked(inner, '**'),
  emphasis: (inner) => marked(inner, '_'),
  struck: (inner) => marked(inner, '~~'),
  code: ticked,
  block: fenced,
  link: (shown, href) => {
    const to = href.replace(/[()<>\s]/g, (c) => `%${c.charCodeAt(0).toString(16).toUpperCase().padStart(2, '0')}`);
    return `[${(shown ?? escaped(href)).replaceAll('\n', ' ')}](${to})`;
  },
  heading: (inner) => marked(inner, '**'),
  quote: (inner) => eachLine(inner, '> '),
};

function escaped(plain: string): string {
  return plain
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replace(/[\\`*_~[\]]/g, '\\$&')
    .replace(/^([^\S\n]*)([>#+-]+)(?=\s|#)/gm, '$1\\$2')
    .replace(/^([^\S\n]*\d+)\.(?=\s)/gm, '$1\\.');
}

/** The text that this was made of, where nothing of it was marked. */
export function plainOf(body: string): string {
  const signs = body.replace(/\\([\\`*_~[\]>#+.-])/g, '$1');
  return signs.replaceAll('&lt;', '<').replaceAll('&amp;', '&');
}
