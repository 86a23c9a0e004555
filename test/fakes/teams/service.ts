import { randomUUID } from 'node:crypto';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { SendFault } from '../../kits/channel_scene.ts';
import { APP, Signer, tokenOf } from './signer.ts';

/** Looks like a client secret, and is none. */
export const PASSWORD = 'FAKE~client.secret-of_no_app_at_all';
export const TENANT = '99999999-8888-7777-6666-555555555555';

/** Of a message, as the documentation has it. */
const MESSAGE_BYTES_MAX = 40 * 1024;
/** Whatever the script: a character may be three bytes, and there is more than text. */
const CHARACTER_BYTES = 3;
const BESIDES_BYTES = 4 * 1024;

const WELL_KNOWN = '/v1/.well-known';

export interface FakeMessage {
  /** With its thread. */
  conversation: string;
  id: string;
  text: string;
  attachments: { contentType: string; name?: string; contentUrl?: string; content: CardContent }[];
}

/** Of an Adaptive Card its body; of a file the word that goes back when it may come, and its name where it is. */
export interface CardContent {
  type?: string;
  acceptContext?: object;
  sizeInBytes?: number;
  uniqueId?: string;
  body?: {
    type: string;
    inlines?: { type: string; text: string; size?: string }[];
    actions?: { type: string; title: string; data: { token: string } }[];
  }[];
}

/** The card that asks whether a file may come, and the one that says where it is. */
export const ASKS = 'application/vnd.microsoft.teams.card.file.consent';
export const SHOWS = 'application/vnd.microsoft.teams.card.file.info';

type Body = { type?: string; text?: string; attachments?: FakeMessage['attachments'] };

/** Microsoft's side on loopback: the login, the metadata with its keys, the connector's REST, and what stores files. */
export class FakeService {
  readonly signer = new Signer();
  readonly messages: FakeMessage[] = [];
  readonly typing: string[] = [];
  readonly files = new Map<string, Buffer>();
  /** In people's OneDrive: what was put there, by the place that was made for it; null: nothing yet. */
  readonly places = new Map<string, Buffer | null>();
  /** Chats where the bot is, without threads. */
  readonly chats = new Set<string>();
  /** Direct chats by the ids of their people. */
  readonly direct = new Map<string, string>();
  /** The whole of each request that came. */
  readonly requests: string[] = [];
  fault: SendFault | null = null;
  /** What a message is answered once, besides the faults. */
  status: number | null = null;
  isRevoked = false;
  /** The login works, and no token of it is taken. */
  isDeaf = false;
  #tokens = 0;
  #port = 0;
  #server: Server | null = null;
  #last = 0;

  get address(): string {
    return `http://127.0.0.1:${this.#port}`;
  }

  get login(): string {
    return `${this.address}/login`;
  }

  /** Where it says which keys are its own. Whoever knows the real address finds the keys beside it. */
  get openid(): string {
    return `${this.address}${WELL_KNOWN}/openidconfiguration`;
  }

  /** Where the connector is. */
  get service(): string {
    return `${this.address}/teams/`;
  }

