import { randomBytes } from 'node:crypto';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { request as httpsRequest } from 'node:https';
import { type AddressInfo, createConnection, type Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { createSecureContext, TLSSocket } from 'node:tls';
import { TestAuthority, type Upstream } from './upstream.ts';

/**
 * An OneCLI as docs/decisions/0019 found it: the gateway (CONNECT, `/healthz`) on one port, the API of its dashboard (`/v1`) on
 * another. Agents have tokens; a secret has a host pattern and says which header it goes into.
 */

interface Agent {
  id: string;
  name: string;
  identifier: string;
  accessToken: string;
}

interface StoredSecret {
  id: string;
  name: string;
  value: string;
  hostPattern: string;
  injectionConfig: { headerName: string; valueFormat: string };
}

/** How CONNECT is answered. `ordinary`: as the code that was read does. */
export type Behaviour =
  | 'ordinary'
  /** Relays what has no token, and what has one for a host without a secret. */
  | 'older'
  | 'garbage'
  | 'words behind the answer'
  | 'hang'
  | 'hang in TLS'
  | 'cut'
  | 'cut in TLS'
  | 'another authority'
  | 'another host'
  | number;

/** What only neighbours use (`HOP_BY_HOP_HEADERS`), what it sets itself, and what it obeys. */
const NOT_FORWARDED = new Set(
  `connection keep-alive proxy-authenticate proxy-authorization proxy-connection te trailers transfer-encoding upgrade host
   content-length x-onecli-connection-id`.split(/\s+/),
);

export class FakeOneCli {
  readonly authority = new TestAuthority();
  readonly #other = new TestAuthority();
  readonly #upstreams: readonly Upstream[];
  readonly #internet: TestAuthority;
  readonly #gateway: Server;
  readonly #api: Server;
  readonly #inside: Server;
  readonly #sockets = new Set<Socket>();
  readonly #places = new WeakMap<Duplex, { upstream: Upstream; token: string }>();
  readonly #agents: Agent[] = [];
  readonly #secrets: StoredSecret[] = [];
  behaviour: Behaviour = 'ordinary';
  /** Of the gateway. */
  port = 0;
  /** Of each CONNECT: its place and the pair that it brought. */
  readonly connects: { place: string; credential: string | null }[] = [];
  /** Headers of the requests in tunnels, as they arrived. */
  readonly requests: { target: string; rawHeaders: string[] }[] = [];
  /** Requests to the API. */
  readonly asked: string[] = [];

  /** `internet`: the authority of the services. */
  constructor(internet: TestAuthority, upstreams: readonly Upstream[]) {
    this.#internet = internet;
    this.#upstreams = upstreams;
    this.#gateway = createServer((request, response) => this.#health(request, response));
    this.#gateway.on('connect', (request, socket, head) => this.#connect(request, socket, head));
    this.#inside = createServer((request, response) => this.#forward(request, response));
    this.#api = createServer((request, response) => void this.#answer(request, response));
    for (const server of [this.#gateway, this.#api]) server.on('connection', (socket) => this.#keep(socket));
  }

  /** Once, and again at the same place after `stop`. */
  async listen(): Promise<void> {
    if (!this.#api.listening) await new Promise<void>((resolve) => this.#api.listen(0, '127.0.0.1', resolve));
    await new Promise<void>((resolve) => this.#gateway.listen(this.port, '127.0.0.1', resolve));
    this.port = portOf(this.#gateway);
  }

  get gateway(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  get dashboard(): string {
    return `http://127.0.0.1:${portOf(this.#api)}`;
  }

  /** The gateway dies, with all that it has open; its dashboard lives on. */
  async stop(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    await new Promise((resolve) => this.#gateway.close(resolve));
  }

  async close(): Promise<void> {
    for (const server of [this.#gateway, this.#api]) {
      for (const socket of this.#sockets) socket.destroy();
      if (server.listening) await new Promise((resolve) => server.close(resolve));
    }
  }

  #keep(socket: Socket): void {
    this.#sockets.add(socket);
    socket.on('close', () => this.#sockets.delete(socket));
    socket.on('error', () => {});
  }

  #health(request: IncomingMessage, response: ServerResponse): void {
    if (request.method === 'GET' && request.url === '/healthz') return sendJson(response, 200, { status: 'ok' });
    response.writeHead(400).end();
  }

  // ── The gateway ──

  #connect(request: IncomingMessage, duplex: Duplex, head: Buffer): void {
    const socket = duplex as Socket;
    const place = request.url!;
    const credential = credentialOf(request.headers['proxy-authorization']);
    this.connects.push({ place, credential: credential === null ? null : `${credential.user}:${credential.token}` });
    if (head.length > 0) throw new Error('TLS began before the tunnel stood');
    const { behaviour } = this;
    if (behaviour === 'hang') return;
    if (behaviour === 'cut') return void socket.destroy();
    if (behaviour === 'garbage') return void socket.end('220 mail.example.com ESMTP\r\n\r\n');
    if (typeof behaviour === 'number') return refuse(socket, behaviour);
    const token = credential?.token ?? '';
    const upstream = this.#upstreams.find((one) => one.place === place);
    const isKnown = this.#agents.some(({ accessToken }) => accessToken === token);
    const isOlder = behaviour === 'older';
    if (token === '' && isOlder) return relay(socket, upstream);
    if (!isKnown) return refuse(socket, 407);
    // The open lane: a client that wants its own TLS says so by this name.
    if (credential?.user === 'open') return relay(socket, upstream);
    if (isOlder && this.#secretsFor(place.split(':')[0]!).length === 0) return relay(socket, upstream);
    socket.write(`HTTP/1.1 200 OK\r\n\r\n${behaviour === 'words behind the answer' ? 'hello' : ''}`);
    if (behaviour === 'words behind the answer') return;
    if (behaviour === 'hang in TLS') return;
    if (behaviour === 'cut in TLS') return void socket.once('data', () => socket.destroy());
    this.#intercept(socket, place, token);
  }

  #intercept(socket: Socket, place: string, token: string): void {
    const host = this.behaviour === 'another host' ? 'other.example.com' : place.split(':')[0]!;
    const authority = this.behaviour === 'another authority' ? this.#other : this.authority;
    const secureContext = createSecureContext(authority.for(host));
    const tls = new TLSSocket(socket, { isServer: true, secureContext, ALPNProtocols: ['http/1.1'] });
    tls.on('error', () => tls.destroy());
    const upstream = this.#upstreams.find((one) => one.place === place);
    if (upstream === undefined) return void tls.destroy();
    this.#places.set(tls, { upstream, token });
    this.#inside.emit('connection', tls);
  }

  /** What `forward_request` does: its own headers go, the secrets of the host are put in, the rest is passed on. */
  #forward(request: IncomingMessage, response: ServerResponse): void {
    const { upstream } = this.#places.get(request.socket)!;
    this.requests.push({ target: request.url!, rawHeaders: request.rawHeaders });
    // A body is streamed, whatever its length was said to be.
    const hasBody = request.headers['content-length'] !== undefined || 'transfer-encoding' in request.headers;
    const headers: Record<string, string | string[]> = { host: upstream.place };
    if (hasBody) headers['transfer-encoding'] = 'chunked';
    for (const [name, value] of Object.entries(request.headers))
      if (!NOT_FORWARDED.has(name) && value !== undefined) headers[name] = value;
    for (const { value, injectionConfig } of this.#secretsFor(upstream.host))
      headers[injectionConfig.headerName.toLowerCase()] = injectionConfig.valueFormat.replace('{value}', value);
    const { method = 'GET', url = '/' } = request;
    const up = httpsRequest(
      {
        ...{ host: '127.0.0.1', port: upstream.port, servername: upstream.host, ca: this.#internet.certificate },
        ...{ method, path: url, headers, agent: false },
      },
      (reply) => {
        const kept = Object.entries(reply.headers).filter(([name]) => !NOT_FORWARDED.has(name));
        const connections = JSON.stringify([{ id: 'c1', label: 'ann@example.com', provider: 'test' }]);
        response.writeHead(reply.statusCode!, { ...Object.fromEntries(kept), 'x-onecli-connections': connections });
        reply.pipe(response);
      },
    );
    up.on('error', () => response.destroy());
    request.pipe(up);
  }

  #secretsFor(host: string): StoredSecret[] {
    return this.#secrets.filter(({ hostPattern }) => hostPattern === host);
  }

  // ── The API of the dashboard ──

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const parts: Buffer[] = [];
    for await (const part of request) parts.push(part as Buffer);
    const { pathname, searchParams } = new URL(request.url!, 'http://dashboard');
    const body = parts.length === 0 ? null : JSON.parse(Buffer.concat(parts).toString());
    this.asked.push(`${request.method} ${pathname}`);
    const [status, answer] = this.#call(`${request.method} ${pathname}`, searchParams.get('agent'), body);
    if (typeof answer === 'string') {
      response.writeHead(status, { 'content-type': 'application/x-pem-file' }).end(answer);
      return;
    }
    sendJson(response, status, answer);
  }

  #call(what: string, agent: string | null, body: object | null): [number, object | string | null] {
    const id = /(?:agents|secrets)\/([^/]+)/.exec(what)?.[1] ?? '';
    switch (what.replace(/(agents|secrets)\/[^/]+/, '$1/:id')) {
      case 'GET /v1/health':
        return [200, { status: 'ok', version: '1.38.0', timestamp: new Date().toISOString() }];
      case 'GET /v1/gateway/ca':
        return [200, this.authority.certificate];
      case 'GET /v1/container-config':
        return this.#containerConfig(agent);
      case 'GET /v1/agents':
        return [200, this.#agents];
      case 'POST /v1/agents':
        return this.#createAgent(body as Agent);
      case 'POST /v1/agents/:id/regenerate-token':
        return this.#regenerate(id);
      case 'POST /v1/secrets':
        return this.#createSecret(body as StoredSecret);
      case 'DELETE /v1/secrets/:id':
        return this.#deleteSecret(id);
      default:
        return [404, { error: 'Not found' }];
    }
  }

  #containerConfig(identifier: string | null): [number, object] {
    const agent = this.#agents.find((one) => one.identifier === identifier);
    if (agent === undefined) return [404, { error: 'Agent with the given identifier not found.' }];
    const url = `http://x:${agent.accessToken}@host.docker.internal:${this.port}`;
    const env = { HTTPS_PROXY: url, HTTP_PROXY: url, NODE_EXTRA_CA_CERTS: '/tmp/onecli-gateway-ca.pem' };
    return [
      200,
      { env, caCertificate: this.authority.certificate, caCertificateContainerPath: env.NODE_EXTRA_CA_CERTS },
    ];
  }

  #createAgent({ name, identifier }: Agent): [number, object] {
    if (this.#agents.some((one) => one.identifier === identifier))
      return [409, { error: 'An agent with this identifier already exists' }];
    const agent = { id: `agent-${this.#agents.length + 1}`, name, identifier, accessToken: newToken() };
    this.#agents.push(agent);
    // The answer has no token: that is in the list and in the container's configuration.
    return [201, { id: agent.id, name, identifier }];
  }

  #regenerate(id: string): [number, object] {
    const agent = this.#agents.find((one) => one.id === id);
    if (agent === undefined) return [404, { error: 'Agent not found' }];
    agent.accessToken = newToken();
    return [200, { accessToken: agent.accessToken }];
  }

  #createSecret({ name, value, hostPattern, injectionConfig }: StoredSecret): [number, object] {
    if (!value) return [400, { error: 'Secret value is required' }];
    const id = `secret-${this.#secrets.length + 1}`;
    this.#secrets.push({ id, name, value, hostPattern, injectionConfig });
    return [201, { id, name, hostPattern }];
  }

  #deleteSecret(id: string): [number, null] {
    const at = this.#secrets.findIndex((one) => one.id === id);
    if (at !== -1) this.#secrets.splice(at, 1);
    return [204, null];
  }
}

/** `aoc_` and 64 digits. */
function newToken(): string {
  return `aoc_${randomBytes(32).toString('hex')}`;
}

/** `Basic base64(user:token)`; an empty password makes a token of the user. */
function credentialOf(header: string | undefined): { user: string; token: string } | null {
  if (header?.startsWith('Basic ') !== true) return null;
  const [user = '', ...rest] = Buffer.from(header.slice(6), 'base64').toString().split(':');
  const token = rest.join(':');
  return token === '' ? { user: '', token: user } : { user, token };
}

function refuse(socket: Socket, status: number): void {
  const realm = status === 407 ? 'proxy-authenticate: Basic realm="OneCLI Gateway"\r\n' : '';
  socket.end(`HTTP/1.1 ${status} Refused\r\n${realm}content-length: 0\r\n\r\n`);
}

/** Bytes both ways, and nobody who looks. */
function relay(socket: Socket, upstream: Upstream | undefined): void {
  if (upstream === undefined) return void socket.destroy();
  const up = createConnection(upstream.port, '127.0.0.1');
  up.on('error', () => socket.destroy());
  socket.on('close', () => up.destroy());
  up.on('close', () => socket.destroy());
  socket.write('HTTP/1.1 200 OK\r\n\r\n');
  socket.pipe(up).pipe(socket);
}

function sendJson(response: ServerResponse, status: number, body: object | null): void {
  response
    .writeHead(status, { 'content-type': 'application/json' })
    .end(body === null ? undefined : JSON.stringify(body));
}

function portOf(server: Server): number {
  return (server.address() as AddressInfo).port;
}
