import { setTimeout as sleep } from 'node:timers/promises';
import { unreachable } from '../../base/errors.ts';
import type {
  Channel,
  ChannelCapabilities,
  ChannelHealth,
  EditOperation,
  ReactOperation,
  Reconciled,
  SendOperation,
  SendResult,
  Sink,
  WebhookAnswer,
  WebhookRequest,
} from '../channel.ts';
import type { DriverParts } from '../kind.ts';
import { Api } from './api.ts';
import { Condition } from './condition.ts';
import type { Failure } from './failures.ts';
import { Inbox } from './inbox.ts';
import { Reader, type Self } from './incoming.ts';
import { slack, slackSettings } from './kind.ts';
import { BACKOFF_MAX_MS, BACKOFF_MS } from './limits.ts';
import { Names } from './names.ts';
import { Outgoing } from './outgoing.ts';
import * as payloads from './payloads.ts';
import { Presses } from './presses.ts';
import { type Envelope, Sockets } from './socket.ts';
import { callOf, DONE, isSigned } from './webhook.ts';

/** One app in one Slack workspace: events come over a socket, or over HTTP where the app is set so. */
export function open(parts: DriverParts): Channel {
  return new SlackChannel(parts);
}

/** What the manifest asks for, and what is missed where a token has less. */
const SCOPES = [
  ...['app_mentions:read', 'channels:history', 'groups:history', 'im:history', 'mpim:history'],
  ...['channels:read', 'groups:read', 'im:read', 'mpim:read', 'im:write', 'users:read'],
  ...['chat:write', 'reactions:read', 'reactions:write', 'files:read', 'files:write', 'metadata.message:read'],
];
const METADATA_SCOPE = 'metadata.message:read';

class SlackChannel implements Channel {
  readonly name: string;
  readonly capabilities: ChannelCapabilities;
  readonly webhook?: (request: WebhookRequest) => Promise<WebhookAnswer>;
  readonly #parts: DriverParts;
  readonly #api: Api;
  readonly #reader: Reader;
  readonly #outgoing: Outgoing;
  readonly #condition: Condition;
  readonly #mode: 'socket' | 'events';
  readonly #override: string | undefined;
  readonly #stop = new AbortController();
  #self: Self | null = null;
  #seesMetadata = false;
  #identifying: Promise<void> | null = null;
  #inbox: Inbox | null = null;
  #presses: Presses | null = null;
  #sockets: Sockets | null = null;

