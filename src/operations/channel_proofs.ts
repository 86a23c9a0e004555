import { randomUUID } from 'node:crypto';
import { placeOf } from '../approvals/places.ts';
import type { Clock } from '../base/clock.ts';
import { messageOf } from '../base/errors.ts';
import { shortHash } from '../base/ids.ts';
import { CHANNEL_PROOF_AGAIN_MS, CHANNEL_PROOF_CALL_MS, CHANNEL_PROOF_MS } from '../base/limits/alerts.ts';
import type { Channel } from '../channels/channel.ts';
import { type ChannelProof, channelProof, putChannelProof } from '../ledger/channel_proofs.ts';
import { chatById } from '../ledger/chats.ts';
import type { Ledger } from '../ledger/ledger.ts';
import { ownersOf } from '../ledger/people.ts';
import { COMMANDS } from '../router/commands.ts';

/**
 * Once a day each channel is proven without a word to anybody: it is connected, and the platform does something for us that
 * leaves no message behind. What that is depends on what the driver has:
 *
 *   typing      an owner's direct chat shows for some seconds that we are busy
 *   history     the platform is asked for a message of ours that there never was
 *   menu        its menu of commands is set again
 *   connection  nothing of these: that it is connected, which for one that polls is an answer of the platform
 */
export interface ChannelProofsParts {
  ledger: Ledger;
  clock: Clock;
  /** Of this install: days begin at other times elsewhere. */
  install: string;
  channels: ReadonlyMap<string, Channel>;
  /** Those that have no platform. */
  without: readonly string[];
  /** False: only when somebody asks for it. */
  daily: boolean;
  alert(kind: string, subject: string, text: string): void;
  clear(kind: string, subject: string): void;
}

const ALERT = 'channel.unproven';

export class ChannelProofs {
  readonly #parts: ChannelProofsParts;
  #busy = false;

  constructor(parts: ChannelProofsParts) {
    this.#parts = parts;
  }

  /** With each sweep: one channel that is due, so that many of them are no storm. Never rejects. */
  async look(): Promise<void> {
    const { ledger, clock, channels, without, daily } = this.#parts;
    if (!daily || this.#busy) return;
    this.#busy = true;
    const names = [...channels.keys()].filter((name) => !without.includes(name));
    try {
      const unknown = names.filter((name) => channelProof(ledger.db, name) === undefined);
      if (unknown.length > 0) await this.#begin(unknown);
      const due = names.find((name) => this.#due(channelProof(ledger.db, name)!) <= clock.now());
      if (due !== undefined) await this.prove(due);
    } catch {
      // A disk that refuses it has alerts of its own; the next sweep looks again.
    } finally {
      this.#busy = false;
    }
  }

  /** Proves one now. Rejects when it cannot be recorded. */
  async prove(name: string): Promise<ChannelProof> {
    const { ledger, clock, channels, alert, clear } = this.#parts;
    const channel = channels.get(name)!;
    const began = clock.monotonic();
    const { how, failure } = await this.#try(channel);
    const ms = Math.round(clock.monotonic() - began);
    const proof: ChannelProof = {
      ...{ channel: name, at_ms: clock.now(), ok: failure === null ? 1 : 0, how, ms },
      detail: failure ?? channel.health().detail,
    };
    await ledger.write('channel_prove', (db) => putChannelProof(db, proof));
    if (failure === null) clear(ALERT, name);
    // Of one that is not connected somebody is told already.
    else if (how !== 'connection')
      alert(ALERT, name, `The channel ${name} is connected, and fails its proof (${how}): ${failure}`);
    return proof;
  }

  /** At its own time of day; an hour after one that failed. */
  #due({ channel, at_ms, ok }: ChannelProof): number {
    if (ok === 0) return at_ms + CHANNEL_PROOF_AGAIN_MS;
    const phase = Number.parseInt(shortHash(`${this.#parts.install} ${channel}`), 16) % CHANNEL_PROOF_MS;
    return Math.ceil((at_ms + 1 - phase) / CHANNEL_PROOF_MS) * CHANNEL_PROOF_MS + phase;
  }

  async #begin(names: string[]): Promise<void> {
    const { ledger, clock } = this.#parts;
    const new_ = { at_ms: clock.now(), ok: null, how: '', detail: '', ms: 0 };
    await ledger.write('channel_unproven', (db) => {
      for (const channel of names) putChannelProof(db, { channel, ...new_ });
    });
  }

  async #try(channel: Channel): Promise<{ how: string; failure: string | null }> {
    const { state, detail } = channel.health();
    if (state !== 'connected') return { how: 'connection', failure: detail };
    const chat = await this.#directChat(channel);
    const { typing, reconcile, menu } = channel;
    if (chat !== null && channel.capabilities.typing === true && typing !== undefined)
      return { how: 'typing', failure: await failureOf(typing.call(channel, chat, '')) };
    if (chat !== null && reconcile !== undefined) {
      const never = {
        chat,
        thread: '',
        body: '',
        kind: 'notice' as const,
        reply_to: null,
        file: null,
        key: randomUUID(),
      };
      return { how: 'history', failure: await failureOf(reconcile.call(channel, never)) };
    }
    if (menu !== undefined) {
      const commands = COMMANDS.map(({ name, summary }) => ({ name, summary }));
      return { how: 'menu', failure: await failureOf(menu.call(channel, commands)) };
    }
    return { how: 'connection', failure: null };
  }

  /** An owner's, on the platform. */
  async #directChat(channel: Channel): Promise<string | null> {
    const { db } = this.#parts.ledger;
    const reach = { channels: new Map([[channel.name, channel]]), operatorChat: 0 };
    const place = await placeOf(db, reach, ownersOf(db), channel.name);
    if (place === null) return null;
    return 'chat' in place ? chatById(db, place.chat)!.platform_id : place.platform_id;
  }
}

/** A driver that does not answer has failed too. */
async function failureOf(work: Promise<unknown>): Promise<string | null> {
  const late = Promise.withResolvers<string>();
  const timer = setTimeout(() => late.resolve('the platform did not answer'), CHANNEL_PROOF_CALL_MS);
  return Promise.race([work.then(() => null, messageOf), late.promise]).finally(() => clearTimeout(timer));
}
