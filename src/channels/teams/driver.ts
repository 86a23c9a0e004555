import { setTimeout as sleep } from 'node:timers/promises';
import { assert } from '../../base/errors.ts';
import type {
  Channel,
  ChannelCapabilities,
  ChannelHealth,
  EditOperation,
  SendOperation,
  SendResult,
  Sink,
  WebhookAnswer,
  WebhookRequest,
} from '../channel.ts';
import type { DriverParts } from '../kind.ts';
import { Connector, NOT_TAKEN } from './connector.ts';
import { Consent } from './consent.ts';
import { isOf, withoutSlash } from './hosts.ts';
import { type Failure, parsed } from './http.ts';
import { Inbox } from './inbox.ts';
import { type TeamsSettings, teams } from './kind.ts';
import { BACKOFF_MAX_MS, BACKOFF_MS } from './limits.ts';
import { Memory } from './memory.ts';
import { Offers } from './offers.ts';
import { Outgoing } from './outgoing.ts';
import * as payloads from './payloads.ts';
import { Tokens } from './tokens.ts';
import { Trust } from './trust.ts';

export function open(parts: DriverParts): Channel {
  return new TeamsChannel(parts);
}

/**
 * One bot, by the protocol of the Bot Framework. Teams calls us for whatever happens, and gives up soon when we do not answer:
 * it has no history for bots and no idempotency key, so nothing is backfilled and nothing can be reconciled.
 */
class TeamsChannel implements Channel {
  readonly name: string;
  readonly capabilities: ChannelCapabilities;
  readonly #parts: DriverParts;
  readonly #settings: TeamsSettings;
  readonly #tokens: Tokens;
  readonly #trust: Trust;
  readonly #connector: Connector;
  readonly #memory = new Memory();
  readonly #offers: Offers;
  readonly #outgoing: Outgoing;
  readonly #consent: Consent;
  readonly #stop = new AbortController();
  #inbox: Inbox | null = null;
  #isAsking = false;
  #health: ChannelHealth = { state: 'starting', detail: 'Microsoft has not given a token yet' };

  constructor(parts: DriverParts) {
    const password = parts.secrets['password'];
    assert(password !== undefined, 'the password is there');
    const settings = parts.settings as TeamsSettings;
    this.name = parts.name;
    this.capabilities = teams.capabilities(settings);
    this.#parts = parts;
    this.#settings = settings;
    this.#tokens = new Tokens(settings, password);
    this.#trust = new Trust(settings.openid, settings.app_id);
    this.#connector = new Connector(this.#tokens, settings.services, (failure) => this.#heard(failure));
    this.#offers = new Offers(parts.folder);
    this.#outgoing = new Outgoing(this.#connector, settings, this.#memory, this.#offers);
    const show = this.#outgoing.show.bind(this.#outgoing);
    this.#consent = new Consent({ offers: this.#offers, hosts: settings.services, show, log: parts.log });
  }

  async start(sink: Sink, cursors: ReadonlyMap<string, string>): Promise<void> {
    const { services: hosts, app_id } = this.#settings;
    this.#offers.sweep();
    this.#memory.begin(sink, cursors);
    const ours = { connector: this.#connector, memory: this.#memory, log: this.#parts.log };
    this.#inbox = new Inbox({ ...ours, hosts, sink, us: `28:${app_id}` });
    void this.#ask();
  }

  async stop(): Promise<void> {
    this.#stop.abort();
    this.#inbox?.stop();
    this.#inbox = null;
  }

  send(operation: SendOperation): Promise<SendResult> {
    return this.#outgoing.send(operation);
  }

  edit(operation: EditOperation): Promise<SendResult> {
    return this.#outgoing.edit(operation);
  }

  typing(chat: string, thread: string): Promise<void> {
    return this.#outgoing.typing(chat, thread);
  }

  openDm(handle: string): Promise<{ platform_id: string; title: string } | null> {
    return this.#outgoing.openDm(handle);
  }

  /** Teams puts the text where one writes; the person sends it. */
  deepLink(code: string): string {
    const message = encodeURIComponent(`pair ${code}`);
    return `https://teams.microsoft.com/l/chat/0/0?users=28:${this.#settings.app_id}&message=${message}`;
  }

  /** Nothing of a request is read before its token is known to be Microsoft's. */
  async webhook({ method, path, headers, body }: WebhookRequest): Promise<WebhookAnswer> {
    if (path !== '') return { status: 404 };
    if (method !== 'POST') return { status: 405 };
    const verdict = await this.#trust.check(headers['authorization']);
    if (verdict.is === 'forged') return { status: 401 };
    if (verdict.is === 'untold' || this.#inbox === null) return { status: 503 };
    const value = parsed(body);
    const { data } = payloads.envelope.safeParse(value);
    if (data === undefined || withoutSlash(data.serviceUrl) !== withoutSlash(verdict.service)) return { status: 401 };
    if (!isOf(this.#settings.services, data.serviceUrl)) {
      this.#parts.log('warn', 'teams.foreign_service', {
        kind: data.type,
        host: URL.parse(data.serviceUrl)?.host ?? '',
      });
      return { status: 403 };
    }
    const said = payloads.consented.safeParse(value);
    if (said.success) return this.#consent.answered(said.data);
    return this.#take(this.#inbox, value as payloads.Envelope);
  }

  health(): ChannelHealth {
    return this.#health;
  }

  /** A person waits for a press to be answered; everything else waits for its commit. */
  async #take(inbox: Inbox, body: payloads.Envelope): Promise<WebhookAnswer> {
    const { happening, first, done } = inbox.take(body);
    if (happening.kind !== 'press') {
      await first;
      return { status: 200 };
    }
    done.catch(() => this.#parts.log('warn', 'teams.press_lost', { id: body.id ?? '' }));
    return happening.isInvoked ? { status: 200, type: 'application/json', body: NOTED } : { status: 200 };
  }

  /** Of any call of the service. */
  #heard(failure: Failure | null): void {
    if (failure?.class === 'auth') {
      this.#is({ state: 'failed', detail: failure.reason });
      void this.#ask();
    } else if (failure === null) this.#is(this.#connected());
  }

  /** Asks for a token until there is one: then the app is known, and its secret right. */
  async #ask(): Promise<void> {
    if (this.#isAsking) return;
    this.#isAsking = true;
    const { signal } = this.#stop;
    for (let wait = BACKOFF_MS; !signal.aborted; wait = Math.min(wait * 2, BACKOFF_MAX_MS)) {
      const token = await this.#tokens.get();
      if (token.ok) break;
      const { class: as, reason, after_ms } = token.failure;
      this.#is({ state: 'failed', detail: as === 'auth' ? reason : `${reason}; it is tried again` });
      await sleep(after_ms ?? wait, undefined, { signal, ref: false }).catch(() => {});
    }
    this.#isAsking = false;
    // A token that the service has refused is no sign that all is well: its next answer is.
    if (!signal.aborted && this.#health.detail !== NOT_TAKEN) this.#is(this.#connected());
  }

  #connected(): ChannelHealth {
    return { state: 'connected', detail: `the bot ${this.#settings.app_id}` };
  }

  #is(health: ChannelHealth): void {
    const { state, detail } = this.#health;
    this.#health = health;
    if (state !== health.state || detail !== health.detail) this.#parts.changed();
  }
}

const NOTED = JSON.stringify({
  statusCode: 200,
  type: 'application/vnd.microsoft.activity.message',
  value: 'Noted.',
});
