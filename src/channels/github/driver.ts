import { assert } from '../../base/errors.ts';
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
import { Unreadable } from '../unreadable.ts';
import type { Me } from './auth.ts';
import { Client } from './client.ts';
import { Condition } from './condition.ts';
import { Feed } from './feed.ts';
import { type GitHubSettings, github } from './kind.ts';
import { Outgoing } from './outgoing.ts';
import { poll } from './polling.ts';
import { SeenMarks } from './seen_marks.ts';
import { Webhook } from './webhook.ts';

export function open(parts: DriverParts): Channel {
  return new GitHubChannel(parts);
}

/**
 * One account, or one app, in some repositories. It reads their lists again and again; a webhook only says when. An issue or a
 * pull request is a chat, a thread of review comments a thread in it.
 */
class GitHubChannel implements Channel {
  readonly name: string;
  readonly capabilities: ChannelCapabilities;
  readonly webhook?: (request: WebhookRequest) => Promise<WebhookAnswer>;
  readonly #parts: DriverParts;
  readonly #settings: GitHubSettings;
  readonly #client: Client;
  readonly #outgoing: Outgoing;
  readonly #condition: Condition;
  readonly #ended = new AbortController();
  #hook: Webhook | null = null;

  constructor(parts: DriverParts) {
    this.name = parts.name;
    this.#parts = parts;
    this.#settings = parts.settings as GitHubSettings;
    this.capabilities = github.capabilities(parts.settings);
    this.#client = new Client(this.#settings, parts.secrets);
    this.#outgoing = new Outgoing(this.#client, this.#settings.repos);
    this.#condition = new Condition(this.#settings.repos, () => parts.changed());
    if (!this.#settings.webhook) return;
    assert((parts.secrets['webhook'] ?? '') !== '', 'the secret of the webhook is there');
    this.webhook = (request) => this.#called(request);
  }

  async start(sink: Sink, cursors: ReadonlyMap<string, string>): Promise<void> {
    const { log } = this.#parts;
    const ended = this.#ended.signal;
    const marks = new SeenMarks(this.#client, log, ended);
    const me = (): Promise<Me> => this.#me();
    const unreadable = new Unreadable(sink, log, 'github.broken');
    const { public: isPublic } = this.#settings;
    const shared = { client: this.#client, sink, cursors, marks, log, unreadable, public: isPublic, me, ended };
    const feeds = this.#settings.repos.map((repo) => new Feed(repo, shared));
    if (this.webhook !== undefined) this.#hook = new Webhook(this.#parts.secrets['webhook']!, feeds, sink, unreadable);
    for (const feed of feeds)
      void poll(feed, {
        works: (repo) => void this.#me().then(({ name }) => this.#condition.works(repo, name)),
        fails: (repo, refusal) => this.#condition.fails(repo, refusal),
        poll_ms: this.#settings.poll_s * 1000,
        ...{ log, ended },
      });
  }

  async stop(): Promise<void> {
    this.#ended.abort();
    this.#hook = null;
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

  reconcile(operation: SendOperation): Promise<Reconciled> {
    return this.#outgoing.reconcile(operation);
  }

  health(): ChannelHealth {
    return this.#condition.health;
  }

  async #me(): Promise<Me> {
    const me = await this.#client.me();
    return { ...me, name: this.#settings.mention ?? me.name };
  }

  async #called(request: WebhookRequest): Promise<WebhookAnswer> {
    return this.#hook === null ? { status: 503 } : this.#hook.take(request);
  }

  /** A send is the first to notice a token that counts no more. */
  async #seen(work: Promise<SendResult>): Promise<SendResult> {
    const result = await work;
    if (!result.ok && result.class === 'auth') this.#condition.revoked();
    return result;
  }
}
