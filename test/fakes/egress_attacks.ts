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
const END = 'Connection: close\r\n\r\n';

/** A request to the service with a secret; `more`: further header lines. */
function get(target: string, more = '', method = 'GET'): Attack['bytes'] {
  return ({ api }) => `${method} ${target} HTTP/1.1\r\nHost: ${api}\r\n${more}${END}`;
}

function refused(name: string, bytes: Attack['bytes'], status: number): Attack {
  return { name, on: 'api', bytes, statuses: [status], rows: [`deny ${status}`] };
}

function connect(name: string, line: (places: Places) => string, status: number): Attack {
  return {
    name,
    on: 'socket',
    bytes: (places) => `${line(places)}\r\n\r\n`,
    statuses: [status],
    rows: [`deny ${status}`],
  };
}

/** Passes, but without what it should not have. */
function stripped(name: string, more: string, headers: Record<string, string[]>): Attack {
  const base = { authorization: [`Bearer ${SECRET}`], ...headers };
  return {
    ...{ name, on: 'api', bytes: get('/items/1', more), statuses: [200] },
    ...{ received: ['GET /items/1'], headers: base, rows: ['allow 200'] },
  };
}

const TUNNEL: Attack[] = [
  connect('CONNECT to an address', () => 'CONNECT 127.0.0.1:443 HTTP/1.1', 403),
  connect('CONNECT to a number', () => 'CONNECT 2130706433:443 HTTP/1.1', 403),
  connect('CONNECT to IPv6', () => 'CONNECT [::1]:443 HTTP/1.1', 403),
  connect(
    'CONNECT to a metadata service that a service names',
    () => 'CONNECT metadata.google.internal:443 HTTP/1.1',
    403,
  ),
  connect('CONNECT to another host', () => 'CONNECT evil.example.com:443 HTTP/1.1', 403),
  connect('CONNECT to another port', () => 'CONNECT api.example.com:22 HTTP/1.1', 403),
  connect('CONNECT without a port', () => 'CONNECT api.example.com HTTP/1.1', 400),
  connect('CONNECT with a user', ({ api }) => `CONNECT user@${api} HTTP/1.1`, 400),
  connect('CONNECT with a dot behind', ({ api }) => `CONNECT ${api.replace(':', '.:')} HTTP/1.1`, 400),
  connect('CONNECT with a blank', ({ api }) => `CONNECT ${api} x HTTP/1.1`, 400),
  connect('CONNECT with another host header', ({ api }) => `CONNECT ${api} HTTP/1.1\r\nHost: evil.example.com`, 421),
  connect('CONNECT with two host headers', ({ api }) => `CONNECT ${api} HTTP/1.1\r\nHost: ${api}\r\nHost: ${api}`, 400),
  connect('CONNECT with a body', ({ api }) => `CONNECT ${api} HTTP/1.1\r\nContent-Length: 5`, 400),
  connect(
    'plain http through the proxy',
    ({ api }) => `GET http://${api}/items/1 HTTP/1.1\r\nHost: ${api}\r\nConnection: close`,
    400,
  ),
  connect(
    'https in absolute form',
    ({ api }) => `GET https://${api}/items/1 HTTP/1.1\r\nHost: ${api}\r\nConnection: close`,
    400,
  ),
  {
    ...{ name: 'another name in TLS', on: 'api', sni: 'plain.example.com', careless: true, bytes: get('/items/1') },
    ...{ statuses: [421], rows: ['deny 421'] },
  },
  {
    ...{ name: 'no name in TLS', on: 'api', sni: '', bytes: get('/items/1') },
    ...{ statuses: [200], received: ['GET /items/1'], rows: ['allow 200'] },
  },
  {
    ...{ name: 'a name with a private address', on: 'closed', statuses: [403], rows: ['deny 403'] },
    bytes: ({ closed }) => `GET /a HTTP/1.1\r\nHost: ${closed}\r\n${END}`,
  },
];