  constructor(parts: DriverParts) {
    const { mode, api } = slackSettings.parse(parts.settings);
    this.name = parts.name;
    this.capabilities = slack.capabilities(parts.settings);
    this.#parts = parts;
    this.#mode = mode;
    this.#override = api;
    this.#condition = new Condition(() => parts.changed());
    this.#api = new Api(parts.secrets['bot'] ?? '', api, (failure) => this.#failed(failure));
    const names = new Names(this.#api);
    this.#reader = new Reader(this.#api, names);
    this.#outgoing = new Outgoing(this.#api, () => this.#seesMetadata);
    if (mode === 'events') this.webhook = (request) => this.#called(request);
  }

  async start(sink: Sink, cursors: ReadonlyMap<string, string>): Promise<void> {
    this.#inbox = new Inbox(this.#api, this.#reader, sink, cursors, this.#parts.log);
    this.#presses = new Presses(this.#api, this.#reader, sink, this.#inbox, this.#parts.log);
    void this.#run(this.#inbox);
  }

  async stop(): Promise<void> {
    this.#stop.abort();
    this.#inbox?.stop();
    await this.#sockets?.stop();
  }

  send(operation: SendOperation): Promise<SendResult> {
    return this.#outgoing.send(operation);
  }

  edit(operation: EditOperation): Promise<SendResult> {
    return this.#outgoing.edit(operation);
  }

  react(operation: ReactOperation): Promise<SendResult> {
    return this.#outgoing.react(operation);
  }

  reconcile(operation: SendOperation): Promise<Reconciled> {
    return this.#outgoing.reconcile(operation);
  }

  async openDm(handle: string): Promise<{ platform_id: string; title: string } | null> {
    const answer = await this.#api.call('conversations.open', { users: handle }, payloads.opened);
    if (answer.ok) {
      const { platform_id, title } = await this.#reader.chat(answer.value.channel.id);
      return { platform_id, title };
    }
    if (answer.failure.class === 'gone') return null;
    throw new Error(answer.failure.reason);
  }

  health(): ChannelHealth {
    return this.#condition.health();
  }

  async #run(inbox: Inbox): Promise<void> {
    await this.#identify();
    if (this.#stop.signal.aborted || this.#self === null) return;
    const connected = (): void => {
      inbox.catchUp(this.#self!);
      this.#condition.link({ state: 'connected', detail: `@${this.#self!.name} in ${this.#self!.workspace}` });
    };
    switch (this.#mode) {
      case 'events':
        return connected();
      case 'socket':
        this.#sockets = new Sockets(this.#parts.secrets['app'] ?? '', this.#override, {
          envelope: (envelope) => this.#enveloped(envelope, inbox),
          opened: connected,
          lost: (reason, again) =>
            this.#condition.link({ state: again ? 'failed' : 'starting', detail: `${reason}; it is tried again` }),
          shared: (shared) => this.#condition.trouble('3 shared', shared ? SHARED : null),
          strange: (given) => void inbox.keep('envelope', given),
        });
        return this.#sockets.run();
      default:
        return unreachable(this.#mode);
    }
  }

  /** An event is acknowledged by its commit; a press at once, for a person waits. */
  #enveloped({ type, body, ack }: Envelope, inbox: Inbox): void {
    if (this.#stop.signal.aborted) return;
    switch (type) {
      case 'events_api':
        return void inbox.take(body, this.#self!).done.then(ack, () => {});
      case 'interactive':
        ack();
        return void this.#presses!.take(body, this.#self!);
      default:
        // Nothing of the kind is asked for.
        return ack();
    }
  }

  /** Slack calls again what is not answered 200. */
  async #called(request: WebhookRequest): Promise<WebhookAnswer> {
    if (request.method !== 'POST') return { status: 405 };
    if (!isSigned(request, this.#parts.secrets['signing'] ?? '', Date.now() / 1000)) return { status: 401 };
    const call = callOf(request);
    if (call.kind === 'challenge') return { status: 200, body: call.challenge };
    if (this.#self === null || this.#inbox === null || this.#stop.signal.aborted) return { status: 503 };
    switch (call.kind) {
      case 'event':
        await this.#inbox.take(call.body, this.#self).first;
        return DONE;
      case 'interaction':
        void this.#presses!.take(call.body, this.#self);
        return DONE;
      case 'other':
        await this.#inbox.keep('request', request.body.toString('utf8')).first;
        return DONE;
      default:
        return unreachable(call);
    }
  }

  /** Of any call. A token that counts no more is asked about until it does. */
  #failed(failure: Failure): void {
    if (failure.class !== 'auth') return;
    this.#condition.trouble('1 token', `${failure.reason}; give a new one`);
    if (this.#identifying === null) void this.#identify();
  }

  /** Who we are, asked until Slack says so. */
  #identify(): Promise<void> {
    this.#identifying ??= this.#askWho().finally(() => {
      this.#identifying = null;
    });
    return this.#identifying;
  }

  async #askWho(): Promise<void> {
    for (let wait = BACKOFF_MS; !this.#stop.signal.aborted; wait = Math.min(wait * 2, BACKOFF_MAX_MS)) {
      const answer = await this.#api.call('auth.test', {}, payloads.identity);
      if (answer.ok) return this.#identified(answer.value);
      if (this.#self === null)
        this.#condition.link({ state: 'starting', detail: `${answer.failure.reason}; it is tried again` });
      await sleep(answer.failure.after_ms ?? wait, undefined, { signal: this.#stop.signal }).catch(() => {});
    }
  }

  #identified({ team_id, team, user_id, user, bot_id, response_metadata }: payloads.Identity): void {
    this.#self = { team: team_id, user: user_id, bot: bot_id ?? '', name: user, workspace: team };
    const scopes = response_metadata?.scopes;
    const missing = scopes === undefined ? [] : SCOPES.filter((scope) => !scopes.includes(scope));
    this.#seesMetadata = scopes?.includes(METADATA_SCOPE) === true;
    this.#condition.trouble('1 token', null);
    const lacks = `the app lacks the scopes ${missing.join(', ')}; add them and install the app again`;
    this.#condition.trouble('2 scopes', missing.length === 0 ? null : lacks);
  }
}

const SHARED =
  'another program uses the app-level token, and Slack gives it a part of the messages; end it, or make a token for each';
