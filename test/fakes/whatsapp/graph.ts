import { createHash } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { SendFault } from '../../kits/channel_scene.ts';
import { LoopbackServer } from '../loopback_server.ts';

/** Meta's Graph API with one business number, on loopback: the real paths, answers and refusals of what a driver calls. */

export const NUMBER_ID = '106540352242922';
export const NUMBER = '15550783881';

/** As it was posted. */
export interface Posted {
  id: string;
  to: string;
  type: string;
  value: Content;
  /** Of the message that it quotes. */
  context: string | null;
}

/** What is thrown to answer a refusal. */
export class Refused extends Error {
  readonly status: number;
  readonly code: number;
  readonly headers: Record<string, string>;
  readonly details: string | undefined;

  constructor(
    status: number,
    code: number,
    message: string,
    more: { headers?: Record<string, string>; details?: string } = {},
  ) {
    super(message);
    this.status = status;
    this.code = code;
    this.headers = more.headers ?? {};
    this.details = more.details;
  }
}

const OFFICE = 'application/vnd.openxmlformats-officedocument';
const UPLOADS = [
  ...['audio/aac', 'audio/mp4', 'audio/mpeg', 'audio/amr', 'audio/ogg', 'audio/opus', 'application/vnd.ms-powerpoint'],
  ...['application/msword', `${OFFICE}.wordprocessingml.document`, `${OFFICE}.presentationml.presentation`],
  ...[`${OFFICE}.spreadsheetml.sheet`, 'application/pdf', 'text/plain', 'application/vnd.ms-excel', 'image/jpeg'],
  ...['image/png', 'image/webp', 'video/mp4', 'video/3gpp'],
];

/** What is posted to `/messages`, as far as it is looked at. */
interface Fields {
  messaging_product?: string;
  status?: string;
  message_id?: string;
  typing_indicator?: { type?: string };
  to?: string;
  type?: string;
  context?: { message_id?: string };
  [type: string]: unknown;
}

/** Of whichever type. */
export interface Content {
  body?: string | { text?: string };
  action?: { buttons?: { reply: { id: string; title: string } }[] };
  components?: { parameters: { text: string }[] }[];
  id?: string;
  caption?: string;
  filename?: string;
  message_id?: string;
  emoji?: string;
}

export class FakeGraph {
  readonly posted: Posted[] = [];
  /** Kinds of all that we tried to say. */
  readonly tried: string[] = [];
  readonly reactions = new Map<string, string>();
  /** Messages of people under which we have shown that we are busy. */
  readonly typing: string[] = [];
  readonly media = new Map<string, { name: string; type: string; data: Buffer }>();
  /** Messages that a person has written, and that are there still. */
  readonly heard = new Set<string>();
  /** Who has not written for a day. */
  readonly closed = new Set<string>();
  /** Of the next messages, in turn; null: that one succeeds. */
  readonly faults: (SendFault | Refused | null)[] = [];
  /** Where the bytes of files are said to be, instead of here. */
  elsewhere: string | null = null;
  /** What a token that does not count is answered. */
  isRevoked = false;
  readonly #token: string;
  readonly #server = new LoopbackServer((request, response) => this.#answer(request, response));
  #ids = 0;

  constructor(token: string) {
    this.#token = token;
  }

  get url(): string {
    return this.#server.url;
  }

  listen(): Promise<void> {
    return this.#server.listen();
  }

  /** Ends all connections. */
  drop(): void {
    this.#server.drop();
  }

  /** Nothing listens any more, on the same port until `listen`. */
  close(): Promise<void> {
    return this.#server.close();
  }

  nextId(): string {
    this.#ids += 1;
    return `wamid.${Buffer.from(`${NUMBER}-${this.#ids}`).toString('base64')}`;
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const chunks: Buffer[] = [];
    try {
      for await (const chunk of request) chunks.push(chunk);
    } catch {
      return;
    }
    try {
      const { authorization = '' } = request.headers;
      if (this.isRevoked || authorization !== `Bearer ${this.#token}`)
        throw new Refused(401, 190, `Malformed access token ${authorization.replace('Bearer ', '')}`);
      const url = new URL(request.url ?? '', this.url);
      const bytes = /^\/attachments\/(\w+)$/.exec(url.pathname)?.[1];
      if (bytes !== undefined) return void response.end(this.media.get(bytes)?.data);
      const [, path] = /^\/v\d{2}\.\d\/(.+)$/.exec(url.pathname) ?? [];
      if (path === undefined) throw new Refused(400, 2500, 'Unknown path components');
      const value = await this.#call(request, path, Buffer.concat(chunks));
      if (value === null) response.destroy();
      else this.#json(response, 200, value);
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
      const { status, code, message, details, headers } = error;
      const error_data = details === undefined ? {} : { error_data: { messaging_product: 'whatsapp', details } };
      const said = { message, type: 'OAuthException', code, ...error_data, fbtrace_id: 'AbC' };
      this.#json(response, status, { error: said }, headers);
    }
  }

  #json(response: ServerResponse, status: number, value: object, headers: Record<string, string> = {}): void {
    if (response.destroyed) return;
    response.writeHead(status, { ...headers, 'content-type': 'application/json' });
    response.end(JSON.stringify(value));
  }

