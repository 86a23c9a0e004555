import { type Dialect, eachLine, marked } from './dialect.ts';

/** WhatsApp's marks. It has no escapes and no links with a text: an address stands beside its words. */
export const whatsapp: Dialect = {
  text: (plain) => plain,
  strong: (inner) => marked(inner, '*'),
  emphasis: (inner) => marked(inner, '_'),
  struck: (inner) => marked(inner, '~'),
  code: (plain) => (plain.includes('`') || plain.trim() === '' ? plain : `\`${plain.replaceAll('\n', ' ')}\``),
  block: (plain) => `\`\`\`\n${plain.replaceAll('```', "'''")}\n\`\`\``,
  link: (shown, href) => (shown === null ? href : `${shown} (${href})`),
  heading: (inner) => marked(inner, '*'),
  quote: (inner) => eachLine(inner, '> '),
};
