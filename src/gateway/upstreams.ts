import type { SecureContext } from 'node:tls';
import type { Agent, buildConnector } from 'undici';
import UndiciAgent from 'undici/lib/dispatcher/agent.js';
import {
  GROUP_CONNECTIONS_MAX,
  HEADER_BYTES_MAX,
  MODEL_CONNECT_MS,
  MODEL_KEEP_ALIVE_MS,
} from '../base/limits/gateway.ts';
import { publicLookup } from './addresses.ts';
import { type OneCli, throughOneCli } from './onecli.ts';

/**
 * The connections of one group, shared by its sessions and closed with the last of them. Groups never share one: undici can
 * be made to hang a whole origin by one bad request, and that must not reach a neighbour.
 */
export class Upstreams {
  readonly #trust: SecureContext | null;
  readonly #onecli: OneCli | null;
  readonly #groups = new Map<string, Pools>();

  /** `trust`: whose certificates are believed; null: what Node believes. */
  constructor(trust: SecureContext | null, onecli: OneCli | null) {
    this.#trust = trust;
    this.#onecli = onecli;
  }

  acquire(group: string): Pools {
    let pools = this.#groups.get(group);
    if (pools === undefined) {
      pools = new Pools(this.#trust, this.#onecli);
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
  /** Null: no service goes that way. */
  readonly onecli: OneCli | null;
  readonly #agents = new Map<string, Agent>();
  #chained: { authorization: string; agent: Agent } | null = null;
  /** Sessions that have it. */
  users = 0;

  constructor(trust: SecureContext | null, onecli: OneCli | null) {
    this.#trust = trust;
    this.onecli = onecli;
  }

  /** `networks`: private ones that may be dialled besides the public internet. */
  agent(networks: readonly string[] = []): Agent {
    const key = networks.join(' ');
    let agent = this.#agents.get(key);
    if (agent === undefined) {
      const lookup = publicLookup(undefined, networks);
      const trusted = this.#trust === null ? {} : { secureContext: this.#trust };
      agent = newAgent({ timeout: MODEL_CONNECT_MS, lookup, ...trusted });
      this.#agents.set(key, agent);
    }
    return agent;
  }

  /** Connections through OneCLI, each opened with this token: with another one they are others. */
  chained(onecli: OneCli, authorization: string): Agent {
    if (this.#chained?.authorization !== authorization) {
      // What still runs there ends by itself.
      this.#chained?.agent.close().catch(() => {});
      this.#chained = { authorization, agent: newAgent(throughOneCli(onecli, authorization)) };
    }
    return this.#chained.agent;
  }

  destroy(): void {
    // Nobody waits for them: their last session has gone.
    for (const agent of this.#agents.values()) agent.destroy().catch(() => {});
    this.#chained?.agent.destroy().catch(() => {});
  }
}

function newAgent(connect: buildConnector.BuildOptions | buildConnector.connector): Agent {
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
    connect,
  });
}
