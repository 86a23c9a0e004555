import { messageOf } from '../base/errors.ts';
import { type EventData, type EventKind, recordEvent } from '../ledger/events.ts';
import type { SessionServices } from './services.ts';

/** Records a hop of a session that belongs to no transaction. Returns at once. */
export type HopRecorder = <K extends EventKind>(kind: K, data: EventData[K], turn?: number) => void;

/** Its hops are after the fact: losing one to a full disk is logged, and loses no message. */
export function hopRecorder(services: Pick<SessionServices, 'ledger' | 'clock' | 'log'>, session: number): HopRecorder {
  const { ledger, clock, log } = services;
  return (kind, data, turn) => {
    const at_us = clock.micros();
    const links = turn === undefined ? { session } : { session, turn };
    ledger
      .writeSoon('hop', (db) => recordEvent(db, clock, kind, links, data, at_us))
      .catch((error) => log.error('hop.lost', { kind, reason: messageOf(error) }));
  };
}
