import type { Db } from '../../ledger/db.ts';
import type { EventRow } from '../../ledger/events.ts';
import { outcomeOf } from '../../ledger/messages.ts';
import type { Observation } from './samples.ts';

/** What a committed event means to the exporters: a duration to count, a message that may be over. */

/** Durations that end with this event. */
export function observationsOf(db: Db, event: EventRow): Observation[] {
  const data = JSON.parse(event.data) as Record<string, unknown>;
  switch (event.kind) {
    case 'sandbox.ready':
      return groupOf(db, event.session_id).map((group) => ({
        name: 'glass_sandbox_start_seconds',
        labels: { group },
        value: Number(data['ms']) / 1000,
      }));
    case 'turn.settled':
      return turnOf(db, event.turn_id).map(({ group, started_ms }) => ({
        name: 'glass_turn_seconds',
        labels: { group, outcome: String(data['outcome']) },
        value: sinceMs(event, started_ms),
      }));
    case 'delivery.sent':
    case 'delivery.rejected':
    case 'delivery.uncertain':
      return outboundOf(db, event.outbound_id).map(({ channel, created_ms }) => ({
        name: 'glass_delivery_seconds',
        labels: { channel, state: event.kind.slice('delivery.'.length) },
        value: sinceMs(event, created_ms),
      }));
    default:
      return [];
  }
}

/** Keys of messages that are answered and delivered, or will not be, and that this event may have been the last step of. */
export function overAfter(db: Db, event: EventRow): number[] {
  if (!/^(?:turn\.(?:settled|stopped|attempt_failed)|delivery\.|message\.(?:failed|answered))/.test(event.kind))
    return [];
  const messages =
    event.message_id === null
      ? [...messagesOf(db, event.turn_id), ...repliedTo(db, event.outbound_id)]
      : [event.message_id];
  return messages.filter((message) => outcomeOf(db, message) !== undefined);
}

function messagesOf(db: Db, turn: number | null): number[] {
  if (turn === null) return [];
  return db
    .all<{ id: number }>(
      'SELECT DISTINCT i.message_id AS id FROM turn_inbound x JOIN inbound i ON i.id = x.inbound_id WHERE x.turn_id = ?',
      turn,
    )
    .map(({ id }) => id);
}

/** A text of the host itself belongs to no turn: it answers a command, or says why there is no answer. */
function repliedTo(db: Db, outbound: number | null): number[] {
  return db
    .all<{ id: number }>('SELECT reply_to AS id FROM outbound WHERE id = ? AND reply_to IS NOT NULL', outbound)
    .map(({ id }) => id);
}

function groupOf(db: Db, session: number | null): string[] {
  return db
    .all<{ name: string }>('SELECT group_name AS name FROM sessions WHERE id = ?', session)
    .map(({ name }) => name);
}

function turnOf(db: Db, turn: number | null): { group: string; started_ms: number }[] {
  return db.all(
    'SELECT s.group_name AS "group", t.started_ms FROM turns t JOIN sessions s ON s.id = t.session_id WHERE t.id = ?',
    turn,
  );
}

function outboundOf(db: Db, outbound: number | null): { channel: string; created_ms: number }[] {
  return db.all(
    'SELECT c.channel, o.created_ms FROM outbound o JOIN chats c ON c.id = o.chat_id WHERE o.id = ?',
    outbound,
  );
}

function sinceMs({ at_us }: EventRow, from_ms: number): number {
  return Math.max(0, at_us / 1000 - from_ms) / 1000;
}
