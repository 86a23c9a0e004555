import * as payloads from './payloads.ts';

/** What a person wrote, out of what Teams makes of it: pure. */

export interface Words {
  text: string;
  /** We are named in it. */
  isToUs: boolean;
}

/** Without our own name where it calls us, and with the names of others. `us`: our id in chats. */
export function wordsOf(given: string, entities: readonly unknown[], us: string): Words {
  const mentions = entities.flatMap((each) => payloads.mention.safeParse(each).data ?? []);
  const calls = mentions.filter(({ mentioned }) => mentioned.id === us);
  let text = given.replaceAll('\r\n', '\n');
  for (const call of calls) if (call.text) text = text.replace(call.text, '');
  if (calls.length > 0) text = text.replace(/^(?:\s|&nbsp;)+|(?:\s|&nbsp;)+$/g, '');
  return { text: plain(text.replace(/<at(?: [^<>]*)?>([^<>]*)<\/at>/g, '@$1')), isToUs: calls.length > 0 };
}

/** Teams writes these signs as entities, in what it calls plain text too. */
function plain(text: string): string {
  const signs: Record<string, string> = { amp: '&', lt: '<', gt: '>', quot: '"', '#39': "'", nbsp: ' ' };
  return text.replace(/&(amp|lt|gt|quot|#39|nbsp);/g, (_, name: string) => signs[name]!);
}

export interface Quoted {
  message: string;
  author: string | null;
}

/** Which message it answers: in chats Teams says so by an entity, or in the HTML that comes beside the text. */
export function quotedIn(entities: readonly unknown[], attachments: readonly unknown[]): Quoted | null {
  for (const each of entities) {
    const { data } = payloads.quoted.safeParse(each);
    if (data !== undefined) return { message: data.quotedReply.messageId, author: data.quotedReply.senderId ?? null };
  }
  for (const each of attachments) {
    const { data } = payloads.attachment.safeParse(each);
    if (data?.contentType !== 'text/html' || typeof data.content !== 'string') continue;
    const quote = /<blockquote\b[^>]*schema\.skype\.com\/Reply[^>]*>/i.exec(data.content)?.[0];
    const message = quote === undefined ? undefined : /\bitemid="(\d+)"/.exec(quote)?.[1];
    const author = /<strong\b[^>]*itemprop="mri"[^>]*\bitemid="([^"]+)"/.exec(data.content)?.[1];
    if (message !== undefined) return { message, author: author ?? null };
  }
  return null;
}

const EMOJI: Record<string, string> = { like: '👍', heart: '❤️', laugh: '😆', surprised: '😮', sad: '🙁', angry: '😡' };

/** The first six have names; the others begin with their code points. One that nobody knows stays its name. */
export function emojiOf(type: string): string {
  const codes = /^([0-9a-f]{4,5}(?:-[0-9a-f]{4,5})*)_/.exec(type)?.[1];
  if (codes === undefined) return EMOJI[type] ?? type;
  return String.fromCodePoint(...codes.split('-').map((code) => Number.parseInt(code, 16)));
}
