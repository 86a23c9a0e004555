import { readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { isMap, parseDocument } from 'yaml';
import type { Clock } from '../base/clock.ts';
import { type ChannelConfig, type InstallConfig, parseInstall } from '../base/config.ts';
import { messageOf, OperatingError } from '../base/errors.ts';
import type { Faults } from '../base/faults.ts';
import { shortHash } from '../base/ids.ts';
import type { Log } from '../base/log.ts';
import { isComplete } from '../base/packages.ts';
import type { Paths } from '../base/paths.ts';
import { writeWhole } from '../base/whole_file.ts';
import type { Channel, ChannelHealth, Linking, Sink } from '../channels/channel.ts';
import type { ChannelKind } from '../channels/kind.ts';
import { driverPackages, readSettings } from '../channels/kinds.ts';
import { SupervisedChannel } from '../channels/supervised.ts';
import { Webhooks } from '../channels/webhooks.ts';
import { recordEvent } from '../ledger/events.ts';
import type { Ledger } from '../ledger/ledger.ts';
import { COMMANDS } from '../router/commands.ts';
import type { Intake } from '../router/intake.ts';
import { type TestHow, type TestStep, testChannel } from './channel_test.ts';
import { takeReceipt } from './receipts.ts';
import { countUnreadable, keepUnreadable, type UnreadableRow, unreadableOf } from './unreadable.ts';

/**
 * The channels of an install: `local`, and those of `glass.yaml`, whose drivers run in threads. One that is added begins at
 * once; one whose block is wrong, whose packages or token are missing, is told of, and the others go on.
 */
export interface ChannelsInput {
  paths: Paths;
  install: InstallConfig;
  kinds: readonly ChannelKind[];
  ledger: Ledger;
  clock: Clock;
  log: Log;
  faults: Faults;
  /** All that exist, by name: those of this class are put in and taken out. */
  channels: Map<string, Channel>;
  /** A channel's token. Rejects with `OperatingError`. */
  release(secret: string): Promise<string>;
  deliver(chat: number): void;
  alert(kind: string, subject: string, text: string): void;
  clear(kind: string, subject: string): void;
}

export interface ChannelShown extends ChannelHealth {
  name: string;
  kind: string;
  /** Events that are kept because nobody could read them. */
  unreadable: number;
}

export interface ChannelShownAlone extends ChannelShown {
  /** What a person's phone is to scan or to be told now; shown here alone, and kept nowhere. */
  linking: Linking | null;
}

export class Channels {
  readonly webhooks: Webhooks;
  readonly #input: ChannelsInput;
  readonly #supervised = new Map<string, SupervisedChannel>();
  /** By channel, the names of the secrets that its driver was given last. */
  readonly #released = new Map<string, string[]>();
  /** By channel, hashes of the tokens that it has and no other of its kind may have. */
  readonly #tokens = new Map<string, string[]>();
  #intake: Intake | null = null;

  /** Throws `OperatingError('config')` for a block that its kind refuses. */
  constructor(input: ChannelsInput) {
    this.#input = input;
    this.webhooks = new Webhooks({ ...input, listen: input.install.webhooks.listen });
    for (const [name, block] of Object.entries(input.install.channels)) this.#make(name, block);
  }

  /** Starts all of them; never rejects. */
  async start(intake: Intake): Promise<void> {
    this.#intake = intake;
    for (const channel of this.#input.channels.values()) await this.#start(channel, intake);
    // That an earlier host could not listen is over when nobody needs it any more.
    if (this.#supervised.size === 0) this.webhooks.remove('');
  }

  /** All of them, after the last send. */
  async stop(): Promise<void> {
    this.webhooks.close();
    await Promise.all([...this.#input.channels.values()].map((channel) => channel.stop()));
  }

  /** The set of secrets has changed: who waits for a token tries again. */
  secretsChanged(): void {
    for (const channel of this.#supervised.values()) channel.retry();
  }

  list(): ChannelShown[] {
    return [...this.#input.channels.values()].map((channel) => {
      const health = channel.health();
      const unreadable = countUnreadable(this.#input.ledger.db, channel.name);
      return { name: channel.name, kind: health.seen?.kind ?? channel.name, unreadable, ...health };
    });
  }

  /** Names of the secrets that the host's thread of a channel works with; none of one that needs none, or never began. */
  secretsOf(name: string): string[] {
    return this.#released.get(name) ?? [];
  }

  /** Throws `not_found`. */
  show(name: string): ChannelShownAlone {
    const found = this.list().find((channel) => channel.name === name);
    if (found === undefined)
      throw new OperatingError('not_found', `there is no channel "${name}"`, 'glass channel list shows them');
    return { ...found, linking: this.#supervised.get(name)?.linking() ?? null };
  }

  /** What of a channel could not be read, the newest first. Throws `not_found`. */
  unreadable(name: string): UnreadableRow[] {
    this.show(name);
    return unreadableOf(this.#input.ledger.db, name);
  }

  /** Writes it into `glass.yaml` and begins. Throws `config` for settings that its kind refuses, `conflict` for a name that is taken. */
  async add(name: string, block: ChannelConfig): Promise<ChannelShownAlone> {
    const { channels, ledger, clock, paths } = this.#input;
    if (channels.has(name))
      throw new OperatingError('conflict', `there is a channel "${name}" already`, `glass channel remove ${name}`);
    readSettings(this.#input.kinds, name, block);
    // Of a channel of that name whose removal a crash cut short, or that was taken out of the file by hand.
    this.#forget(name);
    this.#edit((document) => document.setIn(['channels', name], document.createNode(block)));
    const channel = this.#make(name, block);
    await ledger.write('channel_add', (db) =>
      recordEvent(db, clock, 'channel.added', {}, { channel: name, kind: block.kind, file: paths.config }),
    );
    if (this.#intake !== null) await this.#start(channel, this.#intake);
    return this.show(name);
  }

  /** Ends it, takes it out of `glass.yaml` and its folder off the disk. What is in the ledger stays; what still waits for it waits. */
  async remove(name: string): Promise<void> {
    const { channels, ledger, clock, clear } = this.#input;
    const channel = this.#supervised.get(name);
    if (channel === undefined) {
      this.show(name);
      throw new OperatingError('usage', `the channel ${name} is not in glass.yaml and cannot be removed`);
    }
    this.#edit((document) => {
      document.deleteIn(['channels', name]);
      // The last one leaves the file as it was before the first.
      const left = document.get('channels');
      if (isMap(left) && left.items.length === 0) document.delete('channels');
    });
    channels.delete(name);
    this.#supervised.delete(name);
    this.#tokens.delete(name);
    this.webhooks.remove(name);
    await channel.stop();
    this.#forget(name);
    for (const kind of ['channel.deaf', 'channel.unproven']) clear(kind, name);
    await ledger.write('channel_remove', (db) => recordEvent(db, clock, 'channel.removed', {}, { channel: name }));
  }

  /** Begins anew at once a channel that is not well. Throws `not_found`. */
  retry(name: string): void {
    this.show(name);
    this.#supervised.get(name)?.retry();
    this.webhooks.retry();
  }

  /** Steps of trying one, with a person at its other end. Throws `not_found`. */
  test(name: string, how: TestHow): (tell: (step: TestStep) => void, gone: Promise<void>) => Promise<void> {
    this.retry(name);
    const channel = this.#input.channels.get(name)!;
    return (tell, gone) => testChannel({ ...this.#input, channel }, how, tell, gone);
  }

  /** What it kept. */
  #forget(name: string): void {
    rmSync(join(this.#input.paths.channels, name), { recursive: true, force: true });
  }

  #make(name: string, block: ChannelConfig): SupervisedChannel {
    const { kinds, clock, log, faults, alert, clear, channels, paths } = this.#input;
    const { kind, settings } = readSettings(kinds, name, block);
    const channel = new SupervisedChannel({
      ...{ name, kind, settings, clock, log, faults, alert, clear },
      folder: join(paths.channels, name),
      secrets: () => this.#secretsOf(name, kind, settings),
      began: (channel, http) => (http ? this.webhooks.add(channel) : this.webhooks.remove(name)),
      webhooks: () => this.webhooks.deaf,
    });
    this.#supervised.set(name, channel);
    channels.set(name, channel);
    return channel;
  }

  async #start(channel: Channel, intake: Intake): Promise<void> {
    const { name } = channel;
    const { alert, clear, log } = this.#input;
    try {
      await channel.start({ ...intake.sinkOf(name), ...this.#besides(name) }, intake.cursorsOf(name));
    } catch (error) {
      return alert('channel.start', name, `The channel ${name} could not start: ${messageOf(error)}`);
    }
    clear('channel.start', name);
    // A menu that is not shown costs nobody a command; a platform that does not answer must not hold up the start.
    const commands = COMMANDS.map(({ name, summary }) => ({ name, summary }));
    channel.menu?.(commands).catch((error) => log.warn('channel.menu', { channel: name, reason: messageOf(error) }));
  }

  /** What a driver says that is no message, nor about one. */
  #besides(name: string): Pick<Sink, 'unreadable' | 'receipt'> {
    const { ledger, clock } = this.#input;
    return {
      receipt: (receipt) => takeReceipt(this.#input, name, receipt),
      unreadable: (event) => ledger.write('unreadable', (db) => keepUnreadable(db, clock.now(), name, event)),
    };
  }

  /** Rejects with what is missing and what to do about it. */
  async #secretsOf(
    name: string,
    kind: ChannelKind,
    settings: Record<string, unknown>,
  ): Promise<Record<string, string>> {
    const { paths, release } = this.#input;
    const packages = driverPackages(paths.root, kind);
    if (packages !== null && !isComplete(packages.folder))
      throw new Error(`its packages are not installed: ${packages.command}`);
    const values: [string, string][] = [];
    for (const { name: part, optional } of kind.secrets) {
      const secret = `${name}-${part}`;
      try {
        values.push([part, await release(secret)]);
      } catch (error) {
        if (!(error instanceof OperatingError && error.code === 'not_found')) throw error;
        if (optional?.(settings) !== true)
          throw new Error(`its secret is missing: ./glass secret set ${secret} --kind channel`);
      }
    }
    const secrets = Object.fromEntries(values);
    this.#checkAlone(name, kind, secrets);
    this.#released.set(
      name,
      values.map(([part]) => `${name}-${part}`),
    );
    return secrets;
  }

  /** Throws when another channel has a token that one alone may have, and is the first to have it from now on. */
  #checkAlone(name: string, kind: ChannelKind, secrets: Record<string, string>): void {
    const tokens = kind.secrets.flatMap(({ name: part, alone }) =>
      alone === true && secrets[part] !== undefined ? [`${kind.kind} ${shortHash(secrets[part])}`] : [],
    );
    this.#tokens.delete(name);
    for (const [other, theirs] of this.#tokens)
      if (tokens.some((token) => theirs.includes(token)))
        throw new Error(`its token is that of the channel ${other}: each channel needs one of its own`);
    this.#tokens.set(name, tokens);
  }

  /** Comments and order of the operator's file stay. */
  #edit(change: (document: ReturnType<typeof parseDocument>) => void): void {
    const { config } = this.#input.paths;
    const document = parseDocument(readFileSync(config, 'utf8'), { version: '1.2' });
    // An empty file, or one of comments alone.
    if (!isMap(document.contents)) document.contents = parseDocument('{}').contents;
    if (isMap(document.contents)) document.contents.flow = false;
    change(document);
    const text = document.toString({ lineWidth: 0 });
    parseInstall(text, config);
    writeWhole(config, Buffer.from(text), 0o600);
  }
}
