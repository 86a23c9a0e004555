import { showId } from '../base/ids.ts';
import { APPROVAL_PLACE_CHARS_MAX } from '../base/limits/gateway.ts';
import { CARD_LINE_CHARS_MAX, CARD_REQUEST_CHARS_MAX } from '../base/limits/talk.ts';
import { visible } from '../base/text.ts';
import { type HoldEvent, showsWhole } from '../protocol/gateway.ts';
import { cut, untilOf, yesOrNo } from './card.ts';

/**
 * A held request as an approver sees it in a chat: our fields and what to answer first, then what the agent wrote, each line
 * short and with our mark, so that neither a length nor a line of it can push ours away or look like them.
 */
export function requestCard(id: number, code: string, event: HoldEvent, textMax: number, why = ''): string {
  const shown = showId('h', id);
  const { group, session, service, method, host, path, body_bytes, body_sha256, headers, preview } = event;
  const ours = [
    `${shown}: ${group} asks to send this.`,
    ...[`method: ${method}`, `host: ${host}`, `path: ${path}`].map(field),
    ...[`service: ${service}`, `group: ${group}`, `session: ${session}`].map(field),
    `body: ${body_bytes} bytes, SHA-256 ${body_sha256}`,
    ...(why === '' ? [] : [field(`rule of two: its conversation has ${why}`)]),
    'Let exactly this leave, once?',
    ...yesOrNo(code).map(({ words }) => `  ${words}`),
    `Nothing leaves without a decision until ${untilOf(event.expires_ms)} UTC.`,
  ].join('\n');
  const more = `./glass approval show ${shown} --body prints all of it`;
  const room = Math.min(textMax, CARD_REQUEST_CHARS_MAX) - ours.length - 2 * (more.length + HEADING_CHARS);
  const top = fitting(headers.flatMap(marked), room / 2);
  const body = fitting(marked(preview), room - top.text.length);
  const isWhole = body.isWhole && showsWhole(event);
  return [
    ours,
    top.isWhole ? 'Its headers:' : `Some of its headers; ./glass approval show ${shown} prints more:`,
    ...(top.text === '' ? [] : [top.text]),
    isWhole ? 'Its whole body:' : `The beginning of its body; ${more}:`,
    ...(body.text === '' ? [] : [body.text]),
  ].join('\n');
}

/** Of the longer of two headings, with the ends of its lines. */
const HEADING_CHARS = 40;

function field(text: string): string {
  return cut(visible(text), APPROVAL_PLACE_CHARS_MAX);
}

/** Cut before an app would: a line that it begins by itself could look like one of ours. */
function marked(text: string): string[] {
  const chars = [...visible(text)];
  const lines = Math.ceil(chars.length / CARD_LINE_CHARS_MAX);
  return Array.from({ length: lines }, (_, i) => {
    return `| ${chars.slice(i * CARD_LINE_CHARS_MAX, (i + 1) * CARD_LINE_CHARS_MAX).join('')}`;
  });
}

/** The first lines that there is room for. */
function fitting(lines: string[], room: number): { text: string; isWhole: boolean } {
  let used = 0;
  const over = lines.findIndex((line) => {
    used += line.length + 1;
    return used > room;
  });
  return { text: (over === -1 ? lines : lines.slice(0, over)).join('\n'), isWhole: over === -1 };
}