const HTTP: Attack[] = [
  refused('another host header', ({ plain }) => `GET /items/1 HTTP/1.1\r\nHost: ${plain}\r\n${END}`, 421),
  refused('another port in the host header', () => `GET /items/1 HTTP/1.1\r\nHost: api.example.com:1\r\n${END}`, 421),
  refused('two host headers', get('/items/1', 'Host: evil.example.com\r\n'), 400),
  refused('an empty host header', () => `GET /items/1 HTTP/1.1\r\nHost:\r\n${END}`, 400),
  refused('no host header', () => `GET /items/1 HTTP/1.1\r\n${END}`, 400),
  refused(
    'absolute form in the tunnel',
    ({ api }) => `GET https://${api}/items/1 HTTP/1.1\r\nHost: ${api}\r\n${END}`,
    400,
  ),
  refused(
    'absolute form of plain http',
    ({ api }) => `GET http://evil.example.com/ HTTP/1.1\r\nHost: ${api}\r\n${END}`,
    400,
  ),
  refused('a tunnel in the tunnel', ({ plain }) => `CONNECT ${plain} HTTP/1.1\r\nHost: ${plain}\r\n\r\n`, 405),
  refused('a length and chunks', get('/items', 'Content-Length: 3\r\nTransfer-Encoding: chunked\r\n', 'POST'), 400),
  refused('two lengths', get('/items', 'Content-Length: 3\r\nContent-Length: 4\r\n', 'POST'), 400),
  refused('a strange encoding of the transfer', get('/items', 'Transfer-Encoding: xchunked\r\n', 'POST'), 400),
  refused('two encodings of the transfer', get('/items', 'Transfer-Encoding: gzip, chunked\r\n', 'POST'), 400),
  refused('a space before the colon', get('/items/1', 'X-A : b\r\n'), 400),
  refused('a folded header', get('/items/1', 'X-A: b\r\n c\r\n'), 400),
  refused('a zero byte', get('/items/1', 'X-A: b\0c\r\n'), 400),
  refused('bare line feeds', ({ api }) => `GET /items/1 HTTP/1.1\nHost: ${api}\n\n`, 400),
  refused('HTTP/0.9', () => 'GET /items/1\r\n\r\n', 505),
  refused('a line of HTTP/2', ({ api }) => `GET /items/1 HTTP/2.0\r\nHost: ${api}\r\n${END}`, 505),
  refused('a line of HTTP/0.9', ({ api }) => `GET /items/1 HTTP/0.9\r\nHost: ${api}\r\n${END}`, 505),
  connect('CONNECT in HTTP/2.0', ({ api }) => `CONNECT ${api} HTTP/2.0`, 505),
  refused('the preface of HTTP/2', () => 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', 400),
  refused('an upgrade to HTTP/2', get('/items/1', 'Upgrade: h2c\r\nHTTP2-Settings: x\r\n'), 403),
  refused('a WebSocket', get('/items/1', 'Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n'), 403),
  refused('64 KiB of headers', get('/items/1', `X-A: ${'b'.repeat(65_536)}\r\n`), 431),
  refused('150 headers', get('/items/1', 'a: b\r\n'.repeat(150)), 431),
  refused('a target of 9 KiB', get(`/items/${'x'.repeat(9000)}`), 414),
  refused('another method', get('/items/1', '', 'PUT'), 403),
  refused('a method in lower case', get('/items/1', '', 'get'), 400),
  {
    ...{ name: 'TRACE, where any method is allowed', on: 'plain', statuses: [403], rows: ['deny 403'] },
    bytes: ({ plain }) => `TRACE /a HTTP/1.1\r\nHost: ${plain}\r\n${END}`,
  },
  refused('another case of the path', get('/Items/1'), 403),
  refused('a rule that denies', get('/items/hidden'), 403),
];

const TARGETS: Attack[] = [
  ...['/items/../other', '/items/.', '/items/%2e%2e/other', '/items/%2E./other', '/items/a%2fb', '/items/a%5cb'].map(
    (target) => refused(`the target ${target}`, get(target), 400),
  ),
  ...[
    '/items/a\\b',
    '/items//a',
    '//items/a',
    '/items/a;b',
    '/items/%00',
    '/items/a#b',
    '/items/%252e',
    '/items/%c0%ae',
  ].map((target) => refused(`the target ${target}`, get(target), 400)),
  refused('a target that is no UTF-8', get('/items/%ff'), 400),
  refused('a credential in the query', get('/items/1?access_token=mine'), 400),
  refused('a credential in the query, escaped', get('/items/1?a=b&api%5Fkey=mine'), 400),
  refused('another method in the query', get('/items/1?_method=DELETE'), 400),
  {
    ...{ name: 'a query that is fine, byte for byte', on: 'api', bytes: get('/items/a%20b?q=%2e%2E&r=/..//&s') },
    ...{ statuses: [200], received: ['GET /items/a%20b?q=%2e%2E&r=/..//&s'], rows: ['allow 200'] },
  },
];

const HEADERS: Attack[] = [
  stripped(
    'credentials of the agent',
    'Authorization: Bearer mine\r\nauthorization: Basic bWluZQ==\r\nX-API-KEY: mine\r\n',
    {
      'x-api-key': [],
    },
  ),
  stripped(
    'credentials under other names',
    'Cookie: a=b\r\nPrivate-Token: mine\r\nX-Goog-Api-Key: mine\r\nX-Vault-Token: mine\r\nProxy-Authorization: mine\r\n',
    { cookie: [], 'private-token': [], 'x-goog-api-key': [], 'x-vault-token': [], 'proxy-authorization': [] },
  ),
  stripped('headers that the connection is to drop', 'Connection: authorization, x-kept\r\nX-Kept: b\r\n', {
    'x-kept': [],
  }),
  stripped('claims of identity', 'X-Forwarded-For: 1.1.1.1\r\nForwarded: for=x\r\nX-Group-Id: other\r\n', {
    ...{ 'x-forwarded-for': [], forwarded: [], 'x-group-id': [] },
  }),
  stripped('another method in a header', 'X-HTTP-Method-Override: DELETE\r\nX-Method-Override: DELETE\r\n', {
    ...{ 'x-http-method-override': [], 'x-method-override': [] },
  }),
  stripped('a range, to read a secret by its bytes', 'Range: bytes=0-3\r\nIf-Range: x\r\n', {
    range: [],
    'if-range': [],
  }),
  stripped('a wish for compression', 'Accept-Encoding: gzip, br\r\n', { 'accept-encoding': ['identity'] }),
  stripped('a placeholder, which is text', 'X-Note: {{SECRET:api-token}} __API_TOKEN__\r\n', {
    'x-note': ['{{SECRET:api-token}} __API_TOKEN__'],
  }),
  {
    ...{ name: 'an allowed request and a denied one in one segment', on: 'api' },
    bytes: ({ api }) => `GET /items/1 HTTP/1.1\r\nHost: ${api}\r\n\r\nPUT /items/1 HTTP/1.1\r\nHost: ${api}\r\n${END}`,
    ...{ statuses: [200, 403], received: ['GET /items/1'], rows: ['allow 200', 'deny 403'] },
  },
  {
    ...{ name: 'a body that ends early and goes on as a request', on: 'plain' },
    bytes: ({ plain }) =>
      `POST /a HTTP/1.1\r\nHost: ${plain}\r\nContent-Length: 4\r\n\r\nbodyPOST /hidden HTTP/1.1\r\nHost: ${plain}\r\n${END}`,
    // The second is refused at once, while the first waits for the end of its body.
    ...{ statuses: [200, 403], received: ['POST /a'], rows: ['deny 403', 'allow 200'] },
  },
  refused('a forbidden key in the body', bodyOf('{"mcp_servers":[]}'), 403),
  refused('a key twice in the body', bodyOf('{"mcp_servers2":1,"a":1,"a":2}'), 400),
  refused('a body that is no JSON', bodyOf('mcp_servers=1'), 400),
  refused('a compressed body', bodyOf('{}', 'Content-Encoding: gzip\r\n'), 403),
];

function bodyOf(body: string, more = ''): Attack['bytes'] {
  const head = get('/items', `Content-Length: ${body.length}\r\n${more}`, 'POST');
  return (places) => head(places) + body;
}

export const REQUEST_ATTACKS: readonly Attack[] = [...TUNNEL, ...HTTP, ...TARGETS, ...HEADERS];

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
