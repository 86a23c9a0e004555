import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import type { SendFault } from '../../kits/channel_scene.ts';
import { parseMultipart } from '../telegram/multipart.ts';
import { FakeGateway } from './gateway.ts';
import { type Answer, answerTo, type Call, refusal } from './rest.ts';
import { BOT, BOT_ROLE, type FakeAttachment, type FakeMessage, GUILD, MEMBER, PERSON, TOKEN, World } from './world.ts';

/** What a fault is answered; `cut` is no answer. */
const FAULTS: Record<Exclude<SendFault, 'cut'>, Answer> = {
  limited: {
    ...{ status: 429, body: { message: 'You are being rate limited.', retry_after: 2, global: false } },
    headers: { 'retry-after': '2', 'x-ratelimit-scope': 'shared' },
  },
  limited_untimed: { status: 429, body: { message: 'You are being rate limited.' } },
  broken: { status: 500, body: { message: '500: Internal Server Error', code: 0 } },
  gone: refusal(404, 10003, 'Unknown Channel'),
  refused: refusal(400, 50035, 'Invalid Form Body'),
};

const ROLES_HAVE = { color: 0, hoist: false, position: 1, permissions: '0', mentionable: false, flags: 0 };
const THREADS_HAVE = {
  owner_id: PERSON.id,
  thread_metadata: { archived: false, auto_archive_duration: 1440, archive_timestamp: MEMBER.joined_at, locked: false },
};

