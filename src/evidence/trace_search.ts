import { setImmediate } from 'node:timers/promises';
import { showId } from '../base/ids.ts';
import { TRACE_MATCHES_MAX, TRACE_PORTION, TRACE_SEARCHED_MAX, TRACE_TEXT_CHARS_MAX } from '../base/limits/messages.ts';
import { visible } from '../base/text.ts';
import { nameOfChat } from '../ledger/chats.ts';
import type { Db } from '../ledger/db.ts';

/**
 * Messages by their text, newest first, without an index: one of all words would cost every message more than it costs by itself
 * (decision 0043). Read in portions, between which others get their turn.
 */
export interface Match {
  id: string;
  received_ms: number;
  /** `telegram:-100123`. */
  place: string;
  from: string;
  /** The beginning of it. */
  text: string;
}

export interface Searched {
  /** Messages that were looked at. */
  looked: number;
  /** When the oldest of them came; null: there was none. */
  back_to_ms: number | null;
  /** Why it went no further: `all` was read, enough `matches`, `since`, or the `limit` of a search without one. */
  stopped: 'all' | 'matches' | 'since' | 'limit';
}

interface Row {
  id: number;
  received_ms: number;
  text: string;
}

/**
 * Every word must be in the text, in any case. `since_ms` null: the newest `TRACE_SEARCHED_MAX` messages; `onPortion` hears how far it
 * is, and returns whether to go on.
 */
export async function searchMessages(
  db: Db,
  query: { words: string; since_ms: number | null },
  onMatch: (match: Match) => void,
  onPortion: (looked: number, back_to_ms: number) => Promise<boolean>,
): Promise<Searched> {
  const words = query.words
    .toLowerCase()
    .split(/\s+/)
    .filter((word) => word !== '');
  const searched: Searched = { looked: 0, back_to_ms: null, stopped: 'all' };
  let matches = 0;
  for (let before = Number.MAX_SAFE_INTEGER; ; ) {
    const rows = db.all<Row>(
      `SELECT id, received_ms, text FROM messages WHERE id < ? ORDER BY id DESC LIMIT ${TRACE_PORTION}`,
      before,
    );
    for (const row of rows) {
      if (query.since_ms !== null && row.received_ms < query.since_ms) return { ...searched, stopped: 'since' };
      Object.assign(searched, { looked: searched.looked + 1, back_to_ms: row.received_ms });
      const text = row.text.toLowerCase();
      if (!words.every((word) => text.includes(word))) continue;
      onMatch(shown(db, row));
      matches += 1;
      if (matches === TRACE_MATCHES_MAX) return { ...searched, stopped: 'matches' };
    }
    if (rows.length < TRACE_PORTION) return searched;
    if (query.since_ms === null && searched.looked >= TRACE_SEARCHED_MAX) return { ...searched, stopped: 'limit' };
    before = rows.at(-1)!.id;
    if (!(await onPortion(searched.looked, searched.back_to_ms!))) return searched;
    await setImmediate();
  }
}

function shown(db: Db, { id, received_ms, text }: Row): Match {
  const said = db.get<{ channel: string; platform_id: string; sender: string }>(
    'SELECT c.channel, c.platform_id, m.sender FROM messages m JOIN chats c ON c.id = m.chat_id WHERE m.id = ?',
    id,
  )!;
  const beginning = text.length <= TRACE_TEXT_CHARS_MAX ? text : `${text.slice(0, TRACE_TEXT_CHARS_MAX)}…`;
  const [place, from] = [visible(nameOfChat(said)), visible(said.sender)];
  return { id: showId('m', id), received_ms, place, from, text: beginning };
}
