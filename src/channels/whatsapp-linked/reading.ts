import { getContentType, normalizeMessageContent, type WAMessage, WAProto } from '@whiskeysockets/baileys';

/** What a message is, in the host's words: pure. */

export type MediaKind = 'image' | 'video' | 'audio' | 'document' | 'sticker';

export interface Media {
  kind: MediaKind;
  name: string;
  bytes: number;
  mediaKey: Uint8Array;
  directPath: string;
  url: string;
}

export type Read =
  | { kind: 'message'; text: string; media: Media | null; context: WAProto.IContextInfo | null }
  | { kind: 'reaction'; target: WAProto.IMessageKey; emoji: string | null }
  | { kind: 'edit'; id: string; text: string }
  /** `author`: of the message that is gone, as who took it away says; null: their own. */
  | { kind: 'deletion'; id: string; author: string | null }
  /** Nothing that anybody said to us. `what`: of a kind that we do not know; absent: it is WhatsApp's own. */
  | { kind: 'nothing'; what?: string }
  /** It lacks what each of its kind has, or could not be decrypted. */
  | { kind: 'broken'; what: string };

/** What is broken because it could not be decrypted: WhatsApp may send it again. */
export const UNDECRYPTED = 'unreadable';

const NOTHING: Read = { kind: 'nothing' };
const { REVOKE, MESSAGE_EDIT } = WAProto.Message.ProtocolMessage.Type;

export function read({ key, message, messageTimestamp, messageStubType }: WAMessage): Read {
  if (!key?.remoteJid || !key.id) return { kind: 'broken', what: 'no chat or no id' };
  const content = normalizeMessageContent(message);
  if (content === undefined) {
    if (messageStubType === WAProto.WebMessageInfo.StubType.CIPHERTEXT) return { kind: 'broken', what: UNDECRYPTED };
    return messageStubType ? NOTHING : { kind: 'broken', what: 'no content' };
  }
  if (!(Number(messageTimestamp) > 0)) return { kind: 'broken', what: 'no time' };
  if (content.protocolMessage) return changed(content.protocolMessage);
  if (content.reactionMessage) {
    const { key: target, text } = content.reactionMessage;
    if (!target?.id) return { kind: 'broken', what: 'reaction' };
    return { kind: 'reaction', target, emoji: text || null };
  }
  const media = mediaOf(content);
  const text = textOf(content) ?? '';
  if (text !== '' || media !== null) return { kind: 'message', text, media, context: contextOf(content) };
  if (holdsMedia(content)) return { kind: 'broken', what: 'file' };
  const what = getContentType(content);
  return what === undefined ? NOTHING : { kind: 'nothing', what };
}

function changed({ type, key, editedMessage }: WAProto.Message.IProtocolMessage): Read {
  if (type === REVOKE)
    return key?.id
      ? { kind: 'deletion', id: key.id, author: key.participant || null }
      : { kind: 'broken', what: 'deletion' };
  if (type !== MESSAGE_EDIT) return NOTHING;
  const text = textOf(normalizeMessageContent(editedMessage) ?? {});
  return key?.id && text ? { kind: 'edit', id: key.id, text } : { kind: 'broken', what: 'edit' };
}

/** What it says, or what is there instead of words. */
export function textOf(content: WAProto.IMessage): string | undefined {
  const { imageMessage, videoMessage, documentMessage, locationMessage, liveLocationMessage } = content;
  const poll = content.pollCreationMessage ?? content.pollCreationMessageV2 ?? content.pollCreationMessageV3;
  const said = [
    content.conversation,
    content.extendedTextMessage?.text,
    ...[imageMessage, videoMessage, documentMessage].map((media) => media?.caption),
    content.buttonsResponseMessage?.selectedDisplayText,
    content.templateButtonReplyMessage?.selectedDisplayText,
    content.listResponseMessage?.title,
    placeOf(locationMessage ?? liveLocationMessage),
    contactsOf([content.contactMessage, ...(content.contactsArrayMessage?.contacts ?? [])]),
    poll && `[poll ${[poll.name, ...(poll.options ?? []).map(({ optionName }) => optionName)].join(' | ')}]`,
  ];
  return said.find((words) => typeof words === 'string' && words !== '') ?? undefined;
}

function placeOf(
  place: WAProto.Message.ILocationMessage | WAProto.Message.ILiveLocationMessage | null | undefined,
): string | undefined {
  if (place === null || place === undefined) return undefined;
  const { name, address } = place as WAProto.Message.ILocationMessage;
  const parts = [place.degreesLatitude, place.degreesLongitude, name, address];
  return `[location ${parts.filter((part) => part !== null && part !== undefined && part !== '').join(', ')}]`;
}

function contactsOf(contacts: (WAProto.Message.IContactMessage | null | undefined)[]): string {
  return contacts
    .flatMap((contact) => {
      if (contact === null || contact === undefined) return [];
      const numbers = [...(contact.vcard ?? '').matchAll(/^TEL[^:\n]*:(.+)$/gm)].map(([, number]) => number!.trim());
      return [`[contact ${[contact.displayName ?? '', ...numbers].filter(Boolean).join(', ')}]`];
    })
    .join('\n');
}

/** Only a document has a name; the others are called after what they are. */
const KINDS: readonly [field: keyof WAProto.IMessage, kind: MediaKind, stem: string, usual: string][] = [
  ['imageMessage', 'image', 'photo', 'jpg'],
  ['videoMessage', 'video', 'video', 'mp4'],
  ['ptvMessage', 'video', 'video', 'mp4'],
  ['audioMessage', 'audio', 'audio', 'ogg'],
  ['documentMessage', 'document', 'document', 'bin'],
  ['stickerMessage', 'sticker', 'sticker', 'webp'],
];

function holdsMedia(content: WAProto.IMessage): boolean {
  return KINDS.some(([field]) => content[field]);
}

function mediaOf(content: WAProto.IMessage): Media | null {
  for (const [field, kind, stem, usual] of KINDS) {
    const media = content[field] as WAProto.Message.IDocumentMessage | null | undefined;
    if (!media) continue;
    const { mediaKey, directPath, url, fileName, fileLength, mimetype } = media;
    if (!mediaKey || !directPath) return null;
    const [, subtype] = /^\w+\/([a-z0-9]{2,5})\b/.exec(mimetype ?? '') ?? [];
    const ending = subtype === undefined || subtype === 'jpeg' ? usual : subtype;
    const name = fileName || `${stem}.${ending}`;
    return { kind, name, bytes: Number(fileLength ?? 0), mediaKey, directPath, url: url ?? '' };
  }
  return null;
}

/** What it answers, whom it names, whether it passes on. */
function contextOf(content: WAProto.IMessage): WAProto.IContextInfo | null {
  for (const part of Object.values(content))
    if (typeof part === 'object' && part !== null && 'contextInfo' in part && part.contextInfo)
      return part.contextInfo as WAProto.IContextInfo;
  return null;
}
