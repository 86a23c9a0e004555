import { setTimeout as sleep } from 'node:timers/promises';
import { assert } from '../../base/errors.ts';
import { visible } from '../../base/text.ts';
import type {
  Channel,
  ChannelCapabilities,
  ChannelHealth,
  ReactOperation,
  SendOperation,
  SendResult,
  Sink,
  WebhookAnswer,
  WebhookRequest,
} from '../channel.ts';
import type { DriverParts } from '../kind.ts';
import { Chats } from './chats.ts';
import { Graph } from './graph.ts';
import { Incoming } from './incoming.ts';
import { type WhatsappSettings, whatsapp } from './kind.ts';
import { BACKOFF_MAX_MS, BACKOFF_MS } from './limits.ts';
import { Outgoing } from './outgoing.ts';
import { number } from './payloads.ts';
import { isSigned, parsed, verified } from './webhook.ts';

export function open(parts: DriverParts): Channel {
  return new WhatsappChannel(parts);
}

/**
 * One business number on the Cloud API: Meta calls us with what people say, and we call Graph. Meta repeats a call that is
 * not answered 200, which is our backfill; Graph knows no idempotency key and no history, so nothing can be reconciled.
 */
class WhatsappChannel implements Channel {
  readonly name: string;
  readonly capabilities: ChannelCapabilities;
  readonly #parts: DriverParts;
  readonly #number: string;
  readonly #graph: Graph;
  readonly #chats = new Chats();
  readonly #outgoing: Outgoing;
  readonly #stop = new AbortController();
  #incoming: Incoming | null = null;
  #isAsking = false;
  /** Our number in digits, once Graph has said so. */
  #self: string | null = null;
  #link: ChannelHealth = { state: 'starting', detail: 'WhatsApp has not answered yet' };
  /** Why a message that WhatsApp had taken did not arrive. */
  #undelivered: string | null = null;

  constructor(parts: DriverParts) {
    const { phone_number_id, api, template } = parts.settings as WhatsappSettings;
    const { token } = parts.secrets;
    assert(token !== undefined, 'the token is there');
    this.name = parts.name;
    this.capabilities = whatsapp.capabilities(parts.settings);
    this.#parts = parts;
    this.#number = phone_number_id;
    this.#graph = new Graph(token, api, (reason) => this.#refused(reason));
    this.#outgoing = new Outgoing(this.#graph, phone_number_id, template, this.#chats);
  }

  async start(sink: Sink, cursors: ReadonlyMap<string, string>): Promise<void> {
    this.#chats.begin(sink, cursors);
    this.#incoming = new Incoming({
      ...{ graph: this.#graph, chats: this.#chats, sink, log: this.#parts.log, number: this.#number },
      self: () => this.#self,
      textOf: (id) => this.#outgoing.textOf(id),
      undelivered: (reason) => this.#told(this.#link, reason),
    });
    void this.#identify();
  }

  async stop(): Promise<void> {
    this.#stop.abort();
    this.#incoming?.stop();
    this.#incoming = null;
  }

  send(operation: SendOperation): Promise<SendResult> {
    return this.#outgoing.send(operation);
  }

  react(operation: ReactOperation): Promise<SendResult> {
    return this.#outgoing.react(operation);
  }

  typing(chat: string): Promise<void> {
    return this.#outgoing.typing(chat);
  }

  /** Each number is a chat already; whether it is on WhatsApp, and may be written to, a send says. */
  async openDm(handle: string): Promise<{ platform_id: string; title: string } | null> {
    return /^\d{5,20}$/.test(handle) ? { platform_id: handle, title: `+${handle}` } : null;
  }

  /** Null while WhatsApp has not told us our number. */
  deepLink(code: string): string | null {
    return this.#self === null ? null : `https://wa.me/${this.#self}?text=${encodeURIComponent(`pair ${code}`)}`;
  }

  async webhook(request: WebhookRequest): Promise<WebhookAnswer> {
    if (request.path !== '') return { status: 404 };
    if (request.method === 'GET') return verified(request, this.#parts.secrets['verify'] ?? '');
    if (request.method !== 'POST') return { status: 405 };
    if (!isSigned(request, this.#parts.secrets['app-secret'] ?? '')) return { status: 401 };
    if (this.#incoming === null) return { status: 503 };
    try {
      await this.#incoming.take(parsed(request.body) ?? Buffer.from(request.body).toString('utf8'));
    } catch {
      // Not kept: Meta calls again with all of it.
      this.#parts.log('warn', 'whatsapp.not_kept');
      return { status: 503 };
    }
    return { status: 200 };
  }

  health(): ChannelHealth {
    if (this.#link.state !== 'connected' || this.#undelivered === null) return this.#link;
    return { state: 'connected', detail: `${this.#link.detail}; a message did not arrive: ${this.#undelivered}` };
  }

  /** Who we are, asked until Graph says so. */
  async #identify(): Promise<void> {
    if (this.#isAsking) return;
    this.#isAsking = true;
    for (let wait = BACKOFF_MS; !this.#stop.signal.aborted; wait = Math.min(wait * 2, BACKOFF_MAX_MS)) {
      const answer = await this.#graph.get(`${this.#number}?fields=display_phone_number,verified_name`, number);
      if (answer.ok) {
        const { display_phone_number: shown, verified_name = '' } = answer.value;
        this.#self = shown.replace(/\D/g, '');
        this.#isAsking = false;
        return this.#told({ state: 'connected', detail: visible(`${shown} ${verified_name}`.trim()) });
      }
      const { reason, after_ms } = answer.refusal;
      this.#told({ state: 'failed', detail: `${reason}; it is tried again` });
      await sleep(after_ms ?? wait, undefined, { signal: this.#stop.signal, ref: false }).catch(() => {});
    }
    this.#isAsking = false;
  }

  /** Of any call. A token that counts no more is asked about until it does. */
  #refused(reason: string): void {
    if (this.#stop.signal.aborted) return;
    this.#told({ state: 'failed', detail: `${reason}; it is tried again` });
    void this.#identify();
  }

  #told(link: ChannelHealth, undelivered = this.#undelivered): void {
    const before = JSON.stringify(this.health());
    this.#link = link;
    this.#undelivered = undelivered;
    if (JSON.stringify(this.health()) !== before) this.#parts.changed();
  }
}
