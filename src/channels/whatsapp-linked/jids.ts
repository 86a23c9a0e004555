import { jidNormalizedUser, type WAMessageKey } from '@whiskeysockets/baileys';

/** How people, chats and messages are named: by us, and by WhatsApp. */

const PERSON = '@s.whatsapp.net';
const GROUP = '@g.us';

/** A person is their number in digits, as on the Cloud API; without one, and a group, what WhatsApp calls it. */
export function chatOf(jid: string): string {
  const plain = jidNormalizedUser(jid);
  return plain.endsWith(PERSON) ? plain.slice(0, -PERSON.length) : plain;
}

export function jidOf(chat: string): string {
  return /^\d+$/.test(chat) ? `${chat}${PERSON}` : chat;
}

export function isNumber(chat: string): boolean {
  return /^\d+$/.test(chat);
}

export function isGroup(chat: string): boolean {
  return chat.endsWith(GROUP);
}

/** The sender chooses the id: what it says of itself stands behind what it is, and can be taken for nothing else. */
export function showMessage(chat: string, { id, fromMe, participant }: WAMessageKey): string {
  if (fromMe === true) return `me/${id}`;
  return isGroup(chat) ? `${jidNormalizedUser(participant ?? undefined)}/${id}` : `they/${id}`;
}

/** Null: it is no name of ours for a message. */
export function readMessage(chat: string, shown: string): WAMessageKey | null {
  const [, who, id] = /^([^/]+)\/(.+)$/s.exec(shown) ?? [];
  if (who === undefined || id === undefined) return null;
  const key = { remoteJid: jidOf(chat), id, fromMe: who === 'me' };
  return who === 'me' || who === 'they' ? key : { ...key, participant: who };
}
