import { DRAFT_CHARS_MIN } from '../base/limits/messages.ts';
import type { SendResult } from '../channels/channel.ts';
import { inDialect, piecesOf, type Takes } from '../channels/dialects/outgoing.ts';
import type { DraftRow } from '../ledger/drafts.ts';

/** The decisions about drafts, apart from what carries them out. */

/** `begin`: a first one is sent. `wait`: there is too little of it, or nothing new. `never`: not in this attempt any more. */
export type DraftStep = 'begin' | 'edit' | 'wait' | 'never';

/** What to do about a text of which the chat shows `shown`. `running`: its turn has not ended. */
export function stepOf(draft: DraftRow | null, running: boolean, text: string, shown: string): DraftStep {
  if (!running) return 'never';
  if (draft !== null && draft.state !== 'shown') return 'never';
  if (text.length < DRAFT_CHARS_MIN || text === shown) return 'wait';
  return draft === null ? 'begin' : 'edit';
}

/** One message that shows what there is of an answer, and that it is not all. */
export function draftBody(text: string, { markup, text_max }: Takes): string {
  const room = text_max - Math.max(...MARKS.map((mark) => mark.length));
  const source = piecesOf(text, { markup, text_max: room })[0]!.source.trimEnd();
  // Behind a fence that closes, on the same line, it would open it again.
  const body = inDialect(source + (/(^|\n)(```|~~~)$/.test(source) ? MARKS[1] : MARKS[0]), markup);
  return body.length <= text_max ? body : inDialect(source, markup);
}

const MARKS = [' …', '\n…'] as const;

/**
 * The outcome of the edit that makes a draft the answer, as one of its row, and what becomes of the draft. The same edit once more
 * changes nothing, so no outcome is uncertain. Where the platform does not take the edit, the row is sent as a message of its own.
 */
export function endOfEdit(result: SendResult, receipt: string): { result: SendResult; draft: DraftRow['state'] } {
  if (result.ok) return { result: { ok: true, receipt }, draft: 'replaced' };
  switch (result.class) {
    case 'waiting':
    case 'retryable':
    case 'rate_limited':
      return { result, draft: 'shown' };
    case 'ambiguous':
      return { result: { ...result, class: 'retryable' }, draft: 'shown' };
    case 'permanent':
    case 'auth':
    case 'gone':
    case 'unsupported':
    case 'too_large':
      return { result: { ok: false, class: 'retryable', reason: result.reason, after_ms: 0 }, draft: 'refused' };
    default:
      return result satisfies never;
  }
}
