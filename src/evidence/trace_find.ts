import { OperatingError } from '../base/errors.ts';
import { parseId } from '../base/ids.ts';
import { LINKS } from '../channels/kinds.ts';
import { chatByPlatformId } from '../ledger/chats.ts';
import type { Db } from '../ledger/db.ts';
import { ANSWERED_BY, latestMessageId, messageById } from '../ledger/messages.ts';

/** From whatever a person has of a message to its key. Every way is a search by an index, or a bounded look back. */

/** Where `latest` is looked for; nothing: everywhere. `chat` as people name it: `telegram:-100123`, `local:main`. */
export interface Scope {
  group?: string | undefined;
  chat?: string | undefined;
}

/** So far back the latest of a chat or a group is looked for among all messages, before its conversations are asked. */
const LOOKED_BACK = 10_000;
/** Conversations of a group that are asked, the newest first. */
const SESSIONS_ASKED = 100;

/**
 * A message by one of our ids (`m12`; `o7` what that text answers, `t5` the first of that turn, `s3` the session's latest, `q2`, `h4`,
 * `i9`, `k1` the last run), a link of its platform, the platform's id of it or of our answer, or `latest`. Throws
 * `OperatingError('not_found')`.
 */
export function findMessage(db: Db, what: string, scope: Scope = {}): number {
  const found =
    what === 'latest' ? latestOf(db, scope) : (byOurId(db, what) ?? byLink(db, what) ?? byPlatform(db, what));
  if (found !== undefined && messageById(db, found) !== undefined) return found;
  const where = [scope.group, scope.chat].filter((part) => part !== undefined).join(' in ');
  throw new OperatingError(
    'not_found',
    what === 'latest'
      ? `there is no message yet${where === '' ? '' : ` of ${where}`}`
      : `there is no message "${what.slice(0, 200)}"`,
    'glass trace --find "<words>" looks for it by its text',
  );
}

/** SQL by letter, each with one parameter: the number behind it. */
const BY_LETTER = {
  m: 'SELECT id FROM messages WHERE id = ?1',
  i: 'SELECT message_id AS id FROM inbound WHERE id = ?1',
  t: `SELECT i.message_id AS id FROM turn_inbound x JOIN inbound i ON i.id = x.inbound_id WHERE x.turn_id = ?1 ORDER BY i.id LIMIT 1`,
  o: `SELECT ${ANSWERED_BY} AS id FROM outbound o WHERE o.id = ?1`,
  q: `SELECT i.message_id AS id FROM asks a JOIN turn_inbound x ON x.turn_id = a.turn_id JOIN inbound i ON i.id = x.inbound_id
       WHERE a.id = ?1 ORDER BY i.id LIMIT 1`,
  h: `SELECT coalesce(a.message_id, (SELECT i.message_id FROM turn_inbound x JOIN inbound i ON i.id = x.inbound_id
        WHERE x.turn_id = a.turn_id ORDER BY i.id LIMIT 1)) AS id FROM approvals a WHERE a.id = ?1`,
  k: 'SELECT message_id AS id FROM task_runs WHERE task_id = ?1 AND message_id IS NOT NULL ORDER BY id DESC LIMIT 1',
  // What waits in it is the newest; else what its conversation ends with.
  s: `SELECT coalesce(
        (SELECT message_id FROM inbound INDEXED BY inbound_open WHERE session_id = ?1 AND state IN ('queued', 'running') ORDER BY id DESC LIMIT 1),
        (SELECT max(i.message_id) FROM turn_inbound x JOIN inbound i ON i.id = x.inbound_id WHERE x.turn_id =
          (SELECT turn_id FROM transcript WHERE session_id = ?1 AND turn_id IS NOT NULL ORDER BY id DESC LIMIT 1))) AS id`,
} as const;

function byOurId(db: Db, what: string): number | undefined {
  for (const [letter, sql] of Object.entries(BY_LETTER)) {
    const key = parseId(letter as keyof typeof BY_LETTER, what);
    if (key !== undefined) return one(db, sql, key);
  }
  return undefined;
}

