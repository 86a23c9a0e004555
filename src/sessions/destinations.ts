import type { Authority } from '../authority/authority.ts';
import { showId } from '../base/ids.ts';
import { AGENTS } from '../channels/agents/agents.ts';
import { authorityInForce } from '../ledger/authorities.ts';
import { chatById, destinationsOf, ensureChat, nameOfChat } from '../ledger/chats.ts';
import type { Db } from '../ledger/db.ts';
import type { SessionRow } from '../ledger/sessions.ts';

/** Where an agent may send: the chats that its group answers in, and the agents that its authority names. Nothing else is there for it. */
export interface Destination {
  /** As `list_destinations` prints it, and for people. */
  name: string;
  title: string;
  channel: string;
  /** Each text there waits for a person. */
  approve: boolean;
  /** The group of the agent that it is. */
  agent: string | null;
  /** Makes the place if need be, in the transaction that sends there. */
  open(db: Db, now: number): { chat_id: number; thread: string };
}

/** An agent, and where the words of its turn were said. */
export interface Caller {
  session: SessionRow;
  place: { chat_id: number; thread: string };
}

/** Named by what `list_destinations` prints, or by nothing: where the turn answers. Undefined: not one of this group's. */
export function destinationOf(db: Db, caller: Caller, to: string | undefined): Destination | undefined {
  if (to === undefined) return chatDestination(db, caller, caller.place.chat_id);
  return destinations(db, caller).find(({ name }) => name === to);
}

export function destinations(db: Db, caller: Caller): Destination[] {
  const group = caller.session.group_name;
  const chats = destinationsOf(db, group).map(({ id }) => chatDestination(db, caller, id));
  const agents = Object.entries(agentsOf(db, group)).map(([name, how]) => agentDestination(caller, name, how));
  return [...chats, ...agents];
}

/** By what is in force now: what is taken from a group, a running turn loses at once. */
export function agentsOf(db: Db, group: string): NonNullable<Authority['agents']> {
  const row = authorityInForce(db, group);
  return row === undefined ? {} : ((JSON.parse(row.object) as Authority).agents ?? {});
}

/** A chat that the turn has to do with. */
export function chatDestination(db: Db, { place }: Caller, id: number): Destination {
  const { channel, platform_id, title } = chatById(db, id)!;
  const name = nameOfChat({ channel, platform_id });
  const thread = id === place.chat_id ? place.thread : '';
  return { name, title, channel, approve: false, agent: null, open: () => ({ chat_id: id, thread }) };
}

/** Each session of the asker has a conversation of its own with the other agent. */
function agentDestination({ session }: Caller, agent: string, how: 'allow' | 'approve'): Destination {
  const asker = session.group_name;
  return {
    ...{ name: `agent:${agent}`, title: `the agent ${agent}`, channel: AGENTS, approve: how === 'approve', agent },
    open: (db, now) => ({
      chat_id: ensureChat(db, now, AGENTS, `${asker}>${agent}`, `${asker} and ${agent}`),
      thread: showId('s', session.id),
    }),
  };
}
