import { setImmediate } from 'node:timers/promises';
import { parseId, showId } from '../base/ids.ts';
import { EVENTS_AT_ONCE } from '../base/limits/messages.ts';
import type { Db } from '../ledger/db.ts';
import type { EventRow } from '../ledger/events.ts';

/**
 * What has happened to a row is an event of the same transaction. Rows are read first, then the events up to a later moment: what a row
 * lacks then, it lacks for good.
 */
interface Law {
  /** Keys of rows that need such an event, after a key and of a time on. */
  sql: string;
  kinds: readonly string[];
  /** The row that an event is about. */
  of(event: EventRow): number | undefined;
  sentence(key: number): string;
}

/** Whoever has written to the file may have written anything. */
export function dataOf({ data }: EventRow): Record<string, unknown> {
  try {
    return JSON.parse(data) ?? {};
  } catch {
    return {};
  }
}

const DELIVERIES = ['sent', 'rejected', 'uncertain'] as const;
const turnOf = ({ turn_id }: EventRow): number | undefined => turn_id ?? undefined;
const messageOf = ({ message_id }: EventRow): number | undefined => message_id ?? undefined;
const outboundOf = ({ outbound_id }: EventRow): number | undefined => outbound_id ?? undefined;

/** How a message of the host's own begins, by its origin. */
const BEGINNINGS = { platform: 'message.received', task: 'task.due', agent: 'agent.said', approval: 'message.queued' };

const LAWS: readonly Law[] = [
  {
    sql: 'SELECT id FROM turns WHERE id > ? AND started_ms >= ?',
    ...{ kinds: ['turn.started'], of: turnOf },
    sentence: (key) => `turn ${showId('t', key)} has no event of its beginning`,
  },
  {
    sql: "SELECT id FROM turns WHERE id > ? AND started_ms >= ? AND state NOT IN ('running', 'waiting')",
    ...{ kinds: ['turn.settled', 'turn.stopped', 'turn.attempt_failed'], of: turnOf },
    sentence: (key) => `turn ${showId('t', key)} has no event of its end`,
  },
  ...DELIVERIES.map((state) => ({
    // What is refused before it is sent (`attempts` is 0) was decided about, not delivered.
    sql: `SELECT id FROM outbound WHERE id > ? AND created_ms >= ? AND state = '${state}' AND attempts > 0`,
    ...{ kinds: [`delivery.${state}`], of: outboundOf },
    sentence: (key: number) => `${showId('o', key)} is ${state}, and no event says so`,
  })),
  ...Object.entries(BEGINNINGS).map(([origin, kind]) => ({
    sql: `SELECT id FROM messages WHERE id > ? AND received_ms >= ? AND origin = '${origin}'`,
    ...{ kinds: [kind], of: messageOf },
    sentence: (key: number) => `message ${showId('m', key)} has no event of its coming`,
  })),
  {
    sql: `SELECT id FROM approvals WHERE id > ? AND created_ms >= ? AND decided_by IS NOT NULL AND state IN ('approved', 'denied', 'done')`,
    kinds: ['approval.decided'],
    of: (event) => parseId('h', String(dataOf(event)['approval'])),
    sentence: (key) => `approval ${showId('h', key)} was decided, and no event says by whom`,
  },
];

export class RowEvents {
  readonly #lacking: Set<number>[];

  private constructor(lacking: Set<number>[]) {
    this.#lacking = lacking;
  }

  /** Reads the rows that are younger than `since_ms`, in portions. */
  static async read(db: Db, since_ms: number): Promise<RowEvents> {
    const lacking: Set<number>[] = [];
    for (const { sql } of LAWS) {
      const keys = new Set<number>();
      for (let last = 0, more = true; more; await setImmediate()) {
        const rows = db.all<{ id: number }>(`${sql} ORDER BY id LIMIT ${EVENTS_AT_ONCE}`, last, since_ms);
        for (const { id } of rows) keys.add(id);
        last = rows.at(-1)?.id ?? last;
        more = rows.length === EVENTS_AT_ONCE;
      }
      lacking.push(keys);
    }
    return new RowEvents(lacking);
  }

  see(event: EventRow): void {
    LAWS.forEach(({ kinds, of }, index) => {
      if (!kinds.includes(event.kind)) return;
      const key = of(event);
      if (key !== undefined) this.#lacking[index]!.delete(key);
    });
  }

  /** The first row that lacks its event, in a sentence; null: none does. */
  broken(): string | null {
    for (const [index, { sentence }] of LAWS.entries()) for (const key of this.#lacking[index]!) return sentence(key);
    return null;
  }
}
