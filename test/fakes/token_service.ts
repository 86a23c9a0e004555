import type { Handler } from './upstream.ts';

/** A token service (RFC 6749 §6) behind an `Upstream`, as a test wants it. */
export class TokenService {
  readonly credentials = {
    client_id: 'fake-client',
    client_secret: 'fake-client-secret',
    refresh_token: 'fake-refresh-token-0',
  };
  /** Refreshes that were taken. */
  count = 0;
  /** Answers with this status instead. */
  failing: number | null = null;
  /** Gives a new refresh token each time, and takes the last one only. */
  rotates = false;
  expires_in: number | undefined = 3600;
  /** Resolves before each answer. */
  gate: Promise<void> = Promise.resolve();
  #refresh = this.credentials.refresh_token;

  /** The access token that was given out last. */
  get access(): string {
    return `fake-access-token-${this.count}`;
  }

  /** The refresh token that is taken now. */
  get refresh(): string {
    return this.#refresh;
  }

  readonly handler: Handler = async (_request, response, { body }) => {
    await this.gate;
    const asked = new URLSearchParams(body.toString());
    const { client_id, client_secret } = this.credentials;
    const isKnown = asked.get('client_id') === client_id && asked.get('client_secret') === client_secret;
    const isFresh = asked.get('refresh_token') === this.#refresh && asked.get('grant_type') === 'refresh_token';
    const status = this.failing ?? (isKnown && isFresh ? 200 : 400);
    if (status !== 200) return void response.writeHead(status).end(`{"error":"no ${client_secret}"}`);
    this.count += 1;
    if (this.rotates) this.#refresh = `fake-refresh-token-${this.count}`;
    const token = { access_token: this.access, token_type: 'Bearer', expires_in: this.expires_in };
    response.writeHead(200, { 'content-type': 'application/json' });
    response.end(JSON.stringify({ ...token, ...(this.rotates ? { refresh_token: this.#refresh } : {}) }));
  };
}
