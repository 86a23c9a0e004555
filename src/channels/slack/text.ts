/** What a person wrote, out of Slack's markup: `<@U1>`, `<https://x|shown>` and three entities stand for what they say. */

const PERSON = /<@([A-Z0-9]{1,64})(?:\|[^<>]*)?>/g;

export function mentionsOf(text: string): string[] {
  return [...new Set([...text.matchAll(PERSON)].map(([, id]) => id!))];
}

/** `nameOf` is asked for each mention; without an answer the id is shown. A mention of `me` at the beginning is no word. */
export function readable(text: string, me: string, nameOf: (id: string) => string | undefined): string {
  const said = text.replace(new RegExp(`^\\s*<@${me}(?:\\|[^<>]*)?>[\\s,:]*`), '');
  return said.replace(/<([^<>]*)>/g, (_, inner: string) => token(inner, nameOf)).replace(/&(amp|lt|gt);/g, entity);
}

function token(inner: string, nameOf: (id: string) => string | undefined): string {
  const bar = inner.indexOf('|');
  const target = bar < 0 ? inner : inner.slice(0, bar);
  const shown = bar < 0 ? '' : inner.slice(bar + 1);
  if (target.startsWith('@')) return `@${nameOf(target.slice(1)) ?? (shown || target.slice(1))}`;
  if (target.startsWith('#')) return `#${shown || target.slice(1)}`;
  if (target.startsWith('!')) return special(target.slice(1), shown);
  const address = target.replace(/^mailto:/, '');
  return shown === '' || shown === target || shown === address ? address : `${shown} (${address})`;
}

/** `<!here>`, `<!subteam^S1|@team>`, `<!date^0^{date}|1 January>`. */
function special(what: string, shown: string): string {
  if (shown.startsWith('@') || what.startsWith('date^')) return shown;
  return `@${shown || what.replace(/\^.*/, '')}`;
}

const ENTITIES: Record<string, string> = { amp: '&', lt: '<', gt: '>' };

function entity(_: string, name: string): string {
  return ENTITIES[name]!;
}
