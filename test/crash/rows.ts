import { DatabaseSync } from 'node:sqlite';
import type { Journal, World } from './world.ts';

/** What the ledger says, read beside the host that writes it. */
function read<T>(world: World, look: (db: DatabaseSync) => T): T {
  const db = new DatabaseSync(world.paths.ledger, { readOnly: true });
  try {
    db.exec('BEGIN'); // all of it is of one moment
    return look(db);
  } finally {
    db.close();
  }
}

/** Why the run has not come to rest; null: every row is at its end, and the platform has been acknowledged. */
export function unrest(world: World, { updates, acknowledged }: Journal): string | null {
  const total = updates.filter(({ message }) => message === undefined).length;
  return read(world, (db) => {
    const count = (sql: string): number => Number(db.prepare(sql).get()?.['n'] ?? 0);
    const messages = count(
      "SELECT count(*) AS n FROM messages m JOIN chats c ON c.id = m.chat_id WHERE c.channel = 'platform'",
    );
    if (messages < total) return `${messages} of ${total} messages are in the ledger`;
    const inbound = count("SELECT count(*) AS n FROM inbound WHERE state IN ('queued', 'running')");
    if (inbound > 0) return `${inbound} messages are not settled`;
    const outbound = count(
      // What one agent says to another is a message soon.
      "SELECT count(*) AS n FROM outbound o JOIN chats c ON c.id = o.chat_id WHERE c.channel IN ('platform', 'agents') AND o.state IN ('queued', 'sending', 'retry')",
    );
    if (outbound > 0) return `${outbound} messages are not delivered`;
    return acknowledged < updates.length ? 'the platform is not acknowledged' : null;
  });
}

/** Whether in that chat a message has joined a turn that ran. */
export function hasJoined(world: World, chat: string): boolean {
  const sql = `SELECT 1 FROM events e JOIN sessions s ON s.id = e.session_id JOIN chats c ON c.id = s.chat_id
    WHERE e.kind = 'turn.steered' AND c.platform_id = ?`;
  return read(world, (db) => db.prepare(sql).get(chat) !== undefined);
}

/** Of the message with this token. */
export function rowOf(world: World, token: string): { state: string; deaths: number } | undefined {
  const sql =
    'SELECT i.state, i.deaths FROM messages m JOIN inbound i ON i.message_id = m.id WHERE instr(m.text, ?) > 0';
  const row = read(world, (db) => db.prepare(sql).get(token));
  return row === undefined ? undefined : { state: String(row['state']), deaths: Number(row['deaths']) };
}

/** Its time passes for what waits for a person; who looks next finds it late. */
export function makeLate(world: World): void {
  const db = new DatabaseSync(world.paths.ledger, { timeout: LOCKED_MS });
  try {
    db.exec("UPDATE asks SET expires_ms = 1 WHERE state = 'pending'");
    db.exec("UPDATE approvals SET expires_ms = 1 WHERE state = 'pending' AND kind <> 'egress'");
  } finally {
    db.close();
  }
}

const LOCKED_MS = 5000;

/** Another program holds the ledger, for so long that the host does not wait for it. */
export async function holdLedger(world: World, held_ms: number): Promise<void> {
  const db = new DatabaseSync(world.paths.ledger, { timeout: LOCKED_MS });
  db.exec('BEGIN IMMEDIATE');
  await new Promise((resolve) => setTimeout(resolve, held_ms));
  db.close();
}
