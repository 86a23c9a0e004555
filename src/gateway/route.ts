import type { Provider } from '../base/config.ts';
import { TARGET_BYTES_MAX } from '../base/limits/gateway.ts';

/**
 * Decides what a request line may reach. Pure. Deny is the default, and there is one kind of exit: a model route.
 * Nothing is normalised: a target that is not plain is refused, so that the bytes matched are the bytes sent.
 */

/** Everything but these is refused, whatever the upstream offers. */
const ALLOWED: Record<Provider, readonly string[]> = {
  anthropic: ['/v1/messages', '/v1/messages/count_tokens'],
  openai: ['/chat/completions', '/responses'],
  ollama: ['/api/chat', '/api/generate', '/v1/chat/completions'],
};

/** Query strings that may go along, whole. The Claude client sends `?beta=true`. */
const QUERIES: Record<Provider, readonly string[]> = {
  anthropic: ['beta=true'],
  openai: [],
  ollama: [],
};

const PREFIX = '/model/';
const MODEL = 'default';
const PLAIN_PATH = /^\/$|^(?:\/[A-Za-z0-9_-][A-Za-z0-9_.-]*)+$/;

/** Answered to the agent as JSON; `try` tells it what would work. */
export interface Refusal {
  allow: false;
  status: number;
  rule: string;
  reason: string;
  try: string;
}

export interface Allowed {
  allow: true;
  /** For the audit row: which rule let it through. */
  rule: string;
  /** Path and query below the upstream, byte for byte as matched. */
  rest: string;
}

export function route(method: string, target: string, provider: Provider): Allowed | Refusal {
  if (target.length > TARGET_BYTES_MAX) return malformed(414, 'the request target is too long', provider);
  if (!target.startsWith('/'))
    return malformed(400, 'only a path is accepted here, not a whole URL or an authority', provider);
  const mark = target.indexOf('?');
  const path = mark === -1 ? target : target.slice(0, mark);
  const query = mark === -1 ? null : target.slice(mark + 1);
  if (!PLAIN_PATH.test(path))
    return malformed(400, 'the path is not plain: no escapes, dot segments, empty segments or other signs', provider);
  if (!path.startsWith(PREFIX)) return denied('default deny', 'only model routes are open', provider);
  const slash = path.indexOf('/', PREFIX.length);
  const name = slash === -1 ? path.slice(PREFIX.length) : path.slice(PREFIX.length, slash);
  if (name !== MODEL) return denied('default deny', `there is no model named "${name}" here`, provider);
  const rest = slash === -1 ? '' : path.slice(slash);
  if (!ALLOWED[provider].includes(rest))
    return denied(`model ${MODEL}`, `"${rest || '/'}" is not an allowed path of this model`, provider);
  if (method !== 'POST')
    return { ...denied(`model ${MODEL}`, `${method} is not allowed on this path`, provider), status: 405 };
  if (query !== null && !QUERIES[provider].includes(query))
    return denied(`model ${MODEL}`, 'this query string is not allowed', provider);
  return { allow: true, rule: `model ${MODEL}: POST ${rest}`, rest: query === null ? rest : `${rest}?${query}` };
}

function denied(rule: string, reason: string, provider: Provider): Refusal {
  return { allow: false, status: 403, rule, reason, try: `POST ${PREFIX}${MODEL}${ALLOWED[provider][0]}` };
}

function malformed(status: number, reason: string, provider: Provider): Refusal {
  return { ...denied('malformed request', reason, provider), status };
}
