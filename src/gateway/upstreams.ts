import type { SecureContext } from 'node:tls';
import type { Agent } from 'undici';
import UndiciAgent from 'undici/lib/dispatcher/agent.js';
import { GROUP_CONNECTIONS_MAX, HEADER_BYTES_MAX, MODEL_CONNECT_MS, MODEL_KEEP_ALIVE_MS } from '../base/limits.ts';
import { publicLookup } from './addresses.ts';

/**
 * The connections of one group, shared by its sessions and closed with the last of them. Groups never share one: undici can
 * be made to hang a whole origin by one bad request, and that must not reach a neighbour.
 */
export class Upstreams {
  readonly #trust: SecureContext | null;
  readonly #groups = new Map<string, Pools>();

  /** `trust`: whose certificates are believed; null: what Node believes. */
  constructor(trust: SecureContext | null) {
    this.#trust = trust;
  }

  acquire(group: string): Pools {
    let pools = this.#groups.get(group);
    if (pools === undefined) {
      pools = new Pools(this.#trust);
      this.#groups.set(group, pools);
    }
    pools.users += 1;
    return pools;
  }

  release(group: string): void {
    const pools = this.#groups.get(group);
    if (pools === undefined) return;
    pools.users -= 1;
    if (pools.users > 0) return;
    this.#groups.delete(group);
    pools.destroy();
  }
}

/** One pool for each list of private networks: a connection into one is never used for a request that may not go there. */
export class Pools {
  readonly #trust: SecureContext | null;
  readonly #agents = new Map<string, Agent>();
  /** Sessions that have it. */
  users = 0;

  constructor(trust: SecureContext | null) {
    this.#trust = trust;
  }

  /** `networks`: private ones that may be dialled besides the public internet. */
  agent(networks: readonly string[] = []): Agent {
    const key = networks.join(' ');
    let agent = this.#agents.get(key);
    if (agent === undefined) {
      agent = newAgent(networks, this.#trust);
      this.#agents.set(key, agent);
    }
    return agent;
  }

  destroy(): void {
    // Nobody waits for them: their last session has gone.
    for (const agent of this.#agents.values()) agent.destroy().catch(() => {});
  }
}

function newAgent(networks: readonly string[], trust: SecureContext | null): Agent {
  return new UndiciAgent({
    connections: GROUP_CONNECTIONS_MAX,
    pipelining: 1,
    allowH2: false,
    maxHeaderSize: HEADER_BYTES_MAX,
    keepAliveTimeout: MODEL_KEEP_ALIVE_MS,
    keepAliveMaxTimeout: MODEL_KEEP_ALIVE_MS,
    // The deadlines are the forwarder's own: undici's do not fire while a connection is being made.
    headersTimeout: 0,
    bodyTimeout: 0,
    connect: {
      timeout: MODEL_CONNECT_MS,
      lookup: publicLookup(undefined, networks),
      ...(trust === null ? {} : { secureContext: trust }),
    },
  });
}
