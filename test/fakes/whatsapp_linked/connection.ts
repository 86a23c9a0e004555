import { type Moment, moment } from '../moment.ts';
import { answerTo, DEVICE, node } from './answers.ts';
import {
  type AuthenticationCreds,
  type BinaryNode,
  decodeBinaryNode,
  encodeBinaryNode,
  getBinaryNodeChild,
  getBinaryNodeChildren,
  jidDecode,
  normalizeMessageContent,
  type WAProto,
} from './baileys.ts';
import type { Client } from './listener.ts';
import { type Identity, ServerNoise } from './noise.ts';
import type { Phone } from './phone.ts';
import { NUMBER, OWN_LID } from './world.ts';

/** What the server has for the device. */
export interface Stanza {
  id: string;
  from: Phone;
  text: string;
  node: BinaryNode;
}

export interface Heard {
  by: Phone;
  id: string;
  text: string;
  /** When the server got it. */
  at: Moment;
}

/** What all connections share. */
export interface Hub {
  readonly identity: Identity;
  readonly creds: AuthenticationCreds;
  readonly waiting: readonly Stanza[];
  readonly heard: Heard[];
  readonly unread: Map<string, BinaryNode>;
  readonly unreadable: string[];
  readonly faults: string[];
  readonly typing: string[];
  readonly phoneOf: (jid: string) => Phone | null;
  opened(line: Line): void;
  closed(line: Line): void;
  /** The device says that it has a message. */
  came(id: string): void;
  /** It passes over it: it had it before, or it has asked for it again. */
  passed(id: string, error: string | undefined): void;
  /** It could not read it. */
  again(id: string, asked: BinaryNode): Promise<void>;
}

/** One connection of the device, from its first byte. */
export class Line {
  readonly #server: Hub;
  readonly #client: Client;
  readonly #noise: ServerNoise;
  /** One frame after the other, and one message after the other to the phones. */
  #reading: Promise<unknown> = Promise.resolve();
  #posting: Promise<unknown> = Promise.resolve();
  #isClosed = false;
  /** What had waited is sent; what comes goes through at once. */
  #isLive = false;

