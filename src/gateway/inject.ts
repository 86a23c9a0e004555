import type { Vault } from '../vault/vault.ts';
import { Patterns } from './redact.ts';

/** How a secret is given to an endpoint: in a header of its own, or as a bearer token. */
export type HeaderForm = 'x-api-key' | 'bearer';

/** A secret ready for one request: the header to add, and what to mask in the reply. */
export interface Injection {
  header: readonly [name: string, value: string];
  patterns: Patterns;
}

/**
 * Opens secrets for requests. A value is kept as a Buffer while the vault is unchanged: opening one takes two
 * decryptions and a query, and its search patterns more. Any change of the vault drops all of them.
 */
export class Injector {
  readonly #vault: Vault;
  readonly #kept = new Map<string, { value: Buffer; patterns: Patterns }>();
  #generation = -1;

  constructor(vault: Vault) {
    this.#vault = vault;
  }

  /** Of the vault: another number, another set of secrets. */
  get generation(): number {
    return this.#vault.generation;
  }

  /** Returns a sentence when there is nothing to inject. Throws `OperatingError('storage')` for a damaged vault. */
  prepare(name: string, form: HeaderForm): Injection | string {
    if (this.#generation !== this.#vault.generation) this.#drop();
    let kept = this.#kept.get(name);
    if (kept === undefined) {
      const value = this.#vault.open(name);
      if (value === null) return `secret "${name}" is not set`;
      if (!value.every((byte) => byte > 0x20 && byte < 0x7f))
        return `secret "${name}" has characters that a header cannot carry`;
      kept = { value, patterns: new Patterns(value) };
      this.#kept.set(name, kept);
    }
    return { header: headerOf(form, kept.value.toString('latin1')), patterns: kept.patterns };
  }

  #drop(): void {
    for (const { value } of this.#kept.values()) value.fill(0);
    this.#kept.clear();
    this.#generation = this.#vault.generation;
  }
}

function headerOf(form: HeaderForm, value: string): readonly [string, string] {
  return form === 'bearer' ? ['authorization', `Bearer ${value}`] : ['x-api-key', value];
}
