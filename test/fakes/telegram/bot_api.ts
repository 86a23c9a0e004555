import type { IncomingMessage, ServerResponse } from 'node:http';
import type { SendFault } from '../../kits/channel_scene.ts';
import { LoopbackServer } from '../loopback_server.ts';
import { type Parsed, parseHtml } from './html.ts';
import { type Form, parseMultipart } from './multipart.ts';
import { type Update, Updates } from './updates.ts';

/** A Bot API server with one bot, on loopback: the real paths, answers and refusals of the methods that a driver calls. */

export interface Stored extends Parsed {
  chat: number;
  message_id: number;
  from: number;
  html: string;
  thread: number | undefined;
  reply_to: number | null;
  buttons: { text: string; callback_data: string }[];
  file: { name: string; data: Buffer; method: string } | null;
}

interface Failure {
  error_code: number;
  description: string;
  parameters?: object;
}

/** What is thrown to answer a refusal. */
class Refused extends Error {
  readonly failure: Failure;

  constructor(error_code: number, description: string, parameters?: object) {
    super(description);
    this.failure = { error_code, description, ...(parameters === undefined ? {} : { parameters }) };
  }
}

type Fields = Record<string, unknown>;

const TEXT_MAX = 4096;
const CAPTION_MAX = 1024;

export const BOT = { id: 424_242, is_bot: true, first_name: 'Glass', username: 'glass_test_bot' };

export class BotApi {
  readonly updates = new Updates();
  readonly messages: Stored[] = [];
  readonly reactions = new Map<string, string>();
  readonly typing: { chat: number; thread: number | undefined }[] = [];
  readonly files = new Map<string, Buffer>();
  /** Ids of callback queries, with the text that was shown. */
  readonly answered = new Map<string, string>();
  /** How often each method was called. */
  readonly calls: string[] = [];
  commands: { command: string; description: string }[] = [];
  /** Old chats of groups that have become supergroups. */
  readonly migrated = new Map<number, number>();
  /** Chats that are supergroups with topics. */
  readonly chats: Record<number, object>;
  deliver: (update: Update, secret: string) => Promise<number> = async () => 502;
  /** Of the next calls that write, in turn; null: that one succeeds. */
  readonly faults: (SendFault | null)[] = [];
  /** Each that a poll has named. */
  readonly offsets: number[] = [];
  isRevoked = false;
  readonly #token: string;
  readonly #server = new LoopbackServer((request, response) => this.#answer(request, response));
  #ids = 100;

  constructor(token: string, chats: Record<number, object>) {
    this.#token = token;
    this.chats = chats;
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
    this.updates.forget();
  }

  /** Nothing listens any more, on the same port until `listen`. */
  close(): Promise<void> {
    const closed = this.#server.close();
    this.updates.forget();
    return closed;
  }

  nextId(): number {
    this.#ids += 1;
    return this.#ids;
  }

