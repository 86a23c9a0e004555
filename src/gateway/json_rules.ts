import { JSON_DEPTH_MAX } from '../base/limits/gateway.ts';
import { refusal } from './refuse.ts';
import type { Refusal } from './route.ts';

/**
 * `deny_json`: what must not stand in a JSON body. Pure. A body is read strictly first, because two readers that disagree
 * about it (a key twice, bytes that are no UTF-8) would let through what is forbidden.
 *
 *   mcp_servers                 the key is there
 *   tools.*.type=web_fetch*     any element's type begins so
 *   **.source.type=url          at any depth
 */
export type JsonVerdict = { kind: 'fine' } | { kind: 'malformed'; reason: string } | { kind: 'denied'; rule: string };

/** As a refusal; null: it may go. */
export function bodyProblem(body: Buffer | null, denyJson: readonly string[]): Refusal | null {
  if (body === null) return null;
  const verdict = judgeJson(body, denyJson);
  if (verdict.kind === 'fine') return null;
  if (verdict.kind === 'malformed') return refusal(400, 'malformed request', verdict.reason, 'send plain JSON');
  const { rule } = verdict;
  return refusal(403, `deny_json ${rule}`, `the body has what this group may not send: ${rule}`, 'leave it out');
}

export function judgeJson(body: Buffer, rules: readonly string[]): JsonVerdict {
  if (rules.length === 0) return { kind: 'fine' }; // It need not be JSON then.
  const read = readStrictly(body);
  if ('reason' in read) return { kind: 'malformed', reason: read.reason };
  const rule = rules.find((one) => isThere(read.value, ...parsed(one)));
  return rule === undefined ? { kind: 'fine' } : { kind: 'denied', rule };
}

function readStrictly(body: Buffer): { value: unknown } | { reason: string } {
  let text: string;
  let value: unknown;
  try {
    text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(body);
    value = JSON.parse(text);
  } catch {
    return { reason: 'the body is no JSON in UTF-8' };
  }
  const reason = oddity(text);
  return reason === null ? { value } : { reason };
}

/** What a valid JSON text has that readers disagree about. */
function oddity(text: string): string | null {
  const open: (Set<string> | null)[] = []; // the keys of each object so far; null: an array
  let keyNext = false;
  for (let at = 0; at < text.length; at += 1) {
    const sign = text[at];
    if (sign === '{' || sign === '[') {
      open.push(sign === '{' ? new Set() : null);
      if (open.length > JSON_DEPTH_MAX) return `the body is nested deeper than ${JSON_DEPTH_MAX}`;
      keyNext = sign === '{';
    } else if (sign === '}' || sign === ']') {
      open.pop();
      keyNext = false;
    } else if (sign === ',') {
      keyNext = open.at(-1) !== null;
    } else if (sign === '"') {
      const end = endOfString(text, at);
      const keys = keyNext ? open.at(-1) : null;
      if (keys) {
        const key = JSON.parse(text.slice(at, end + 1)) as string;
        if (keys.has(key)) return `the body has the key ${JSON.stringify(key.slice(0, 100))} twice`;
        keys.add(key);
      }
      keyNext = false;
      at = end;
    }
  }
  return null;
}

function endOfString(text: string, from: number): number {
  let at = from + 1;
  while (text[at] !== '"') at += text[at] === '\\' ? 2 : 1;
  return at;
}

function parsed(rule: string): [path: string[], value: string | null] {
  const mark = rule.indexOf('=');
  const path = mark === -1 ? rule : rule.slice(0, mark);
  return [path.split('.'), mark === -1 ? null : folded(rule.slice(mark + 1))];
}

function isThere(node: unknown, path: readonly string[], value: string | null): boolean {
  const [segment, ...rest] = path;
  if (segment === undefined) return value === null || isValue(node, value);
  const children = childrenOf(node);
  if (segment === '**') return isThere(node, rest, value) || children.some(([, child]) => isThere(child, path, value));
  const name = folded(segment);
  return children.some(([key, child]) => (segment === '*' || folded(key) === name) && isThere(child, rest, value));
}

function childrenOf(node: unknown): [string, unknown][] {
  return typeof node === 'object' && node !== null ? Object.entries(node) : [];
}

/** A list is its elements: servers take a single value and a list of one for the same. */
function isValue(node: unknown, value: string): boolean {
  if (Array.isArray(node)) return node.some((element) => isValue(element, value));
  if (typeof node === 'object' && node !== null) return false;
  const text = folded(String(node));
  return value.endsWith('*') ? text.startsWith(value.slice(0, -1)) : text === value;
}

/** Some servers read keys without case, and fold as Unicode does: `ſ` is an `s` to them. */
function folded(text: string): string {
  return text.toUpperCase().toLowerCase();
}
