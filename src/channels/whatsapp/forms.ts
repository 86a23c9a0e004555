import type { Button, OutgoingFile, SendOperation } from '../channel.ts';
import { BUTTONS_MAX, INTERACTIVE_CHARS_MAX, PICTURE_BYTES_MAX, TITLE_CHARS_MAX } from './limits.ts';

/** What we say, as Graph wants it: pure. A form is the part of a message that depends on what it is. */
export type Form = Record<string, unknown> & { type: string };

export function textForm(operation: SendOperation): Form {
  const { body } = operation;
  const buttons = buttonsOf(operation);
  if (buttons === null) return { type: 'text', text: { preview_url: false, body } };
  return { type: 'interactive', interactive: { type: 'button', body: { text: body }, action: { buttons } } };
}

/** Null: none, or more than WhatsApp shows; then the text alone says what to do. */
export function buttonsOf({ body, buttons = [] }: SendOperation): object[] | null {
  const titles = buttons.map(({ label }) => titleOf(label));
  if (buttons.length === 0 || buttons.length > BUTTONS_MAX || new Set(titles).size < titles.length) return null;
  if (body.trim() === '' || body.length > INTERACTIVE_CHARS_MAX) return null;
  return buttons.map(({ token }: Button, at) => ({ type: 'reply', reply: { id: token, title: titles[at] } }));
}

function titleOf(label: string): string {
  if (label.length <= TITLE_CHARS_MAX) return label;
  let title = '';
  for (const char of label) {
    if (title.length + char.length > TITLE_CHARS_MAX - 1) break;
    title += char;
  }
  return `${title}…`;
}

export function fileForm(media: string, file: OutgoingFile, caption: string): Form {
  const words = caption === '' ? {} : { caption };
  if (isPicture(file)) return { type: 'image', image: { id: media, ...words } };
  return { type: 'document', document: { id: media, filename: file.name, ...words } };
}

/** A parameter has neither line feeds nor runs of spaces. */
export function templateForm({ name, language }: { name: string; language: string }, body: string): Form {
  const parameters = [{ type: 'text', text: parameterOf(body) }];
  const components = [{ type: 'body', parameters }];
  return { type: 'template', template: { name, language: { code: language }, components } };
}

export function parameterOf(body: string): string {
  return body.replace(/\s+/g, ' ').trim();
}

export function isPicture({ type }: OutgoingFile): boolean {
  return type === 'image/png' || type === 'image/jpeg';
}

export function isTooLarge(file: OutgoingFile, documentMax: number): boolean {
  return file.bytes > (isPicture(file) ? PICTURE_BYTES_MAX : documentMax);
}

const OFFICE = 'application/vnd.openxmlformats-officedocument';
/** What WhatsApp takes and our look into the bytes does not tell, by the end of its name. */
const BY_NAME: Readonly<Record<string, string>> = {
  doc: 'application/msword',
  docx: `${OFFICE}.wordprocessingml.document`,
  ppt: 'application/vnd.ms-powerpoint',
  pptx: `${OFFICE}.presentationml.presentation`,
  xls: 'application/vnd.ms-excel',
  xlsx: `${OFFICE}.spreadsheetml.sheet`,
};

/** The type that it is uploaded as, or null: WhatsApp takes none of its kind. */
export function uploadType(file: OutgoingFile): string | null {
  if (isPicture(file) || file.type === 'application/pdf' || file.type === 'text/plain') return file.type;
  if (file.type !== 'application/octet-stream') return null;
  const ending = /\.([a-z]{3,4})$/i.exec(file.name)?.[1]?.toLowerCase() ?? '';
  return BY_NAME[ending] ?? null;
}
