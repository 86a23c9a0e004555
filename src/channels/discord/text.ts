/** What a person wrote, out of Discord's markup: `<@1>`, `<#1>`, `<:name:1>` stand for what they say. */

export interface Names {
  person(id: string): string | undefined;
  channel(id: string): string | undefined;
}

/** Without an answer the id is shown. A mention of `me`, or of the role that is ours, at the beginning is no word. */
export function readable(text: string, me: readonly string[], names: Names): string {
  const first = /^\s*<@[!&]?(\d{1,20})>[\s,:]*/.exec(text);
  const said = first !== null && me.includes(first[1]!) ? text.slice(first[0].length) : text;
  return said
    .replace(/<@!?(\d{1,20})>/g, (_, id: string) => `@${names.person(id) ?? id}`)
    .replace(/<#(\d{1,20})>/g, (_, id: string) => `#${names.channel(id) ?? id}`)
    .replace(/<a?(:\w{1,64}:)\d{1,20}>/g, '$1');
}
