import { oauthCredentials, type SecretForm } from '../protocol/secrets.ts';
import type { Secret, Vault } from '../vault/vault.ts';
import { Patterns } from './redact.ts';
import { refusal } from './refuse.ts';
import type { Refusal } from './route.ts';
import type { Tokens } from './tokens.ts';

/** Where a secret is to go. */
export interface Destination {
  /** As the secret's own list names it: `api.github.com`, `wiki.lan:8443`. */
  host: string;
  isTls: boolean;
  /** For a model: the header that its provider reads. Null: for a service. */
  model: 'x-api-key' | 'bearer' | null;
}

/** A secret ready for one request: what to add, and what to mask in the reply. */
export interface Injection {
  /** Name and value of the header to add; empty for a parameter of the query. */
  header: readonly string[];
  /** The parameter to add behind the query that was matched: its name, and the two as they are sent. */
  query: { name: string; text: string } | null;
  patterns: Patterns;
  /** For a token that may have been taken back: another one after a 401, or null when that has to be believed. */
  renew: (() => Fetched | null) | null;
}

/** Never rejects. */
type Fetched = Promise<Injection | Refusal>;
/** `fetch`: it has to be got first. */
export type Prepared = Injection | Refusal | { fetch: () => Fetched };

/**
 * Opens secrets for requests, and holds back those that their own list of hosts does not let go there: the service that names a secret
 * and the secret must agree. A value is kept as a Buffer while the vault is unchanged: opening one takes two decryptions and a
 * query, and its search patterns more. Any change of the vault drops all of them.
 */
export class Injector {
  readonly #vault: Vault;
  readonly #tokens: Tokens;
  readonly #kept = new Map<string, { secret: Secret; injections: Map<string, Injection> }>();
  /** Where tokens are got, and which hosts are the secret's own all the same. */
  #tokenPlaces: { url: URL; hosts: readonly string[] }[] = [];
  #generation = -1;

  constructor(vault: Vault, tokens: Tokens) {
    this.#vault = vault;
    this.#tokens = tokens;
  }

  /** Of the vault: another number, another set of secrets. */
  get generation(): number {
    return this.#vault.generation;
  }

  /** Throws `OperatingError('storage')` for a damaged vault. */
  prepare(name: string, to: Destination): Prepared {
    const secret = this.#secret(name);
    if (secret === null) return refusal(403, 'secret', `secret "${name}" is not set`, `glass secret set ${name}`);
    const problem = problemOf(name, secret, to);
    if (problem !== null) return problem;
    if (secret.terms.form.kind !== 'oauth2') return this.#injection(name, secret, to, secret.value.toString('latin1'));
    const access = this.#tokens.kept(name, secret);
    if (access !== null) return this.#injection(name, secret, to, access);
    return { fetch: () => this.#fetched(name, to, this.#tokens.fetch(name)) };
  }

  /**
   * Whether an agent would ask there for a token: a place that only the gateway talks to. Where a service has both on one host,
   * which the secret names as its own, it is that path alone. Throws as `prepare`.
   */
  isTokenPlace(host: string, target: string): boolean {
    if (this.#generation !== this.#vault.generation) this.#drop();
    return this.#tokenPlaces.some(
      ({ url, hosts }) => url.host === host && (!hosts.includes(host) || isSamePath(target, url.pathname)),
    );
  }

  async #fetched(name: string, to: Destination, fetching: Promise<string | null>): Fetched {
    const access = await fetching;
    try {
      const secret = this.#secret(name);
      if (access !== null && secret !== null) return this.#injection(name, secret, to, access);
    } catch {
      // The vault cannot be read: the next request says so.
    }
    const reason = `no access token is to be had for the secret "${name}"`;
    return refusal(502, 'credential_unavailable', reason, 'try again later, or tell your operator');
  }

