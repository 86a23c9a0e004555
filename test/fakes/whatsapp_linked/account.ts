import { createDecipheriv, hkdfSync } from 'node:crypto';
import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Channel, MenuCommand } from '../../../src/channels/channel.ts';
import type { DriverParts } from '../../../src/channels/kind.ts';
import { LinkedChannel } from '../../../src/channels/whatsapp-linked/driver.ts';
import { readMessage, showMessage } from '../../../src/channels/whatsapp-linked/jids.ts';
import { saveCreds } from '../../../src/channels/whatsapp-linked/keys.ts';
import { whatsappLinked } from '../../../src/channels/whatsapp-linked/kind.ts';
import { SealedStore } from '../../../src/channels/whatsapp-linked/store.ts';
import type { Account, ChannelUnderTest, Faults, Place, PlaceName, Sent, Speaker } from '../../kits/channel_scene.ts';
import { until } from '../install.ts';
import { remove } from '../remove.ts';
import { shownOf } from '../whatsapp/marks.ts';
import { DisconnectReason, initAuthCreds, normalizeMessageContent } from './baileys.ts';
import { LinkedPeople, OTHER, PERSON, placeOf } from './people.ts';
import { FakeSocket } from './socket.ts';
import { FakeWhatsapp, GROUP, linkedCreds, NUMBER, type Posted } from './world.ts';

/** A linked device, at the border between the driver and Baileys: what is below is encrypted for WhatsApp's own certificate. */
export const linkedDevice: ChannelUnderTest = {
  title: 'whatsapp-linked',
  kind: whatsappLinked,
  lacks: {
    'no program is taken for a person, and we are not taken for another':
      'WhatsApp says of nobody that it is a program; what is said on our own phone has a test of its own',
    'the menu shows our commands': 'a device has no menu of commands',
    'too many messages: the driver says when to come back, and does not come back itself': 'WhatsApp names no time',
  },
  start: async () => new LinkedAccount(),
};

/** Looks like one, and is none. */
export const KEY = Buffer.alloc(32, 7).toString('base64url');
const WAITS = { first_ms: 20, max_ms: 200, replaced_ms: 50, connection_ms: 300 };

export class LinkedAccount implements Account {
  readonly world = new FakeWhatsapp();
  readonly people = new LinkedPeople(this.world);
  readonly sockets: FakeSocket[] = [];
  readonly folder = mkdtempSync(join(tmpdir(), 'linked-'));

  /** `linked`: the device was linked before. */
  constructor(linked = true) {
    for (const person of [PERSON, OTHER]) this.world.numbers.add(person);
    const participants = [NUMBER, PERSON, OTHER].map((number) => ({ id: `${number}@s.whatsapp.net` }));
    this.world.groups.set(GROUP, { subject: 'A group', participants });
    if (!linked) return;
    const store = SealedStore.open(this.folder, KEY);
    const creds = initAuthCreds();
    saveCreds(store, { ...creds, ...linkedCreds(creds) });
    store.close();
  }

  get parts(): Pick<DriverParts, 'name' | 'settings' | 'secrets'> {
    return { name: 'wa', settings: {}, secrets: { key: KEY } };
  }

  /** Its folder stays when the driver begins anew. */
  open(parts: DriverParts): Channel {
    const connect = (given: ConstructorParameters<typeof FakeSocket>[1]): FakeSocket => {
      const socket = new FakeSocket(this.world, given);
      this.sockets.push(socket);
      return socket;
    };
    const { fetch } = this.world;
    return new LinkedChannel({ ...parts, folder: this.folder }, { connect, fetch, waits: WAITS });
  }

  place(name: PlaceName): Place {
    return placeOf(name);
  }

  handle(speaker: Speaker): string {
    return { person: PERSON, other: OTHER, bot: OTHER, self: NUMBER }[speaker];
  }

  sent(): Sent[] {
    return this.world.posted.map((posted) => this.#sent(posted));
  }

  reactions(): { message: string; emoji: string }[] {
    return [...this.world.reactions.values()].map(({ key, emoji }) => ({
      message: showMessage(key.remoteJid!, key),
      emoji,
    }));
  }

  typing(): Place[] {
    return this.world.typing.map((jid) => ({ chat: chatOf(jid), thread: '' }));
  }

  menu(): MenuCommand[] {
    return [];
  }

  /** WhatsApp does not send it again, and the driver does not hand it over again. */
  acknowledged(message: string): boolean {
    const id = message.slice(message.indexOf('/') + 1);
    const key = { ...readMessage(PERSON, message), participant: '' };
    return !this.world.waiting.some(({ attrs }) => attrs['id'] === id) && !this.sockets.at(-1)!.parts.inbox.has(key);
  }

  pressesAnswered(): number {
    return 0;
  }

  readonly faults: Faults = {
    next: (fault) => {
      const codes = { limited: 429, limited_untimed: 429, broken: 500, gone: 404, refused: 479 } as const;
      this.world.faults.push(fault === 'cut' ? 'cut' : codes[fault]);
    },
    revoke: () => {
      this.world.isUnlinked = true;
      this.world.current?.close(DisconnectReason.loggedOut);
    },
    secondPoller: async (runs) => {
      this.world.isTaken = runs;
      if (runs) this.world.current?.close(DisconnectReason.connectionReplaced);
    },
    drop: async () => this.world.current?.close(DisconnectReason.connectionClosed),
    offline: async () => {
      this.world.isOffline = true;
      this.world.current?.close(DisconnectReason.connectionLost);
    },
    online: async () => {
      this.world.isOffline = false;
      await until('it is connected again', async () => {
        if (this.world.current === null) throw new Error('not yet');
      });
    },
  };

  async stop(): Promise<void> {
    this.world.current?.close(DisconnectReason.connectionClosed);
    remove(this.folder);
  }

  #sent({ jid, key, message }: Posted): Sent {
    const content = normalizeMessageContent(message)!;
    const { imageMessage, documentMessage, extendedTextMessage } = content;
    const media = imageMessage ?? documentMessage;
    const context = (media ?? extendedTextMessage)?.contextInfo;
    const quoted = context?.stanzaId;
    const fromMe = context?.participant?.startsWith(NUMBER) === true;
    return {
      ...{ chat: chatOf(jid), thread: '', receipt: showMessage(jid, key), buttons: [] },
      ...shownOf(extendedTextMessage?.text ?? media?.caption ?? content.conversation ?? ''),
      quotes: quoted ? showMessage(jid, { id: quoted, fromMe, participant: context.participant ?? null }) : null,
      file: media
        ? {
            name: documentMessage?.fileName ?? 'photo.jpg',
            data: openFile(
              this.world.files.get(`https://mmg.whatsapp.net${media.directPath}`)!,
              media.mediaKey!,
              imageMessage ? 'Image' : 'Document',
            ),
          }
        : null,
    };
  }
}

/** As a phone does, by what WhatsApp has published of it. */
function openFile(sealed: Buffer, mediaKey: Uint8Array, kind: 'Image' | 'Document'): Buffer {
  const keys = Buffer.from(hkdfSync('sha256', mediaKey, Buffer.alloc(0), `WhatsApp ${kind} Keys`, 112));
  const decipher = createDecipheriv('aes-256-cbc', keys.subarray(16, 48), keys.subarray(0, 16));
  return Buffer.concat([decipher.update(sealed.subarray(0, -10)), decipher.final()]);
}

function chatOf(jid: string): string {
  return jid.replace('@s.whatsapp.net', '');
}
