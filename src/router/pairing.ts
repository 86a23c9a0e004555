import type { Clock } from '../base/clock.ts';
import { showId } from '../base/ids.ts';
import { PAIRING_TRIES_ALL_MAX, PAIRING_TRIES_MAX } from '../base/limits/talk.ts';
import { raiseAlert } from '../ledger/alerts.ts';
import { chatById, nameOfChat, wire, wiringsOf } from '../ledger/chats.ts';
import type { Db } from '../ledger/db.ts';
import { recordEvent } from '../ledger/events.ts';
import { type PairingRow, pairingOf, usePairing } from '../ledger/pairings.ts';
import { addPerson, addRole, hasOwner, link, mayUse, nameOfPerson, personOf, setDmChat } from '../ledger/people.ts';
import { countTry, triesOf, triesOfAll } from '../ledger/tries.ts';

/** A code that somebody has sent in a direct chat. */
export interface PairingTry {
  message: number;
  chat: number;
  channel: string;
  handle: string;
  name: string;
  code: string;
}

/** `rule`: what is recorded; `tell`: what the sender hears, null for nothing. */
export type Paired = { ok: true; reason: string; tell: string } | { ok: false; rule: string; tell: string | null };

const WRONG = 'That code is not valid, or no longer. Ask for a new one: ./glass pair on the machine makes it.';

const GUESSED = `Somebody tries pairing codes: ${PAIRING_TRIES_ALL_MAX} wrong ones in an hour. None works there until the hour is over.`;

/** Makes the sender a person, if the code is good; inside the message's transaction. Each code works once. */
export function pair(db: Db, clock: Clock, given: PairingTry): Paired {
  const now = clock.now();
  const { channel, handle } = given;
  const own = triesOf(db, now, 'pair', channel, handle);
  if (own >= PAIRING_TRIES_MAX) return failed(db, clock, given, 'too many wrong codes of this sender', null);
  if (triesOfAll(db, now, 'pair', channel) >= PAIRING_TRIES_ALL_MAX)
    return failed(db, clock, given, 'too many wrong codes on this channel', null);
  const row = pairingOf(db, now, channel, given.code);
  const refusal = row === undefined ? 'a wrong or expired code' : refusalOf(db, row, given);
  if (row === undefined || refusal !== null) {
    countTry(db, now, 'pair', channel, handle, PAIRING_TRIES_MAX);
    if (triesOfAll(db, now, 'pair', channel) >= PAIRING_TRIES_ALL_MAX)
      raiseAlert(db, clock, 'pairing', channel, GUESSED);
    return failed(db, clock, given, refusal!, WRONG);
  }
  usePairing(db, now, row.id);
  return accepted(db, clock, row, given);
}

/** Whether what the code was made for still holds. */
function refusalOf(db: Db, row: PairingRow, { channel, handle }: PairingTry): string | null {
  const known = personOf(db, channel, handle);
  if (row.person_id !== null && known !== undefined && known !== row.person_id)
    return 'a code for somebody else than the sender';
  const gone = 'SELECT 1 AS yes FROM people WHERE id = ? AND removed_ms IS NOT NULL';
  if (row.person_id !== null && db.get(gone, row.person_id) !== undefined) return 'a code for a person who was removed';
  // It was made for the first one: whoever came before it is who decides about others.
  if (row.role === 'owner' && row.person_id === null && hasOwner(db, channel))
    return 'a code for a first owner, and there is one';
  return null;
}

function accepted(db: Db, clock: Clock, row: PairingRow, given: PairingTry): Paired {
  const { channel, handle, chat, message } = given;
  const known = personOf(db, channel, handle);
  const person = row.person_id ?? known ?? addPerson(db, clock.now(), given.name);
  if (known === undefined) link(db, channel, handle, person);
  if (row.role !== null) addRole(db, person, row.role, row.group_name);
  setDmChat(db, channel, handle, chat);
  if (wiringsOf(db, chat).length === 0 && mayUse(db, person, row.wire_group)) wireHere(db, clock, row.wire_group, chat);
  const role = row.role === null ? '' : `, ${row.role}${row.group_name === '' ? '' : ` of ${row.group_name}`}`;
  const change = `paired with ${channel}:${handle}${role}`;
  recordEvent(db, clock, 'person.changed', { message }, { person: showId('p', person), change, by: 'pairing code' });
  const reason = `paired as ${showId('p', person)}`;
  return { ok: true, reason, tell: `You are paired as ${nameOfPerson(db, person)}${role}. Say hello.` };
}

/** The chat that the code came from is answered at once. */
function wireHere(db: Db, clock: Clock, group: string, chatId: number): void {
  wire(db, chatId, group, 'always');
  const chat = nameOfChat(chatById(db, chatId)!);
  recordEvent(db, clock, 'wiring.changed', {}, { chat, group, change: 'engage always', by: 'pairing code' });
}

function failed(db: Db, clock: Clock, { message }: PairingTry, rule: string, tell: string | null): Paired {
  recordEvent(db, clock, 'pairing.failed', { message }, { reason: rule });
  return { ok: false, rule: `pairing: ${rule}`, tell };
}
