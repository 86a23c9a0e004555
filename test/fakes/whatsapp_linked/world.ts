import { createCipheriv, createHmac, randomBytes } from 'node:crypto';
import type { AuthenticationCreds, BinaryNode, WAMessageKey } from './baileys.ts';
import { getMediaKeys, type MediaType, WAProto } from './baileys.ts';

/** WhatsApp's server, as far as Baileys shows it: what waits for our device, what we have said, who is where. */

export const NUMBER = '15550783881';
export const OWN_LID = '99887766554433@lid';
export const GROUP = '120363000000000001@g.us';

/** What the server has for a device: it forgets it when the device says that it has come. */
export interface Stanza {
  attrs: BinaryNode['attrs'];
  message: WAProto.IMessage;
  /** The same bytes each time that it is sent. */
  ciphertext: Buffer;
}

export interface Posted {
  jid: string;
  key: WAMessageKey;
  message: WAProto.IMessage;
}

/** What a server sees of a device. */
export interface Connection {
  pump(): Promise<void>;
  paired(): void;
  /** Another picture, when the time of one is over. */
  ask(qr: string): void;
  close(status: number): void;
  /** They have it, and have read it. */
  received(key: WAMessageKey): void;
}

export type Refused = 429 | 463 | 479 | 404 | 500;

export class FakeWhatsapp {
  readonly waiting: Stanza[] = [];
  readonly posted: Posted[] = [];
  /** By message: ours. */
  readonly reactions = new Map<string, { key: WAMessageKey; emoji: string }>();
  readonly typing: string[] = [];
  readonly numbers = new Set<string>([NUMBER]);
  readonly groups = new Map<
    string,
    { subject: string; participants: { id: string; admin?: 'admin' | 'superadmin' | null }[] }
  >();
  /** Encrypted, by their address. */
  readonly files = new Map<string, Buffer>();
  /** Of the next message: an error in its acknowledgement, or none at all. */
  readonly faults: (Refused | 'cut')[] = [];
  /** The one connection that is open; a new one takes its place. */
  current: Connection | null = null;
  /** Those that wait to be linked. */
  readonly unlinked = new Set<Connection>();
  isOffline = false;
  isUnlinked = false;
  /** A program with our keys throws us out whenever we come. */
  isTaken = false;
  /** Baileys gathers what it will tell, and forgets it when the connection ends. */
  isGathering = false;
  connections = 0;
  #next = 1;

  id(): string {
    this.#next += 1;
    return `AC${String(this.#next).padStart(18, '0')}`;
  }

  /** Somebody has said something; it waits until a device of ours has it. */
  tell(attrs: BinaryNode['attrs'], message: WAProto.IMessage): void {
    this.waiting.push({ attrs, message, ciphertext: randomBytes(32) });
    void this.current?.pump();
  }

  /** The phone has scanned, or typed: as WhatsApp, it ends the connection, which is made again with what it gave. */
  link(): void {
    const [socket] = this.unlinked;
    this.isUnlinked = false;
    socket?.paired();
  }

  /** Puts bytes where a message of that kind says that they are. */
  async keep(kind: MediaType, data: Buffer): Promise<{ mediaKey: Buffer; directPath: string; url: string }> {
    const mediaKey = randomBytes(32);
    const { iv, cipherKey, macKey } = await getMediaKeys(mediaKey, kind);
    const cipher = createCipheriv('aes-256-cbc', cipherKey, iv);
    const bytes = Buffer.concat([cipher.update(data), cipher.final()]);
    const mac = createHmac('sha256', macKey!).update(iv).update(bytes).digest().subarray(0, 10);
    const directPath = `/v/${this.id()}.enc?ccb=1`;
    const url = `https://mmg.whatsapp.net${directPath}`;
    this.files.set(url, Buffer.concat([bytes, mac]));
    return { mediaKey, directPath, url };
  }

  readonly fetch = async (address: URL): Promise<Response> => {
    const bytes = this.files.get(address.href);
    return bytes === undefined ? new Response(null, { status: 404 }) : new Response(new Uint8Array(bytes));
  };
}

export function linkedCreds(creds: AuthenticationCreds): Partial<AuthenticationCreds> {
  return {
    me: { id: `${NUMBER}:7@s.whatsapp.net`, lid: OWN_LID, name: 'Glass' },
    account: WAProto.ADVSignedDeviceIdentity.fromObject({ details: creds.noiseKey.public }),
    platform: 'android',
  };
}
