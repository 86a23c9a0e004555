import { createHash, createHmac, timingSafeEqual } from 'node:crypto';
import type { GrammyError, HttpError } from 'grammy';
import { assert, OperatingError } from '../../base/errors.ts';
import type {
  Channel,
  ChannelCapabilities,
  ChannelHealth,
  EditOperation,
  MenuCommand,
  ReactOperation,
  SendOperation,
  SendResult,
  Sink,
  WebhookAnswer,
  WebhookRequest,
} from '../channel.ts';
import type { DriverParts } from '../kind.ts';
import { Chats } from './chats.ts';
import { type Client, clientOf } from './client.ts';
import { CONFLICT, REVOKED, refusalOf } from './errors.ts';
import { Incoming } from './incoming.ts';
import { type TelegramSettings, telegram } from './kind.ts';
import { Outgoing } from './outgoing.ts';
import { KINDS } from './payloads.ts';
import { Polling } from './polling.ts';
import type { Me } from './reading.ts';

export function open(parts: DriverParts): Channel {
  return new TelegramChannel(parts);
}

/**
 * One bot. It hears by long polling, or over a webhook where the settings name an address. Telegram keeps what we have not
 * confirmed for a day, which is our backfill; it knows no history and no idempotency key, so nothing can be reconciled.
 */
class TelegramChannel implements Channel {
  readonly name: string;
  readonly capabilities: ChannelCapabilities;
  readonly webhook?: (request: WebhookRequest) => Promise<WebhookAnswer>;
  readonly #parts: DriverParts;
  readonly #settings: TelegramSettings;
  readonly #client: Client;
  readonly #secret: string;
  #polling: Polling | null = null;
  #outgoing: Outgoing;
  #incoming: Incoming | null = null;
  #me: Me | null = null;
  #health: ChannelHealth = { state: 'starting', detail: 'Telegram has not answered yet' };

  constructor(parts: DriverParts) {
    this.name = parts.name;
    this.#parts = parts;
    this.#settings = parts.settings as TelegramSettings;
    this.capabilities = telegram.capabilities(parts.settings);
    const token = parts.secrets['token'];
    assert(token !== undefined, 'the token is there');
    this.#client = clientOf(token, this.#settings.api);
    // Whoever does not know the token cannot make it, and nobody has to keep another secret.
    this.#secret = createHmac('sha256', token).update('glassclaw webhook').digest('hex');
    this.#outgoing = new Outgoing(this.#client.api, new Chats(new Map()), () => {});
    if (this.#settings.webhook !== undefined) this.webhook = (request) => this.#called(request);
  }

  async start(sink: Sink, cursors: ReadonlyMap<string, string>): Promise<void> {
    const chats = new Chats(cursors);
    const moved = (from: number, to: number): void => {
      const cursor = chats.moved(from, to);
      if (cursor !== null) void sink.saveCursor(cursor.name, cursor.value);
    };
    this.#outgoing = new Outgoing(this.#client.api, chats, moved);
    this.#polling = new Polling(this.#client.api, {
      begin: () => this.#begin(chats, sink),
      take: (update) => this.#incoming!.take(update),
      works: () => this.#is({ state: 'connected', detail: `@${this.#me!.username}` }),
      fails: (error) => this.#failed(error),
      log: this.#parts.log,
      deaf: (detail) => this.#is({ state: 'failed', detail }),
      webhook: this.#settings.webhook ?? null,
    });
    void this.#polling.run();
  }

  async stop(): Promise<void> {
    this.#polling?.stop();
    this.#incoming = null;
  }

  send(operation: SendOperation): Promise<SendResult> {
    return this.#seen(this.#outgoing.send(operation));
  }

  edit(operation: EditOperation): Promise<SendResult> {
    return this.#seen(this.#outgoing.edit(operation));
  }

  react(operation: ReactOperation): Promise<SendResult> {
    return this.#seen(this.#outgoing.react(operation));
  }

  async typing(chat: string, thread: string): Promise<void> {
    await this.#told(this.#outgoing.typing(chat, thread));
  }

  async menu(commands: readonly MenuCommand[]): Promise<void> {
    const shown = commands.map(({ name, summary }) => ({ command: name, description: summary }));
    await this.#told(this.#client.api.setMyCommands(shown));
  }

  /** A private chat has its person's id. Telegram knows it once they have pressed Start; whether they have blocked us, a send says. */
  async openDm(handle: string): Promise<{ platform_id: string; title: string } | null> {
    if (!/^\d{1,15}$/.test(handle)) return null;
    try {
      const { first_name } = await this.#client.api.getChat(Number(handle));
      return { platform_id: handle, title: first_name ?? handle };
    } catch (error) {
      const refusal = refusalOf(error);
      if (refusal.class === 'gone') return null;
      throw new OperatingError('unavailable', refusal.reason);
    }
  }

  /** Null while Telegram has not told us our name. */
  deepLink(code: string): string | null {
    if (this.#me === null) return null;
    return `https://t.me/${this.#me.username}?start=${encodeURIComponent(code)}`;
  }

  health(): ChannelHealth {
    return this.#health;
  }

  /** Who we are, and how we hear. */
  async #begin(chats: Chats, sink: Sink): Promise<void> {
    const { api } = this.#client;
    const { id, username } = await api.getMe();
    this.#me = { id, username };
    const { webhook } = this.#settings;
    if (webhook !== undefined) {
      // One at a time: several would come in any order.
      const options = { secret_token: this.#secret, allowed_updates: KINDS, max_connections: 1 };
      await api.setWebhook(webhook, options);
    } else {
      const { url } = await api.getWebhookInfo();
      if (url !== undefined && url !== '') {
        this.#parts.log('warn', 'telegram.webhook_removed');
        await api.deleteWebhook();
      }
    }
    this.#incoming = new Incoming(this.#client, chats, sink, this.#me, this.#parts.log);
  }

  async #called({ method, path, headers, body }: WebhookRequest): Promise<WebhookAnswer> {
    const given = headers['x-telegram-bot-api-secret-token'] ?? '';
    if (!timingSafeEqual(digest(given), digest(this.#secret))) return { status: 401 };
    if (method !== 'POST' || path !== '') return { status: 404 };
    if (this.#incoming === null) return { status: 503 };
    const update = parse(body);
    if (update === undefined) return { status: 400 };
    await this.#incoming.take(update);
    this.#polling?.heard();
    return { status: 200 };
  }

  #failed(error: GrammyError | HttpError): void {
    const { class: as, reason } = refusalOf(error);
    const detail = as === 'auth' ? REVOKED : reason === CONFLICT ? CONFLICT : `${reason}; it is tried again`;
    this.#is({ state: 'failed', detail });
  }

  #is(health: ChannelHealth): void {
    const { state, detail } = this.#health;
    this.#health = health;
    if (state !== health.state || detail !== health.detail) this.#parts.changed();
  }

  /** A send is the first to notice a token that counts no more. */
  async #seen(work: Promise<SendResult>): Promise<SendResult> {
    const result = await work;
    if (!result.ok && result.class === 'auth') this.#is({ state: 'failed', detail: REVOKED });
    return result;
  }

  /** A rejection without what the library says: the token stands in some of it. */
  async #told(work: Promise<unknown>): Promise<void> {
    try {
      await work;
    } catch (error) {
      throw new OperatingError('unavailable', refusalOf(error).reason);
    }
  }
}

function digest(text: string): Buffer {
  return createHash('sha256').update(text).digest();
}

function parse(body: Buffer): unknown {
  try {
    return JSON.parse(Buffer.from(body).toString('utf8'));
  } catch {
    return undefined;
  }
}
