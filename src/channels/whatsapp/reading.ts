import type { WaMedia, WaMessage } from './payloads.ts';

/** What a message is, in the host's words: pure. */
export type Read =
  | { kind: 'message'; text: string; media: { id: string; name: string } | null }
  | { kind: 'press'; token: string; message: string }
  | { kind: 'reaction'; message: string; emoji: string | null }
  | { kind: 'edit'; message: string; text: string }
  | { kind: 'deletion'; message: string }
  /** Nothing that anybody said to us, or of a kind that we do not know. */
  | { kind: 'nothing' };

const NOTHING: Read = { kind: 'nothing' };

export function read(message: WaMessage): Read {
  // Who is in a group is not who wrote: such a message is no direct one.
  if (message.group_id !== undefined) return NOTHING;
  switch (message.type) {
    case 'reaction': {
      const { message_id, emoji = '' } = message.reaction ?? {};
      if (message_id === undefined) return NOTHING;
      return { kind: 'reaction', message: message_id, emoji: emoji === '' ? null : emoji };
    }
    case 'interactive': {
      const { button_reply, list_reply } = message.interactive ?? {};
      const pressed = message.context?.id;
      if (button_reply !== undefined && pressed !== undefined)
        return { kind: 'press', token: button_reply.id, message: pressed };
      return spoken((button_reply ?? list_reply)?.title, null);
    }
    case 'edit': {
      const text = message.edit === undefined ? undefined : wordsOf(message.edit.message);
      if (text === undefined || text === '') return NOTHING;
      return { kind: 'edit', message: message.edit!.original_message_id, text };
    }
    case 'revoke':
      return message.revoke === undefined ? NOTHING : { kind: 'deletion', message: message.revoke.original_message_id };
    default:
      return spoken(wordsOf(message) ?? shownOf(message), mediaOf(message));
  }
}

function spoken(text: string | undefined, media: { id: string; name: string } | null): Read {
  if ((text ?? '') === '' && media === null) return NOTHING;
  return { kind: 'message', text: text ?? '', media };
}

type Said = Pick<WaMessage, 'type' | 'text' | 'image' | 'video' | 'document' | 'audio' | 'sticker'>;

/** Undefined: it is nothing that has words. */
function wordsOf({ type, text, image, video, document }: Said): string | undefined {
  switch (type) {
    case 'text':
      return text?.body;
    case 'image':
      return image?.caption;
    case 'video':
      return video?.caption;
    case 'document':
      return document?.caption;
    default:
      return undefined;
  }
}

/** What is there instead of words. */
function shownOf({ type, location, contacts = [], button }: WaMessage): string | undefined {
  switch (type) {
    case 'location': {
      if (location === undefined) return undefined;
      const { latitude, longitude, name, address } = location;
      return `[location ${[`${latitude}`, `${longitude}`, name, address].filter(Boolean).join(', ')}]`;
    }
    case 'contacts':
      return contacts
        .map(({ name, phones = [] }) => [name.formatted_name, ...phones.flatMap(({ phone }) => phone ?? [])])
        .map((parts) => `[contact ${parts.join(', ')}]`)
        .join('\n');
    case 'button':
      return button?.text;
    default:
      return undefined;
  }
}

function mediaOf({ type, image, video, document, audio, sticker }: Said): { id: string; name: string } | null {
  switch (type) {
    case 'image':
      return named(image, 'photo', 'jpg');
    case 'video':
      return named(video, 'video', 'mp4');
    case 'audio':
      return named(audio, 'audio', 'ogg');
    case 'sticker':
      return named(sticker, 'sticker', 'webp');
    case 'document':
      return named(document, 'document', 'bin');
    default:
      return null;
  }
}

/** Only a document has a name; the others are called after what they are. */
function named(media: WaMedia | undefined, stem: string, usual: string): { id: string; name: string } | null {
  if (media === undefined) return null;
  if (media.filename !== undefined && media.filename !== '') return { id: media.id, name: media.filename };
  const [, subtype] = /^\w+\/([a-z0-9]{2,5})\b/.exec(media.mime_type) ?? [];
  return { id: media.id, name: `${stem}.${subtype === undefined || subtype === 'jpeg' ? usual : subtype}` };
}
