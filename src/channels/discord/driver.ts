import { setTimeout as sleep } from 'node:timers/promises';
import { assert } from '../../base/errors.ts';
import type {
  Channel,
  ChannelCapabilities,
  ChannelHealth,
  EditOperation,
  MenuCommand,
  ReactOperation,
  Reconciled,
  SendOperation,
  SendResult,
  Sink,
} from '../channel.ts';
import type { DriverParts } from '../kind.ts';
import { Api } from './api.ts';
import { Condition } from './condition.ts';
import type { Failure } from './failures.ts';
import { type Begin, type Dispatch, Gateway } from './gateway.ts';
import { Guilds } from './guilds.ts';
import { Inbox } from './inbox.ts';
import { happeningsOf } from './incoming.ts';
import { Interactions } from './interactions.ts';
import { discord, discordSettings } from './kind.ts';
import { BACKOFF_MAX_MS, BACKOFF_MS, SUMMARY_CHARS_MAX } from './limits.ts';
import { Outgoing } from './outgoing.ts';
import * as payloads from './payloads.ts';
import { Threads } from './threads.ts';

/**
 * One bot. The gateway has no acknowledgement: a session is resumed at the first event that is not committed, and after a new
 * one the history is read from the last committed message of each channel.
 */
export function open(parts: DriverParts): Channel {
  return new DiscordChannel(parts);
}

interface Ways {
  inbox: Inbox;
  interactions: Interactions;
}

class DiscordChannel implements Channel {
  readonly name: string;
  readonly capabilities: ChannelCapabilities;
  readonly #parts: DriverParts;
  readonly #token: string;
  readonly #api: Api;
  readonly #guilds: Guilds;
  readonly #threads: Threads;
  readonly #outgoing: Outgoing;
  readonly #condition: Condition;
  readonly #stop = new AbortController();
  #self: payloads.User | null = null;
  #asking = false;
  #inbox: Inbox | null = null;
  #gateway: Gateway | null = null;

  constructor(parts: DriverParts) {
    const { api, threads = true } = discordSettings.parse(parts.settings);
    const token = parts.secrets['token'];
    assert(token !== undefined, 'the token is there');
    this.name = parts.name;
    this.capabilities = discord.capabilities(parts.settings);
    this.#parts = parts;
    this.#token = token;
    this.#condition = new Condition(() => parts.changed());
    this.#api = new Api(token, api, (failure) => this.#failed(failure));
    this.#guilds = new Guilds(this.#api);
    this.#threads = new Threads(this.#api, this.#guilds, threads, () => this.#self?.username || this.name);
    this.#outgoing = new Outgoing(this.#api, this.#threads);
  }

  async start(sink: Sink, cursors: ReadonlyMap<string, string>): Promise<void> {
    const { log } = this.#parts;
    const places = { api: this.#api, guilds: this.#guilds, threads: this.#threads };
    const inbox = new Inbox(places, sink, cursors, log);
    const interactions = new Interactions(this.#api, this.#guilds, inbox, sink, log);
    this.#inbox = inbox;
    this.#gateway = new Gateway(this.#token, {
      begin: () => this.#begin(),
      trusts: (url) => this.#api.isGateway(url),
      dispatch: (dispatch) => this.#dispatched(dispatch, { inbox, interactions }),
      lost: (reason, again) => this.#condition.link(again ? 'failed' : 'starting', reason),
    });
    void this.#gateway.run();
  }

