import { REST, type RequestMethod } from '@discordjs/rest';
import type { z } from 'zod';
import { type Failure, failureOf, NOT_UNDERSTOOD } from './failures.ts';
import { CALL_MS, FILE_MS } from './limits.ts';

/** Discord's REST API, once a call: the library counts its limits, and neither repeats nor waits. */

export type Called<T> = { ok: true; value: T } | { ok: false; failure: Failure };

type Method = 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';

interface With {
  body?: object;
  query?: Record<string, string>;
  file?: { name: string; data: Buffer };
  /** The address is the permission: the token stays here. */
  bare?: true;
  signal?: AbortSignal;
}

const CDN = ['https://cdn.discordapp.com', 'https://media.discordapp.net'];

export class Api {
  readonly #rest: REST;
  readonly #token: string;
  readonly #override: URL | null;
  readonly #failed: (failure: Failure) => void;

  /** `failed` hears of every call that came to nothing. */
  constructor(token: string, override: string | undefined, failed: (failure: Failure) => void) {
    this.#token = token;
    this.#override = override === undefined ? null : new URL(override);
    this.#failed = failed;
    this.#rest = new REST({
      ...{ version: '10', retries: 0, offset: 0, timeout: FILE_MS, rejectOnRateLimit: () => true },
      ...(override === undefined ? {} : { api: override.replace(/\/$/, '') }),
    });
  }

  stop(): void {
    this.#rest.clearHashSweeper();
    this.#rest.clearHandlerSweeper();
  }

  /** Never throws. An answer of another shape is a failure whose outcome is unknown. */
  async call<S extends z.ZodType>(
    method: Method,
    route: `/${string}`,
    shape: S,
    { body, query, file, bare, signal }: With = {},
  ): Promise<Called<z.infer<S>>> {
    // The library drops a token that was refused once.
    this.#rest.setToken(this.#token);
    const late = AbortSignal.timeout(file === undefined ? CALL_MS : FILE_MS);
    try {
      const answer = await this.#rest.request({
        ...{ method: method as RequestMethod, fullRoute: route, auth: bare !== true },
        signal: signal === undefined ? late : AbortSignal.any([signal, late]),
        ...(body === undefined ? {} : { body }),
        ...(query === undefined ? {} : { query: new URLSearchParams(query) }),
        ...(file === undefined ? {} : { files: [{ ...file, contentType: 'application/octet-stream' }] }),
      });
      const read = shape.safeParse(answer);
      if (read.success) return { ok: true, value: read.data };
      return { ok: false, failure: NOT_UNDERSTOOD };
    } catch (error) {
      const failure = failureOf(error);
      if (bare !== true) this.#failed(failure);
      return { ok: false, failure };
    }
  }

  /** Whether a file may be fetched from there. */
  keepsFiles(address: string): boolean {
    const origin = URL.parse(address)?.origin;
    return origin !== undefined && (CDN.includes(origin) || origin === this.#override?.origin);
  }

  /** Whether the token may be given to who listens there. */
  isGateway(address: string): boolean {
    const url = URL.parse(address);
    if (url === null) return false;
    if (this.#override !== null && url.protocol === 'ws:') return url.host === this.#override.host;
    const ours = /(^|\.)discord\.gg$/.test(url.hostname) || url.host === this.#override?.host;
    return url.protocol === 'wss:' && ours;
  }
}