  constructor(server: Hub, client: Client) {
    this.#server = server;
    this.#client = client;
    this.#noise = new ServerNoise(server.identity);
    client.on('message', (bytes) => this.#take(bytes));
    client.on('close', () => this.cut());
  }

  deliver(stanza: Stanza): void {
    if (this.#isLive) this.#send(stanza.node);
  }

  replace(): void {
    this.#send(node('stream:error', {}, [node('conflict', { type: 'replaced' })]));
    this.cut();
  }

  cut(): void {
    this.#isClosed = true;
    this.#client.terminate();
    this.#server.closed(this);
  }

  #send(given: BinaryNode): void {
    if (!this.#isClosed) this.#client.send(this.#noise.sealed(encodeBinaryNode(given)));
  }

  #take(bytes: Buffer): void {
    if (this.#isClosed) return;
    try {
      const { reply, login, frames } = this.#noise.take(bytes);
      for (const bytes of reply) this.#client.send(bytes);
      if (login !== null) this.#login(login.key, login.payload);
      for (const frame of frames) this.#reading = this.#reading.then(() => this.#read(frame));
    } catch (error) {
      this.#server.faults.push(`what it wrote cannot be read: ${String(error)}`);
      this.cut();
    }
  }

  #login(key: Buffer, { username, device }: WAProto.ClientPayload): void {
    const { creds } = this.#server;
    const isOurs = key.equals(creds.noiseKey.public) && String(username) === NUMBER && device === DEVICE;
    if (!isOurs) {
      this.#send(node('failure', { reason: '401' }));
      return this.cut();
    }
    this.#server.opened(this);
    this.#send(node('success', { t: seconds(), lid: OWN_LID.replace('@', `:${DEVICE}@`), creation: seconds() }));
  }

  async #read(frame: Buffer): Promise<void> {
    try {
      const given = await decodeBinaryNode(frame);
      if (!this.#isClosed) this.#heard(given);
    } catch (error) {
      this.#server.faults.push(String(error));
    }
  }

  #heard(given: BinaryNode): void {
    const { tag, attrs, content } = given;
    switch (tag) {
      case 'iq':
        return this.#asked(given);
      case 'message':
        return this.#said(given);
      case 'receipt': {
        const ids = [attrs['id']!, ...getBinaryNodeChildren(getBinaryNodeChild(given, 'list'), 'item').map(idOf)];
        for (const id of ids) void (attrs['type'] === 'retry' ? this.#server.again(id, given) : this.#server.came(id));
        return this.#send(node('ack', { class: 'receipt', id: attrs['id']!, from: attrs['to']! }));
      }
      case 'ib':
        if (getBinaryNodeChild(given, 'offline_batch')) this.#sendWaiting();
        return;
      case 'chatstate':
        return void this.#server.typing.push(`${attrs['to']} ${Array.isArray(content) ? content[0]?.tag : ''}`);
      case 'ack':
        return attrs['class'] === 'message' ? this.#server.passed(attrs['id']!, attrs['error']) : undefined;
      case 'presence':
        return;
      default:
        this.#server.faults.push(`it said <${tag}>`);
    }
  }

  /** As WhatsApp, it begins with what has waited when the device says that it is ready. */
  #asked(given: BinaryNode): void {
    const { id, xmlns } = given.attrs;
    const content = answerTo(given, this.#server.phoneOf);
    const attrs = { id: id!, from: 's.whatsapp.net' };
    if (content === null) {
      this.#server.faults.push(`it asked for ${JSON.stringify(given).slice(0, 300)}`);
      const error = node('error', { code: '501', text: 'feature-not-implemented' });
      return this.#send(node('iq', { ...attrs, type: 'error' }, [error]));
    }
    this.#send(node('iq', { ...attrs, type: 'result' }, content));
    if (xmlns !== 'passive') return;
    const count = `${this.#server.waiting.length}`;
    if (count === '0') this.#sendWaiting();
    else this.#send(node('ib', {}, [node('offline_preview', { count, message: count })]));
  }

  #sendWaiting(): void {
    const { waiting } = this.#server;
    for (const { node: stanza } of waiting) this.#send({ ...stanza, attrs: { ...stanza.attrs, offline: '0' } });
    this.#send(node('ib', {}, [node('offline', { count: `${waiting.length}` })]));
    this.#isLive = true;
    for (const asking of this.#server.unread.values()) this.#send(asking);
  }

  #said(given: BinaryNode): void {
    const { id, to } = given.attrs;
    const at = moment();
    this.#send(node('ack', { class: 'message', id: id!, from: to!, t: seconds() }));
    const parts = getBinaryNodeChildren(getBinaryNodeChild(given, 'participants'), 'to');
    for (const part of parts) this.#posting = this.#posting.then(() => this.#post({ id: id!, to: to!, at }, part));
  }

  /** A phone that has read it before passes over it; one that cannot asks for it again. */
  async #post({ id, to, at }: { id: string; to: string; at: Moment }, part: BinaryNode): Promise<void> {
    const { heard, unread, faults, phoneOf } = this.#server;
    const jid = part.attrs['jid']!;
    const by = phoneOf(jid);
    if (by === null) return void faults.push(`${id} is for ${jid}, and there is no such device`);
    const name = `${by.who.jid} ${id}`;
    const isOwn = jidDecode(jid)!.user === NUMBER;
    try {
      const text = textOf(await by.reads(getBinaryNodeChild(part, 'enc')!));
      unread.delete(name);
      if (heard.some((each) => each.by === by && each.id === id)) return;
      heard.push({ by, id, text, at });
      if (!isOwn) this.#send(node('receipt', { id, from: jid, t: seconds() }));
    } catch (error) {
      this.#server.unreadable.push(`${name}: ${String(error)}`);
      const asking = by.asksAgain(id, isOwn ? to : undefined);
      unread.set(name, asking);
      if (this.#isLive) this.#send(asking);
    }
  }
}

function textOf(message: WAProto.IMessage): string {
  const said = normalizeMessageContent(message.deviceSentMessage?.message ?? message);
  return said?.conversation || said?.extendedTextMessage?.text || '';
}

function idOf({ attrs }: BinaryNode): string {
  return attrs['id']!;
}

function seconds(): string {
  return `${Math.floor(Date.now() / 1000)}`;
}
