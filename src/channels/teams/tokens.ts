import { withoutSlash } from './hosts.ts';
import { type Called, type Failure, failureOf, jsonOf, retryAfter } from './http.ts';
import type { TeamsSettings } from './kind.ts';
import { ANSWER_BYTES_MAX, CALL_MS, TOKEN_EARLY_MS, TOKEN_S } from './limits.ts';
import * as payloads from './payloads.ts';

const SCOPE = 'https://api.botframework.com/.default';

export const REFUSED =
  'Microsoft refuses the client secret of this app: make a new one under "Manage Password" of the bot, and set it as the secret of this channel';

/** Tokens for Teams' service, out of the client secret; one is used until shortly before its end. */
export class Tokens {
  readonly #settings: TeamsSettings;
  readonly #password: string;
  #held: { token: string; until_ms: number } | null = null;
  #asking: Promise<Called<string>> | null = null;

  constructor(settings: TeamsSettings, password: string) {
    this.#settings = settings;
    this.#password = password;
  }

  /** Never rejects. `refused`: one that Teams did not take, so that another one is asked for. */
  async get(refused?: string): Promise<Called<string>> {
    if (this.#held !== null && (this.#held.token === refused || performance.now() > this.#held.until_ms))
      this.#held = null;
    if (this.#held !== null) return { ok: true, value: this.#held.token };
    this.#asking ??= this.#ask().finally(() => {
      this.#asking = null;
    });
    return this.#asking;
  }

  async #ask(): Promise<Called<string>> {
    const { login, tenant, app_id } = this.#settings;
    const form = { grant_type: 'client_credentials', client_id: app_id, client_secret: this.#password, scope: SCOPE };
    try {
      const response = await fetch(`${withoutSlash(login)}/${tenant}/oauth2/v2.0/token`, {
        method: 'POST',
        body: new URLSearchParams(form),
        redirect: 'error',
        signal: AbortSignal.timeout(CALL_MS),
      });
      const answer = await jsonOf(response, ANSWER_BYTES_MAX);
      if (!response.ok) return { ok: false, failure: refusal(response) };
      const { access_token, expires_in = TOKEN_S } = payloads.token.parse(answer);
      this.#held = { token: access_token, until_ms: performance.now() + expires_in * 1000 - TOKEN_EARLY_MS };
      return { ok: true, value: access_token };
    } catch (error) {
      // Nothing was said in any chat: whatever became of it, it may be asked for again.
      return { ok: false, failure: { ...failureOf(error), class: 'retryable' } };
    }
  }
}

function refusal(response: Response): Failure {
  const { status } = response;
  if (status === 400 || status === 401 || status === 403) return { class: 'auth', reason: REFUSED };
  const after_ms = retryAfter(response);
  const reason = `Microsoft gives no token now (${status})`;
  if (status !== 429) return { class: 'retryable', reason };
  return { class: 'rate_limited', reason, ...(after_ms === undefined ? {} : { after_ms }) };
}
