import { request } from 'node:https';
import type { SecureContext } from 'node:tls';
import { z } from 'zod';
import type { Clock } from '../base/clock.ts';
import { messageOf, OperatingError } from '../base/errors.ts';
import { type Faults, guarded } from '../base/faults.ts';
import {
  OAUTH_EARLY_MS,
  OAUTH_LIVES_S,
  OAUTH_REPLY_BYTES_MAX,
  OAUTH_REPLY_MS,
  OAUTH_RETRY_MS,
} from '../base/limits/gateway.ts';
import type { Log } from '../base/log.ts';
import { type OauthCredentials, oauthCredentials } from '../protocol/secrets.ts';
import type { Secret, Vault } from '../vault/vault.ts';
import { publicLookup } from './addresses.ts';

/**
 * Access tokens of secrets of kind `oauth2` (RFC 6749 §6), in memory only. One is asked for at a time, however many requests wait
 * for it. A refresh token that the service has replaced is in the vault before its access token is used: after a crash
 * the old one might no longer be taken.
 */
interface Token {
  access: string;
  /** The credentials that it was got with. */
  of: Buffer;
  got_ms: number;
  /** When it is no longer given out. */
  stale_ms: number;
}

const replySchema = z.object({
  access_token: z
    .string()
    .min(8)
    .max(20_000)
    .regex(/^[!-~]+$/),
  expires_in: z.coerce.number().positive().default(OAUTH_LIVES_S),
  refresh_token: z.string().min(8).max(20_000).optional(),
});

export class Tokens {
  readonly #vault: Vault;
  readonly #clock: Clock;
  readonly #trust: SecureContext | null;
  readonly #log: Log;
  readonly #faults: Faults;
  readonly #kept = new Map<string, Token>();
  readonly #running = new Map<string, Promise<string | null>>();
  /** By secret, until when a service that has failed is left alone. */
  readonly #failed = new Map<string, number>();

  /** `trust`: whose certificates of endpoints are believed; null: what Node believes. */
  constructor(vault: Vault, clock: Clock, trust: SecureContext | null, log: Log, faults: Faults) {
    this.#vault = vault;
    this.#clock = clock;
    this.#trust = trust;
    this.#log = log;
    this.#faults = faults;
  }

  /** One that is good for a while still, or null. */
  kept(name: string, { value }: Secret): string | null {
    const token = this.#kept.get(name);
    return token?.of.equals(value) === true && this.#clock.monotonic() < token.stale_ms ? token.access : null;
  }

  /** A new one, or null when there is none to be had; then nobody is asked again for a while. Never rejects. */
  fetch(name: string): Promise<string | null> {
    const running = this.#running.get(name);
    if (running !== undefined) return running;
    if (this.#clock.monotonic() < (this.#failed.get(name) ?? 0)) return Promise.resolve(null);
    const fetching = this.#fetch(name)
      .catch((error) => {
        this.#failed.set(name, this.#clock.monotonic() + OAUTH_RETRY_MS);
        this.#log.warn('no access token', { name, reason: messageOf(error) });
        return null;
      })
      .finally(() => this.#running.delete(name));
    this.#running.set(name, fetching);
    return fetching;
  }

  /** After a service has refused `access` with 401: another one. Null: it is so new that the refusal must be believed. */
  renew(name: string, access: string): Promise<string | null> | null {
    const token = this.#kept.get(name);
    if (token !== undefined && token.access !== access) return Promise.resolve(token.access);
    if (token !== undefined && this.#clock.monotonic() - token.got_ms < OAUTH_RETRY_MS) return null;
    return this.fetch(name);
  }

  async #fetch(name: string): Promise<string> {
    const secret = this.#vault.read(name);
    const form = secret?.terms.form;
    if (secret === null || form?.kind !== 'oauth2') throw new OperatingError('not_found', 'the secret has gone');
    const credentials = oauthCredentials.parse(JSON.parse(secret.value.toString()));
    const ask = () => askForToken(form.token_url, credentials, this.#trust);
    const got = replySchema.parse(JSON.parse(await guarded(this.#faults, 'oauth.token', ask)));
    const of = this.#keepCredentials(name, secret.value, credentials, got.refresh_token);
    const got_ms = this.#clock.monotonic();
    const lives_ms = got.expires_in * 1000;
    const stale_ms = got_ms + lives_ms - Math.min(OAUTH_EARLY_MS, lives_ms / 2);
    this.#kept.set(name, { access: got.access_token, of, got_ms, stale_ms });
    return got.access_token;
  }

  /** Throws when the vault does not take a new refresh token, or has another secret under this name by now. */
  #keepCredentials(name: string, seen: Buffer, credentials: OauthCredentials, refresh_token?: string): Buffer {
    if (refresh_token === undefined || refresh_token === credentials.refresh_token) return seen;
    const value = Buffer.from(JSON.stringify({ ...credentials, refresh_token }));
    if (this.#vault.replace(name, seen, value)) return value;
    throw new OperatingError('conflict', 'the secret was set anew meanwhile');
  }
}

/** The body of the answer. Rejects with the status of a refusal, and with nothing of what it says. */
function askForToken(url: string, credentials: OauthCredentials, trust: SecureContext | null): Promise<string> {
  const body = new URLSearchParams({ grant_type: 'refresh_token', ...credentials }).toString();
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  const asked = request(url, {
    method: 'POST',
    headers: {
      'content-type': 'application/x-www-form-urlencoded',
      'content-length': Buffer.byteLength(body),
      accept: 'application/json',
    },
    // The operator has named it, so that it may be a private one; a metadata service is never dialled.
    lookup: publicLookup(undefined, ['0.0.0.0/0', '::/0']),
    signal: AbortSignal.timeout(OAUTH_REPLY_MS),
    ...(trust === null ? {} : { secureContext: trust }),
  });
  asked.on('error', reject);
  asked.on('response', (reply) => {
    const parts: Buffer[] = [];
    let bytes = 0;
    reply.on('error', reject);
    reply.on('data', (part: Buffer) => {
      parts.push(part);
      bytes += part.length;
      if (bytes > OAUTH_REPLY_BYTES_MAX) asked.destroy(new Error('the answer of the token service is too long'));
    });
    reply.on('end', () =>
      reply.statusCode === 200
        ? resolve(Buffer.concat(parts).toString())
        : reject(new Error(`the token service answered ${reply.statusCode}`)),
    );
  });
  asked.end(body);
  return promise;
}
