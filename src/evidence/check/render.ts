import type { Block } from './document.ts';

/** A document as Markdown, and as one HTML file that asks for nothing. Pure. Every text is data: it may come from a sandbox. */
export function markdownOf(blocks: readonly Block[]): string {
  return `${blocks.map(markdownBlock).join('\n\n')}\n`;
}

function markdownBlock(block: Block): string {
  switch (block.t) {
    case 'title':
      return `# ${plain(block.text)}`;
    case 'section':
      return `## ${plain(block.text)}`;
    case 'words':
      return plain(block.text);
    case 'list':
      return block.items.map((item) => `- ${plain(item)}`).join('\n');
    case 'table':
      return [block.head, block.head.map(() => '---'), ...block.rows.map((row) => row.map(plain))]
        .map((row) => `| ${row.join(' | ')} |`)
        .join('\n');
  }
}

/** No control characters, and nothing that Markdown or HTML takes for a sign of its own. */
function plain(text: string): string {
  return oneLine(text).replace(/[\\`*_[\]<>|#~&]/g, (sign) => `\\${sign}`);
}

function oneLine(text: string): string {
  return text.replace(/[\u0000-\u001f\u007f-\u009f\u200e\u200f\u2028-\u202e\u2066-\u2069]+/g, ' ');
}

const STYLE = `:root{color-scheme:light dark}
body{font:15px/1.5 system-ui,sans-serif;max-width:76rem;margin:2rem auto;padding:0 1rem}
h1{font-size:1.6rem}h2{margin-top:2.2rem;border-bottom:1px solid #8886}
table{border-collapse:collapse;width:100%;margin:.8rem 0;font-size:.9em}
th,td{border-bottom:1px solid #8884;padding:.3rem .6rem;text-align:left;vertical-align:top;overflow-wrap:break-word}
th,.held,.failed,.other{white-space:nowrap}
td{min-width:3rem;max-width:34rem}
.held{color:#18794e}.failed{color:#c62828;font-weight:700}.other{color:#8a6d1a}
@media(prefers-color-scheme:dark){.held{color:#4cc38a}.failed{color:#ff8a80}.other{color:#e0c060}}
@media print{body{margin:0;max-width:none}tr{break-inside:avoid}}`;

export function htmlOf(blocks: readonly Block[]): string {
  const title = blocks.find(({ t }) => t === 'title');
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'">
<meta name="viewport" content="width=device-width">
<title>${title?.t === 'title' ? html(title.text) : ''}</title>
<style>${STYLE}</style>
</head>
<body>
${blocks.map(htmlBlock).join('\n')}
</body>
</html>
`;
}

function htmlBlock(block: Block): string {
  switch (block.t) {
    case 'title':
      return `<h1>${html(block.text)}</h1>`;
    case 'section':
      return `<h2>${html(block.text)}</h2>`;
    case 'words':
      return `<p>${html(block.text)}</p>`;
    case 'list':
      return `<ul>\n${block.items.map((item) => `<li>${html(item)}</li>`).join('\n')}\n</ul>`;
    case 'table':
      return `<table>\n${headRow(block.head)}${block.rows.map((row) => bodyRow(block.head, row)).join('\n')}\n</table>`;
  }
}

function headRow(head: string[]): string {
  return head.every((cell) => cell === '') ? '' : `<tr>${head.map((cell) => `<th>${html(cell)}</th>`).join('')}</tr>\n`;
}

function bodyRow(head: string[], row: string[]): string {
  const cells = row.map((cell, at) => {
    const style = head[at] === 'state' ? ` class="${cell === 'held' || cell === 'failed' ? cell : 'other'}"` : '';
    return `<td${style}>${html(cell)}</td>`;
  });
  return `<tr>${cells.join('')}</tr>`;
}

const ENTITIES: Record<string, string> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', "'": '&#39;' };

function html(text: string): string {
  return oneLine(text).replace(/[&<>"']/g, (sign) => ENTITIES[sign]!);
}
