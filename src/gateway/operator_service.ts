import { unreachable } from '../base/errors.ts';
import { VAULT_CONNECTIONS_MAX } from '../base/limits.ts';
import type { Log } from '../base/log.ts';
import { type VaultAnswers, type VaultRequest, vaultRequest } from '../protocol/gateway.ts';
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
  readonly #changed: () => void;

  constructor(vault: Vault, audit: Audit, changed: () => void, log: Log) {
    this.#vault = vault;
    this.#audit = audit;
    this.#changed = changed;
    this.log = log;
  }

  readonly handle = (request: VaultRequest): VaultAnswers[VaultRequest['op']] => {
    switch (request.op) {
      case 'set':
        return this.#set(request.name, request.value);
      case 'list':
        return this.#list();
      case 'remove': {
        const removed = this.#vault.remove(request.name);
        if (removed) this.log.info('secret removed', { name: request.name });
        this.#changed();
        return { removed };
      }
      default:
        return unreachable(request);
    }
  };

  #list(): VaultAnswers['list'] {
    const used = this.#audit.lastUsed();
    return { secrets: this.#vault.list().map((row) => ({ ...row, last_used_ms: used.get(row.name) ?? null })) };
  }

  #set(name: string, value: string): VaultAnswers['set'] {
    const bytes = Buffer.from(value, 'utf8');
    try {
      const created = this.#vault.set(name, bytes);
      this.log.info('secret set', { name, created });
      this.#changed();
      return { created };
    } finally {
      bytes.fill(0);
    }
  }
}