  find(chat: number, message_id: number): Stored | undefined {
    return this.messages.find((each) => each.chat === chat && each.message_id === message_id);
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const chunks: Buffer[] = [];
    try {
      for await (const chunk of request) chunks.push(chunk);
    } catch {
      return;
    }
    const file = /^\/file\/bot([^/]+)\/(.+)$/.exec(request.url ?? '');
    if (file !== null) return this.#download(response, file[1]!, file[2]!);
    const [, token, method] = /^\/bot([^/]+)\/(\w+)$/.exec(request.url ?? '') ?? [];
    try {
      if (method === undefined) throw new Refused(404, 'Not Found');
      if (this.isRevoked || token !== this.#token) throw new Refused(401, 'Unauthorized');
      this.calls.push(method);
      const form = formOf(Buffer.concat(chunks), request.headers['content-type'] ?? '');
      const result = await this.#call(method, form, response);
      this.#json(response, 200, { ok: true, result });
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
      this.#json(response, error.failure.error_code, { ok: false, ...error.failure });
    }
  }

  #json(response: ServerResponse, status: number, value: object): void {
    if (!response.destroyed)
      response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(value));
  }

  #download(response: ServerResponse, token: string, path: string): void {
    const data = this.files.get(path);
    if (token !== this.#token || this.isRevoked || data === undefined) response.writeHead(404).end();
    else response.writeHead(200, { 'content-type': 'application/octet-stream' }).end(data);
  }

  async #call(
    method: string,
    form: { fields: Fields; files: Form['files'] },
    response: ServerResponse,
  ): Promise<unknown> {
    const { fields } = form;
    switch (method) {
      case 'getMe':
        return { ...BOT, can_join_groups: true, can_read_all_group_messages: false, supports_inline_queries: false };
      case 'getWebhookInfo':
        return this.updates.info;
      case 'deleteWebhook':
        this.updates.hook(null);
        return true;
      case 'setWebhook': {
        const { url, secret_token, allowed_updates } = fields as {
          url: string;
          secret_token: string;
          allowed_updates: string[];
        };
        if (!url.startsWith('https:'))
          throw new Refused(400, 'Bad Request: bad webhook: An HTTPS URL must be provided for webhook');
        this.updates.hook(
          { url, secret: secret_token, deliver: (...given) => this.deliver(...given) },
          allowed_updates,
        );
        return true;
      }
      case 'getUpdates':
        return this.#poll(fields);
      case 'getFile': {
        const path = String(fields['file_id']);
        const data = this.files.get(path);
        if (data === undefined) throw new Refused(400, 'Bad Request: invalid file_id');
        return { file_id: path, file_unique_id: path, file_size: data.length, file_path: path };
      }
      case 'sendMessage':
        return this.#send(form, response, method, fields['text'], TEXT_MAX, 'message text');
      case 'sendDocument':
      case 'sendPhoto':
        return this.#send(form, response, method, fields['caption'] ?? '', CAPTION_MAX, 'message caption');
      case 'editMessageText':
        return this.#edit(fields);
      case 'setMessageReaction':
        return this.#react(fields);
      case 'sendChatAction':
        this.#chat(fields);
        this.typing.push({
          chat: Number(fields['chat_id']),
          thread: fields['message_thread_id'] as number | undefined,
        });
        return true;
      case 'setMyCommands':
        this.commands = fields['commands'] as typeof this.commands;
        return true;
      case 'answerCallbackQuery': {
        const id = String(fields['callback_query_id']);
        if (this.answered.has(id))
          throw new Refused(400, 'Bad Request: query is too old and response timeout expired or query ID is invalid');
        this.answered.set(id, String(fields['text'] ?? ''));
        return true;
      }
      case 'getChat':
        return this.#chat(fields);
      default:
        throw new Refused(404, 'Not Found');
    }
  }

  async #poll(fields: Fields): Promise<Update[]> {
    const { offset = 0, limit = 100, timeout = 0, allowed_updates } = fields as Record<string, never>;
    if (offset > 0) this.offsets.push(offset);
    const polled = await this.updates.get(offset, limit, timeout, allowed_updates);
    if ('conflict' in polled) throw new Refused(409, polled.conflict);
    return polled.updates;
  }

  #chat(fields: Fields): object {
    const id = Number(fields['chat_id']);
    const to = this.migrated.get(id);
    if (to !== undefined)
      throw new Refused(400, 'Bad Request: group chat was upgraded to a supergroup chat', { migrate_to_chat_id: to });
    const chat = this.chats[id];
    if (chat === undefined) throw new Refused(400, 'Bad Request: chat not found');
    return chat;
  }

  /** What a fault makes of a call that writes; returns whether the answer is to be cut off. */
  #fault(): boolean {
    const fault = this.faults.shift() ?? null;
    switch (fault) {
      case null:
        return false;
      case 'cut':
        return true;
      case 'limited':
        throw new Refused(429, 'Too Many Requests: retry after 2', { retry_after: 2 });
      case 'limited_untimed':
        throw new Refused(429, 'Too Many Requests');
      case 'broken':
        throw new Refused(500, 'Internal Server Error');
      case 'gone':
        throw new Refused(403, 'Forbidden: bot was blocked by the user');
      case 'refused':
        throw new Refused(400, 'Bad Request: can\'t parse entities: Unsupported start tag "x" at byte offset 0');
      default:
        return fault satisfies never;
    }
  }

  #send(
    { fields, files }: { fields: Fields; files: Form['files'] },
    response: ServerResponse,
    method: string,
    body: unknown,
    max: number,
    what: string,
  ): object {
    const isCut = this.#fault();
    const chat = this.#chat(fields);
    const parsed = this.#parse(fields, String(body), max, what);
    const file = [...files.values()][0];
    if (file === undefined && parsed.text === '') throw new Refused(400, 'Bad Request: message text is empty');
    if (method === 'sendPhoto' && !isPhoto(file!.data)) throw new Refused(400, 'Bad Request: PHOTO_INVALID_DIMENSIONS');
    const chat_id = Number(fields['chat_id']);
    const keyboard = (fields['reply_markup'] as { inline_keyboard?: Stored['buttons'][] } | undefined)?.inline_keyboard;
    const stored: Stored = {
      ...parsed,
      chat: chat_id,
      message_id: this.nextId(),
      from: BOT.id,
      html: String(body),
      thread: fields['message_thread_id'] === undefined ? undefined : Number(fields['message_thread_id']),
      reply_to: this.#quoted(chat_id, fields['reply_parameters']),
      buttons: keyboard?.flat() ?? [],
      file: file === undefined ? null : { ...file, method },
    };
    this.messages.push(stored);
    if (isCut) response.destroy();
    return { message_id: stored.message_id, from: BOT, chat, date: seconds(), text: parsed.text };
  }

  #parse(fields: Fields, body: string, max: number, what: string): Parsed {
    const parsed = fields['parse_mode'] === 'HTML' ? parseHtml(body) : { text: body, bold: [], code: [] };
    if (parsed === null) throw new Refused(400, "Bad Request: can't parse entities: unexpected end of name token");
    if (parsed.text.length > max) throw new Refused(400, `Bad Request: ${what} is too long`);
    return parsed;
  }

  #quoted(chat: number, given: unknown): number | null {
    if (given === undefined) return null;
    const { message_id, allow_sending_without_reply } = given as {
      message_id: number;
      allow_sending_without_reply?: boolean;
    };
    if (this.find(chat, message_id) !== undefined) return message_id;
    if (allow_sending_without_reply !== true) throw new Refused(400, 'Bad Request: message to be replied not found');
    return null;
  }

  #edit(fields: Fields): object {
    this.#fault();
    this.#chat(fields);
    const parsed = this.#parse(fields, String(fields['text']), TEXT_MAX, 'message text');
    const message = this.find(Number(fields['chat_id']), Number(fields['message_id']));
    if (message === undefined) throw new Refused(400, 'Bad Request: message to edit not found');
    if (message.from !== BOT.id) throw new Refused(400, "Bad Request: message can't be edited");
    if (message.html === fields['text'])
      throw new Refused(
        400,
        'Bad Request: message is not modified: specified new message content and reply markup are exactly the same as a current content and reply markup of the message',
      );
    Object.assign(message, parsed, { html: fields['text'] });
    return { message_id: message.message_id, chat: this.#chat(fields), date: seconds(), text: parsed.text };
  }

  #react(fields: Fields): true {
    this.#chat(fields);
    const [chat, id] = [Number(fields['chat_id']), Number(fields['message_id'])];
    if (this.find(chat, id) === undefined) throw new Refused(400, 'Bad Request: message to react not found');
    const [reaction] = fields['reaction'] as { type: string; emoji: string }[];
    if (!['👍', '👎', '❤', '🔥', '👀'].includes(reaction!.emoji))
      throw new Refused(400, 'Bad Request: REACTION_INVALID');
    this.reactions.set(`${chat}:${id}`, reaction!.emoji);
    return true;
  }
}

function formOf(body: Buffer, contentType: string): { fields: Fields; files: Form['files'] } {
  if (!contentType.startsWith('multipart/'))
    return { fields: body.length === 0 ? {} : (JSON.parse(body.toString()) as Fields), files: new Map() };
  const { fields, files } = parseMultipart(body, contentType);
  const read = (value: string): unknown => (/^[{[]/.test(value) ? JSON.parse(value) : value);
  return { fields: Object.fromEntries(Object.entries(fields).map(([name, value]) => [name, read(value)])), files };
}

/** The server looks at a picture's sides; this one at the beginning, and whether there is more of it. */
function isPhoto(data: Buffer): boolean {
  return (data[0] === 0x89 || data[0] === 0xff) && data.length > 100;
}

export function seconds(): number {
  return Math.floor(Date.now() / 1000);
}
