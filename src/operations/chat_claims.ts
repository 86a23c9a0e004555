import type { Clock } from '../base/clock.ts';
import { chatById, nameOfChat, wire, wiringsOf } from '../ledger/chats.ts';
import type { Db } from '../ledger/db.ts';
import { recordEvent } from '../ledger/events.ts';
import { pairingOf, usePairing } from '../ledger/pairings.ts';
import { administers } from '../ledger/people.ts';
import type { CommandPlace } from '../router/commands.ts';

/** A chat is given to a group by a code that the operator made, said there by somebody who administers the group. */

/** Under which name codes for chats are kept: no channel has it, so that none of them is good as a code for a person. */
export function chatCodesOf(channel: string): string {
  return `${channel}/chat`;
}

/** What is said to who said the code; within the transaction of their message. To who may not use it no code is valid. */
export function claimChat(db: Db, clock: Clock, { chat: id, person }: CommandPlace, code: string): string {
  const chat = chatById(db, id)!;
  const row = pairingOf(db, clock.now(), chatCodesOf(chat.channel), code);
  if (row === undefined || !administers(db, person, row.wire_group)) return 'That code is not valid, or no longer.';
  const { wire_group: group } = row;
  if (chat.direct === 1) return `Say it in the chat where ${group} is to answer.`;
  if (wiringsOf(db, id).some(({ group_name }) => group_name === group)) return `${group} answers here already.`;
  usePairing(db, clock.now(), row.id);
  wire(db, id, group, 'mention');
  const change = { chat: nameOfChat(chat), group, change: 'engage mention', by: 'pairing code' };
  recordEvent(db, clock, 'wiring.changed', {}, change);
  return `${group} answers here now, when it is addressed.`;
}
