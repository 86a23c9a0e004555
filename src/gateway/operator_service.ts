import { mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { OperatingError, unreachable } from '../base/errors.ts';
import { VAULT_CONNECTIONS_MAX } from '../base/limits/gateway.ts';
import type { Log } from '../base/log.ts';
import { type VaultAnswers, type VaultRequest, vaultRequest } from '../protocol/gateway.ts';
import { oauthCredentials } from '../protocol/secrets.ts';
import type { Vault } from '../vault/vault.ts';
import type { Audit } from './audit.ts';
import type { LineService } from './sockets.ts';

/** What the operator can ask on `vault.sock`. A value goes in here and never comes out of it. */
export class OperatorService implements LineService<VaultRequest> {
  readonly schema = vaultRequest;
  readonly connectionsMax = VAULT_CONNECTIONS_MAX;
  readonly log: Log;
  readonly #vault: Vault;
  readonly #audit: Audit;
  readonly #copies: string;
  readonly #changed: () => void;

  /** `copies`: the folder of its own that copies for backups are made in. */
  constructor(vault: Vault, audit: Audit, copies: string, changed: () => void, log: Log) {
    this.#vault = vault;
    this.#audit = audit;
    this.#copies = copies;
    this.#changed = changed;
    this.log = log;
  }

  readonly handle = async (request: VaultRequest): Promise<VaultAnswers[VaultRequest['op']]> => {
    switch (request.op) {
      case 'set':
        return this.#set(request);
      case 'list':
        return this.#list();
      case 'promote':
        this.#vault.promote(request.name);
        this.log.info('secret promoted', { name: request.name });
        return {};
      case 'remove': {
        const { name, next } = request;
        const removed = next ? this.#vault.removeNext(name) : this.#vault.remove(name);
        if (removed) this.log.info('secret removed', { name, next });
        this.#changed();
        return { removed };
      }
      case 'rotate': {
        const { rewrapped, damaged, left } = await this.#vault.rotate();
        this.log.info('vault rotated', { rewrapped, damaged });
        return { rewrapped, damaged, left };
      }
      case 'check':
        return this.#vault.check();
      case 'copy':
        return this.#copy();
      default:
        return unreachable(request);
    }
  };

  /** Where it writes is not the asker's to say. */
  async #copy(): Promise<VaultAnswers['copy']> {
    const folder = join(this.#copies, '.from-gateway-copy');
    rmSync(folder, { recursive: true, force: true }); // of one that nobody took away: there is never more than one
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    const made = { vault: join(folder, 'vault.db'), audit: join(folder, 'audit.db') };
    await this.#vault.copy(made.vault);
    await this.#audit.copy(made.audit);
    this.log.info('copied for a backup');
    return made;
  }

  #list(): VaultAnswers['list'] {
    const used = this.#audit.lastUsed();
    return { secrets: this.#vault.list().map((row) => ({ ...row, last_used_ms: used.get(row.name) ?? null })) };
  }

  #set({ name, value, terms, next }: Extract<VaultRequest, { op: 'set' }>): VaultAnswers['set'] {
    if (next && terms !== undefined)
      throw new OperatingError('usage', 'a next value has the kind and the hosts that the secret has');
    const kind = terms?.form.kind ?? this.#vault.list().find((row) => row.name === name)?.form.kind;
    if (kind === 'oauth2') checkCredentials(value);
    const bytes = Buffer.from(value, 'utf8');
    try {
      const created = next ? false : this.#vault.set(name, bytes, terms);
      if (next) this.#vault.setNext(name, bytes);
      this.log.info('secret set', { name, created, next });
      this.#changed();
      return { created };
    } finally {
      bytes.fill(0);
    }
  }
}

function checkCredentials(value: string): void {
  try {
    oauthCredentials.parse(JSON.parse(value));
  } catch {
    throw new OperatingError(
      'usage',
      'the value of a secret of kind oauth2 is JSON: {"client_id", "client_secret", "refresh_token", "token_url"}',
    );
  }
}
