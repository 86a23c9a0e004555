import { type Dialect, eachLine, marked } from './dialect.ts';

/** Slack's mrkdwn. Three characters are escaped, also in code; then `<!channel>` and `<@U1>` are only words. */
export const slackMrkdwn: Dialect = {
  text: escaped,
  strong: (inner) => marked(inner, '*'),
  emphasis: (inner) => marked(inner, '_'),
  struck: (inner) => marked(inner, '~'),
  code: (plain) => (plain.includes('`') || plain.trim() === '' ? escaped(plain) : `\`${escaped(flat(plain))}\``),
  // There is no longer fence: one inside would end it.
  block: (plain) => `\`\`\`\n${escaped(plain.replaceAll('```', "'''"))}\n\`\`\``,
  link: (shown, href) => {
    const to = escaped(href.replace(/[|<>]/g, (c) => `%${c.charCodeAt(0).toString(16).toUpperCase()}`));
    return shown === null ? `<${to}>` : `<${to}|${flat(shown.replace(/[|<>]/g, ' '))}>`;
  },
  heading: (inner) => marked(inner, '*'),
  quote: (inner) => eachLine(inner, '&gt; ').replaceAll(/^&gt; /gm, '> '),
};

function flat(text: string): string {
  return text.replaceAll('\n', ' ');
}

function escaped(plain: string): string {
  return plain.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
}
