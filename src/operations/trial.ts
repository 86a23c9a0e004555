import { basename } from 'node:path';
import type { Clock } from '../base/clock.ts';
import type { Paths } from '../base/paths.ts';
import { CHECK_CHAT, CHECK_GROUP } from '../evidence/check/names.ts';
import { chatById } from '../ledger/chats.ts';
import type { Db } from '../ledger/db.ts';
import type { Ledger } from '../ledger/ledger.ts';
import { sessionById } from '../ledger/sessions.ts';
import { endStops } from '../ledger/stops.ts';
import { TRIAL_HOME } from './backup/names.ts';

/**
 * A trial start (`glass up --trial`): the host of a home is started as in safe mode, and besides one throw-away group answers one message.
 * Whatever else waits in the ledger (a turn, a text, a task) is not woken, however it is asked for: this is where that is decided.
 */
export function onlyOfTrial({ trial, ledger }: { trial: boolean; ledger: Ledger }) {
  const isOwnSession = (id: number): boolean => sessionById(ledger.db, id)?.group_name === CHECK_GROUP;
  const isOwnChat = (id: number): boolean => {
    const chat = chatById(ledger.db, id);
    return chat?.channel === 'local' && chat.platform_id.startsWith(CHECK_CHAT);
  };
  const only =
    (isOwn: (id: number) => boolean) =>
    <More extends unknown[]>(act: (id: number, ...more: More) => void) =>
    (id: number, ...more: More): void => {
      if (!trial || isOwn(id)) act(id, ...more);
    };
  return { sessions: only(isOwnSession), chats: only(isOwnChat) };
}

/** A stop of everything is kept by a backup, too. A copy that is only there to be tried out, and goes at the end, is let go of it: it must answer. */
export function endStopsOfCopy(db: Db, clock: Clock, { home }: Paths): void {
  if (basename(home).startsWith(TRIAL_HOME)) endStops(db, clock.now(), '', 'the trial of a copy');
}
