import { createPublicKey, type JsonWebKey, type KeyObject } from 'node:crypto';
import { decodeProtectedHeader, jwtVerify } from 'jose';
import { isSafe } from './hosts.ts';
import { jsonOf } from './http.ts';
import { CALL_MS, CLOCK_SKEW_S, KEYS_AGAIN_MS, KEYS_BYTES_MAX, KEYS_MAX, KEYS_MS, TOKEN_CHARS_MAX } from './limits.ts';
import * as payloads from './payloads.ts';

const ISSUER = 'https://api.botframework.com';

/** `untold`: Microsoft's keys cannot be had now, so nobody can say. `service`: the address that the token speaks for. */
export type Verdict = { is: 'trusted'; service: string } | { is: 'forged' } | { is: 'untold' };

interface Key {
  key: KeyObject;
  /** Whether it may sign for Teams. */
  isOurs: boolean;
}

/**
 * Whether a request is Microsoft's: by a token that its Bot Connector signs for this app. Its keys are named by metadata at a
 * fixed address and held for a day. Verdicts come in the order in which they were asked for, so that messages keep theirs.
 */
export class Trust {
  readonly #metadata: string;
  readonly #app: string;
  #keys = new Map<string, Key>();
  #fetched_ms = Number.NEGATIVE_INFINITY;
  #forced_ms = Number.NEGATIVE_INFINITY;
  #fetching: Promise<boolean> | null = null;
  #last: Promise<unknown> = Promise.resolve();

  constructor(metadata: string, app: string) {
    this.#metadata = metadata;
    this.#app = app;
  }

  /** Never rejects. `authorization`: the header, or undefined where there was none, or several. */
  async check(authorization: string | undefined): Promise<Verdict> {
    const token = /^Bearer ([\w-]+\.[\w-]+\.[\w-]+)$/i.exec(authorization ?? '')?.[1];
    if (token === undefined || token.length > TOKEN_CHARS_MAX) return { is: 'forged' };
    const kid = kidOf(token);
    if (kid === null) return { is: 'forged' };
    if (!(await this.#mayKnow(kid))) return { is: 'untold' };
    const verdict = this.#last.then(() => this.#verify(token, kid));
    this.#last = verdict;
    return verdict;
  }

  async #verify(token: string, kid: string): Promise<Verdict> {
    const key = this.#keys.get(kid);
    if (key?.isOurs !== true) return { is: 'forged' };
    try {
      const { payload } = await jwtVerify(token, key.key, {
        issuer: ISSUER,
        audience: this.#app,
        algorithms: ['RS256'],
        clockTolerance: CLOCK_SKEW_S,
        requiredClaims: ['exp', 'serviceurl'],
      });
      return typeof payload['serviceurl'] === 'string'
        ? { is: 'trusted', service: payload['serviceurl'] }
        : { is: 'forged' };
    } catch {
      return { is: 'forged' };
    }
  }

  /** False: whether there is such a key cannot be said now. */
  async #mayKnow(kid: string): Promise<boolean> {
    const now = performance.now();
    if (now - this.#fetched_ms > KEYS_MS) {
      // Old keys are better than none while Microsoft cannot be asked, for those whom they know.
      return (await this.#fetch()) || this.#keys.has(kid);
    }
    if (this.#keys.has(kid)) return true;
    if (this.#fetching === null && now - this.#forced_ms <= KEYS_AGAIN_MS) return true;
    this.#forced_ms = now;
    return this.#fetch();
  }

  /** One at a time. False: nothing came of it. */
  #fetch(): Promise<boolean> {
    this.#fetching ??= this.#fetchNow()
      .catch(() => false)
      .finally(() => {
        this.#fetching = null;
      });
    return this.#fetching;
  }

  async #fetchNow(): Promise<boolean> {
    const { jwks_uri } = payloads.metadata.parse(await read(this.#metadata));
    if (!isSafe(jwks_uri)) return false;
    const { keys } = payloads.keys.parse(await read(jwks_uri));
    const usable = keys.filter(({ kty }) => kty === 'RSA').slice(0, KEYS_MAX);
    this.#keys = new Map(
      usable.map((jwk) => [
        jwk.kid,
        {
          key: createPublicKey({ key: jwk as JsonWebKey, format: 'jwk' }),
          // As Microsoft's own library has it: a key that names no channels is good for each.
          isOurs: jwk.endorsements?.includes('msteams') ?? true,
        },
      ]),
    );
    this.#fetched_ms = performance.now();
    return this.#keys.size > 0;
  }
}

function kidOf(token: string): string | null {
  try {
    const { alg, kid } = decodeProtectedHeader(token);
    return alg === 'RS256' && typeof kid === 'string' ? kid : null;
  } catch {
    return null;
  }
}

async function read(address: string): Promise<unknown> {
  const response = await fetch(address, { redirect: 'error', signal: AbortSignal.timeout(CALL_MS) });
  return response.ok ? jsonOf(response, KEYS_BYTES_MAX) : undefined;
}