  async listen(): Promise<void> {
    const server = createServer((request, response) => {
      void bodyOf(request).then((body) => {
        if (request.method === 'PUT' && request.url?.startsWith('/places/')) this.#put(request, body, response);
        else this.#serve(request, body.toString('utf8'), response);
      });
    });
    this.#server = server;
    await new Promise<void>((resolve) => server.listen(this.#port, '127.0.0.1', resolve));
    this.#port = (server.address() as AddressInfo).port;
  }

  drop(): void {
    this.#server?.closeAllConnections();
  }

  async close(): Promise<void> {
    const server = this.#server;
    this.#server = null;
    if (server === null) return;
    const closed = new Promise((resolve) => server.close(resolve));
    server.closeAllConnections();
    await closed;
  }

  /** Teams' own names of messages: each once. */
  id(): string {
    this.#last = Math.max(this.#last + 1, Date.now());
    return String(this.#last);
  }

  /** Tokens that were given have had their time. */
  expire(): void {
    this.#tokens += 1;
  }

  /** In one piece, said to be all of it, and without our token: the address is the key. */
  #put(request: IncomingMessage, body: Buffer, response: ServerResponse): void {
    const place = request.url!.slice('/places/'.length);
    const { 'content-range': range, authorization } = request.headers;
    const isWhole = range === `bytes 0-${body.length - 1}/${body.length}`;
    const isGood = this.places.has(place) && isWhole && authorization === undefined;
    this.requests.push(`PUT ${request.url} ${authorization ?? ''}`);
    if (isGood) this.places.set(place, body);
    response.writeHead(isGood ? 201 : 400).end();
  }

  #serve(request: IncomingMessage, body: string, response: ServerResponse): void {
    const path = decodeURIComponent(request.url ?? '');
    this.requests.push(`${request.method} ${path} ${request.headers.authorization ?? ''}`);
    const answer = this.#answer(`${request.method} ${path}`, request, body);
    if (answer === 'cut') return void request.socket.destroy();
    response.writeHead(answer.status, { 'content-type': 'application/json', ...answer.headers });
    response.end(answer.data ?? JSON.stringify(answer.body ?? {}));
  }

  #answer(asked: string, request: IncomingMessage, body: string): Answer | 'cut' {
    // What stands behind it is for Microsoft's own logs.
    if (asked.replace(/\?.*/, '') === `POST /login/${TENANT}/oauth2/v2.0/token`)
      return this.#login(new URLSearchParams(body));
    if (asked === `GET ${WELL_KNOWN}/openidconfiguration`) return { status: 200, body: this.#metadata() };
    if (asked === `GET ${WELL_KNOWN}/keys`) return { status: 200, body: { keys: this.signer.published() } };
    const file = /^GET \/files\/(\w+)$/.exec(asked)?.[1];
    if (file !== undefined) {
      // Whoever gives a token away here gives it to somebody else.
      if (request.headers.authorization !== undefined) return { status: 400 };
      return this.#file(file);
    }
    if (!asked.includes('/teams/v3/')) return { status: 404 };
    if (request.headers.authorization !== `Bearer ${this.#token()}` || this.isDeaf) return refused(401, 'Unauthorized');
    const picture = /^GET \/teams\/v3\/attachments\/(\w+)\/views\/original$/.exec(asked)?.[1];
    if (picture !== undefined) return this.#file(picture);
    if (request.method === 'DELETE') return this.#remove(asked);
    if (request.headers['content-type'] !== 'application/json') return { status: 415 };
    return this.#connector(asked, JSON.parse(body) as Body, Buffer.byteLength(body));
  }

  #metadata(): object {
    return {
      issuer: 'https://api.botframework.com',
      authorization_endpoint: 'https://invalid.botframework.com',
      jwks_uri: `${this.address}${WELL_KNOWN}/keys`,
      id_token_signing_alg_values_supported: ['RS256'],
      token_endpoint_auth_methods_supported: ['private_key_jwt'],
    };
  }

  #login(form: URLSearchParams): Answer {
    const right =
      form.get('grant_type') === 'client_credentials' &&
      form.get('client_id') === APP &&
      form.get('scope') === 'https://api.botframework.com/.default';
    if (!right) return { status: 400, body: { error: 'invalid_request' } };
    if (this.isRevoked || form.get('client_secret') !== PASSWORD)
      return { status: 401, body: wrongSecret(form.get('client_secret')) };
    return { status: 200, body: { token_type: 'Bearer', expires_in: 3600, access_token: this.#token() } };
  }

  #token(): string {
    return this.isRevoked ? 'none' : tokenOf(TENANT, this.#tokens);
  }

  #file(id: string): Answer {
    const data = this.files.get(id);
    return data === undefined ? { status: 404 } : { status: 200, data };
  }

