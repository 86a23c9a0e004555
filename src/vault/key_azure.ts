import { z } from 'zod';
import type { AzureKeyConfig } from '../base/config.ts';
import { messageOf, OperatingError } from '../base/errors.ts';
import { KEY_SERVICE_MS } from '../base/limits/gateway.ts';
import type { Wrapping } from './key_file.ts';

/**
 * A key of Azure Key Vault wraps ours: what lies in the file cannot be opened without asking there, which this machine may do by
 * its managed identity. Two calls of HTTP: a token of the machine's own metadata service, then `wrapkey` or `unwrapkey`.
 */

const ALGORITHM = 'RSA-OAEP-256';
const API_VERSION = '7.4';
const METADATA_HOST = 'http://169.254.169.254';

/** What the file holds: by which version of the key, and the wrapped bytes. */
const wrappedSchema = z.strictObject({ kid: z.url(), value: z.base64url() });
const tokenSchema = z.object({ access_token: z.string().min(1) });

/** `AZURE_POD_IDENTITY_AUTHORITY_HOST` stands in for the metadata service, as with Azure's own libraries. */
export function azureWrapping(config: AzureKeyConfig, env: NodeJS.ProcessEnv): Wrapping {
  const key = `${config.url}/keys/${config.name}`;
  const call = async (url: string, value: string): Promise<z.infer<typeof wrappedSchema>> => {
    const token = await tokenOf(config, env['AZURE_POD_IDENTITY_AUTHORITY_HOST'] ?? METADATA_HOST);
    const headers = { authorization: `Bearer ${token}`, 'content-type': 'application/json' };
    const body = JSON.stringify({ alg: ALGORITHM, value });
    const found = await ask(`${url}?api-version=${API_VERSION}`, { method: 'POST', headers, body });
    return parsed(wrappedSchema.strip(), found, config.url);
  };
  return {
    wrap: async (plain) => Buffer.from(JSON.stringify(await call(`${key}/wrapkey`, plain.toString('base64url')))),
    unwrap: async (bytes, name) => {
      const { kid, value } = parsed(wrappedSchema, jsonOf(bytes.toString()), name);
      // The file is no secret: a changed one must not send the token to another place.
      if (!kid.startsWith(`${key}/`)) {
        const what = `${name} was wrapped by ${kid.slice(0, 200)}, not by ${key}`;
        throw new OperatingError('config', what, 'name that key in glass.yaml, or restore the file');
      }
      return Buffer.from((await call(`${kid}/unwrapkey`, value)).value, 'base64url');
    },
  };
}

/** The audience is the vault's domain: `https://vault.azure.net`, and others in other clouds. */
async function tokenOf({ url, client_id }: AzureKeyConfig, metadata: string): Promise<string> {
  const resource = `https://${new URL(url).hostname.split('.').slice(1).join('.')}`;
  const query = new URLSearchParams({ 'api-version': '2018-02-01', resource, ...(client_id && { client_id }) });
  const found = await ask(`${metadata}/metadata/identity/oauth2/token?${query}`, { headers: { Metadata: 'true' } });
  return parsed(tokenSchema, found, metadata).access_token;
}

/** The JSON of an answer. Rejects with the place and the status, and with nothing of what was said. */
async function ask(url: string, init: RequestInit): Promise<unknown> {
  const { host } = new URL(url);
  const fail = (why: string): never => {
    throw new OperatingError(
      'unavailable',
      `${host} did not give the vault's key (${why})`,
      'see docs/OPERATIONS.md, Keys',
    );
  };
  try {
    const reply = await fetch(url, { ...init, redirect: 'error', signal: AbortSignal.timeout(KEY_SERVICE_MS) });
    const text = await reply.text();
    return reply.ok ? jsonOf(text) : fail(`status ${reply.status}`);
  } catch (error) {
    if (error instanceof OperatingError) throw error;
    const cause = error instanceof Error && error.cause !== undefined ? messageOf(error.cause) : messageOf(error);
    return fail(cause);
  }
}

function parsed<T>(schema: z.ZodType<T>, json: unknown, name: string): T {
  const found = schema.safeParse(json);
  if (found.success) return found.data;
  throw new OperatingError('config', `${name} holds something else than a key`, 'restore the file from your backup');
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}
