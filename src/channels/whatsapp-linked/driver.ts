import { assert, OperatingError } from '../../base/errors.ts';
import type {
  Channel,
  ChannelCapabilities,
  ChannelHealth,
  EditOperation,
  Linking,
  ReactOperation,
  SendOperation,
  SendResult,
  Sink,
} from '../channel.ts';
import type { DriverParts } from '../kind.ts';
import { type Connect, connectTo } from './connect.ts';
import type { Fetch } from './files.ts';
import { INBOX, Inbox } from './inbox.ts';
import { Incoming } from './incoming.ts';
import { chatOf, isNumber, jidOf } from './jids.ts';
import { numberOfLid, SealedKeys } from './keys.ts';
import { type LinkedSettings, whatsappLinked } from './kind.ts';
import { WAITS, type Waits } from './limits.ts';
import { Line, namesOf } from './line.ts';
import { Outgoing } from './outgoing.ts';
import { type Group, People, shownOf } from './people.ts';
import { Quotable } from './quotable.ts';
import { SealedStore } from './store.ts';

export function open(parts: DriverParts): Channel {
  hush();
  const { server } = parts.settings as LinkedSettings;
  const more = server === undefined ? {} : { waWebSocketUrl: server };
  return new LinkedChannel(parts, { connect: (given) => connectTo(given, more), fetch, waits: WAITS });
}

/** The code that Baileys encrypts with prints sessions, private keys and all; what is printed here is logged. */
function hush(): void {
  for (const level of ['log', 'info', 'warn', 'error', 'debug'] as const) globalThis['console'][level] = () => {};
}

export interface Ways {
  connect: Connect;
  fetch: Fetch;
  waits: Waits;
}

/**
 * One more device of a WhatsApp account. WhatsApp keeps what comes while we are away and sends it when we are back, once; what has come
 * is ours to keep from then on (`inbox.ts`). It knows no history and no look-up, so nothing can be reconciled.
 */
export class LinkedChannel implements Channel {
  readonly name: string;
  readonly capabilities: ChannelCapabilities;
  readonly #parts: DriverParts;
  readonly #ways: Ways;
  readonly #quotable = new Quotable();
  readonly #outgoing: Outgoing;
  #store: SealedStore | null = null;
  #line: Line | null = null;
  #incoming: Incoming | null = null;

  constructor(parts: DriverParts, ways: Ways) {
    this.name = parts.name;
    this.capabilities = whatsappLinked.capabilities(parts.settings);
    this.#parts = parts;
    this.#ways = ways;
    this.#outgoing = new Outgoing({
      quotable: this.#quotable,
      socket: async () => {
        assert(this.#line !== null, 'it has been started');
        return this.#line.socket();
      },
    });
  }

  /** Rejects, and changes nothing, when what it keeps cannot be opened. */
  async start(sink: Sink): Promise<void> {
    const { folder, secrets, settings, name, log, changed } = this.#parts;
    const { connect, fetch, waits } = this.#ways;
    const key = secrets['key'];
    assert(key !== undefined, 'the key is there');
    const store = SealedStore.open(folder, key);
    const inbox = new Inbox(store);
    const people = new People({
      me: () => namesOf(line.me ?? inbox.me),
      numberOf: (lid) => numberOfLid(store, lid),
      group: (jid) => this.#group(jid),
    });
    const number = (): string => chatOf((line.me ?? inbox.me)?.id ?? '');
    const incoming = new Incoming({
      ...{ sink, people, inbox, fetch, waits, log, number, quotable: this.#quotable },
    });
    const line = new Line({
      ...{ name, connect, store, inbox, waits, log, changed, stays: INBOX },
      keys: new SealedKeys(store),
      phone: (settings as LinkedSettings).phone ?? null,
      sentBefore: (sent) => this.#outgoing.sentBefore(sent),
      heard: (message) => incoming.take(message),
      ended: () => incoming.takeLeft(),
    });
    this.#store = store;
    this.#line = line;
    this.#incoming = incoming;
    // It was told to nobody yet, and WhatsApp does not send it again.
    line.start();
    incoming.takeLeft();
  }

  async stop(): Promise<void> {
    this.#incoming?.stop();
    await this.#line?.stop();
    this.#store?.close();
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

  typing(chat: string): Promise<void> {
    return this.#outgoing.typing(chat);
  }

  async openDm(handle: string): Promise<{ platform_id: string; title: string } | null> {
    if (!isNumber(handle)) return null;
    const socket = await this.#line!.socket();
    if ('ok' in socket) throw new OperatingError('unavailable', socket.reason);
    const [found] = (await socket.onWhatsApp(jidOf(handle))) ?? [];
    return found?.exists ? { platform_id: handle, title: shownOf(handle) } : null;
  }

  /** Null while it is not known which account this is. */
  deepLink(code: string): string | null {
    const number = chatOf(this.#line?.me?.id ?? '');
    return isNumber(number) ? `https://wa.me/${number}?text=${encodeURIComponent(`pair ${code}`)}` : null;
  }

  linking(): Linking | null {
    return this.#line?.linking ?? null;
  }

  health(): ChannelHealth {
    return this.#line?.health ?? { state: 'starting', detail: 'not started yet' };
  }

  async #group(jid: string): Promise<Group> {
    const socket = await this.#line!.socket();
    if ('ok' in socket) throw new OperatingError('unavailable', socket.reason);
    const { subject, participants } = await socket.groupMetadata(jid);
    const admins = participants.flatMap(({ id, admin }) => (admin ? id : []));
    return { title: subject, admins };
  }
}
