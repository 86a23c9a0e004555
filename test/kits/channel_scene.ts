import { createHash } from 'node:crypto';
import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type {
  Channel,
  ChannelCapabilities,
  MenuCommand,
  OutgoingFile,
  SendOperation,
  SendResult,
  WebhookAnswer,
  WebhookRequest,
} from '../../src/channels/channel.ts';
import { sniffType } from '../../src/channels/files.ts';
import type { ChannelKind, DriverParts } from '../../src/channels/kind.ts';
import { until } from '../fakes/install.ts';
import { remove } from '../fakes/remove.ts';
import { RecordingSink } from './channel_sink.ts';

/** A direct chat of `person` with us; a group that `person`, `other`, `bot` and we are in; a thread of that group, or null. */
export type PlaceName = 'direct' | 'group' | 'thread';

/** A place as the driver names it. */
export interface Place {
  chat: string;
  thread: string;
}

/** `bot`: another program. `self`: our own account, from elsewhere. */
export type Speaker = 'person' | 'other' | 'bot' | 'self';

export interface Saying {
  place: PlaceName;
  from: Speaker;
  text: string;
  /** They address us, as people do on that platform. */
  mention?: boolean;
  /** The id of a message, ours (its receipt) or a person's. */
  reply_to?: string;
  files?: { name: string; data: Buffer }[];
}

/** What people do. Ids are those that the driver gives as `platform_id`. Each resolves when the platform has it. */
export interface People {
  say(saying: Saying): Promise<string>;
  edit(place: PlaceName, from: Speaker, message: string, text: string): Promise<void>;
  remove(place: PlaceName, from: Speaker, message: string): Promise<void>;
  react(place: PlaceName, from: Speaker, message: string, emoji: string, removed: boolean): Promise<void>;
  /** A button under a message of ours. */
  press(place: PlaceName, from: Speaker, receipt: string, token: string): Promise<void>;
  /** A message of ours has come, and is read. Absent: the platform tells programs of neither. */
  receive?(place: PlaceName, receipt: string): Promise<void>;
  /** The platform tells us of something: `unknown`: of a kind that no driver knows; `broken`: a message that lacks what each has. */
  strange(event: 'unknown' | 'broken'): Promise<void>;
}

/** A message of ours, as the platform has it now. */
export interface Sent extends Place {
  receipt: string;
  /** What a person reads: without markup, entities resolved. */
  shown: string;
  /** What of it is shown bold, and as code. */
  bold: string[];
  code: string[];
  /** The id of the message that it quotes. */
  quotes: string | null;
  buttons: { token: string; label: string }[];
  file: { name: string; data: Buffer } | null;
  /** What its card shows, from its title on; absent: it has none. */
  card?: string[];
}

/**
 * What the next call that writes a message is answered. `limited`: too many, come back in two seconds; `limited_untimed`: without
 * a time; `broken`: 500; `cut`: the message is there and the connection ends without an answer; `gone`: nobody is in that chat
 * any more; `refused`: the platform does not take this text.
 */
export type SendFault = 'limited' | 'limited_untimed' | 'broken' | 'cut' | 'gone' | 'refused';

export interface Faults {
  next(fault: SendFault): void;
  /** Our token counts no more, from now on. */
  revoke(): void;
  /** Another program reads what is meant for us, with our token; then it ends. */
  secondPoller(runs: boolean): Promise<void>;
  /** All connections end; new ones are taken. */
  drop(): Promise<void>;
  /** The platform cannot be reached, for so long that it has forgotten our connection; then it can again. */
  offline(): Promise<void>;
  online(): Promise<void>;
}

/** Where the platform calls us. */
export interface Hook {
  /** What the platform would send of this. */
  request(saying: Saying): WebhookRequest;
  /** The same with a signature that is wrong, one that is missing, and whatever else can be forged. */
  forged(saying: Saying): WebhookRequest[];
}

/** The same where another process makes the request. */
export interface LateHook {
  request(saying: Saying): Promise<WebhookRequest>;
  forged(saying: Saying): Promise<WebhookRequest[]>;
}

/** A fake platform with one account of ours on it. */
export interface Account {
  /** Of the driver: name, settings with the fake's address, secrets. */
  readonly parts: Pick<DriverParts, 'name' | 'settings' | 'secrets'>;
  readonly people: People;
  readonly faults: Faults;
  readonly hook?: Hook | LateHook;
  /** A mention in a group begins a thread of its own; `answers`: and an answer to a message is said in its thread. */
  readonly threadsOfMessages?: 'mentions' | 'answers';
  /** Of bytes that are nothing it knows, it takes no file: a text stands for them. */
  readonly textFiles?: boolean;
  /** It shows texts as they were written: which part is code nobody sees. */
  readonly showsNoMarkup?: true;
  open(parts: DriverParts): Channel;
  place(name: PlaceName): Place;
  handle(speaker: Speaker): string;
  /** What the platform has of us. */
  sent(): Sent[];
  /** Where a person is asked before a file of ours comes: they say yes. */
  agree?(): Promise<void>;
  reactions(): { message: string; emoji: string }[];
  typing(): Place[];
  menu(): MenuCommand[];
  /** Whether the platform would not tell of this message again. */
  acknowledged(message: string): boolean;
  /** Presses whose person has been shown that it was noticed. */
  pressesAnswered(): number;
  stop(): Promise<void>;
}

