/** What a person reads of a comment, as far as the tests write it: comments of HTML are hidden, marks are shown as what they say. */
export function shownOf(body: string): { shown: string; bold: string[]; code: string[] } {
  const bold: string[] = [];
  const code: string[] = [];
  const visible = body.replace(/<!--[\s\S]*?-->/g, '').trimEnd();
  const shown = visible
    .split('\n')
    .filter((line) => !/^(`{3,}|~{3,})/.test(line))
    .map((line) => line.replace(/^#+ /, ''))
    .join('\n')
    .replace(/\*\*([^*\n]+)\*\*/g, (_, inner: string) => kept(bold, inner))
    .replace(/`([^`\n]+)`/g, (_, inner: string) => kept(code, inner));
  return { shown, bold, code };
}

function kept(into: string[], inner: string): string {
  into.push(inner);
  return inner;
}
