import { type AuthenticationCreds, type BinaryNode, jidDecode } from './baileys.ts';
import { type Heard, type Hub, Line, type Stanza } from './connection.ts';
import { type Listener, listen } from './listener.ts';
import { Identity } from './noise.ts';
import type { Phone } from './phone.ts';

/**
 * WhatsApp's server on this machine, for one linked device, as the wire has it: the real Baileys connects to it. What somebody's phone
 * has encrypted waits here until the device says that it has come; what the device encrypts goes to the phones, which read it.
 */
export class WhatsappServer implements Hub {
  readonly identity = new Identity();
  /** Of the device: what WhatsApp knows of it. */
  readonly creds: AuthenticationCreds;
  readonly waiting: Stanza[] = [];
  /** What phones have read, each time that it came. */
  readonly heard: Heard[] = [];
  /** Messages that the device said have come, in that order. */
  readonly receipts: string[] = [];
  /** Messages that the device could not read, and asked for again. */
  readonly retries: string[] = [];
  /** What phones could not read, each time; and by phone and message, how they ask for it until they have read it. */
  readonly unreadable: string[] = [];
  readonly unread = new Map<string, BinaryNode>();
  /** What the device said that WhatsApp does not know. */
  readonly faults: string[] = [];
  readonly typing: string[] = [];
  connections = 0;
  /** Called for each receipt before anything else is; `lost`: it never came. */
  onReceipt: (id: string) => 'came' | 'lost' = () => 'came';
  #listener: Listener | null = null;
  #line: Line | null = null;
  readonly #phones = new Map<string, Phone>();
  #port = 0;
  #next = 1;

  constructor(creds: AuthenticationCreds) {
    this.creds = creds;
  }

  async start(): Promise<void> {
    this.#listener = await listen(this.#port);
    this.#port = this.#listener.address().port;
    this.#listener.on('connection', (client) => new Line(this, client));
  }

  /** As the setting `server` of the driver. */
  get address(): string {
    return `ws://127.0.0.1:${this.#port}/`;
  }

  get isOpen(): boolean {
    return this.#line !== null;
  }

  async add(phone: Phone): Promise<void> {
    await phone.knows(this.creds);
    for (const jid of [phone.who.jid, phone.who.lid]) this.#phones.set(jidDecode(jid)!.user, phone);
  }

  readonly phoneOf = (jid: string): Phone | null => {
    const { user = '', device } = jidDecode(jid) ?? {};
    return (device ?? 0) === 0 ? (this.#phones.get(user) ?? null) : null;
  };

  /** Somebody writes; it waits until the device has it. Resolves with the message's id. */
  async say(from: Phone, text: string): Promise<string> {
    const stanza = await this.written(from, text);
    this.post(stanza);
    return stanza.id;
  }

  /** What they have encrypted, and their phone has not given to WhatsApp yet. */
  async written(from: Phone, text: string): Promise<Stanza> {
    const id = `AC${String(this.#next++).padStart(18, '0')}`;
    return { id, from, text, node: await from.writes(id, text) };
  }

  post(stanza: Stanza): void {
    this.waiting.push(stanza);
    this.#line?.deliver(stanza);
  }

  /** The connection ends without a word. */
  cut(): void {
    this.#line?.cut();
  }

  /** Nobody can connect until it has been started again. */
  close(): void {
    this.#listener?.close();
    this.#listener = null;
    this.cut();
  }

  /** A new one takes the place of another. */
  opened(line: Line): void {
    this.connections += 1;
    this.#line?.replace();
    this.#line = line;
  }

  closed(line: Line): void {
    if (this.#line === line) this.#line = null;
  }

  came(id: string): void {
    if (this.onReceipt(id) === 'lost') return;
    this.receipts.push(id);
    this.#forget(id);
  }

  passed(id: string, error: string | undefined): void {
    if (!(error === '500' && this.retries.includes(id))) this.#forget(id);
  }

  /** Their phone encrypts it once more, under the same id. */
  async again(id: string, asked: BinaryNode): Promise<void> {
    this.retries.push(id);
    const stanza = this.#forget(id);
    if (stanza === undefined) return void this.faults.push(`asked again for ${id}, which is gone`);
    this.post({ ...stanza, node: await stanza.from.writesAgain(id, stanza.text, asked) });
  }

  #forget(id: string): Stanza | undefined {
    const at = this.waiting.findIndex((stanza) => stanza.id === id);
    return at < 0 ? undefined : this.waiting.splice(at, 1)[0];
  }
}
