import { setTimeout as sleep } from 'node:timers/promises';
import { SocketModeClient } from '@slack/socket-mode';
import { clientOptions, quiet } from './api.ts';
import { type Failure, failureOf } from './failures.ts';
import {
  BACKOFF_MAX_MS,
  BACKOFF_MS,
  SHARED_CHECK_MS,
  SOCKET_CLOSE_MS,
  SOCKET_GHOST_MS,
  SOCKET_HELLO_MS,
  SOCKET_STABLE_MS,
} from './limits.ts';
import * as payloads from './payloads.ts';

/** What a socket brought. It is Slack's to bring again until `ack` was called. */
export interface Envelope {
  type: string;
  id: string;
  body: unknown;
  ack(): void;
}

export interface SocketHooks {
  envelope(envelope: Envelope): void;
  /** A new socket is open: what was said between it and the one before may be missing. */
  opened(): void;
  /** There is none, and why. Another try follows. `again`: not for the first time, or it is for a person to mend. */
  lost(reason: string, again: boolean): void;
  /** Whether another program has a socket on our token: then Slack gives it a part of what comes. */
  shared(shared: boolean): void;
  /** Something that is no envelope. */
  strange(given: unknown): void;
}

/** `planned`: the next one follows at once. `grave`: a person has to do something. */
interface End {
  planned: boolean;
  grave: boolean;
  reason: string;
}

/**
 * Socket Mode: one socket after another, for Slack ends each within hours. The library opens, pings and closes one; when the
 * next one is opened is decided here, because the library leaves a gap of seconds and gives up at some failures for good.
 */
export class Sockets {
  readonly #token: string;
  readonly #override: string | undefined;
  readonly #hooks: SocketHooks;
  readonly #stop = new AbortController();
  /** Sockets of ours that Slack may count. */
  readonly #open = new Set<SocketModeClient>();
  /** Until when Slack may count one that was cut; monotonic. */
  #ghostUntil = 0;
  /** How often in a row we were not alone. */
  #checks = 0;

  constructor(token: string, override: string | undefined, hooks: SocketHooks) {
    this.#token = token;
    this.#override = override;
    this.#hooks = hooks;
  }

  /** Until `stop`. */
  async run(): Promise<void> {
    let failures = 0;
    while (!this.#stop.signal.aborted) {
      const begun = performance.now();
      const end = await this.#one();
      if (this.#stop.signal.aborted) return;
      const lasted = performance.now() - begun;
      failures = end.opened && (end.planned || lasted > SOCKET_STABLE_MS) ? 0 : failures + 1;
      if (!end.planned) this.#hooks.lost(end.reason, failures > 1 || end.grave);
      if (failures > 0) await this.#wait(Math.min(BACKOFF_MS * 2 ** (failures - 1), BACKOFF_MAX_MS));
    }
  }

  /** Nothing is handed over any more at once; resolves when the sockets are closed, or soon. */
  async stop(): Promise<void> {
    this.#stop.abort();
    const soon = new AbortController();
    const closed = Promise.all([...this.#open].map(close));
    await Promise.race([closed, sleep(SOCKET_CLOSE_MS, undefined, { signal: soon.signal }).catch(() => {})]);
    soon.abort();
  }

  async #wait(ms: number): Promise<void> {
    await sleep(ms, undefined, { signal: this.#stop.signal }).catch(() => {});
  }

  /** One socket, from its opening until it ends or is to be followed by another. */
  async #one(): Promise<End & { opened: boolean }> {
    const client = this.#client();
    const before = [...this.#open];
    const end = Promise.withResolvers<End>();
    let others = 0;
    client.once('disconnected', () => {
      this.#open.delete(client);
      end.resolve({ planned: false, grave: false, reason: 'the connection to Slack was cut' });
    });
    this.#listen(client, {
      hello: (connections) => {
        others = Math.max(0, connections - 1 - before.length);
      },
      disconnect: (reason) => {
        const off = reason === 'link_disabled';
        end.resolve({ planned: !off, grave: off, reason: 'Socket Mode is off in the settings of the app' });
      },
    });
    this.#open.add(client);
    const failure = await this.#start(client);
    if (failure !== null) {
      this.#open.delete(client);
      void close(client);
      const grave = failure.class !== 'retryable' && failure.class !== 'ambiguous';
      return { opened: false, planned: false, grave, reason: failure.reason };
    }
    if (this.#stop.signal.aborted) void close(client);
    for (const old of before) void close(old);
    this.#hooks.opened();
    const again = this.#judge(others);
    const recheck = setTimeout(() => end.resolve({ planned: true, grave: false, reason: '' }), again ?? 0);
    if (again === null) clearTimeout(recheck);
    const ended = await end.promise;
    clearTimeout(recheck);
    if (!ended.planned) {
      this.#ghostUntil = performance.now() + SOCKET_GHOST_MS;
      void close(client);
    }
    return { opened: true, ...ended };
  }

  /** Slack counts when a socket opens, and never tells again: so another one is opened to see. Null: no need. */
  #judge(others: number): number | null {
    // Slack may still count what was cut.
    const ghost = performance.now() < this.#ghostUntil;
    this.#hooks.shared(others > 0 && !ghost);
    this.#checks = others > 0 ? this.#checks + 1 : 0;
    if (others === 0) return null;
    return ghost ? SOCKET_GHOST_MS : Math.min(SHARED_CHECK_MS * 2 ** (this.#checks - 1), BACKOFF_MAX_MS);
  }

  #client(): SocketModeClient {
    return new SocketModeClient({
      appToken: this.#token,
      autoReconnectEnabled: false,
      logger: quiet,
      clientOptions: clientOptions(this.#override),
    });
  }

  /** Null: it is open. */
  async #start(client: SocketModeClient): Promise<Failure | null> {
    const late = setTimeout(() => void close(client), SOCKET_HELLO_MS);
    try {
      await client.start();
      return null;
    } catch (error) {
      if (error === undefined) return { class: 'retryable', reason: 'Slack did not open the connection' };
      return failureOf(error);
    } finally {
      clearTimeout(late);
    }
  }

  /**
   * The library reads an envelope without looking at it, and throws where nobody can catch that; it closes a socket as soon as
   * Slack announces its end. So it is given what it can read, and not that.
   */
  #listen(client: SocketModeClient, on: { hello(connections: number): void; disconnect(reason: string): void }): void {
    const [dispatch] = client.listeners('ws_message');
    client.removeAllListeners('ws_message');
    client.on('ws_message', (data: unknown, isBinary: unknown) => {
      const message = parsed(data);
      const first = payloads.hello.safeParse(message);
      if (first.success) on.hello(first.data.num_connections ?? 1);
      const other = payloads.envelope.safeParse(message);
      if (message?.type === 'disconnect') on.disconnect(String(message.reason));
      else if (first.success || other.success) dispatch?.(data, isBinary);
      else this.#hooks.strange(message ?? String(data));
    });
    client.on('slack_event', ({ ack, type, envelope_id, body }) => {
      // Where it cannot be sent any more, Slack brings the envelope again.
      const acked = (): void => void ack().catch(() => {});
      this.#hooks.envelope({ type, id: String(envelope_id), body, ack: acked });
    });
  }
}

function parsed(data: unknown): { type?: unknown; reason?: unknown } | null {
  try {
    const value: unknown = JSON.parse(String(data));
    return typeof value === 'object' && value !== null ? value : null;
  } catch {
    return null;
  }
}

/** The library gives the other side half a minute to agree: hardly anybody waits for that. */
function close(client: SocketModeClient): Promise<void> {
  return client.disconnect().catch(() => {});
}
