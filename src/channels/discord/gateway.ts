import { setTimeout as sleep } from 'node:timers/promises';
import {
  Encoding,
  type IContextFetchingStrategy,
  type SessionInfo,
  WebSocketShard,
  type WebSocketShardDestroyOptions,
  WebSocketShardDestroyRecovery,
} from '@discordjs/ws';
import { REVOKED } from './failures.ts';
import { BACKOFF_MAX_MS, BACKOFF_MS, CLOSE_MS, HELLO_MS, RESUMES_MAX, STABLE_MS } from './limits.ts';

/** What the gateway brought. `key`: its own for ever. It is Discord's to bring again until `done` was called. */
export interface Dispatch {
  type: string;
  data: unknown;
  key: string;
  done(): void;
}

/** Where a session begins; or why it cannot now, and how long to wait at least. */
export type Begin = { ok: true; url: string } | { ok: false; reason: string; grave: boolean; after_ms: number };

export interface GatewayHooks {
  begin(): Promise<Begin>;
  /** Whether the token may be given to who listens there. */
  trusts(url: string): boolean;
  dispatch(dispatch: Dispatch): void;
  /** There is no connection, and why. Another try follows. `again`: not for the first time, or it is for a person to mend. */
  lost(reason: string, again: boolean): void;
}

/** `MESSAGE_CONTENT` alone is one that a person has to switch on. */
const INTENTS = {
  GUILDS: 1 << 0,
  GUILD_MESSAGES: 1 << 9,
  GUILD_MESSAGE_REACTIONS: 1 << 10,
  DIRECT_MESSAGES: 1 << 12,
  DIRECT_MESSAGE_REACTIONS: 1 << 13,
  MESSAGE_CONTENT: 1 << 15,
};

/** Close codes that a person has to do something about. */
const GRAVE: Record<number, string> = {
  4004: REVOKED,
  4010: 'Discord refuses the connection as one of several (4010)',
  4011: 'the bot is on too many servers for one connection (4011)',
  4012: 'Discord has given up this version of its gateway (4012)',
  4013: 'Discord does not know the intents that the bot asks for (4013)',
  4014: 'the bot may not read messages: switch on "Message Content Intent" under "Bot", "Privileged Gateway Intents" of the application at https://discord.com/developers/applications',
};

/** How a connection ended. */
interface End {
  code: number;
  /** It was the session that ended, and not only the connection. */
  forgotten: boolean;
  opened: boolean;
}

/** The sequence numbers of one session. Discord replays what follows the number that we resume with. */
class Acks {
  #top: number;
  readonly #open = new Set<number>();

  constructor(first: number) {
    this.#top = first;
  }

  begin(sequence: number): void {
    this.#top = Math.max(this.#top, sequence);
    this.#open.add(sequence);
  }

  done(sequence: number): void {
    this.#open.delete(sequence);
  }

  /** Everything up to it is committed. */
  get committed(): number {
    for (const first of this.#open) return first - 1;
    return this.#top;
  }
}

/**
 * One connection of the library: it greets, beats, resumes, and knows which end means what. It would open the next one itself,
 * every half second for ever, with sessions of which Discord allows a thousand a day; so that is taken from it.
 */
class Connection extends WebSocketShard {
  readonly end = Promise.withResolvers<End>();
  #greeted = false;
  #opened = false;

  constructor(strategy: IContextFetchingStrategy) {
    super(strategy, 0);
    this.on('error', () => {});
    this.on('socketError', () => {});
    this.on('hello', () => {
      this.#greeted = true;
    });
    for (const event of ['ready', 'resumed'] as const)
      this.on(event, () => {
        this.#opened = true;
      });
  }