  #connector(asked: string, body: Body & { members?: { id: string }[] }, bytes: number): Answer | 'cut' {
    if (asked === 'POST /teams/v3/conversations') return this.#open(body);
    const [, method, conversation = '', id] =
      /^(POST|PUT) \/teams\/v3\/conversations\/([^/]+)\/activities(?:\/(\d+))?$/.exec(asked) ?? [];
    if (method === undefined) return refused(405, 'BadArgument');
    if (!this.chats.has(conversation.split(';messageid=')[0]!)) return refused(404, 'ConversationNotFound');
    if (body.type === 'typing') {
      this.typing.push(conversation);
      return { status: 201, body: { id: this.id() } };
    }
    const fault = this.#fault();
    if (fault !== null && fault !== 'cut') return fault;
    const counted = (body.text ?? '').length * CHARACTER_BYTES + BESIDES_BYTES;
    if (Math.max(bytes, counted) > MESSAGE_BYTES_MAX) return refused(413, 'MessageSizeTooBig');
    const { text = '', attachments = [] } = body;
    if (text === '' && attachments.length === 0) return refused(400, 'BadSyntax');
    const asks = attachments.some(({ contentType }) => contentType === ASKS);
    if (asks && ![...this.direct.values()].includes(conversation)) return refused(400, 'BadArgument');
    const known = this.messages.find((each) => each.conversation === conversation && each.id === id);
    if (id !== undefined && known === undefined) return refused(404, 'ActivityNotFoundInConversation');
    if (known !== undefined) Object.assign(known, { text, attachments });
    const message = known ?? { conversation, id: this.id(), text, attachments };
    if (known === undefined && text !== '' && attachments.length > 0) {
      // Two messages, and neither is named, as the documents say.
      const halves = [
        { text, attachments: [] },
        { text: '', attachments },
      ];
      for (const half of halves) this.messages.push({ conversation, id: this.id(), ...half });
      return fault ?? { status: 201, body: {} };
    }
    if (known === undefined) this.messages.push(message);
    return fault ?? { status: known === undefined ? 201 : 200, body: { id: message.id } };
  }

  #remove(asked: string): Answer {
    const [, conversation = '', id] =
      /^DELETE \/teams\/v3\/conversations\/([^/]+)\/activities\/(\d+)$/.exec(asked) ?? [];
    const at = this.messages.findIndex((each) => each.conversation === conversation && each.id === id);
    if (at === -1) return refused(404, 'ActivityNotFoundInConversation');
    this.messages.splice(at, 1);
    return { status: 200 };
  }

  #open({ members = [] }: { members?: { id: string }[] }): Answer {
    const chat = this.direct.get(members[0]?.id ?? '');
    if (chat === undefined) return refused(403, 'BotNotInConversationRoster');
    this.chats.add(chat);
    return { status: 201, body: { id: chat } };
  }

  #fault(): Answer | 'cut' | null {
    const { fault, status } = this;
    this.fault = null;
    this.status = null;
    switch (fault) {
      case null:
        if (status === null) return null;
        return { ...refused(status, 'ServiceError'), headers: { location: `${this.address}/elsewhere` } };
      case 'limited':
        return { ...refused(429, 'TooManyRequests'), headers: { 'retry-after': '2' } };
      case 'limited_untimed':
        return refused(429, 'TooManyRequests');
      case 'broken':
        return refused(503, 'ServiceUnavailable');
      case 'gone':
        return refused(403, 'BotNotInConversationRoster');
      case 'refused':
        return refused(400, 'BadSyntax');
      case 'cut':
        return 'cut';
      default:
        return fault satisfies never;
    }
  }
}

interface Answer {
  status: number;
  body?: object;
  data?: Buffer;
  headers?: Record<string, string>;
}

/** As Microsoft's login says it, but for the secret, which is there for whoever repeats what he is told. */
function wrongSecret(secret: string | null): object {
  const error_description = `AADSTS7000215: Invalid client secret provided: ${secret}`;
  const [trace_id, correlation_id] = [randomUUID(), randomUUID()];
  const timestamp = new Date().toISOString();
  return { error: 'invalid_client', error_description, error_codes: [7000215], timestamp, trace_id, correlation_id };
}

function refused(status: number, code: string): Answer {
  return { status, body: { error: { code, message: code } } };
}

async function bodyOf(request: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of request as AsyncIterable<Buffer>) chunks.push(chunk);
  return Buffer.concat(chunks);
}