  async stop(): Promise<void> {
    this.#stop.abort();
    this.#inbox?.stop();
    this.#api.stop();
    await this.#gateway?.stop();
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

  typing(chat: string, thread: string): Promise<void> {
    return this.#outgoing.typing(chat, thread);
  }

  reconcile(operation: SendOperation): Promise<Reconciled> {
    return this.#outgoing.reconcile(operation, this.#self?.id ?? null);
  }

  async openDm(handle: string): Promise<{ platform_id: string; title: string } | null> {
    if (!payloads.id.safeParse(handle).success) return null;
    const body = { recipient_id: handle };
    const answer = await this.#api.call('POST', '/users/@me/channels', payloads.opened, { body });
    if (!answer.ok) {
      if (answer.failure.class === 'gone') return null;
      throw new Error(answer.failure.reason);
    }
    const { id, recipients } = answer.value;
    this.#inbox?.expect(id);
    const [person] = recipients;
    return { platform_id: id, title: person === undefined ? handle : this.#guilds.meet(person, null).name };
  }

  /** Each with one free text: what a person would write behind it. */
  async menu(commands: readonly MenuCommand[]): Promise<void> {
    const ours = await this.#api.call('GET', '/applications/@me', payloads.application);
    if (!ours.ok) throw new Error(ours.failure.reason);
    const text = { type: 3, name: 'text', description: 'What belongs to the command', required: false };
    const body = commands.map(({ name, summary }) => ({
      ...{ type: 1, name, description: summary.slice(0, SUMMARY_CHARS_MAX), options: [text] },
      ...{ contexts: [0, 1], integration_types: [0] },
    }));
    const put = await this.#api.call('PUT', `/applications/${ours.value.id}/commands`, payloads.anything, { body });
    if (!put.ok) throw new Error(put.failure.reason);
  }

  health(): ChannelHealth {
    return this.#condition.health();
  }

  /** Discord says where its gateway is, and how many sessions may begin today. */
  async #begin(): Promise<Begin> {
    const answer = await this.#api.call('GET', '/gateway/bot', payloads.gatewayPlace);
    if (!answer.ok) {
      const { class: kind, reason, after_ms = 0 } = answer.failure;
      return { ok: false, reason, grave: kind === 'auth', after_ms };
    }
    const { url, session_start_limit: limit } = answer.value;
    if (!this.#api.isGateway(url))
      return { ok: false, reason: 'Discord named a gateway that is not its own', grave: true, after_ms: 0 };
    if (limit.remaining > 0) return { ok: true, url };
    const reason = 'Discord lets the bot begin no more sessions today; something restarts it all the time';
    return { ok: false, reason, grave: true, after_ms: Math.min(limit.reset_after, BACKOFF_MAX_MS) };
  }

  #dispatched({ type, data, key, done }: Dispatch, { inbox, interactions }: Ways): void {
    switch (type) {
      case 'READY':
        this.#ready(data, inbox);
        return done();
      case 'RESUMED':
        this.#connected();
        return done();
      case 'INTERACTION_CREATE':
        return void interactions.take(data).then(done);
      case 'MESSAGE_CREATE':
      case 'MESSAGE_UPDATE':
      case 'MESSAGE_DELETE':
      case 'MESSAGE_DELETE_BULK':
      case 'MESSAGE_REACTION_ADD':
      case 'MESSAGE_REACTION_REMOVE':
        return this.#happened({ type, data, key, done }, inbox);
      default:
        this.#told(type, data, inbox);
        return done();
    }
  }

  #ready(data: unknown, inbox: Inbox): void {
    const read = payloads.ready.safeParse(data);
    if (!read.success) return this.#unreadable(inbox, 'READY', data);
    this.#self = read.data.user;
    this.#connected();
    inbox.catchUpDirects(read.data.user.id);
  }

  #connected(): void {
    this.#condition.trouble(null);
    this.#condition.link('connected', `@${this.#self?.username}`);
  }

  /** An event is committed when everything in it is. */
  #happened({ type, data, key, done }: Dispatch, inbox: Inbox): void {
    const self = this.#self;
    const happenings = self === null ? [] : happeningsOf(type, data, key);
    if (happenings === null) return this.#unreadable(inbox, type, data, done);
    for (const each of happenings)
      if (each.kind === 'message' && each.message.author.id === self!.id) this.#outgoing.echo(each.message);
    void Promise.all(happenings.map((each) => inbox.take(each, self!.id))).then(done, () => {}); // we have stopped
  }

  /** Of servers, their channels and roles. */
  #told(type: string, data: unknown, inbox: Inbox): void {
    switch (type) {
      case 'GUILD_CREATE': {
        const read = payloads.guild.safeParse(data);
        if (!read.success) return this.#unreadable(inbox, type, data);
        for (const role of read.data.roles) this.#guilds.addRole(role);
        const channels = this.#guilds.add([...read.data.channels, ...read.data.threads]);
        if (this.#self !== null) inbox.catchUpGuild(read.data, channels, this.#self.id);
        return;
      }
      case 'GUILD_ROLE_CREATE':
      case 'GUILD_ROLE_UPDATE':
        this.#threads.permitted();
        return this.#guilds.addRole(payloads.guildRole.safeParse(data).data?.role);
      case 'THREAD_LIST_SYNC':
        return void this.#guilds.add(payloads.guildThreads.safeParse(data).data?.threads ?? []);
      case 'CHANNEL_UPDATE':
        this.#threads.permitted();
        return void this.#guilds.add([data]);
      case 'CHANNEL_CREATE':
      case 'THREAD_CREATE':
      case 'THREAD_UPDATE':
        return void this.#guilds.add([data]);
      case 'CHANNEL_DELETE':
      case 'THREAD_DELETE':
        return this.#guilds.remove(payloads.posted.safeParse(data).data?.id ?? '');
      default:
        return;
    }
  }

  #unreadable(inbox: Inbox, kind: string, data: unknown, done = (): void => {}): void {
    const id = payloads.posted.safeParse(data).data?.id ?? '';
    inbox.keep(kind, data, id).then(done, () => {}); // we have stopped
  }

  /** Of any call. A token that counts no more is asked about until it does. */
  #failed({ class: kind, reason }: Failure): void {
    if (kind !== 'auth') return;
    this.#condition.trouble(reason);
    if (!this.#asking) void this.#askAgain();
  }

  async #askAgain(): Promise<void> {
    this.#asking = true;
    for (let wait = BACKOFF_MS; !this.#stop.signal.aborted; wait = Math.min(wait * 2, BACKOFF_MAX_MS)) {
      await sleep(wait, undefined, { signal: this.#stop.signal }).catch(() => {});
      if (this.#stop.signal.aborted) break;
      const answer = await this.#api.call('GET', '/users/@me', payloads.user);
      if (!answer.ok) continue;
      this.#condition.trouble(null);
      break;
    }
    this.#asking = false;
  }
}
