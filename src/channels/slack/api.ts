import { type Logger, LogLevel, WebClient, type WebClientOptions } from '@slack/web-api';
import type { z } from 'zod';
import { type Failure, failureOf, TooMany } from './failures.ts';
import { CALL_MS } from './limits.ts';

/** Slack's Web API, once a call: the library neither repeats nor queues nor writes to the console. */

const SLACK_API = 'https://slack.com/api/';

/** It would print what people wrote. */
export const quiet: Logger = {
  debug: () => {},
  info: () => {},
  warn: () => {},
  error: () => {},
  setLevel: () => {},
  getLevel: () => LogLevel.ERROR,
  setName: () => {},
};

export type Called<T> = { ok: true; value: T } | { ok: false; failure: Failure };

export class Api {
  readonly #client: WebClient;
  readonly #override: string | undefined;
  readonly #token: string;
  readonly #failed: (failure: Failure) => void;

  /** `failed` hears of every call that came to nothing. */
  constructor(token: string, override: string | undefined, failed: (failure: Failure) => void) {
    this.#token = token;
    this.#override = override;
    this.#failed = failed;
    this.#client = new WebClient(token, clientOptions(override));
  }

  /** Never throws. An answer of another shape is a failure whose outcome is unknown. */
  async call<S extends z.ZodType>(
    method: string,
    args: Record<string, unknown>,
    shape: S,
  ): Promise<Called<z.infer<S>>> {
    try {
      const read = shape.safeParse(await this.#client.apiCall(method, args));
      if (read.success) return { ok: true, value: read.data };
      return { ok: false, failure: { class: 'ambiguous', reason: 'the answer of Slack was not understood' } };
    } catch (error) {
      const failure = failureOf(error);
      this.#failed(failure);
      return { ok: false, failure };
    }
  }

  /** Fetches what only the app may see. Rejects where the address is not Slack's: the token goes nowhere else. */
  async fetchPrivate(address: string, signal: AbortSignal): Promise<Response> {
    if (!this.isSlacks(address)) throw new Error('the address is not Slack’s');
    const headers = { authorization: `Bearer ${this.#token}` };
    return globalThis.fetch(address, { headers, redirect: 'error', signal });
  }

  /** Posts where Slack said to, without the token: the address is the permission. Rejects as above. */
  async post(address: string, body: Blob | string, type: string, signal: AbortSignal): Promise<Response> {
    if (!this.isSlacks(address)) throw new Error('the address is not Slack’s');
    return globalThis.fetch(address, {
      ...{ method: 'POST', body, signal, redirect: 'error' },
      headers: { 'content-type': type },
    });
  }

  isSlacks(address: string): boolean {
    const url = URL.parse(address);
    if (url === null) return false;
    if (this.#override !== undefined && url.origin === new URL(this.#override).origin) return true;
    return url.protocol === 'https:' && url.port === '' && /(^|\.)slack\.com$/.test(url.hostname);
  }
}

export function clientOptions(override: string | undefined): WebClientOptions {
  return {
    slackApiUrl: override ?? SLACK_API,
    logger: quiet,
    timeout: CALL_MS,
    retryConfig: { retries: 0 },
    rejectRateLimitedCalls: true,
    allowAbsoluteUrls: false,
    fetch: limited,
  };
}

async function limited(input: Parameters<typeof fetch>[0], init?: RequestInit): Promise<Response> {
  const response = await globalThis.fetch(input, init);
  if (response.status === 429 && !/^\d+$/.test(response.headers.get('retry-after') ?? '')) throw new TooMany();
  return response;
}
