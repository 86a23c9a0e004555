import { setTimeout as sleep } from 'node:timers/promises';
import { type AuthenticationCreds, jidNormalizedUser, type WAMessage } from '@whiskeysockets/baileys';
import { renderUnicodeCompact } from 'uqr';
import { messageOf, OperatingError } from '../../base/errors.ts';
import { visible } from '../../base/text.ts';
import type { ChannelHealth, Linking } from '../channel.ts';
import type { DriverParts } from '../kind.ts';
import type { Connect, ConnectParts, Socket } from './connect.ts';
import { type Ending, endingOf, no, type Refusal, statusOf } from './errors.ts';
import type { Me } from './inbox.ts';
import { chatOf } from './jids.ts';
import { isLinked, newCreds, saveCreds, savedCreds } from './keys.ts';
import { RESTARTS_MAX, type Waits } from './limits.ts';
import type { SealedStore } from './store.ts';

export interface LineParts extends Omit<ConnectParts, 'creds'> {
  /** Of the channel. */
  name: string;
  connect: Connect;
  store: SealedStore;
  /** Type of what stays when the device is unlinked: messages that are not committed yet. */
  stays: string;
  /** Where a code is asked for; null: a picture. */
  phone: string | null;
  waits: Waits;
  log: DriverParts['log'];
  /** Health or linking are others than before. */
  changed(): void;
  heard(message: WAMessage): void;
  /** A connection has ended, and what Baileys had not told us of yet is forgotten there. */
  ended(): void;
}

/**
 * The connection to WhatsApp, made again whenever it ends, and the link to an account where there is none. Each start asks once to be
 * linked, for as long as WhatsApp lets the pictures or the code be good; who wants to be asked again begins it anew.
 */
export class Line {
  readonly #parts: LineParts;
  readonly #ended = new AbortController();
  #health: ChannelHealth = { state: 'starting', detail: 'WhatsApp has not answered yet' };
  #linking: Linking | null = null;
  #socket: Socket | null = null;
  #isOpen = false;
  /** Resolves when it is open, or nothing comes of waiting. */
  #opening = Promise.withResolvers<void>();
  /** Nothing comes of waiting. */
  #over: Refusal | null = null;
  #me: Me | null = null;

  constructor(parts: LineParts) {
    this.#parts = parts;
  }

  get health(): ChannelHealth {
    return this.#health;
  }

  get linking(): Linking | null {
    return this.#linking;
  }

  /** Our names on WhatsApp; null: it has not said them yet. */
  get me(): Me | null {
    return this.#me;
  }

