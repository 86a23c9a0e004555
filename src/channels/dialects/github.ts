import { APART } from './dialect.ts';

/** GitHub takes Markdown as it is; but HTML it hides or cleans away, and no word may be lost. A team is not woken: `@org/team` outside of code is only words. */
export function githubMarkdown(markdown: string): string {
  let fence: string | null = null;
  return markdown
    .split('\n')
    .map((line) => {
      const mark = /^ {0,3}(`{3,}|~{3,})/.exec(line)?.[1] ?? null;
      const open = fence;
      if (mark !== null) fence = fence === null ? mark : mark.startsWith(fence) ? null : fence;
      return open === null && mark === null ? calm(line) : line;
    })
    .join('\n');
}

/** What stands between ticks of its own line is code, such as the name of a package. */
function calm(line: string): string {
  // Runs of ticks and what is between them, each read once: a search for the second run of a length costs the square of a line.
  const parts = line.split(/(`+)/);
  const closes = new Map<string, number>();
  for (let i = 1; i < parts.length; i += 2) closes.set(parts[i]!, i);
  let open: string | null = null;
  return parts
    .map((part, i) => {
      if (i % 2 === 1) {
        if (open === null && closes.get(part)! > i) open = part;
        else if (open === part) open = null;
        return part;
      }
      if (open !== null) return part;
      return part.replace(/@(?=[\w.-]+\/[\w.-])/g, `@${APART}`).replace(/(?<!\\)<(?=[a-z!/?])/gi, '\\<');
    })
    .join('');
}
