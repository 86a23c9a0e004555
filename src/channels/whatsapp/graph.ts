import type { z } from 'zod';
import { cutOf, type Failed, no, refusalOf } from './errors.ts';
import { CALL_MS } from './limits.ts';

/** Meta's Graph API, once a call. Each version lives for two years. */
const ROOT = 'https://graph.facebook.com';
const VERSION = 'v24.0';
/** Where the bytes of files are, besides Graph itself. */
const METAS = /(^|\.)(fbsbx\.com|facebook\.com|whatsapp\.net)$/;

export type Called<T> = { ok: true; value: T } | Failed;

export class Graph {
  readonly #token: string;
  readonly #root: string;
  readonly #refused: (reason: string) => void;

  /** `refused` hears of each call whose token does not count, or not for this. */
  constructor(token: string, api: string | undefined, refused: (reason: string) => void) {
    this.#token = token;
    this.#root = (api ?? ROOT).replace(/\/$/, '');
    this.#refused = refused;
  }

  get<S extends z.ZodType>(path: string, shape: S): Promise<Called<z.infer<S>>> {
    return this.#call(path, { method: 'GET' }, CALL_MS, shape);
  }

  post<S extends z.ZodType>(path: string, value: object, shape: S): Promise<Called<z.infer<S>>> {
    const headers = { 'content-type': 'application/json' };
    return this.#call(path, { method: 'POST', headers, body: JSON.stringify(value) }, CALL_MS, shape);
  }

  upload<S extends z.ZodType>(path: string, form: FormData, ms: number, shape: S): Promise<Called<z.infer<S>>> {
    return this.#call(path, { method: 'POST', body: form }, ms, shape);
  }

  /** The bytes behind an address that Graph gave. Rejects where it is not Meta's: the token goes nowhere else. */
  async fetchFile(address: string, signal: AbortSignal): Promise<Response> {
    if (!this.isMetas(address)) throw new Error('the address is not Meta’s');
    const headers = { authorization: `Bearer ${this.#token}` };
    return globalThis.fetch(address, { headers, redirect: 'error', signal });
  }

  isMetas(address: string): boolean {
    const url = URL.parse(address);
    if (url === null) return false;
    if (url.origin === new URL(this.#root).origin) return true;
    return url.protocol === 'https:' && url.port === '' && METAS.test(url.hostname);
  }

  /** Never throws. An answer of another shape is a failure whose outcome is unknown. */
  async #call<S extends z.ZodType>(
    path: string,
    init: RequestInit & { headers?: Record<string, string> },
    ms: number,
    shape: S,
  ): Promise<Called<z.infer<S>>> {
    const headers = { ...init.headers, authorization: `Bearer ${this.#token}` };
    try {
      const signal = AbortSignal.timeout(ms);
      const response = await globalThis.fetch(`${this.#root}/${VERSION}/${path}`, {
        ...init,
        ...{ headers, signal, redirect: 'error' },
      });
      // Graph repeats a token that it cannot read.
      const said = parsed((await response.text()).replaceAll(this.#token, '…'));
      if (!response.ok) return this.#told(refusalOf(response.status, response.headers, said));
      const read = shape.safeParse(said);
      return read.success
        ? { ok: true, value: read.data }
        : no('ambiguous', 'the answer of WhatsApp was not understood');
    } catch (error) {
      return cutOf(error);
    }
  }

  #told(failed: Failed): Failed {
    if (failed.refusal.class === 'auth') this.#refused(failed.refusal.reason);
    return failed;
  }
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
