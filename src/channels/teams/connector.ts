import type { z } from 'zod';
import { isOf, withoutSlash } from './hosts.ts';
import { type Called, type Failure, failureOf, jsonOf, retryAfter } from './http.ts';
import { ANSWER_BYTES_MAX, CALL_MS } from './limits.ts';
import * as payloads from './payloads.ts';
import type { Tokens } from './tokens.ts';

export const NOT_TAKEN =
  'Teams does not take the token of this app: check that app_id and tenant are those of the bot, and that its channel "Microsoft Teams" is on';

interface Call {
  method: 'GET' | 'POST' | 'PUT';
  /** Below the service's address, or an address at one of its hosts. */
  path: string;
  body?: object;
  /** Of the body when it comes. */
  within_ms?: number;
}

/** Teams' service, in REST: each call is one try, but for a token that has had its time. */
export class Connector {
  readonly #tokens: Tokens;
  readonly #hosts: readonly string[];
  readonly #heard: (failure: Failure | null) => void;

  /** `heard` is told of each answer: null for one that says yes. */
  constructor(tokens: Tokens, hosts: readonly string[], heard: (failure: Failure | null) => void) {
    this.#tokens = tokens;
    this.#hosts = hosts;
    this.#heard = heard;
  }

  /** Never rejects. An answer of another shape is a failure whose outcome is unknown. */
  async call<S extends z.ZodType>(service: string, call: Call, shape: S): Promise<Called<z.infer<S>>> {
    const answer = await this.respond(`${withoutSlash(service)}${call.path}`, call);
    if (!answer.ok) return answer;
    try {
      const read = shape.safeParse(await jsonOf(answer.value, ANSWER_BYTES_MAX));
      if (read.success) return { ok: true, value: read.data };
      return { ok: false, failure: { class: 'ambiguous', reason: 'the answer of Teams was not understood' } };
    } catch (error) {
      return { ok: false, failure: { ...failureOf(error), class: 'ambiguous' } };
    }
  }

  /** An answer that says yes, whose body is still to come. Never rejects. */
  async respond(address: string, call: Call): Promise<Called<Response>> {
    const answer = await this.#respond(address, call);
    this.#heard(answer.ok ? null : answer.failure);
    return answer;
  }

  async #respond(address: string, call: Call): Promise<Called<Response>> {
    if (!isOf(this.#hosts, address))
      return {
        ok: false,
        failure: { class: 'gone', reason: 'this chat is at an address that is not among `services`' },
      };
    const token = await this.#tokens.get();
    if (!token.ok) return token;
    const first = await attempt(address, call, token.value);
    if (!first.ok || first.value.status !== 401) return judged(first);
    // Refused before it was read: nothing of it was done.
    const other = await this.#tokens.get(token.value);
    return other.ok ? judged(await attempt(address, call, other.value)) : other;
  }
}

async function attempt(address: string, { method, body, within_ms = CALL_MS }: Call, token: string) {
  try {
    const response = await fetch(address, {
      method,
      headers: { authorization: `Bearer ${token}`, ...(body && { 'content-type': 'application/json' }) },
      ...(body && { body: JSON.stringify(body) }),
      redirect: 'manual',
      signal: AbortSignal.timeout(within_ms),
    });
    return { ok: true, value: response } as const;
  } catch (error) {
    return { ok: false, failure: failureOf(error) } as const;
  }
}

async function judged(answer: Called<Response>): Promise<Called<Response>> {
  if (!answer.ok || answer.value.ok) return answer;
  const { value: response } = answer;
  const read = payloads.refusal.safeParse(await jsonOf(response, ANSWER_BYTES_MAX).catch(() => undefined));
  const code = read.success && /^[A-Za-z]{1,60}$/.test(read.data.error.code) ? read.data.error.code : '';
  return { ok: false, failure: refusal(response, code) };
}

/** What Teams' statuses mean. Of those above 500 only 503 says that nothing was done: Teams may have posted and then failed. */
function refusal(response: Response, code: string): Failure {
  const { status } = response;
  const said = `Teams said ${status}${code === '' ? '' : ` ${code}`}`;
  switch (status) {
    case 401:
      return { class: 'auth', reason: NOT_TAKEN };
    case 403:
      return { class: 'gone', reason: `${said}: the app was removed from this chat, or blocked` };
    case 404:
      return { class: 'gone', reason: `${said}: there is no such chat or message any more` };
    case 413:
      return { class: 'too_large', reason: said };
    case 412: // something else happens in that chat right now
    case 503:
      return { class: 'retryable', reason: said };
    case 429: {
      const after_ms = retryAfter(response);
      return { class: 'rate_limited', reason: said, ...(after_ms === undefined ? {} : { after_ms }) };
    }
    default:
      return { class: status >= 500 || status === 408 ? 'ambiguous' : 'permanent', reason: said };
  }
}
