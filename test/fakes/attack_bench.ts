import { readFileSync, writeFileSync } from 'node:fs';
import type { TLSSocket } from 'node:tls';
import type { Decision, GatewayEvent, HoldEvent } from '../../src/protocol/gateway.ts';
import type { LineClient } from '../../src/protocol/lines_client.ts';
import { GatewayProcess, raw } from './gateway_process.ts';
import { until } from './install.ts';
import { openTunnel, rawInTunnel } from './tunnel.ts';
import { bearerFor, namesEnv, TestAuthority, Upstream } from './upstream.ts';
import { echoUpgrade, framesIn } from './websocket.ts';

/**
 * Hostile bytes on a session's egress socket and in its tunnels, as data: what is sent, and the correct outcome. The same
 * table is run against the gateway that ships, and against ones from which a guard was taken out.
 */
export interface Attack {
  name: string;
  /** Bytes on the socket itself, or in a tunnel to one of the services. */
  on: 'socket' | 'api' | 'plain' | 'live' | 'closed';
  bytes: (places: Places) => string;
  /** Name in TLS; '' none. */
  sni?: string;
  /** A client that takes any certificate. */
  careless?: boolean;
  /** Statuses that the agent gets, in order. */
  statuses: number[];
  /** Requests that a service gets, as it records them. */
  received?: string[];
  /** Values of these headers that arrive there, sorted. */
  headers?: Record<string, string[]>;
  /** Decisions of the rows, in order of their beginning. */
  rows: string[];
  /** What happens while the request waits for a person. Without a guard it may reject: nothing waits then. */
  meanwhile?: (held: Held) => Promise<void>;
  /** Bodies that a service gets, beginnings of bodies that a person is shown, rules of the rows. */
  bodies?: string[];
  previews?: string[];
  rules?: string[];
  /** What the frames carry that the agent gets in a WebSocket. */
  frames?: string[];
}

/** A request that waits, seen by everybody who takes part. */
export interface Held {
  bench: AttackBench;
  session: string;
  agent: TLSSocket;
  /** What the host was told: the newest request. */
  event(): Promise<HoldEvent>;
  /** Allows exactly that request, but for what is given; resolves with what the gateway says of it. */
  decide(other?: Partial<Decision>): Promise<string | null>;
}

export interface Places {
  /** With a secret. */
  api: string;
  plain: string;
  /** With a secret, and WebSockets. */
  live: string;
  /** A name of the same address, which its service does not open. */
  closed: string;
}

export const SECRET = 'fake-token-of-the-operator';

/** A gateway, its two services and a group that may use them. */
export type Outcome = Pick<
  Attack,
  'statuses' | 'received' | 'headers' | 'rows' | 'bodies' | 'previews' | 'rules' | 'frames'
>;

/** What the outcome of an attack must be. */
export function expectedOf({
  statuses,
  received = [],
  headers,
  rows,
  bodies,
  previews,
  rules,
  frames,
}: Attack): Outcome {
  return {
    ...{ statuses, received, ...(headers === undefined ? {} : { headers }), rows },
    ...(bodies === undefined ? {} : { bodies }),
    ...(previews === undefined ? {} : { previews }),
    ...(rules === undefined ? {} : { rules }),
    ...(frames === undefined ? {} : { frames }),
  };
}

/** Until an answer that will not come is given up. */
const LATE_MS = 3000;

