/** Discord's Markdown as a person reads it, as far as a test looks. */
export interface Shown {
  shown: string;
  bold: string[];
  code: string[];
}

const TOKEN = /```(?:[^\n`]*\n)?([\s\S]*?)\n?```|(`+) ?([^`]+?) ?\2|\\([^\w\s])|\*\*/g;

export function shownOf(content: string): Shown {
  const bold: string[] = [];
  const code: string[] = [];
  let shown = '';
  let opened: number | null = null;
  let at = 0;
  for (const match of content.matchAll(TOKEN)) {
    shown += content.slice(at, match.index);
    at = match.index + match[0].length;
    const [, block, , line, escaped] = match;
    if (match[0] === '**') {
      if (opened !== null) bold.push(shown.slice(opened));
      opened = opened === null ? shown.length : null;
    } else {
      shown += block ?? line ?? escaped ?? '';
      const asCode = block ?? line;
      if (asCode !== undefined) code.push(asCode);
    }
  }
  return { shown: shown + content.slice(at), bold, code };
}
