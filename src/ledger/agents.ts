import type { Db } from './db.ts';
import type { OutboundRow } from './outbound.ts';

/** What agents say to one another, as texts that go out of one session and messages that come into another. */

export function outboundByKey(db: Db, key: string): OutboundRow | undefined {
  return db.get('SELECT * FROM outbound WHERE key = ?', key);
}

/** The message that a text has become. */
export function messageOfText(db: Db, outbound: number): number | undefined {
  return db.get<{ id: number }>('SELECT id FROM messages WHERE outbound_id = ?', outbound)?.id;
}

/** How many agents the words of a turn have come through at most. */
export function hopsOfTurn(db: Db, turn: number): number {
  const sql = `SELECT max(m.hops) AS hops FROM turn_inbound x JOIN inbound i ON i.id = x.inbound_id JOIN messages m ON m.id = i.message_id
    WHERE x.turn_id = ?`;
  return db.get<{ hops: number | null }>(sql, turn)!.hops ?? 0;
}

/** Where the words of a turn were said. */
export function placeOfTurn(db: Db, turn: number): { chat_id: number; thread: string } | undefined {
  return db.get(
    `SELECT m.chat_id, m.thread FROM turn_inbound x JOIN inbound i ON i.id = x.inbound_id JOIN messages m ON m.id = i.message_id
      WHERE x.turn_id = ? ORDER BY i.id LIMIT 1`,
    turn,
  );
}

/** The turn in which a session last wrote to another agent, and was heard: in their chat, whose thread is that session's. */
export function lastAskedIn(db: Db, chat: number, thread: string): number | undefined {
  const sql = `SELECT o.turn_id FROM messages m JOIN outbound o ON o.id = m.outbound_id
    WHERE m.chat_id = ? AND m.thread = ? AND m.origin = 'agent' ORDER BY m.id DESC LIMIT 1`;
  return db.get<{ turn_id: number }>(sql, chat, thread)?.turn_id;
}

/** The messages that the texts of a turn have become in other groups, oldest first. */
export function passedOn(db: Db, turn: number): number[] {
  const sql = 'SELECT m.id FROM outbound o JOIN messages m ON m.outbound_id = o.id WHERE o.turn_id = ? ORDER BY m.id';
  return db.all<{ id: number }>(sql, turn).map(({ id }) => id);
}
