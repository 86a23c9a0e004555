import { showId } from '../base/ids.ts';
import { chatByPlatformId } from '../ledger/chats.ts';
import type { Db } from '../ledger/db.ts';
import type { Ledger } from '../ledger/ledger.ts';
import { fileOfOutbound, type OutboundRow, recentOutbound } from '../ledger/outbound.ts';

/** What was said and answered, in that order: a terminal shows an answer before it says so. Each row has the key under which a terminal may know it already. */
export function history(ledger: Ledger, chat: string, limit: number): object[] {
  const row = chatByPlatformId(ledger.db, 'local', chat);
  if (row === undefined || limit === 0) return [];
  const said = ledger.db.all<{ sender: string; key: string; text: string; at_ms: number }>(
    `SELECT sender, platform_id AS key, received_ms AS at_ms,
            trim(text || coalesce((SELECT group_concat(' [file ' || name || ']', '') FROM files WHERE message_id = m.id), '')) AS text
       FROM messages m WHERE chat_id = ? ORDER BY id DESC LIMIT ?`,
    row.id,
    limit,
  );
  const heard = recentOutbound(ledger.db, row.id, limit);
  return [
    ...said.reverse().map(({ sender, key, text, at_ms }) => ({ t: 'history', from: sender, key, body: text, at_ms })),
    ...heard.map((out) => ({
      t: 'history',
      from: null,
      key: out.key,
      body: bodyOf(ledger.db, out),
      at_ms: out.created_ms,
    })),
  ]
    .sort((a, b) => a.at_ms - b.at_ms)
    .slice(-limit);
}

function bodyOf(db: Db, out: OutboundRow): string {
  const file = fileOfOutbound(db, out.id);
  return file === undefined ? out.body : `${out.body} [file ${file.name}, ${showId('o', out.id)}]`.trim();
}
