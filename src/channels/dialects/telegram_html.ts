import type { Dialect } from './dialect.ts';

/** Telegram's `parse_mode: HTML`: a few tags; whatever else looks like one must be an entity, or the message is refused. */
export const telegramHtml: Dialect = {
  text: escaped,
  strong: (inner) => `<b>${inner}</b>`,
  emphasis: (inner) => `<i>${inner}</i>`,
  struck: (inner) => `<s>${inner}</s>`,
  code: (plain) => `<code>${escaped(plain)}</code>`,
  block: (plain, language) =>
    language === ''
      ? `<pre>${escaped(plain)}</pre>`
      : `<pre><code class="language-${language}">${escaped(plain)}</code></pre>`,
  link: (shown, href) => `<a href="${escaped(href).replaceAll('"', '&quot;')}">${shown ?? escaped(href)}</a>`,
  heading: (inner) => `<b>${inner}</b>`,
  // A quote within a quote is refused.
  quote: (inner) => `<blockquote>${inner.replace(/<\/?blockquote>/g, '')}</blockquote>`,
};

function escaped(plain: string): string {
  return plain.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
}