  /** `text`: the value itself, or the token that was got with it. */
  #injection(name: string, secret: Secret, to: Destination, text: string): Injection | Refusal {
    const { injections } = this.#kept.get(name)!;
    const key = `${to.model} ${text}`;
    const found = injections.get(key);
    if (found !== undefined) return found;
    const { form } = secret.terms;
    if (form.kind !== 'basic' && form.kind !== 'query' && !/^[!-~]+$/.test(text))
      return refusal(403, 'secret', `secret "${name}" has characters that a header cannot carry`, 'set it again');
    const renew = (): Fetched | null => {
      const fetching = this.#tokens.renew(name, text);
      return fetching === null ? null : this.#fetched(name, to, fetching);
    };
    const isToken = form.kind === 'oauth2';
    if (isToken) injections.clear(); // Of the tokens before it.
    const patterns = new Patterns(...masked(secret, text));
    const injection = { ...injected(form, text, to), patterns, renew: isToken ? renew : null };
    injections.set(key, injection);
    return injection;
  }

  #secret(name: string): Secret | null {
    if (this.#generation !== this.#vault.generation) this.#drop();
    const kept = this.#kept.get(name);
    if (kept !== undefined) return kept.secret;
    const secret = this.#vault.read(name);
    if (secret !== null) this.#kept.set(name, { secret, injections: new Map() });
    return secret;
  }

  #drop(): void {
    for (const { secret } of this.#kept.values()) {
      secret.value.fill(0);
      secret.next?.fill(0);
    }
    this.#kept.clear();
    this.#tokenPlaces = this.#vault
      .list()
      .flatMap(({ form, hosts }) => (form.kind === 'oauth2' ? [{ url: new URL(form.token_url), hosts }] : []));
    this.#generation = this.#vault.generation;
  }
}

/** Why a secret does not go there, or null. */
function problemOf(name: string, { terms: { form, hosts } }: Secret, to: Destination): Refusal | null {
  const refuse = (why: string, fix: string): Refusal =>
    refusal(
      403,
      `secret ${name}: hosts`,
      `secret "${name}" ${why}`,
      `ask your operator: glass secret set ${name} ${fix}`,
    );
  if (form.kind === 'channel') return refuse('is the token of a channel, and goes to no service', '--kind bearer …');
  if (form.kind === 'model' && to.model === null)
    return refuse('is for a model only', `--kind bearer --host ${to.host}`);
  if (form.kind !== 'model' && !to.isTls) return refuse('never goes without TLS', '--kind model');
  // A model's secret from before there were lists goes where an applied authority has its model, and nowhere else.
  if (hosts.includes(to.host) || (form.kind === 'model' && hosts.length === 0)) return null;
  return refuse(
    `may go to ${hosts.join(', ')}, and not to ${to.host}`,
    [...hosts, to.host].map((host) => `--host ${host}`).join(' '),
  );
}

function injected(form: SecretForm, text: string, to: Destination): Pick<Injection, 'header' | 'query'> {
  const header = (name: string, value: string) => ({ header: [name, value], query: null });
  switch (form.kind) {
    case 'model':
      return to.model === 'x-api-key' ? header('x-api-key', text) : header('authorization', `Bearer ${text}`);
    case 'bearer':
    case 'oauth2':
      return header('authorization', `Bearer ${text}`);
    case 'header':
      return header(
        form.header,
        form.format.replace('{}', () => text),
      );
    case 'basic':
      return header('authorization', `Basic ${basic(form.user, Buffer.from(text, 'latin1'))}`);
    case 'query': {
      const value = encodeURIComponent(Buffer.from(text, 'latin1').toString());
      return { header: [], query: { name: form.parameter, text: `${form.parameter}=${value}` } };
    }
    case 'channel':
      throw new Error('a channel’s token is never injected');
  }
}

/** Everything of a secret that a reply must not show: both its values, and what is made of them. */
function masked({ terms: { form }, value, next }: Secret, text: string): Buffer[] {
  const values = next === null ? [value] : [value, next];
  if (form.kind === 'basic') return values.flatMap((one) => [one, Buffer.from(basic(form.user, one))]);
  if (form.kind !== 'oauth2') return values;
  const parts = values.flatMap((one) => {
    const { client_secret, refresh_token } = oauthCredentials.parse(JSON.parse(one.toString()));
    return [client_secret, refresh_token];
  });
  return [text, ...parts].map((one) => Buffer.from(one));
}

function basic(user: string, value: Buffer): string {
  return Buffer.concat([Buffer.from(`${user}:`), value]).toString('base64');
}

/** A server may read an escape, a capital or a slash at the end as the same. */
function isSamePath(target: string, path: string): boolean {
  const plain = (text: string): string => decodeURIComponent(text.split('?')[0]!).toLowerCase().replace(/\/+$/, '');
  return plain(target) === plain(path);
}
