import { assert } from '../base/errors.ts';

/**
 * Cuts a text into pieces of at most `max` characters, before the outbound rows are written. Nothing is dropped; a code
 * fence that is cut is closed and opened again; no surrogate pair is split.
 */
export function cutText(text: string, max: number): string[] {
  assert(max >= CHUNK_CHARS_MIN, 'a chunk has room for a fence and some text');
  const chunks: string[] = [];
  let rest = text;
  let fence = '';
  while (rest.length + fence.length > max) {
    const room = max - fence.length - FENCE_END.length;
    const cut = cutAt(rest, room);
    const piece = fence + rest.slice(0, cut);
    const open = openFence(piece);
    chunks.push(open === null ? piece : piece + FENCE_END);
    rest = rest.slice(cut);
    fence = open === null ? '' : `${open}\n`;
  }
  chunks.push(fence + rest);
  return chunks;
}

/** Below this a fence that is opened again would leave no room; every platform allows far more. */
const CHUNK_CHARS_MIN = 64;
const FENCE_END = '\n```';

/** The best place at or before `room`: after a line, else after a word, else anywhere that is not inside a character. */
function cutAt(text: string, room: number): number {
  const half = Math.floor(room / 2);
  const line = text.lastIndexOf('\n', room - 1);
  if (line >= half) return line + 1;
  const word = text.lastIndexOf(' ', room - 1);
  if (word >= half) return word + 1;
  const code = text.charCodeAt(room - 1);
  return code >= 0xd800 && code <= 0xdbff ? room - 1 : room;
}

/** The opening line of a code fence that the text leaves open, or null. */
function openFence(text: string): string | null {
  let open: string | null = null;
  for (const line of text.split('\n')) {
    if (!line.startsWith('```')) continue;
    open = open === null ? line.slice(0, 40) : null;
  }
  return open;
}
