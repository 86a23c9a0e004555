import { RESEED_BYTES_MAX, RESEED_ENTRIES_MAX, RESEED_ENTRY_BYTES_MAX } from '../base/limits/messages.ts';
import { cutBytes } from '../base/text.ts';
import type { Db } from './db.ts';

/** Entries that are taken into the index of words at once: one by one costs a fifth of all that a message writes. */
export const WORDS_BATCH = 64;

export type TranscriptRole = 'person' | 'agent' | 'tool' | 'notice';

export interface TranscriptEntry {
  id: number;
  role: TranscriptRole;
  author: string;
  text: string;
  at_ms: number;
}

export function addEntry(
  db: Db,
  now: number,
  sessionId: number,
  turnId: number | null,
  role: TranscriptRole,
  author: string,
  text: string,
): number {
  const id = db.insert(
    'INSERT INTO transcript (session_id, turn_id, role, author, text, unseen, at_ms) VALUES (?, ?, ?, ?, ?, ?, ?)',
    sessionId,
    turnId,
    role,
    author,
    text,
    role === 'notice' ? 1 : 0,
    now,
  );
  if (id % WORDS_BATCH === 0) indexWords(db);
  return id;
}

/** Whose words an entry of the agent is that says what was said before it. */
const SUMMARY = 'summary';

/** What the agent makes of everything that was said before. */
export function addSummary(db: Db, now: number, sessionId: number, turnId: number, text: string): number {
  return addEntry(db, now, sessionId, turnId, 'agent', SUMMARY, `[Summary of what was said before]\n${text}`);
}

/** Takes what has been said since the last time into the index of words; at most about `WORDS_BATCH` entries. */
function indexWords(db: Db): void {
  const last = db.get<{ id: number | null }>('SELECT max(id) AS id FROM transcript_text_docsize')?.id ?? 0;
  db.run('INSERT INTO transcript_text (rowid, text) SELECT id, text FROM transcript WHERE id > ?', last);
}

/** Notices (a rejected send, say) that the agent has not been shown by a turn that settled. */
export function unseenNotices(db: Db, sessionId: number): TranscriptEntry[] {
  return db.all<TranscriptEntry>(
    'SELECT id, role, author, text, at_ms FROM transcript WHERE session_id = ? AND unseen = 1 ORDER BY id',
    sessionId,
  );
}

export function markNoticesSeen(db: Db, ids: number[]): void {
  for (const id of ids) db.run('UPDATE transcript SET unseen = 0 WHERE id = ?', id);
}

/** A text that fills a reseed alone would hide all that was said before it, or all of it. A summary has a bound of its own. */
function shortened(entry: TranscriptEntry): TranscriptEntry {
  if (entry.role === 'agent' && entry.author === SUMMARY) return entry;
  const text = cutBytes(entry.text, RESEED_ENTRY_BYTES_MAX);
  return text === entry.text ? entry : { ...entry, text: `${text}…\n[The rest is left out.]` };
}

/** The end of the conversation, oldest first, within the limits of a reseed; before it the newest summary, if that is older. */
export function recentEntries(db: Db, sessionId: number): TranscriptEntry[] {
  const newestFirst = db.all<TranscriptEntry>(
    'SELECT id, role, author, text, at_ms FROM transcript WHERE session_id = ? AND unseen = 0 ORDER BY id DESC LIMIT ?',
    sessionId,
    RESEED_ENTRIES_MAX,
  );
  const recent = withinBytes(newestFirst.map(shortened), RESEED_BYTES_MAX).reverse();
  const summary = db.get<TranscriptEntry>(
    "SELECT id, role, author, text, at_ms FROM transcript WHERE session_id = ? AND author = 'summary' AND role = 'agent' ORDER BY id DESC LIMIT 1",
    sessionId,
  );
  if (summary === undefined || recent.some(({ id }) => id <= summary.id)) return recent;
  const rest = withinBytes(recent.toReversed(), RESEED_BYTES_MAX - Buffer.byteLength(summary.text)).reverse();
  return [summary, ...rest.slice(-(RESEED_ENTRIES_MAX - 1))];
}

/** Full-text search over everything a group has said and heard. The words are matched literally. Writes to the index. */
export function searchGroup(
  db: Db,
  group: string,
  words: string,
  limit: number,
): (TranscriptEntry & { session_id: number })[] {
  const query = words
    .split(/[\s\0]+/)
    .filter((word) => word !== '')
    .map((word) => `"${word.replaceAll('"', '""')}"`)
    .join(' ');
  if (query === '') return [];
  indexWords(db);
  return db.all<TranscriptEntry & { session_id: number }>(
    `SELECT t.id, t.session_id, t.role, t.author, t.text, t.at_ms FROM transcript_text x
       JOIN transcript t ON t.id = x.rowid JOIN sessions s ON s.id = t.session_id
      WHERE transcript_text MATCH ? AND s.group_name = ? ORDER BY t.id DESC LIMIT ?`,
    query,
    group,
    limit,
  );
}

export function textOfEntry(db: Db, id: number): string {
  return db.get<{ text: string }>('SELECT text FROM transcript WHERE id = ?', id)?.text ?? '';
}

/** The entries from the beginning of a list that fit into so many UTF-8 bytes. */
export function withinBytes<Entry extends { text: string }>(entries: Entry[], bytesMax: number): Entry[] {
  let bytes = 0;
  const end = entries.findIndex((entry) => {
    bytes += Buffer.byteLength(entry.text);
    return bytes > bytesMax;
  });
  return end === -1 ? entries : entries.slice(0, end);
}
