import { CHECK_CHAT, CHECK_GROUP } from '../evidence/check/names.ts';
import { chatById } from '../ledger/chats.ts';
import type { Ledger } from '../ledger/ledger.ts';
import { sessionById } from '../ledger/sessions.ts';

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

/** Both processes of a trial end with the one that wants it, also when that is killed: their standard input is its pipe. */
export function whenTrialEnds(env: NodeJS.ProcessEnv, end: () => void): void {
  if (env['GLASS_TRIAL'] === '1') process.stdin.on('end', end).on('error', end).resume();
}