function byLink(db: Db, what: string): number | undefined {
  const url = URL.parse(what);
  if (url === null || !/^https?:$/.test(url.protocol)) return undefined;
  for (const linked of LINKS) {
    const named = linked(url);
    if (named !== null) return byPlatform(db, named.platform_id, named.chat);
  }
  throw new OperatingError(
    'usage',
    'that link names no message of a platform that is known here',
    'give it as the platform copies it: t.me/c/…/…, …slack.com/archives/…/p…, discord.com/channels/…, …/issues/5#issuecomment-…, teams.microsoft.com/l/message/…',
  );
}

/** Theirs; else what ours of that name answers. `chat` null: any. */
function byPlatform(db: Db, platformId: string, chat: string | null = null): number | undefined {
  const theirs = `SELECT m.id FROM messages m JOIN chats c ON c.id = m.chat_id
    WHERE m.platform_id = ?1 AND m.origin = 'platform' AND (?2 IS NULL OR c.platform_id = ?2) ORDER BY m.id DESC LIMIT 1`;
  const ours = `SELECT o.id FROM outbound o JOIN chats c ON c.id = o.chat_id
    WHERE o.receipt = ?1 AND o.receipt IS NOT NULL AND (?2 IS NULL OR c.platform_id = ?2) ORDER BY o.id DESC LIMIT 1`;
  const found = one(db, theirs, platformId, chat);
  if (found !== undefined) return found;
  const answer = one(db, ours, platformId, chat);
  return answer === undefined ? undefined : one(db, BY_LETTER.o, answer);
}

function latestOf(db: Db, { group, chat }: Scope): number | undefined {
  if (group === undefined && chat === undefined) return latestMessageId(db);
  const at = chat === undefined ? null : keyOfChat(db, chat);
  if (group === undefined) return latestOfChat(db, at!);
  const recent = `SELECT i.message_id AS id FROM inbound i JOIN sessions s ON s.id = i.session_id
    WHERE i.id > (SELECT max(id) FROM inbound) - ${LOOKED_BACK} AND s.group_name = ?1 AND (?2 IS NULL OR (SELECT chat_id FROM messages m WHERE m.id = i.message_id) = ?2)
    ORDER BY i.id DESC LIMIT 1`;
  const found = one(db, recent, group, at);
  if (found !== undefined) return found;
  const sessions = db.all<{ id: number }>(
    `SELECT id FROM sessions WHERE group_name = ?1 AND (?2 IS NULL OR chat_id = ?2) ORDER BY id DESC LIMIT ${SESSIONS_ASKED}`,
    ...[group, at],
  );
  const latest = sessions.map(({ id }) => one(db, BY_LETTER.s, id) ?? 0);
  return latest.length === 0 ? undefined : Math.max(...latest);
}

function latestOfChat(db: Db, chat: number): number | undefined {
  const recent = `SELECT id FROM messages WHERE id > (SELECT max(id) FROM messages) - ${LOOKED_BACK} AND chat_id = ? ORDER BY id DESC LIMIT 1`;
  const answered =
    'SELECT id FROM outbound WHERE chat_id = ? AND (reply_to IS NOT NULL OR turn_id IS NOT NULL) ORDER BY id DESC LIMIT 1';
  const found = one(db, recent, chat);
  if (found !== undefined) return found;
  const answer = one(db, answered, chat);
  return answer === undefined ? undefined : one(db, BY_LETTER.o, answer);
}

/** Throws `not_found`. A name without a channel is one of the terminal's. */
function keyOfChat(db: Db, chat: string): number {
  const [, channel, platformId] = /^([^:]+):(.+)$/s.exec(chat) ?? [];
  const found = channel === undefined ? undefined : chatByPlatformId(db, channel, platformId!);
  const key = (found ?? chatByPlatformId(db, 'local', chat))?.id;
  if (key === undefined)
    throw new OperatingError('not_found', `there is no chat "${chat.slice(0, 200)}"`, './glass wiring list shows them');
  return key;
}

function one(db: Db, sql: string, ...values: (string | number | null)[]): number | undefined {
  return db.get<{ id: number | null }>(sql, ...values)?.id ?? undefined;
}
