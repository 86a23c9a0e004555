import { type Dialect, eachLine } from './dialect.ts';

/** Words alone, for a place without markup. */
export const plain: Dialect = {
  text: (text) => text,
  strong: (inner) => inner,
  emphasis: (inner) => inner,
  struck: (inner) => inner,
  code: (text) => text,
  block: (text) => eachLine(text, '    '),
  link: (shown, href) => (shown === null ? href : `${shown} (${href})`),
  heading: (inner) => inner,
  quote: (inner) => eachLine(inner, '> '),
};