/** Discord on loopback: its REST API, its gateway and its files. */
export class FakeDiscord {
  readonly world = new World();
  readonly gateway = new FakeGateway(
    () => this.gatewayUrl,
    () => this.#guild(),
  );
  readonly calls: { method: string; path: string }[] = [];
  readonly answered: { id: string; type: number }[] = [];
  readonly followUps: { token: string; content: string; flags: unknown }[] = [];
  readonly nonces = new Map<string, FakeMessage>();
  readonly allowed: unknown[] = [];
  sessionLimit = { total: 1000, remaining: 1000, reset_after: 0, max_concurrency: 1 };
  joinedAt = '2020-01-01T00:00:00.000000+00:00';
  /** Where it says that its gateway is, when that is not true. */
  elsewhere: string | null = null;
  fault: SendFault | null = null;
  /** What the next is answered that begins a thread, or looks for one message; `cut`: it is done, and there is no answer. */
  readonly threadFaults: { begin?: 'cut' | 'broken'; look?: 'cut' | 'broken' } = {};
  noThreads: Answer | null = null;
  isRevoked = false;
  /** Connections to the gateway are taken, and not answered. */
  hangs = false;
  readonly hanging: Duplex[] = [];
  /** Of the next answer: what its bucket has left. */
  remaining = 5;
  readonly #server: Server = createServer((request, response) => {
    void this.#handle(request, response).catch(() => response.destroy());
  });
  readonly #open = new Set<Socket>();
  #port = 0;

  constructor() {
    this.#server.on('connection', (socket) => {
      this.#open.add(socket);
      socket.on('close', () => this.#open.delete(socket));
    });
    this.#server.on('upgrade', (request, socket) => {
      if (request.url !== '/gateway?v=10&encoding=json') return socket.destroy();
      if (!this.hangs) return this.gateway.accept(request, socket);
      this.hanging.push(socket);
      socket.on('error', () => {});
      socket.on('data', () => {});
      socket.on('end', () => socket.destroy());
    });
  }

  get address(): string {
    return `http://127.0.0.1:${this.#port}`;
  }

  get gatewayUrl(): string {
    return this.elsewhere ?? `${this.address.replace('http', 'ws')}/gateway`;
  }

  async listen(): Promise<void> {
    await new Promise<void>((resolve) => this.#server.listen(this.#port, '127.0.0.1', resolve));
    this.#port = (this.#server.address() as AddressInfo).port;
  }

  /** Nobody answers on the port any more. */
  async close(): Promise<void> {
    const closed = new Promise((resolve) => this.#server.close(resolve));
    for (const socket of this.#open) socket.destroy();
    await closed;
  }

  revoke(): void {
    this.isRevoked = true;
    this.gateway.isRevoked = true;
    this.gateway.close(4004);
  }

  /** An event about a message, to all sessions. A nonce is only in the event, and in no history. */
  announce(type: string, message: FakeMessage, nonce?: string): void {
    const { guild_id } = this.world.channels.get(message.channel_id)!;
    const more = guild_id === undefined ? {} : { guild_id, member: MEMBER };
    this.gateway.emit(type, { ...message, ...more, ...(nonce === undefined ? {} : { nonce }) }, message.id);
  }

  tell(type: string, data: object): void {
    this.gateway.emit(type, data);
  }

  keep({ name, data }: { name: string; data: Buffer }): FakeAttachment {
    const id = this.world.id();
    this.world.files.set(id, { name, data });
    const url = `${this.address}/attachments/1/${id}/${encodeURIComponent(name)}`;
    return { id, filename: name, size: data.length, url };
  }

  #guild(): object {
    const all = [...this.world.channels.values()].filter(({ guild_id }) => guild_id === GUILD);
    return {
      ...{ id: GUILD, name: 'Example', joined_at: this.joinedAt, members: [], presences: [] },
      ...{ large: false, unavailable: false, member_count: 4 },
      // Which server they are of is said once.
      channels: all
        .filter(({ parent_id }) => parent_id === undefined)
        .map(({ guild_id: _, ...channel }) => ({ ...channel, position: 1, topic: 'plants', nsfw: false })),
      threads: all.filter(({ parent_id }) => parent_id !== undefined).map((thread) => ({ ...thread, ...THREADS_HAVE })),
      roles: [{ id: BOT_ROLE, name: 'glass', managed: true, tags: { bot_id: BOT.id }, ...ROLES_HAVE }],
    };
  }

  async #handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const body = await bytesOf(request);
    const url = new URL(request.url!, this.address);
    const [, first, version, ...parts] = url.pathname.split('/');
    if (first === 'attachments') {
      const file = this.world.files.get(parts[0]!);
      return void response.writeHead(file === undefined ? 404 : 200).end(file?.data);
    }
    if (first !== 'api' || version !== 'v10') return void response.writeHead(404).end();
    const { method = 'GET' } = request;
    this.calls.push({ method, path: `/${parts.join('/')}` });
    // The address is the permission.
    const bare = parts[0] === 'interactions' || parts[0] === 'webhooks';
    if (bare ? request.headers.authorization !== undefined : request.headers.authorization !== `Bot ${TOKEN}`)
      return this.#write(response, refusal(401, 0, '401: Unauthorized'));
    if (this.isRevoked && !bare) return this.#write(response, refusal(401, 0, '401: Unauthorized'));
    const fault = this.#faultOf(method, parts);
    if (fault !== null && fault !== 'cut') return this.#write(response, FAULTS[fault]);
    const answer = answerTo(this, { method, parts, query: url.searchParams, ...contentOf(request, body) });
    if (fault === 'cut') return void request.socket.destroy();
    const limits = { 'x-ratelimit-limit': '5', 'x-ratelimit-remaining': String(this.remaining) };
    this.#write(response, { ...answer, headers: { ...limits, 'x-ratelimit-reset-after': '5' } });
  }

  #faultOf(method: string, [first, , third, fourth, fifth]: string[]): SendFault | null {
    if (first !== 'channels' || third !== 'messages') return null;
    if (fourth === undefined) {
      const fault = method === 'POST' ? this.fault : null;
      if (fault !== null) this.fault = null;
      return fault;
    }
    const about = fifth === 'threads' ? 'begin' : method === 'GET' ? 'look' : null;
    if (about === null) return null;
    const fault = this.threadFaults[about] ?? null;
    delete this.threadFaults[about];
    return fault;
  }

  #write(response: ServerResponse, { status, body, headers = {} }: Answer): void {
    const type = body === undefined ? {} : { 'content-type': 'application/json' };
    response.writeHead(status, { ...type, ...headers });
    response.end(body === undefined ? undefined : JSON.stringify(body));
  }
}

async function bytesOf(request: IncomingMessage): Promise<Buffer> {
  const parts: Buffer[] = [];
  for await (const part of request) parts.push(part as Buffer);
  return Buffer.concat(parts);
}

function contentOf(request: IncomingMessage, body: Buffer): Pick<Call, 'body' | 'files'> {
  const type = request.headers['content-type'] ?? '';
  if (!type.startsWith('multipart/form-data'))
    return { body: body.length === 0 ? {} : JSON.parse(body.toString()), files: [] };
  const { fields, files } = parseMultipart(body, type);
  return { body: JSON.parse(fields['payload_json'] ?? '{}'), files: [...files.values()] };
}
