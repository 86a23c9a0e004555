import { APART } from './dialect.ts';

/** GitHub takes Markdown as it is, and cleans its HTML itself. A team is not woken: `@org/team` outside of code is only words. */
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
  return line.replace(/(`+)(?!`)[^`]*\1(?!`)|@(?=[\w.-]+\/[\w.-])/g, (found) => (found === '@' ? `@${APART}` : found));
}
