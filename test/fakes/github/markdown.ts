/**
 * What a person reads of a comment, as far as the tests write it: HTML outside of code is hidden, comments of several lines
 * too, marks are shown as what they say.
 */
export function shownOf(body: string): { shown: string; bold: string[]; code: string[] } {
  const bold: string[] = [];
  const code: string[] = [];
  let fenced = false;
  const shown = body
    .replace(/(?<!\\)<!--[\s\S]*?-->/g, '')
    .trimEnd()
    .split('\n')
    .flatMap((line) => {
      const isFence = /^(`{3,}|~{3,})/.test(line);
      if (isFence) fenced = !fenced;
      if (isFence) return [];
      return fenced ? [kept(code, line)] : [lineOf(line.replace(/^#+ /, ''), bold, code)];
    })
    .join('\n');
  return { shown, bold, code };
}

function lineOf(line: string, bold: string[], code: string[]): string {
  return line
    .replace(/\*\*([^*\n]+)\*\*/g, (_, inner: string) => kept(bold, inner))
    .split(/(`[^`]+`)/)
    .map((part, i) => (i % 2 === 1 ? kept(code, part.slice(1, -1)) : withoutHtml(part)))
    .join('');
}

function withoutHtml(text: string): string {
  return text.replace(/(?<!\\)<[a-z!/?][^>]*>/gi, '').replace(/\\</g, '<');
}

function kept(into: string[], inner: string): string {
  into.push(inner);
  return inner;
}