  start(): void {
    const saved = savedCreds(this.#parts.store);
    if (saved?.me) this.#me = { id: saved.me.id, lid: saved.me.lid };
    void this.#run();
  }

  async stop(): Promise<void> {
    this.#ended.abort();
    await this.#socket?.end(undefined);
  }

  /** Waits a little for one that is being made. */
  async socket(): Promise<Socket | Refusal> {
    if (!this.#isOpen && this.#over === null) {
      const waited = sleep(this.#parts.waits.connection_ms, undefined, {
        signal: this.#ended.signal,
        ref: false,
      }).catch(() => {});
      await Promise.race([this.#opening.promise, waited]);
    }
    if (this.#isOpen) return this.#socket!;
    return this.#over ?? no('retryable', `WhatsApp cannot be reached: ${this.#health.detail}`);
  }

  /** One connection after the other. */
  async #run(): Promise<void> {
    const { waits } = this.#parts;
    let [wait, restarts] = [waits.first_ms, 0];
    while (!this.#ended.signal.aborted) {
      const { ending, opened, why } = await this.#connection();
      if (this.#ended.signal.aborted) return;
      if (opened) [wait, restarts] = [waits.first_ms, 0];
      if (this.#isOver(ending)) return;
      restarts += 1;
      if (ending === 'restart' && restarts <= RESTARTS_MAX) continue;
      this.#is({ state: 'failed', detail: `${reasonOf(ending, why)}; it is tried again` });
      const pause = ending === 'replaced' ? waits.replaced_ms : ending === 'outdated' ? waits.max_ms : wait;
      await sleep(pause, undefined, { signal: this.#ended.signal, ref: false }).catch(() => {});
      wait = Math.min(wait * 2, waits.max_ms);
    }
  }

  /** Whether a person has to do something first. */
  #isOver(ending: Ending): boolean {
    const { name, store, stays } = this.#parts;
    const again = `glass channel link ${name}`;
    switch (ending) {
      case 'unlinked':
        store.clearBut(stays);
        return this.#end(`WhatsApp has unlinked this device, on the phone or for good: link it again with "${again}"`);
      case 'unscanned':
        return this.#end(`it is not linked to an account: "${again}" shows what to scan or to type`);
      case 'banned':
        return this.#end(`WhatsApp has locked this account: its app on the phone says why; then "${again}"`);
      default:
        return false;
    }
  }

  #end(detail: string): true {
    this.#over = no('auth', detail);
    this.#opening.resolve();
    this.#is({ state: 'failed', detail }, { over: true });
    return true;
  }

  /** From its beginning to its end. */
  #connection(): Promise<{ ending: Ending; opened: boolean; why: string }> {
    const { store, connect, heard, log, stays } = this.#parts;
    const saved = savedCreds(store);
    // What an account or a try before this one has left.
    if (saved === null) store.clearBut(stays);
    const creds = saved ?? newCreds();
    let [asked, opened] = [false, false];
    const socket = connect({ ...this.#parts, creds });
    this.#socket = socket;
    return new Promise((resolve) => {
      socket.ev.on('creds.update', (update) => {
        Object.assign(creds, update);
        if (isLinked(creds)) this.#save(creds, socket);
      });
      socket.ev.on('messages.upsert', ({ messages }) => messages.forEach(heard));
      socket.ev.on('connection.update', ({ connection, qr, lastDisconnect, reachoutTimeLock }) => {
        if (reachoutTimeLock?.isActive) log('warn', 'whatsapp-linked.restricted');
        if (qr !== undefined && !isLinked(creds)) {
          this.#ask(qr, asked, socket);
          asked = true;
        }
        if (connection === 'open') {
          opened = true;
          this.#opened(socket);
        }
        if (connection !== 'close') return;
        this.#closed();
        const error = lastDisconnect?.error;
        const status = statusOf(error);
        const why = error instanceof OperatingError ? error.message : `${status ?? 'no reason given'}`;
        resolve({ ending: endingOf(status, isLinked(creds), asked), opened, why });
      });
    });
  }

  #save(creds: AuthenticationCreds, socket: Socket): void {
    try {
      saveCreds(this.#parts.store, creds);
    } catch (error) {
      this.#parts.log('warn', 'whatsapp-linked.not_saved', { reason: messageOf(error) });
      void socket.end(error instanceof Error ? error : undefined);
    }
  }

  /** A picture is good for a minute at most and then another one comes; a code for as long as the connection. */
  #ask(qr: string, asked: boolean, socket: Socket): void {
    const { phone, log } = this.#parts;
    if (phone === null) {
      const picture = renderUnicodeCompact(qr, { border: 2 });
      return this.#is({ state: 'starting', detail: 'it waits to be linked: scan the picture' }, { qr, picture });
    }
    if (asked) return;
    socket
      .requestPairingCode(phone)
      .then((code) => this.#is({ state: 'starting', detail: 'it waits to be linked: type the code' }, { code }))
      .catch((error) => {
        log('warn', 'whatsapp-linked.no_code', { reason: messageOf(error) });
        void socket.end(error);
      });
  }

  #opened(socket: Socket): void {
    const { id = '', lid, name = '' } = socket.user ?? {};
    this.#me = { id, lid };
    this.#isOpen = true;
    this.#opening.resolve();
    this.#is({ state: 'connected', detail: visible(`+${chatOf(id)} ${name === '~' ? '' : name}`.trim()) });
  }

  #closed(): void {
    if (this.#isOpen) this.#opening = Promise.withResolvers();
    this.#isOpen = false;
    this.#linking = null;
    this.#parts.ended();
  }

  #is(health: ChannelHealth, linking: Linking | null = null): void {
    const before = JSON.stringify([this.#health, this.#linking]);
    this.#health = health;
    this.#linking = linking;
    if (JSON.stringify([health, linking]) !== before) this.#parts.changed();
  }
}

function reasonOf(ending: Ending, why: string): string {
  switch (ending) {
    case 'replaced':
      return 'another program uses this device’s keys: stop it';
    case 'outdated':
      return 'WhatsApp does not speak with this version any more: update GlassClaw';
    default:
      return `the connection to WhatsApp ended (${why})`;
  }
}

/** Both of our names without the device. */
export function namesOf(me: Me | null): string[] {
  return [me?.id, me?.lid].flatMap((jid) => (jid ? jidNormalizedUser(jid) : []));
}