  override async destroy({ recover, code, reason }: WebSocketShardDestroyOptions = {}): Promise<void> {
    const resumes = recover === WebSocketShardDestroyRecovery.Resume;
    // A normal close would end the session.
    const closing = code ?? (resumes ? 4200 : 1000);
    // One that is not open yet the library leaves to itself, and its failure to nobody: that would end the whole driver.
    const socket: { readyState: number; on(event: 'error', heard: () => void): void; terminate(): void } | null =
      this['connection'];
    socket?.on('error', () => {});
    if (socket?.readyState === WebSocket.CONNECTING) socket.terminate();
    await super.destroy({ code: closing, ...(reason === undefined ? {} : { reason }) });
    this.end.resolve({ code: closing, forgotten: !resumes && this.#greeted, opened: this.#opened });
  }
}

/** The gateway: one connection after another. A session is resumed at the first event that is not committed. */
export class Gateway {
  readonly #token: string;
  readonly #hooks: GatewayHooks;
  readonly #stop = new AbortController();
  #session: SessionInfo | null = null;
  #acks = new Acks(0);
  #connection: Connection | null = null;

  constructor(token: string, hooks: GatewayHooks) {
    this.#token = token;
    this.#hooks = hooks;
  }

  /** Until `stop`. */
  async run(): Promise<void> {
    let failures = 0;
    while (!this.#stop.signal.aborted) {
      const begun = performance.now();
      const begin = await this.#begin();
      const end = begin.ok ? await this.#one(begin.url) : null;
      if (this.#stop.signal.aborted) return;
      const stable = end?.opened === true && performance.now() - begun > STABLE_MS;
      failures = stable ? 0 : failures + 1;
      // The address that it was to be resumed at may be gone.
      if (failures > RESUMES_MAX) this.#session = null;
      const grave = end === null ? !begin.ok && begin.grave : GRAVE[end.code] !== undefined;
      const reason = end === null ? (begin as { reason: string }).reason : (GRAVE[end.code] ?? CUT);
      this.#hooks.lost(reason, grave || failures > 1);
      await this.#wait(failures, end, begin.ok ? 0 : begin.after_ms);
    }
  }

  /** Nothing is handed over any more at once; resolves when the connection is closed, or soon. */
  async stop(): Promise<void> {
    this.#stop.abort();
    const soon = new AbortController();
    const closed = this.#connection?.destroy() ?? Promise.resolve();
    await Promise.race([closed, sleep(CLOSE_MS, undefined, { signal: soon.signal }).catch(() => {})]);
    soon.abort();
  }

  async #begin(): Promise<Begin> {
    if (this.#session !== null) return { ok: true, url: this.#session.resumeURL };
    return this.#hooks.begin();
  }

  /** A connection that worked and was cut is followed by the next one at once. */
  async #wait(failures: number, end: End | null, after_ms: number): Promise<void> {
    const quick = failures === 0 || (failures === 1 && end?.opened === true && !end.forgotten);
    const wait = quick ? 0 : Math.min(BACKOFF_MS * 2 ** Math.max(0, failures - 1), BACKOFF_MAX_MS);
    const signal = this.#stop.signal;
    await sleep(Math.max(wait, after_ms), undefined, { signal }).catch(() => {});
  }

  async #one(url: string): Promise<End> {
    const connection = new Connection(this.#strategy(url));
    this.#connection = connection;
    connection.on('hello', () => {
      if (this.#stop.signal.aborted) void connection.destroy();
    });
    connection.on('dispatch', ({ t, d, s }) => this.#dispatched(t, d, s));
    void connection.connect().catch(() => {});
    const end = await connection.end.promise;
    if (end.forgotten) this.#session = null;
    return end;
  }

  #dispatched(type: string, data: unknown, sequence: number): void {
    if (this.#stop.signal.aborted || this.#session === null) return;
    const acks = this.#acks;
    acks.begin(sequence);
    const key = `${this.#session.sessionId}:${sequence}`;
    this.#hooks.dispatch({ type, data, key, done: () => acks.done(sequence) });
  }

  #strategy(url: string): IContextFetchingStrategy {
    return {
      options: {
        ...{ token: this.#token, intents: Object.values(INTENTS).reduce((all, each) => all | each, 0), version: '10' },
        ...{ encoding: Encoding.JSON, compression: null, useIdentifyCompression: false, shardCount: 1 },
        ...{ initialPresence: null, largeThreshold: null },
        ...{ handshakeTimeout: HELLO_MS, helloTimeout: HELLO_MS, readyTimeout: HELLO_MS },
        identifyProperties: { browser: 'glassclaw', device: 'glassclaw', os: process.platform },
        gatewayInformation: { url, shards: 1, session_start_limit: NO_LIMIT },
      },
      retrieveSessionInfo: () => this.#session && { ...this.#session, sequence: this.#acks.committed },
      updateSessionInfo: (_, session) => this.#renew(session, url),
      waitForIdentify: async () => {},
    };
  }

  /** The library forgets by itself, and counts what we have not committed: only a session of another name is news. */
  #renew(session: SessionInfo | null, url: string): void {
    if (session === null || session.sessionId === this.#session?.sessionId) return;
    const resumeURL = this.#hooks.trusts(session.resumeURL) ? session.resumeURL : url;
    this.#session = { ...session, resumeURL };
    this.#acks = new Acks(session.sequence);
  }
}

const CUT = 'the connection to Discord was cut; it is tried again';
/** What the driver has looked at itself. */
const NO_LIMIT = { total: 1000, remaining: 1000, reset_after: 0, max_concurrency: 1 };
