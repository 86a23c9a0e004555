import { parseId, showId } from '../base/ids.ts';
import type { Db } from '../ledger/db.ts';
import { type EventRow, eventsAfter, lastEventId } from '../ledger/events.ts';
import { outcomeOf } from '../ledger/messages.ts';
import { type Trace, traceOf } from './trace.ts';
import { type AskAudit, family, type TraceStep } from './trace_steps.ts';

/**
 * Steps of a message as they come, until it, and what became of it in other groups, is settled and delivered. What waits for a decision
 * is waited for. Woken by commits; between those of other messages it reads their hops and nothing else.
 */
export interface Follow {
  db: Db;
  message: number;
  audit: AskAudit;
  /** Calls back after commits that wrote events; returns how to stop that. */
  onEvents(listener: () => void): () => void;
  /** Resolves when nobody listens any more. */
  gone: Promise<void>;
  /** Once, before the steps. */
  onTrace(trace: Trace): void;
  onStep(step: TraceStep): void;
}

/** Hops that are read at once. */
const PORTION = 500;

/** Resolves with the whole trace at its end; null: nobody listened so long. */
export async function followTrace(follow: Follow): Promise<Trace | null> {
  const { db, message, audit, onStep } = follow;
  const told = new Set<string>();
  let listening = true;
  let woken = Promise.withResolvers<void>();
  const wake = (): void => woken.resolve();
  const stop = follow.onEvents(wake);
  void follow.gone.then(() => {
    listening = false;
    wake();
  });
  try {
    for (;;) {
      // Before the steps are read: what comes meanwhile is looked at again.
      let cursor = lastEventId(db);
      const over = isOver(db, message);
      const trace = await traceOf(db, message, audit);
      if (told.size === 0) follow.onTrace(trace);
      for (const step of trace.steps) {
        // A request that has not ended has not said yet what it cost.
        if (told.has(step.id) || (step.data['ms'] === null && !over)) continue;
        told.add(step.id);
        onStep(step);
      }
      if (over) return trace;
      for (let news = false; !news; ) {
        await woken.promise;
        if (!listening) return null;
        woken = Promise.withResolvers();
        for (let rows = eventsAfter(db, cursor, PORTION); rows.length > 0; rows = eventsAfter(db, cursor, PORTION)) {
          news ||= rows.some((row) => concerns(row, trace));
          cursor = rows.at(-1)!.id;
        }
      }
    }
  } finally {
    stop();
  }
}

function isOver(db: Db, message: number): boolean {
  return family(db, message).every(({ id }) => outcomeOf(db, id)?.states.includes('held') === false);
}

/** Whether a hop may be a step of this trace, or of the message that one of its turns' texts became. */
function concerns({ message_id, session_id }: EventRow, { message, handled, steps }: Trace): boolean {
  const ours = (shown: string | null, letter: 'm' | 's', key: number): boolean => parseId(letter, shown ?? '') === key;
  if (
    message_id !== null &&
    (message.id === showId('m', message_id) || steps.some((step) => ours(step.message, 'm', message_id)))
  )
    return true;
  if (session_id === null) return false;
  return [...handled, ...steps].some(({ session }) => ours(session, 's', session_id));
}

/** Every session has answered, and every text has arrived. */
export function isAnswered({ handled, sent }: Trace): boolean {
  return handled.every(({ state }) => state === 'answered') && sent.every(({ state }) => state === 'sent');
}
