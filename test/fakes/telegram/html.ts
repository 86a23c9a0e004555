/** Telegram's `parse_mode: HTML`, as strict as the server: what is no known tag, or is not closed, is refused. */
export interface Parsed {
  text: string;
  bold: string[];
  code: string[];
}

const KNOWN = ['b', 'strong', 'i', 'em', 'u', 'ins', 's', 'strike', 'del', 'code', 'pre', 'a', 'blockquote'];
const ENTITIES: Record<string, string> = { lt: '<', gt: '>', amp: '&', quot: '"' };
const TOKEN = /<(\/?)([a-z-]+)((?:\s+[a-z-]+="[^"<>]*")*)\s*>|&(?:(lt|gt|amp|quot)|#(\d+));|[\s\S]/gy;

/** Null: it is refused. */
export function parseHtml(html: string): Parsed | null {
  const parsed: Parsed = { text: '', bold: [], code: [] };
  const open: { tag: string; from: number }[] = [];
  for (const [token, slash, tag, , name, number] of html.matchAll(TOKEN)) {
    if (name !== undefined) parsed.text += ENTITIES[name];
    else if (number !== undefined) parsed.text += String.fromCodePoint(Number(number));
    else if (tag === undefined) {
      if (token === '<') return null;
      parsed.text += token;
    } else if (!KNOWN.includes(tag)) return null;
    else if (slash === '') open.push({ tag, from: parsed.text.length });
    else {
      const last = open.pop();
      if (last?.tag !== tag) return null;
      const inner = parsed.text.slice(last.from);
      if (tag === 'b' || tag === 'strong') parsed.bold.push(inner);
      if ((tag === 'code' && open.at(-1)?.tag !== 'pre') || tag === 'pre') parsed.code.push(inner);
    }
  }
  return open.length > 0 ? null : { ...parsed, text: parsed.text.trim() };
}
