import { EventEmitter } from 'node:events';
import { readFileSync } from 'node:fs';
import type { ConnectParts, Socket } from '../../../src/channels/whatsapp-linked/connect.ts';
import {
  type BaileysEventEmitter,
  type BaileysEventMap,
  Boom,
  cleanMessage,
  DisconnectReason,
  decodeMessageNode,
  encodeWAMessage,
  type GroupMetadata,
  generateWAMessage,
  type MediaType,
  type WAMessage,
  type WAMessageKey,
  WAProto,
} from './baileys.ts';
import { type Connection, type FakeWhatsapp, linkedCreds, type Stanza } from './world.ts';

type Send = Socket['sendMessage'];

/**
 * A connection as Baileys gives one: the same events and calls, and, as it does, a message is decrypted and kept, then WhatsApp is told
 * that it has come, then we are. It never waits for us.
 */
export class FakeSocket implements Socket, Connection {
  readonly ev: BaileysEventEmitter;
  readonly parts: ConnectParts;
  readonly #world: FakeWhatsapp;
  readonly #acks = new Map<string, PromiseWithResolvers<unknown>>();
  #isPumping = false;
  #isClosed = false;
  isOpen = false;

  constructor(world: FakeWhatsapp, parts: ConnectParts) {
    this.#world = world;
    this.parts = parts;
    this.ev = new EventEmitter() as unknown as BaileysEventEmitter;
    // Baileys' own listener comes before ours.
    this.ev.on('creds.update', (update) => void Object.assign(parts.creds, update));
    setImmediate(() => this.#begin());
  }

  get user(): Socket['user'] {
    return this.parts.creds.me;
  }

  /** As the server ends it. */
  close(status: number): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.isOpen = false;
    this.#world.unlinked.delete(this);
    if (this.#world.current === this) this.#world.current = null;
    const error = new Boom('Connection Closed', { statusCode: status });
    for (const ack of this.#acks.values()) ack.reject(error);
    this.#tell('connection.update', { connection: 'close', lastDisconnect: { error, date: new Date() } });
  }

  /** What comes when the phone has scanned it. */
  paired(): void {
    this.#tell('creds.update', linkedCreds(this.parts.creds));
    this.#tell('connection.update', { isNewLogin: true });
    this.close(DisconnectReason.restartRequired);
  }

  ask(qr: string): void {
    this.#tell('connection.update', { qr });
  }

  received(key: WAMessageKey): void {
    const { DELIVERY_ACK, READ } = WAProto.WebMessageInfo.Status;
    for (const status of [DELIVERY_ACK, READ]) this.#tell('messages.update', [{ key, update: { status } }]);
  }

  async end(_error: Error | undefined): Promise<void> {
    this.close(DisconnectReason.connectionClosed);
  }

  async requestPairingCode(): Promise<string> {
    return 'AB12CD34';
  }

  readonly sendMessage: Send = async (jid, content, options = {}) => {
    this.#alive();
    const made = await generateWAMessage(jid, content, {
      userJid: this.user!.id,
      upload: (path, { mediaType }) => this.#upload(path, mediaType),
      ...options,
    });
    this.#alive();
    const fault = this.#world.faults.shift();
    if (typeof fault !== 'number') this.#post(jid, made);
    if (fault === 'cut') this.close(DisconnectReason.connectionClosed);
    else {
      const attrs = { class: 'message', id: made.key.id!, ...(fault !== undefined && { error: String(fault) }) };
      this.#acks.get(made.key.id!)?.resolve({ tag: 'ack', attrs });
    }
    return made;
  };

  async waitForMessage<T>(id: string): Promise<T | undefined> {
    const ack = Promise.withResolvers<unknown>();
    this.#acks.set(id, ack);
    return ack.promise.finally(() => this.#acks.delete(id)) as Promise<T>;
  }

  readonly sendPresenceUpdate: Socket['sendPresenceUpdate'] = async (type, jid) => {
    this.#alive();
    if (type === 'composing') this.#world.typing.push(jid!);
  };

  async groupMetadata(jid: string): Promise<GroupMetadata> {
    this.#alive();
    const group = this.#world.groups.get(jid);
    if (group === undefined) throw new Boom('item-not-found', { statusCode: 404 });
    return { id: jid, owner: undefined, ...group } as GroupMetadata;
  }

  async onWhatsApp(...jids: string[]): Promise<{ jid: string; exists: boolean }[]> {
    this.#alive();
    return jids.filter((jid) => this.#world.numbers.has(jid.split('@')[0]!)).map((jid) => ({ jid, exists: true }));
  }

  /** What waits is handed over, one after the other. */
  async pump(): Promise<void> {
    if (this.#isPumping) return;
    this.#isPumping = true;
    while (this.isOpen && this.#world.waiting.length > 0) {
      const [stanza] = this.#world.waiting;
      try {
        const message = await this.#decrypted(stanza!);
        if (!this.isOpen) break;
        this.#world.waiting.shift();
        if (!this.#world.isGathering) this.#tell('messages.upsert', { messages: [message], type: 'notify' });
      } catch {
        this.#world.waiting.shift();
      }
    }
    this.#isPumping = false;
  }

  /** In the driver's hands is what Baileys puts there: the write that moves a session on, with the message in it. */
  async #decrypted({ attrs, message, ciphertext }: Stanza): Promise<WAMessage> {
    const { inbox, keys } = this.parts;
    const { id: me, lid = '' } = this.user!;
    const id = inbox.idOf(ciphertext);
    let plain = inbox.plain(id);
    if (plain === null) {
      await inbox.room();
      plain = encodeWAMessage(message);
      keys.set({ session: { [attrs['from']!]: ciphertext }, ...inbox.entry(id, attrs, plain, { id: me, lid }) });
    }
    const { fullMessage } = decodeMessageNode({ tag: 'message', attrs }, me, lid);
    const decoded = WAProto.Message.decode(plain.subarray(0, plain.length - plain[plain.length - 1]!));
    const made: WAMessage = { ...fullMessage, message: decoded.deviceSentMessage?.message ?? decoded };
    cleanMessage(made, me, lid);
    return made;
  }

  #begin(): void {
    const world = this.#world;
    world.connections += 1;
    if (this.#isClosed) return;
    if (world.isOffline) return this.close(DisconnectReason.connectionLost);
    if (!this.parts.creds.account) {
      world.unlinked.add(this);
      return this.ask(`2@${'x'.repeat(200)},first`);
    }
    if (world.isUnlinked) return this.close(DisconnectReason.loggedOut);
    if (world.isTaken) return this.close(DisconnectReason.connectionReplaced);
    world.current?.close(DisconnectReason.connectionReplaced);
    world.current = this;
    this.isOpen = true;
    this.#tell('connection.update', { connection: 'open' });
    void this.pump();
  }

  #alive(): void {
    if (!this.isOpen) throw new Boom('Connection Closed', { statusCode: DisconnectReason.connectionClosed });
  }

  async #upload(path: string, mediaType: MediaType) {
    const directPath = `/up/${this.#world.id()}`;
    const mediaUrl = `https://mmg.whatsapp.net${directPath}`;
    this.#world.files.set(mediaUrl, readFileSync(path));
    return { mediaUrl, directPath, meta_hmac: mediaType };
  }

  /** Edits and reactions change what is there, as they do on a phone. */
  #post(jid: string, { key, message }: WAMessage): void {
    const { posted, reactions } = this.#world;
    const { protocolMessage, reactionMessage } = message!;
    if (protocolMessage) {
      const target = posted.find((each) => each.key.id === protocolMessage.key!.id);
      if (target) target.message = protocolMessage.editedMessage!;
    } else if (reactionMessage)
      reactions.set(reactionMessage.key!.id!, { key: reactionMessage.key!, emoji: reactionMessage.text! });
    else posted.push({ jid, key, message: message! });
  }

  #tell<T extends keyof BaileysEventMap>(event: T, value: BaileysEventMap[T]): void {
    this.ev.emit(event, value);
  }
}
