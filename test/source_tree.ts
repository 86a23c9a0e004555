import { readFileSync } from 'node:fs';
import { dirname, join, normalize } from 'node:path';
import { fileURLToPath } from 'node:url';

/** The source as the tidy test reads it: text without comments, and who imports whom. No parser: the formatter's output is regular enough. */

export const ROOT = fileURLToPath(new URL('..', import.meta.url));

/** A name in an import, from the file that it stands in. */
export interface Import {
  /** Path from the root for a file of ours; the bare name for a package or `node:` module. */
  to: string;
  /** Only types: gone at run time. */
  type: boolean;
}

export interface Source {
  /** From the root, with forward slashes. */
  path: string;
  text: string;
  /** Comments blanked, lines and columns kept. */
  code: string;
  /** Comments and what stands in strings, templates and regular expressions blanked. */
  bare: string;
  imports: Import[];
}

export function readSource(path: string): Source {
  const text = readFileSync(join(ROOT, path), 'utf8');
  const { code, bare } = blank(text);
  return { path, text, code, bare, imports: importsOf(path, code) };
}

const STATEMENT = /^(?:import|export)\s+(type\s)?[^'"`;=]*?(?:from\s*)?'([^'\n]+)'/gm;
const CALL = /\bimport\(\s*'([^'\n]+)'\s*\)(\.[A-Z])?/g;

function importsOf(path: string, code: string): Import[] {
  const found: Import[] = [];
  const add = (name: string, type: boolean): void => {
    const local = name.startsWith('.');
    found.push({ to: local ? normalize(join(dirname(path), name)) : name, type });
  };
  for (const [, type, name] of code.matchAll(STATEMENT)) add(name!, type !== undefined);
  // `import('x').Name` stands where a type does; `import('x')` loads.
  for (const [, name, member] of code.matchAll(CALL)) add(name!, member !== undefined);
  return found;
}

/** After these a slash begins a regular expression; after anything else it divides. */
const BEFORE_REGEX = /(?:^|[=(,:[!&|?{};\n>])\s*$|\b(?:return|case|of|in)\s+$/;

/** One pass over the text. Templates are taken as a whole: code inside `${}` counts as text. */
function blank(text: string): { code: string; bare: string } {
  let code = '';
  let bare = '';
  for (let at = 0; at < text.length; ) {
    const end = endOfToken(text, at, code);
    const token = text.slice(at, end);
    const kind = kindOf(token);
    code += kind === 'comment' ? spaces(token) : token;
    bare += kind === 'other' ? token : spaces(token);
    at = end;
  }
  return { code, bare };
}

function kindOf(token: string): 'comment' | 'string' | 'other' {
  if (token.startsWith('//') || token.startsWith('/*')) return 'comment';
  return token.length > 1 ? 'string' : 'other';
}

function endOfToken(text: string, at: number, before: string): number {
  const sign = text[at]!;
  if (text.startsWith('//', at)) return endAt(text.indexOf('\n', at), text);
  if (text.startsWith('/*', at)) return endAt(text.indexOf('*/', at) + 2, text);
  if (sign === "'" || sign === '"') return endOfQuoted(text, at, sign);
  if (sign === '`') return endOfTemplate(text, at);
  if (sign === '/' && BEFORE_REGEX.test(before.slice(-40))) return endOfRegex(text, at);
  return at + 1;
}

function endAt(found: number, text: string): number {
  return found < 0 ? text.length : found;
}

function endOfQuoted(text: string, at: number, quote: string): number {
  let i = at + 1;
  while (i < text.length && text[i] !== quote) i += text[i] === '\\' ? 2 : 1;
  return i + 1;
}

function endOfTemplate(text: string, at: number): number {
  let i = at + 1;
  while (i < text.length && text[i] !== '`') {
    if (text[i] === '\\') i += 2;
    else if (text.startsWith('${', i)) i = endOfHole(text, i + 2);
    else i += 1;
  }
  return i + 1;
}

/** Behind the brace that closes `${`; strings and templates may stand inside. */
function endOfHole(text: string, at: number): number {
  let depth = 1;
  let i = at;
  while (i < text.length && depth > 0) {
    const sign = text[i]!;
    if (sign === '`') i = endOfTemplate(text, i);
    else if (sign === "'" || sign === '"') i = endOfQuoted(text, i, sign);
    else {
      if (sign === '{') depth += 1;
      if (sign === '}') depth -= 1;
      i += 1;
    }
  }
  return i;
}

function endOfRegex(text: string, at: number): number {
  let i = at + 1;
  let inClass = false;
  while (i < text.length && text[i] !== '\n' && (inClass || text[i] !== '/')) {
    if (text[i] === '[') inClass = true;
    if (text[i] === ']') inClass = false;
    i += text[i] === '\\' ? 2 : 1;
  }
  return text[i] === '/' ? i + 1 : at + 1;
}

function spaces(token: string): string {
  return token.replace(/[^\n]/g, ' ');
}

/** Everything that `roots` import, directly or not. `follow` may refuse a step. */
export function reachable(
  roots: string[],
  sources: Map<string, Source>,
  follow: (to: Import) => boolean = () => true,
): Set<string> {
  const seen = new Set<string>();
  const waiting = [...roots];
  for (let path = waiting.pop(); path !== undefined; path = waiting.pop()) {
    const source = sources.get(path);
    if (source === undefined || seen.has(path)) continue;
    seen.add(path);
    waiting.push(...source.imports.filter(follow).map((next) => next.to));
  }
  return seen;
}
