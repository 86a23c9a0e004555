import { generateKeyPairSync, type KeyObject } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer } from 'node:https';
import type { AddressInfo, Socket } from 'node:net';
import { join } from 'node:path';
import type { TLSSocket } from 'node:tls';
import { pathToFileURL } from 'node:url';
import { ROOT } from '../../src/base/paths.ts';
import { authorityCertificate, leafCertificate } from '../../src/gateway/certificates.ts';
import type { SecretTerms } from '../../src/protocol/secrets.ts';

/** Services on the internet, as a test wants them: TLS on loopback, certified by an authority of the test's own. */

export interface Received {
  method: string;
  /** The raw request target, as it arrived. */
  target: string;
  rawHeaders: string[];
  body: Buffer;
}

export type Handler = (request: IncomingMessage, response: ServerResponse, received: Received) => void;

/** Has the connection to itself. */
export type Upgrade = (received: Received, socket: TLSSocket) => void;

const DAY_MS = 86_400_000;

export class TestAuthority {
  readonly #key: KeyObject = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey;
  readonly #life = { now_ms: Date.now(), lives_ms: DAY_MS };
  readonly certificate = authorityCertificate('test authority', this.#key, this.#life);

  /** Writes the certificate where a gateway is told to look for it. */
  write(folder: string): string {
    const file = join(folder, 'test-authority.pem');
    writeFileSync(file, this.certificate);
    return file;
  }

  for(host: string): { key: string; cert: string } {
    const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    const cert = leafCertificate(host, privateKey, { issuer: 'test authority', signer: this.#key }, this.#life);
    return { key: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(), cert };
  }
}

export class Upstream {
  readonly host: string;
  readonly received: Received[] = [];
  /** Connections so far. */
  connections = 0;
  /** Requests whose body has begun to come, and those that ended in the middle of it. */
  begun = 0;
  takenBack = 0;
  handler: Handler = (_request, response) => void response.end('ok');
  /** Null: a request with an upgrade is one like any other. */
  upgrade: Upgrade | null = null;
  #port = 0;
  readonly #server;
  readonly #sockets = new Set<Socket>();

  constructor(host: string, authority: TestAuthority) {
    this.host = host;
    const options = { ...authority.for(host), shouldUpgradeCallback: () => this.upgrade !== null };
    this.#server = createServer(options, (request, response) => void this.#serve(request, response));
    this.#server.on('upgrade', (request: IncomingMessage, socket: TLSSocket, head: Buffer) => {
      const { method = '', url = '', rawHeaders } = request;
      const received = { method, target: url, rawHeaders, body: Buffer.alloc(0) };
      this.received.push(received);
      socket.on('error', () => {});
      if (head.length > 0) socket.unshift(head);
      this.upgrade!(received, socket);
    });
    this.#server.on('connection', (socket: Socket) => {
      this.connections += 1;
      this.#sockets.add(socket);
      socket.on('close', () => this.#sockets.delete(socket));
      socket.on('error', () => {});
    });
  }

  get port(): number {
    return this.#port;
  }

  /** `host:port`, as CONNECT and the host header name it. */
  get place(): string {
    return `${this.host}:${this.#port}`;
  }

  async listen(): Promise<void> {
    await new Promise<void>((resolve) => this.#server.listen(0, '127.0.0.1', resolve));
    this.#port = (this.#server.address() as AddressInfo).port;
  }

  /** Values of a header of the last request, in any case. */
  values(name: string): string[] {
    const raw = this.received.at(-1)?.rawHeaders ?? [];
    return raw.filter((_, at) => at % 2 === 1 && raw[at - 1]!.toLowerCase() === name);
  }

  close(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    return new Promise((resolve) => this.#server.close(() => resolve()));
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const parts: Buffer[] = [];
    try {
      for await (const part of request) {
        if (parts.push(part as Buffer) === 1) this.begun += 1;
      }
    } catch {
      this.takenBack += 1;
      return; // The gateway has taken it back.
    }
    const { method = '', url = '', rawHeaders } = request;
    const received = { method, target: url, rawHeaders, body: Buffer.concat(parts) };
    this.received.push(received);
    this.handler(request, response, received);
  }
}

/** The terms of a token for one of them. */
export function bearerFor(...hosts: string[]): SecretTerms {
  return { form: { kind: 'bearer' }, hosts };
}

/** Environment of a process for which the internet has these names, and no others. */
export function namesEnv(names: Record<string, string[]>): NodeJS.ProcessEnv {
  const preload = pathToFileURL(join(ROOT, 'test/fakes/names.ts'));
  return { NODE_OPTIONS: `--import=${preload}`, GLASS_TEST_NAMES: JSON.stringify(names) };
}

/** As `namesEnv`, where each of these has the public address and the port 443 that rules of real services name. */
export function placesEnv(upstreams: readonly Upstream[]): NodeJS.ProcessEnv {
  const names = Object.fromEntries(upstreams.map(({ host }) => [host, ['93.184.215.14']]));
  const places = Object.fromEntries(upstreams.map(({ host, port }) => [host, port]));
  return { ...namesEnv(names), GLASS_TEST_PLACES: JSON.stringify(places) };
}