  async #call(request: IncomingMessage, path: string, body: Buffer): Promise<object | null> {
    const type = request.headers['content-type'] ?? '';
    switch (`${request.method} ${path}`) {
      case `GET ${NUMBER_ID}`:
        return { display_phone_number: '+1 555-078-3881', verified_name: 'Glass', id: NUMBER_ID };
      case `POST ${NUMBER_ID}/messages`:
        return this.#message(JSON.parse(body.toString('utf8')));
      case `POST ${NUMBER_ID}/media`:
        return this.#upload(await new Response(new Uint8Array(body), { headers: { 'content-type': type } }).formData());
      default:
        return this.#mediaInfo(request.method === 'GET' ? path : '');
    }
  }

  #mediaInfo(id: string): object {
    const kept = this.media.get(id);
    if (kept === undefined)
      throw new Refused(400, 100, `Unsupported get request. Object with ID '${id}' does not exist`);
    const sha256 = createHash('sha256').update(kept.data).digest('hex');
    const url = `${this.elsewhere ?? this.url}/attachments/${id}`;
    return {
      messaging_product: 'whatsapp',
      url,
      mime_type: kept.type,
      sha256,
      file_size: String(kept.data.length),
      id,
    };
  }

  keep(name: string, type: string, data: Buffer): string {
    const id = `${900_000 + this.media.size}`;
    this.media.set(id, { name, type, data });
    return id;
  }

  async #upload(form: FormData): Promise<object> {
    const file = form.get('file');
    if (form.get('messaging_product') !== 'whatsapp' || !(file instanceof File))
      throw new Refused(400, 100, '(#100) The parameter messaging_product is required.');
    if (!UPLOADS.includes(file.type) || form.get('type') !== file.type)
      throw new Refused(
        400,
        100,
        `(#100) Param file must be a file with one of the following types: ${UPLOADS.join(', ')}.`,
      );
    return { id: this.keep(file.name, file.type, Buffer.from(await file.arrayBuffer())) };
  }

  #message(fields: Fields): object | null {
    if (fields.messaging_product !== 'whatsapp') throw invalid('messaging_product');
    if (fields.status === 'read') return this.#read(fields);
    const { to = '', type = '' } = fields;
    if (!/^\d{5,20}$/.test(to)) throw invalid('to');
    const value = fields[type] as Content;
    if (type === 'reaction') return this.#react(to, value);
    this.tried.push(type);
    const fault = this.faults.shift() ?? null;
    if (fault instanceof Refused) throw fault;
    if (fault !== null && fault !== 'cut') throw refusalOf(fault);
    if (type !== 'template' && this.closed.has(to))
      throw new Refused(400, 131047, '(#131047) Re-engagement message', {
        details: 'Message failed to send because more than 24 hours have passed',
      });
    this.#check(type, value);
    const quoted = fields.context?.message_id;
    const isThere = quoted !== undefined && (this.heard.has(quoted) || this.posted.some(({ id }) => id === quoted));
    const posted = { id: this.nextId(), to, type, value, context: isThere ? quoted : null };
    this.posted.push(posted);
    return fault === 'cut' ? null : received(to, posted.id);
  }

  #read({ message_id = '', typing_indicator }: Fields): object {
    if (!this.heard.has(message_id)) throw invalid('message_id');
    if (typing_indicator?.type === 'text') this.typing.push(message_id);
    return { success: true };
  }

  #react(to: string, { message_id = '', emoji = '' }: Content): object {
    this.reactions.set(message_id, emoji);
    return received(to, this.nextId());
  }

  #check(type: string, value: Content): void {
    switch (type) {
      case 'text':
        return within(value.body, 4096, 'text.body');
      case 'interactive': {
        const titles = (value.action?.buttons ?? []).map(({ reply }) => reply.title);
        within(textOf(value), 1024, 'interactive.body');
        for (const title of titles) within(title, 20, 'title');
        if (titles.length > 3 || new Set(titles).size < titles.length) throw invalid('buttons');
        return;
      }
      case 'template':
        for (const { parameters } of value.components ?? [])
          for (const { text } of parameters) {
            within(text, 1024, 'parameter');
            if (/[\n\t]| {5}/.test(text))
              throw new Refused(400, 132018, 'Param text cannot have new-line/tab characters');
          }
        return;
      case 'image':
      case 'document': {
        const kept = this.media.get(value.id ?? '');
        if (kept === undefined || (type === 'image') !== kept.type.startsWith('image/')) throw invalid(`${type}.id`);
        return within(value.caption ?? 'x', 1024, 'caption');
      }
      default:
        throw invalid('type');
    }
  }
}

export function textOf({ body, caption = '' }: Content): string {
  return (typeof body === 'string' ? body : body?.text) ?? caption;
}

function received(to: string, id: string): object {
  return { messaging_product: 'whatsapp', contacts: [{ input: to, wa_id: to }], messages: [{ id }] };
}

function within(text: unknown, max: number, what: string): void {
  if (typeof text !== 'string' || text.trim() === '' || text.length > max) throw invalid(what);
}

function invalid(what: string): Refused {
  return new Refused(400, 131009, '(#131009) Parameter value is not valid', { details: what });
}

function refusalOf(fault: Exclude<SendFault, 'cut'>): Refused {
  switch (fault) {
    case 'limited':
      return new Refused(429, 130429, '(#130429) Rate limit hit', { headers: { 'retry-after': '2' } });
    case 'limited_untimed':
      return new Refused(400, 80007, '(#80007) The WhatsApp Business Account has reached its rate limit.');
    case 'broken':
      return new Refused(500, 131000, '(#131000) Something went wrong');
    case 'gone':
      return new Refused(400, 131026, '(#131026) Message undeliverable');
    case 'refused':
      return invalid('text.body');
    default:
      return fault satisfies never;
  }
}