export class AttackBench {
  readonly #authority = new TestAuthority();
  readonly api = new Upstream('api.example.com', this.#authority);
  readonly plain = new Upstream('plain.example.com', this.#authority);
  readonly live = new Upstream('live.example.com', this.#authority);
  readonly gateway: GatewayProcess;
  #host: LineClient | null = null;
  readonly events: GatewayEvent[] = [];
  #policy = '';
  #sessions = 0;

  /** `root`: the checkout that runs. */
  constructor(root?: string) {
    const loopback = ['127.0.0.1'];
    const names = ['api', 'plain', 'live', 'closed'].map((name) => `${name}.example.com`);
    const hosts = [...names, 'metadata.google.internal'];
    this.gateway = new GatewayProcess(namesEnv(Object.fromEntries(hosts.map((host) => [host, loopback]))), root);
  }

  async start(): Promise<void> {
    this.live.upgrade = echoUpgrade;
    await Promise.all(this.#upstreams.map((upstream) => upstream.listen()));
    const { paths } = this.gateway;
    writeFileSync(paths.config, `upstream_ca: ${this.#authority.write(paths.home)}\n`);
    await this.gateway.start();
    await this.gateway.setSecret('api-token', SECRET, bearerFor(this.api.place, this.live.place));
    await this.restartHost();
    const at = (port: number) => `port: ${port}, private: [127.0.0.0/8]`;
    this.#policy = this.gateway.group(
      'assistant',
      `secrets: [api-token]
egress:
  api:
    {host: api.example.com, ${at(this.api.port)}, use: api-token, allow: [GET /items/**, POST /items],
     approve: [DELETE /items/**, POST /held], deny: [GET /items/hidden, DELETE /items/kept], deny_json: [mcp_servers]}
  plain: {host: plain.example.com, ${at(this.plain.port)}, allow: ["* /**"], approve: [POST /held], deny: ["* /hidden"]}
  live: {host: live.example.com, ${at(this.live.port)}, use: api-token, ws: true, allow: [GET /ws/**, POST /ws/**]}
  still: {host: live.example.com, ${at(this.live.port)}, use: api-token, allow: [GET /still]}
  paced: {host: live.example.com, ${at(this.live.port)}, ws: true, rate: 3/hour, allow: [GET /paced]}
  closed: {host: closed.example.com, port: ${this.plain.port}, allow: [GET /**]}
  meta: {host: metadata.google.internal, private: [0.0.0.0/0], allow: [GET /**]}
`,
    );
  }

  /** After another connection has taken the place of this one, and with it all sessions. */
  async restartHost(): Promise<void> {
    this.#host = await this.gateway.host((heard) => {
      const event = heard as GatewayEvent;
      // Every session's beginning and end brings one.
      if (event.event !== 'anchor') this.events.push(event);
    });
  }

  get host(): LineClient {
    return this.#host!;
  }

  /** What is in force, as the host knows it. */
  get policy(): string {
    return this.#policy;
  }

  get places(): Places {
    return {
      api: this.api.place,
      plain: this.plain.place,
      live: this.live.place,
      closed: `closed.example.com:${this.plain.port}`,
    };
  }

  get ca(): string {
    return readFileSync(this.gateway.paths.caCertificate, 'utf8');
  }

  /** A new session; its socket. */
  async session(): Promise<{ id: string; socket: string }> {
    this.#sessions += 1;
    const id = `s${this.#sessions}`;
    return { id, socket: await this.gateway.open(this.#host!, id, 'assistant', this.#policy) };
  }

  rows(id: string) {
    return this.gateway.audit(this.#host!, id);
  }

  /** What really happens, in the words of the table. */
  async outcome(attack: Attack): Promise<Outcome> {
    this.events.length = 0;
    for (const upstream of this.#upstreams) {
      upstream.received.length = 0;
      upstream.connections = 0;
    }
    const { id, socket } = await this.session();
    const answer = await this.#send(attack, id, socket);
    const service = attack.on === 'plain' || attack.on === 'live' ? this[attack.on] : this.api;
    const others = this.#upstreams.filter((upstream) => upstream !== service);
    const rows = await this.rows(id);
    const holds = this.events.filter((event) => event.event === 'hold');
    const headers = Object.keys(attack.headers ?? {}).map((name) => [name, service.values(name).sort()]);
    return {
      statuses: [...answer.matchAll(/HTTP\/1\.1 (\d+)/g)].map(([, status]) => Number(status)),
      received: [service, ...others]
        .flatMap(({ received }) => received)
        .map(({ method, target }) => `${method} ${target}`),
      ...(attack.headers === undefined ? {} : { headers: Object.fromEntries(headers) }),
      rows: rows.map(({ decision, status }) => `${decision} ${status}`),
      ...(attack.bodies === undefined ? {} : { bodies: service.received.map(({ body }) => body.toString()) }),
      ...(attack.previews === undefined ? {} : { previews: holds.map(({ preview }) => preview) }),
      ...(attack.rules === undefined ? {} : { rules: rows.map(({ rule }) => rule) }),
      ...(attack.frames === undefined ? {} : { frames: carriedIn(answer) }),
    };
  }

  async #send(attack: Attack, session: string, socket: string): Promise<string> {
    const { on, bytes, sni, careless = false, meanwhile } = attack;
    const text = Buffer.from(bytes(this.places), 'latin1');
    if (on === 'socket') return raw(socket, text);
    const options = { ca: this.ca, place: this.places[on], careless, ...(sni === undefined ? {} : { sni }) };
    if (meanwhile === undefined) return rawInTunnel(socket, options, text);
    const agent = await openTunnel(socket, options);
    const parts: Buffer[] = [];
    agent.on('data', (part) => parts.push(part));
    const closed = new Promise((resolve) => agent.on('close', resolve));
    agent.write(text);
    await meanwhile(this.#heldOf(session, agent)).catch(() => {});
    // What a missing guard lets wait would wait for minutes.
    const late = setTimeout(() => agent.destroy(), LATE_MS);
    await closed;
    clearTimeout(late);
    return Buffer.concat(parts).toString('latin1');
  }

  #heldOf(session: string, agent: TLSSocket): Held {
    const event = (): Promise<HoldEvent> =>
      until(
        'a request is held',
        async () => {
          const found = this.events.findLast((one) => one.event === 'hold' && one.session === session);
          if (found?.event !== 'hold') throw new Error('none yet');
          return found;
        },
        LATE_MS,
      );
    const decide = async (other: Partial<Decision> = {}): Promise<string | null> =>
      this.decide(await event(), { policy: this.#policy, ...other });
    return { bench: this, session, agent, event, decide };
  }

  async decide(event: HoldEvent, other: Partial<Decision> = {}): Promise<string | null> {
    const { hold, session, policy, body_sha256 } = event;
    const decision = { hold, session, policy, body_sha256, allow: true, reason: '', ...other };
    const said = await this.#host!.request<{ refused: string | null }>({ op: 'decide', ...decision }, 5000);
    return said.refused;
  }

  async dispose(): Promise<void> {
    await this.gateway.dispose();
    await Promise.all(this.#upstreams.map((upstream) => upstream.close()));
  }

  get #upstreams(): Upstream[] {
    return [this.api, this.plain, this.live];
  }
}

/** What the frames behind the head of an answer carry. */
function carriedIn(answer: string): string[] {
  const bytes = Buffer.from(answer.slice(answer.indexOf('\r\n\r\n') + 4), 'latin1');
  return framesIn(bytes).frames.map(({ payload }) => payload.toString());
}
