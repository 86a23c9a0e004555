import { createPublicKey, generateKeyPairSync, verify } from 'node:crypto';
import { USERS } from './world.ts';

export const APP_ID = 4242;
export const INSTALLATION_ID = 77;

/** Where an app proves who it is, and is given tokens that last for an hour. */
export class AppDoor {
  readonly key: string;
  readonly #public: string;
  readonly #tokens = new Set<string>();
  /** How many were given out. */
  given = 0;
  /** What the next ones last. */
  lasts_ms = 3_600_000;

  constructor() {
    const { privateKey, publicKey } = generateKeyPairSync('rsa', {
      modulusLength: 2048,
      privateKeyEncoding: { type: 'pkcs1', format: 'pem' },
      publicKeyEncoding: { type: 'spki', format: 'pem' },
    });
    [this.key, this.#public] = [privateKey, publicKey];
  }

  /** Null: not for this door. */
  answer(method: string, path: string, authorization: string): { status: number; data: unknown } | null {
    const isTokens = method === 'POST' && path === `/app/installations/${INSTALLATION_ID}/access_tokens`;
    if (!isTokens && path !== '/app') return null;
    if (!this.#isProven(authorization))
      return { status: 401, data: { message: 'A JSON web token could not be decoded' } };
    if (!isTokens) return { status: 200, data: { id: APP_ID, slug: USERS.app.login.replace('[bot]', '') } };
    this.given += 1;
    const token = `ghs_FAKEfakeFAKEfakeFAKEfake${this.given}`;
    this.#tokens.add(`Bearer ${token}`);
    return { status: 201, data: { token, expires_at: new Date(Date.now() + this.lasts_ms).toISOString() } };
  }

  knows(authorization: string): boolean {
    return this.#tokens.has(authorization);
  }

  forget(): void {
    this.#tokens.clear();
  }

  #isProven(authorization: string): boolean {
    const [head, body, signature] = authorization.replace(/^Bearer /, '').split('.');
    if (head === undefined || body === undefined || signature === undefined) return false;
    const key = createPublicKey(this.#public);
    if (!verify('RSA-SHA256', Buffer.from(`${head}.${body}`), key, Buffer.from(signature, 'base64url'))) return false;
    const { iat, exp, iss } = JSON.parse(Buffer.from(body, 'base64url').toString()) as Record<string, number | string>;
    const now = Date.now() / 1000;
    return iss === String(APP_ID) && Number(iat) <= now && Number(exp) > now && Number(exp) - Number(iat) <= 600;
  }
}
