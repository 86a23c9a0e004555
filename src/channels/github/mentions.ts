/** Whether a text names somebody, as GitHub reads it: not in code, and not in what is not shown. */
export function mentions(text: string, name: string): boolean {
  const named = new RegExp(`(?<![\\w/@.-])@${escaped(name)}${ENDS}`, 'i');
  return named.test(hidden(outsideOfCode(text).join('\n')));
}

/** Neither a longer name nor a team. */
const ENDS = '(?![\\w/]|-\\w)';

/** Without a mention of `name` at the beginning, which is no word of what was said. */
export function withoutMention(text: string, name: string): string {
  return text.replace(new RegExp(`^\\s*@${escaped(name)}${ENDS}(?:\\[bot\\])?[\\s,:]*`, 'i'), '');
}

/** Without comments of HTML. One that does not end hides the rest. */
function hidden(text: string): string {
  const [first, ...rest] = text.split('<!--');
  return [first, ...rest.map((part) => (part.includes('-->') ? part.slice(part.indexOf('-->') + 3) : ''))].join(' ');
}

function outsideOfCode(text: string): string[] {
  let fence: string | null = null;
  let afterBlank = true;
  return text.split(/\r?\n/).flatMap((line) => {
    const mark = /^ {0,3}(`{3,}|~{3,})/.exec(line)?.[1] ?? null;
    const wasIn = fence !== null;
    if (mark !== null) fence = fence === null ? mark : mark.startsWith(fence) ? null : fence;
    if (wasIn || mark !== null) return [];
    const isIndented = afterBlank && /^( {4}|\t)/.test(line);
    afterBlank = isIndented || line.trim() === '';
    return isIndented ? [] : outsideOfTicks(line);
  });
}

/** Runs of ticks and what is between them, each read once: a run is closed by the next of its length. */
function outsideOfTicks(line: string): string[] {
  const parts = line.split(/(`+)/);
  const last = new Map<string, number>();
  for (let at = 1; at < parts.length; at += 2) last.set(parts[at]!, at);
  let open: string | null = null;
  return parts.filter((part, at) => {
    if (at % 2 === 0) return open === null;
    if (open === null && last.get(part)! > at) open = part;
    else if (open === part) open = null;
    return false;
  });
}

function escaped(name: string): string {
  return name.replace(/[^\w-]/g, '\\$&');
}
