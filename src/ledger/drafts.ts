import { randomToken } from '../base/ids.ts';
import type { Db } from './db.ts';
import { insertOutbound, type OutboundRow } from './outbound.ts';

/**
 * What a chat shows of an answer before there is one. A draft is no message: it has no place in `outbound`, no transcript and
 * no law but that what its turn says in the end takes its place. At most one a turn, over all its attempts.
 */
export interface DraftRow {
  turn_id: number;
  chat_id: number;
  thread: string;
  reply_to: number | null;
  body: string;
  key: string;
  state: 'sending' | 'shown' | 'replaced' | 'refused' | 'uncertain';
  receipt: string | null;
}

export type NewDraft = Pick<DraftRow, 'turn_id' | 'chat_id' | 'thread' | 'reply_to' | 'body'>;

/** The ordinal of the words that take a draft's place when there is no answer: no reply, no send. */
const IN_ITS_PLACE = -1;

/** Undefined: its turn does not run any more, or has had one. */
export function openDraft(db: Db, now: number, draft: NewDraft): DraftRow | undefined {
  const { turn_id, chat_id, thread, reply_to, body } = draft;
  return db.get<DraftRow>(
    `INSERT INTO drafts (turn_id, chat_id, thread, reply_to, body, key, state, updated_ms)
     SELECT id, ?, ?, ?, ?, ?, 'sending', ? FROM turns WHERE id = ? AND state = 'running'
     ON CONFLICT (turn_id) DO NOTHING RETURNING *`,
    ...[chat_id, thread, reply_to, body, randomToken(12), now, turn_id],
  );
}

export function draftOf(db: Db, turn: number): DraftRow | undefined {
  return db.get<DraftRow>('SELECT * FROM drafts WHERE turn_id = ?', turn);
}

/** As `draftOf`, with whether its turn runs: from its end on, only that end may change what is shown. */
export function draftOfRunning(db: Db, turn: number): { draft: DraftRow | null; running: boolean } {
  const row = db.get('SELECT 1 AS yes FROM turns WHERE id = ? AND state = ?', turn, 'running');
  return { draft: draftOf(db, turn) ?? null, running: row !== undefined };
}

/** Those whose host died while it sent them. */
export function sendingDrafts(db: Db): DraftRow[] {
  return db.all<DraftRow>(
    "SELECT * FROM drafts INDEXED BY drafts_open WHERE state IN ('sending', 'shown') AND state = 'sending' ORDER BY turn_id",
  );
}

/** The platform's id of it is kept once it has one. */
export function markDraft(
  db: Db,
  now: number,
  turn: number,
  state: DraftRow['state'],
  receipt: string | null = null,
): void {
  db.run(
    'UPDATE drafts SET state = ?, receipt = coalesce(?, receipt), updated_ms = ? WHERE turn_id = ?',
    ...[state, receipt, now, turn],
  );
}

/** It never was there: a later attempt may make one. */
export function dropDraft(db: Db, turn: number): void {
  db.run('DELETE FROM drafts WHERE turn_id = ?', turn);
}

/** The draft that a row takes the place of: the first message of what its turn says in the end. */
export function draftReplacedBy(db: Db, row: OutboundRow): DraftRow | null {
  if (row.turn_id === null || row.kind === 'send' || row.chunk !== 0) return null;
  const draft = draftOf(db, row.turn_id);
  if (draft?.state !== 'shown' || draft.chat_id !== row.chat_id || draft.thread !== row.thread) return null;
  return draft;
}

/**
 * Of a turn that ends without an answer: what is shown of one says so. A row like any other, that whoever dies does not
 * lose. It belongs to no session: no stop holds it back. Returns its chat; null: nothing is shown.
 */
export function replaceDraft(db: Db, now: number, turn: number, words: string): number | null {
  const draft = draftOf(db, turn);
  if (draft?.state !== 'sending' && draft?.state !== 'shown') return null;
  const own = { session_id: null, turn_id: turn, attempt: 0, ordinal: IN_ITS_PLACE, send_hash: '', reply_to: null };
  const { chat_id, thread } = draft;
  insertOutbound(db, now, { chat_id, thread, kind: 'notice', ...own }, [{ body: words, source: null }]);
  return chat_id;
}
