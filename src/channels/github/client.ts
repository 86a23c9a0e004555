import { request } from '@octokit/request';
import { RequestError } from '@octokit/request-error';
import { assert } from '../../base/errors.ts';
import type { DriverParts } from '../kind.ts';
import { type Auth, appAuth, type Me, tokenAuth } from './auth.ts';
import { statusOf } from './errors.ts';
import type { GitHubSettings } from './kind.ts';
import { CALL_MS } from './limits.ts';

type RequestParameters = NonNullable<Parameters<typeof request.defaults>[0]>;

export interface Answer {
  status: number;
  headers: Record<string, string | number | undefined>;
  data: unknown;
}

/**
 * The calls of the REST API. Each is made once: nothing here waits, repeats or queues. They reject with what `refusalOf`
 * reads.
 */
export class Client {
  readonly #call: typeof request;
  readonly #auth: Auth;
  #me: Promise<Me> | null = null;

  constructor(settings: GitHubSettings, secrets: DriverParts['secrets']) {
    const baseUrl = (settings.api ?? 'https://api.github.com').replace(/\/$/, '');
    const headers = { accept: 'application/vnd.github+json', 'x-github-api-version': '2022-11-28' };
    this.#call = request.defaults({ baseUrl, headers });
    const { app_id, installation_id } = settings;
    if (app_id === undefined || installation_id === undefined) {
      assert(secrets['token'] !== undefined, 'the token is there');
      this.#auth = tokenAuth(this.#call, secrets['token']);
    } else {
      assert(secrets['key'] !== undefined, 'the key is there');
      this.#auth = appAuth(this.#call, secrets['key'], { id: app_id, installation: installation_id });
    }
  }

  /** `etag`: of an answer that we have; the answer then may be 304, without data. */
  async call(route: string, given: object, more: { etag?: string; signal?: AbortSignal } = {}): Promise<Answer> {
    const { etag, signal } = more;
    const patience = AbortSignal.timeout(CALL_MS);
    const authorization = await this.#auth.header();
    try {
      return await this.#made(route, {
        ...given,
        headers: { authorization, ...(etag === undefined ? {} : { 'if-none-match': etag }) },
        // A redirect would make a GET of a POST.
        request: { redirect: 'manual', signal: signal === undefined ? patience : AbortSignal.any([signal, patience]) },
      });
    } catch (error) {
      if (statusOf(error) === 401) this.#auth.refused();
      throw error;
    }
  }

  /** Asked once; again after a failure. */
  me(): Promise<Me> {
    this.#me ??= this.#auth.me().catch((error: unknown) => {
      this.#me = null;
      throw error;
    });
    return this.#me;
  }

  async #made(route: string, options: RequestParameters): Promise<Answer> {
    try {
      const answer = await this.#call(route, options);
      if (answer.status < 300) return answer;
      throw new RequestError('moved', answer.status, { request: REQUEST, response: answer });
    } catch (error) {
      if (statusOf(error) !== 304) throw error;
      return { status: 304, headers: (error as RequestError).response!.headers, data: null };
    }
  }
}

/** What an error is told of its request: nothing. */
const REQUEST = { method: 'GET', url: '', headers: {} } as const;
