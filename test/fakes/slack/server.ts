import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import type { SendFault } from '../../kits/channel_scene.ts';
import { SocketMode } from './socket_mode.ts';
import { type Answer, type Args, callMethod, REFUSALS, SCOPES, WRITES } from './web_api.ts';
import { BOT_ID, BOT_USER, inner, TEAM, Workspace } from './workspace.ts';

export const BOT_TOKEN = 'xoxb-fake-bot-token';
export const APP_TOKEN = 'xapp-fake-app-token';

/** Slack on loopback: the Web API, Socket Mode, files, and where answers to presses go. */
export class FakeSlack {
  readonly workspace = new Workspace();
  readonly sockets = new SocketMode();
  readonly uploads = new Map<string, { name: string; data: Buffer }>();
  readonly ephemeral: { channel: string; user: string; text: string }[] = [];
  /** Each call of the Web API, by its method. */
  readonly calls: { method: string; args: Args }[] = [];
  scopes = SCOPES;
  fault: SendFault | null = null;
  isRevoked = false;
  /** Answers of the next calls of a method, instead of its own. */
  readonly answers = new Map<string, (Answer | number)[]>();
  /** Who is told of events instead of the sockets. */
  listener: ((payload: object, ts: string) => void) | null = null;
  readonly #server: Server = createServer((request, response) => {
    void this.#handle(request, response).catch(() => response.destroy());
  });
  readonly #open = new Set<Socket>();
  #port = 0;
  #events = 0;

  constructor() {
    this.#server.on('connection', (socket) => {
      this.#open.add(socket);
      socket.on('close', () => this.#open.delete(socket));
    });
    this.#server.on('upgrade', (request, socket) => {
      if (request.url !== '/link/?ticket=fake') return socket.destroy();
      this.sockets.accept(request, socket);
    });
  }

  get address(): string {
    return `http://127.0.0.1:${this.#port}`;
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

  emit(event: Record<string, unknown>, ts: string): void {
    this.#events += 1;
    const payload = {
      ...{ token: 'fake', team_id: TEAM, api_app_id: 'A0GLASS01', event, type: 'event_callback' },
      ...{ event_id: `Ev${this.#events}`, event_time: Math.floor(Date.now() / 1000) },
      authorizations: [
        { enterprise_id: null, team_id: TEAM, user_id: BOT_USER, is_bot: true, is_enterprise_install: false },
      ],
      is_ext_shared_channel: false,
    };
    if (this.listener === null) this.sockets.bring('events_api', ts, payload);
    else this.listener(payload, ts);
  }

  async #handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const body = await bytesOf(request);
    const [, first, ...rest] = new URL(request.url!, this.address).pathname.split('/');
    const id = rest.at(-1)!;
    switch (first) {
      case 'api':
        return this.#call(id, request, response, body);
      case 'upload': {
        const upload = this.uploads.get(id);
        if (upload !== undefined) upload.data = body;
        return void response.writeHead(upload === undefined ? 404 : 200).end('OK');
      }
      case 'files':
        return this.#download(id, request, response);
      case 'actions': {
        const { text } = JSON.parse(body.toString('utf8')) as { text: string };
        this.ephemeral.push({ channel: rest[0]!, user: rest[1]!, text });
        return void response.end('ok');
      }
      default:
        return void response.writeHead(404).end();
    }
  }

  #call(method: string, request: IncomingMessage, response: ServerResponse, body: Buffer): void {
    const args = argsOf(body);
    this.calls.push({ method, args });
    const right = method === 'apps.connections.open' ? APP_TOKEN : BOT_TOKEN;
    if (request.headers.authorization !== `Bearer ${right}`)
      return json(response, { ok: false, error: 'invalid_auth' });
    if (this.isRevoked) return json(response, { ok: false, error: 'token_revoked' });
    if (method === 'apps.connections.open')
      return json(response, { ok: true, url: `${this.address.replace('http', 'ws')}/link/?ticket=fake` });
    const planned = this.answers.get(method)?.shift();
    if (typeof planned === 'number') return void response.writeHead(planned).end('broken');
    if (planned !== undefined) return json(response, planned);
    const fault = WRITES.includes(method) ? this.fault : null;
    if (fault !== null) this.fault = null;
    const refusal = fault === null ? undefined : REFUSALS[fault];
    if (refusal !== undefined) return json(response, { ok: false, error: refusal });
    if (fault === 'limited' || fault === 'limited_untimed')
      return void response.writeHead(429, fault === 'limited' ? { 'retry-after': '2' } : {}).end('{}');
    if (fault === 'broken') return void response.writeHead(500).end('<h1>broken</h1>');
    const answer = callMethod(this, method, args);
    if (fault === 'cut') return void request.socket.destroy();
    json(response, answer, { 'x-oauth-scopes': this.scopes.join(',') });
  }

  /** To who may not see it Slack shows a page to sign in. */
  #download(id: string, request: IncomingMessage, response: ServerResponse): void {
    const file = this.workspace.files.get(id);
    if (file === undefined) return void response.writeHead(404).end();
    if (request.headers.authorization !== `Bearer ${BOT_TOKEN}` || !this.scopes.includes('files:read'))
      return void response.writeHead(200, { 'content-type': 'text/html' }).end('<html>sign in</html>');
    response.writeHead(200, { 'content-type': file.mimetype }).end(file.data);
  }

  /** What Slack sends of a press. */
  press(channel: string, ts: string, user: string, value: string): object {
    const message = this.workspace.find(channel, ts);
    const text = { type: 'plain_text', text: 'Yes', emoji: false };
    return {
      ...{ type: 'block_actions', user: { id: user, username: 'ann', name: 'ann', team_id: TEAM } },
      ...{ api_app_id: 'A0GLASS01', token: 'fake', trigger_id: '1.2.3', team: { id: TEAM, domain: 'example' } },
      container: { type: 'message', message_ts: ts, channel_id: channel, is_ephemeral: false },
      channel: { id: channel, name: 'general' },
      message: { bot_id: BOT_ID, ...(message && inner(message)) },
      response_url: `${this.address}/actions/${channel}/${user}`,
      actions: [{ type: 'button', action_id: value, block_id: 'x', text, value, action_ts: this.workspace.ts() }],
    };
  }
}

function json(response: ServerResponse, value: Answer, headers: Record<string, string> = {}): void {
  response.writeHead(200, { 'content-type': 'application/json', ...headers }).end(JSON.stringify(value));
}

async function bytesOf(request: IncomingMessage): Promise<Buffer> {
  const parts: Buffer[] = [];
  for await (const part of request) parts.push(part as Buffer);
  return Buffer.concat(parts);
}

/** Arguments come as a form; what is no text is JSON in it. */
function argsOf(body: Buffer): Args {
  const args: Args = {};
  for (const [name, value] of new URLSearchParams(body.toString('utf8')))
    args[name] = /^(blocks|metadata|files)$/.test(name) ? JSON.parse(value) : value;
  return args;
}
