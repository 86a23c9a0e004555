import { createHmac, generateKeyPairSync, type KeyObject, sign } from 'node:crypto';

export const APP = '11111111-2222-3333-4444-555555555555';

const NOT_FOR_TEAMS = ['webchat', 'directline'];

/** Microsoft's signature: keys, and tokens made with them. */
export class Signer {
  readonly #pairs = new Map<string, { privateKey: KeyObject; publicKey: KeyObject; endorsements: string[] }>();
  #current = '';

  constructor() {
    this.add('for-others', NOT_FOR_TEAMS);
    this.add('first');
  }

  /** From now on this one signs. */
  add(kid: string, endorsements = ['msteams', 'webchat']): void {
    this.#pairs.set(kid, { ...generateKeyPairSync('rsa', { modulusLength: 2048 }), endorsements });
    this.#current = kid;
  }

  published(): object[] {
    return [...this.#pairs].map(([kid, { publicKey, endorsements }]) => ({
      ...publicKey.export({ format: 'jwk' }),
      ...{ kid, use: 'sig', endorsements },
    }));
  }

  /** Its parts may be changed; by the current key, or another one. */
  token(claims: Record<string, unknown>, how: { kid?: string; by?: string } = {}): string {
    const kid = how.kid ?? this.#current;
    const signed = `${encoded({ alg: 'RS256', typ: 'JWT', kid })}.${encoded(claims)}`;
    const { privateKey } = this.#pairs.get(how.by ?? kid)!;
    return `${signed}.${sign('sha256', Buffer.from(signed), privateKey).toString('base64url')}`;
  }

  /** As somebody would who has the public key alone. */
  tokenByPublicKey(claims: Record<string, unknown>): string {
    const { publicKey } = this.#pairs.get(this.#current)!;
    const signed = `${encoded({ alg: 'HS256', typ: 'JWT', kid: this.#current })}.${encoded(claims)}`;
    const secret = publicKey.export({ format: 'pem', type: 'spki' });
    return `${signed}.${createHmac('sha256', secret).update(signed).digest('base64url')}`;
  }
}

/** What the login gives a bot: signed by nobody, as whoever asked for it has no key to look. */
export function tokenOf(tenant: string, which: number): string {
  const now = Math.floor(MADE_MS / 1000);
  const claims = {
    ...{ aud: 'https://api.botframework.com', iss: `https://sts.windows.net/${tenant}/`, iat: now, nbf: now },
    ...{ exp: now + 24 * 3600, appid: APP, tid: tenant, uti: `fake-token-${which}`, ver: '1.0' },
  };
  return `${encoded({ typ: 'JWT', alg: 'RS256', kid: 'of-the-login' })}.${encoded(claims)}.bm90aGluZw`;
}

const MADE_MS = Date.now();

export function unsigned(claims: Record<string, unknown>): string {
  return `${encoded({ alg: 'none', typ: 'JWT', kid: 'first' })}.${encoded(claims)}.`;
}

export function claimsFor(service: string, more: Record<string, unknown> = {}): Record<string, unknown> {
  const now = Math.floor(Date.now() / 1000);
  return {
    ...{ iss: 'https://api.botframework.com', aud: APP, serviceurl: service, nbf: now - 60, exp: now + 3600 },
    ...more,
  };
}

function encoded(value: object): string {
  return Buffer.from(JSON.stringify(value)).toString('base64url');
}
