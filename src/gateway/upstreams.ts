import type { Agent } from 'undici';
import UndiciAgent from 'undici/lib/dispatcher/agent.js';
import { GROUP_CONNECTIONS_MAX, HEADER_BYTES_MAX, MODEL_CONNECT_MS, MODEL_KEEP_ALIVE_MS } from '../base/limits.ts';
import { publicLookup } from './addresses.ts';

/**
 * One pool of connections per group, shared by its sessions and closed with the last of them. Groups never share one:
 * undici can be made to hang a whole origin by one bad request, and that must not reach a neighbour.
 */
export class Upstreams {
  readonly #pools = new Map<string, { agent: Agent; users: number }>();

  acquire(group: string): Agent {
    let pool = this.#pools.get(group);
    if (pool === undefined) {
      pool = { agent: newAgent(), users: 0 };
      this.#pools.set(group, pool);
    }
    pool.users += 1;
    return pool.agent;
  }

  release(group: string): void {
    const pool = this.#pools.get(group);
    if (pool === undefined) return;
    pool.users -= 1;
    if (pool.users > 0) return;
    this.#pools.delete(group);
    pool.agent.destroy().catch(() => {}); // Nobody waits for it: its last session has gone.
  }
}

function newAgent(): Agent {
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
    connect: { timeout: MODEL_CONNECT_MS, lookup: publicLookup() },
  });
}
