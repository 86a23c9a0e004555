import { visibleLines } from '../base/text.ts';

/** Markup that is safe by how it is made: whatever a template is given is text, unless it is markup that a template has made. */
export class Html {
  readonly #markup: string;

  constructor(markup: string) {
    this.#markup = markup;
  }

  toString(): string {
    return this.#markup;
  }
}

type Part = Html | string | number | null | readonly Part[];

/** Values stand between tags or in quoted attributes. Unseen characters are shown as `U+200B`. */
export function html(strings: TemplateStringsArray, ...parts: Part[]): Html {
  return new Html(strings.map((text, at) => text + (at < parts.length ? markupOf(parts[at]!) : '')).join(''));
}

function markupOf(part: Part): string {
  if (part === null) return '';
  if (part instanceof Html) return part.toString();
  if (typeof part === 'object') return part.map(markupOf).join('');
  return visibleLines(String(part)).replace(/[&<>"'`]/g, (c) => `&#${c.codePointAt(0)};`);
}