/** A driver and the fake of its platform. */
export interface ChannelUnderTest {
  /** Of its tests. */
  readonly title: string;
  readonly kind: ChannelKind;
  /** Rows that this platform cannot have, and why: printed. What `capabilities` lacks needs no word here. */
  readonly lacks: Readonly<Record<string, string>>;
  start(): Promise<Account>;
}

/** Makes another driver of a driver. */
export type Wrong = (channel: Channel, account: Account) => Channel;

/** Long enough for anything on loopback; what must not happen is waited for so long. */
const QUIET_MS = 250;

/** One row: an account, a driver, and the host's side of it. */
export class Scene {
  readonly account: Account;
  readonly logs: string[] = [];
  readonly #patience_ms: number;
  readonly #wrong: Wrong;
  readonly #folder = mkdtempSync(join(tmpdir(), 'channel-'));
  sink = new RecordingSink();
  channel!: Channel;
  /** How often the driver has said that its health is another. */
  changes = 0;
  #keys = 0;

  private constructor(account: Account, wrong: Wrong, patience_ms: number) {
    this.account = account;
    this.#wrong = wrong;
    this.#patience_ms = patience_ms;
  }

  /** The driver runs and is connected. */
  static async of(
    subject: ChannelUnderTest,
    wrong: Wrong = (channel) => channel,
    patience_ms = 30_000,
  ): Promise<Scene> {
    const scene = new Scene(await subject.start(), wrong, patience_ms);
    try {
      await scene.open();
    } catch (error) {
      await scene[Symbol.asyncDispose]();
      throw error;
    }
    return scene;
  }

  get capabilities(): ChannelCapabilities {
    return this.channel.capabilities;
  }

  async open(): Promise<void> {
    const log: DriverParts['log'] = (...line) => void this.logs.push(JSON.stringify(line));
    const changed = (): void => {
      this.changes += 1;
    };
    this.channel = this.#wrong(
      this.account.open({ ...this.account.parts, folder: join(this.#folder, 'kept'), log, changed }),
      this.account,
    );
    await this.channel.start(this.sink, this.sink.cursors);
    await this.until('the driver is connected', () => this.channel.health().state === 'connected');
  }

  /** The host ends, and comes again. `dies`: without a commit of what it was given. */
  async restart(how: 'stops' | 'dies'): Promise<void> {
    await this.halt(how);
    await this.open();
  }

  async halt(how: 'stops' | 'dies' = 'stops'): Promise<void> {
    if (how === 'dies') this.sink.die();
    this.sink.release();
    await this.channel.stop();
    this.sink = this.sink.successor();
  }

  async until(what: string, holds: () => boolean | Promise<boolean>): Promise<void> {
    const check = async (): Promise<void> => {
      if (!(await holds())) throw new Error('not yet');
    };
    await until(what, check, this.#patience_ms);
  }

  /** So long that what must not happen would have happened. */
  quiet(): Promise<void> {
    return sleep(QUIET_MS);
  }

  /** `body` is in the dialect. */
  send(place: PlaceName, body: string, more: Partial<SendOperation> = {}): Promise<SendResult> {
    this.#keys += 1;
    const plain = { kind: 'reply', reply_to: null, file: null, key: `key-${this.#keys}` } as const;
    return this.channel.send({ ...this.account.place(place), body, ...plain, ...more });
  }

  /** As `send`, which must succeed; resolves with the receipt. */
  async sent(place: PlaceName, body: string, more: Partial<SendOperation> = {}): Promise<string> {
    return receiptOf(await this.send(place, body, more));
  }

  file(name: string, data: Buffer): OutgoingFile {
    const sha256 = createHash('sha256').update(data).digest('hex');
    const path = join(this.#folder, sha256);
    writeFileSync(path, data);
    return { id: 'o1', name, type: sniffType(data), bytes: data.length, sha256, path };
  }

  async webhook(request: WebhookRequest): Promise<WebhookAnswer> {
    return this.channel.webhook!(request);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.sink.die();
    this.sink.release();
    await this.channel?.stop();
    await this.account.stop();
    remove(this.#folder);
  }
}

export function receiptOf(result: SendResult): string {
  structuredClone(result);
  if (!result.ok) throw new Error(`not sent: ${result.class}: ${result.reason}`);
  return result.receipt;
}

export function refusalOf(result: SendResult): Extract<SendResult, { ok: false }> {
  structuredClone(result);
  if (result.ok) throw new Error('it was sent');
  return result;
}
