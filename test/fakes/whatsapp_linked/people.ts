import { setImmediate } from 'node:timers/promises';
import { jidOf, readMessage, showMessage } from '../../../src/channels/whatsapp-linked/jids.ts';
import type { People, Place, PlaceName, Saying, Speaker } from '../../kits/channel_scene.ts';
import { type BinaryNode, WAProto } from './baileys.ts';
import { type FakeWhatsapp, GROUP, NUMBER, OWN_LID } from './world.ts';

/** People and their phones: what they do becomes what WhatsApp sends to our device. */

export const PERSON = '16505551234';
export const OTHER = '16505556789';
const NAMES: Record<string, string> = { [PERSON]: 'First', [OTHER]: 'Second' };
const { REVOKE, MESSAGE_EDIT } = WAProto.Message.ProtocolMessage.Type;

export function placeOf(name: PlaceName): Place {
  return { chat: name === 'direct' ? PERSON : GROUP, thread: '' };
}

export class LinkedPeople implements People {
  readonly #world: FakeWhatsapp;

  constructor(world: FakeWhatsapp) {
    this.#world = world;
  }

  async say(saying: Saying): Promise<string> {
    const id = await this.#said(saying);
    await setImmediate();
    return id;
  }

  async #said({ place, from, text, mention, reply_to, files = [] }: Saying): Promise<string> {
    const { chat } = placeOf(place);
    const contextInfo = {
      ...(mention && { mentionedJid: [OWN_LID] }),
      ...(reply_to !== undefined && this.#quoteOf(chat, reply_to)),
    };
    const [file] = files;
    if (file === undefined)
      return this.tell(
        place,
        from,
        Object.keys(contextInfo).length === 0 ? { conversation: text } : { extendedTextMessage: { text, contextInfo } },
      );
    const kept = await this.#world.keep('document', file.data);
    const mimetype = 'application/octet-stream';
    const documentMessage = { ...kept, fileName: file.name, mimetype, caption: text, fileLength: file.data.length };
    return this.tell(place, from, { documentWithCaptionMessage: { message: { documentMessage } } });
  }

  async edit(place: PlaceName, from: Speaker, message: string, text: string): Promise<void> {
    const { id } = readMessage(placeOf(place).chat, message)!;
    const protocolMessage = {
      type: MESSAGE_EDIT,
      key: { id: id!, fromMe: true },
      editedMessage: { conversation: text },
    };
    this.tell(place, from, { editedMessage: { message: { protocolMessage } } });
  }

  async remove(place: PlaceName, from: Speaker, message: string): Promise<void> {
    const { id } = readMessage(placeOf(place).chat, message)!;
    this.tell(place, from, { protocolMessage: { type: REVOKE, key: { id: id!, fromMe: true } } });
    await setImmediate();
  }

  async react(place: PlaceName, from: Speaker, message: string, emoji: string, removed: boolean): Promise<void> {
    const { id, fromMe, participant } = readMessage(placeOf(place).chat, message)!;
    // As the phone of who reacts sees it: what is ours is not theirs.
    const key = {
      remoteJid: jidOf(NUMBER),
      id: id!,
      fromMe: false,
      participant: participant ?? (fromMe ? jidOf(NUMBER) : null),
    };
    this.tell(place, from, { reactionMessage: { key, text: removed ? '' : emoji } });
  }

  async press(): Promise<void> {
    throw new Error('there are no buttons');
  }

  async receive(place: PlaceName, message: string): Promise<void> {
    this.#world.current!.received(readMessage(placeOf(place).chat, message)!);
    await setImmediate();
  }

  async strange(event: 'unknown' | 'broken'): Promise<void> {
    if (event === 'unknown') this.tell('direct', 'person', { scheduledCallCreationMessage: { title: 'x' } });
    else this.tell('direct', 'person', { documentMessage: { fileName: 'nowhere' } });
  }

  /** A message of whatever kind. Returns its id, as the driver names it. */
  tell(place: PlaceName, from: Speaker, message: WAProto.IMessage, more: BinaryNode['attrs'] = {}): string {
    const { chat } = placeOf(place);
    const id = this.#world.id();
    const number = { person: PERSON, other: OTHER, bot: OTHER, self: NUMBER }[from];
    const isGroup = chat === GROUP;
    const attrs = {
      ...{ id, t: `${Math.floor(Date.now() / 1000)}`, notify: NAMES[number] ?? 'Glass' },
      from: isGroup ? GROUP : jidOf(number),
      ...(isGroup && { participant: jidOf(number) }),
      ...(!isGroup && from === 'self' && { recipient: jidOf(chat) }),
      ...more,
    };
    // Of our own phone a device gets what was said inside of a wrapper.
    this.#world.tell(
      attrs,
      from === 'self' ? { deviceSentMessage: { destinationJid: jidOf(chat), message } } : message,
    );
    return showMessage(chat, { id, fromMe: from === 'self', participant: attrs.participant ?? null });
  }

  #quoteOf(chat: string, message: string): WAProto.IContextInfo {
    const { id, fromMe, participant } = readMessage(chat, message)!;
    const author = fromMe ? jidOf(NUMBER) : (participant ?? jidOf(chat));
    return { stanzaId: id ?? null, participant: author, quotedMessage: { conversation: 'what was said' } };
  }
}
