import { showId } from '../base/ids.ts';
import type { SessionRow } from '../ledger/sessions.ts';
import type { FailedAttempt } from '../ledger/turns.ts';
import { setStateAside } from './folders.ts';
import type { SessionServices } from './services.ts';

/**
 * What follows a death that is recorded: of the last one the operator is told, unless they know its cause already, and what its harness had kept
 * is set aside. Absent `failure`: nothing was given up.
 */
export async function afterDeath(
  { alert, deliver, paths }: Pick<SessionServices, 'alert' | 'deliver' | 'paths'>,
  { id, group_name, chat_id }: SessionRow,
  failure: FailedAttempt | undefined,
  isKnown: boolean,
): Promise<void> {
  if (failure?.next === 'failed') {
    const message = showId('m', failure.failed.at(-1)?.message_id ?? 0);
    const text = `${group_name} could not answer ${message}: its sandbox ended each time: ./glass trace ${message}`;
    if (!isKnown) alert('turn.failed', message, text);
    await setStateAside(paths, showId('s', id));
  }
  deliver(failure?.failed.at(-1)?.chat_id ?? chat_id);
}
