import { createPrivateKey, type KeyObject, sign } from 'node:crypto';
import type { request as Request } from '@octokit/request';
import { OperatingError } from '../../base/errors.ts';
import { NoSense } from './errors.ts';
import { CALL_MS, PROOF_S, TOKEN_LEFT_MS } from './limits.ts';
import { account, app, appToken } from './payloads.ts';

/** Who we are on GitHub. */
export interface Me {
  /** Of our account. */
  login: string;
  /** What people write after `@`. */
  name: string;
}

/** How our calls say who we are. Nothing here is shown to anybody. */
export interface Auth {
  /** The value of the header. */
  header(): Promise<string>;
  me(): Promise<Me>;
  /** It was refused: the next one is to be another, where there is another. */
  refused(): void;
}

type Call = typeof Request;

export function tokenAuth(call: Call, token: string): Auth {
  const header = `Bearer ${token}`;
  return {
    header: async () => header,
    refused: () => {},
    me: async () => {
      const { login } = read(account, (await call('GET /user', withHeader(header))).data);
      return { login, name: login };
    },
  };
}

/** An app proves who it is by its key, and gets a token that lasts for an hour. */
export function appAuth(call: Call, key: string, { id, installation }: { id: number; installation: number }): Auth {
  const signer = keyOf(key);
  let known: { header: string; expires_at: number } | null = null;
  let asking: Promise<string> | null = null;

  const ask = async (): Promise<string> => {
    const route = 'POST /app/installations/{installation_id}/access_tokens';
    const answer = await call(route, { installation_id: installation, ...withHeader(proofOf(signer, id)) });
    const { token, expires_at } = read(appToken, answer.data);
    known = { header: `Bearer ${token}`, expires_at };
    return known.header;
  };
  return {
    header: async () => {
      if (known !== null && known.expires_at - Date.now() > TOKEN_LEFT_MS) return known.header;
      asking ??= ask().finally(() => {
        asking = null;
      });
      return asking;
    },
    refused: () => {
      known = null;
    },
    me: async () => {
      const { slug } = read(app, (await call('GET /app', withHeader(proofOf(signer, id)))).data);
      return { login: `${slug}[bot]`, name: slug };
    },
  };
}

function keyOf(pem: string): KeyObject {
  try {
    return createPrivateKey(pem);
  } catch {
    throw new OperatingError(
      'config',
      'the secret "key" is no private key',
      'set it to the whole .pem file of the app',
    );
  }
}

/** A minute back: the clocks of two machines are never the same. */
function proofOf(key: KeyObject, id: number): string {
  const now = Math.floor(Date.now() / 1000);
  const parts = [
    { alg: 'RS256', typ: 'JWT' },
    { iat: now - 60, exp: now + PROOF_S - 60, iss: String(id) },
  ].map((part) => Buffer.from(JSON.stringify(part)).toString('base64url'));
  const signed = parts.join('.');
  return `Bearer ${signed}.${sign('RSA-SHA256', Buffer.from(signed), key).toString('base64url')}`;
}

function withHeader(authorization: string) {
  return {
    headers: { authorization },
    request: { redirect: 'manual' as const, signal: AbortSignal.timeout(CALL_MS) },
  };
}

export function read<T>(schema: { safeParse(value: unknown): { data?: T } }, value: unknown): T {
  const { data } = schema.safeParse(value);
  if (data === undefined) throw new NoSense('not what the documents say');
  return data;
}
