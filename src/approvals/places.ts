import type { Clock } from '../base/clock.ts';
import { OPEN_DM_MS } from '../base/limits/talk.ts';
import { visible } from '../base/text.ts';
import type { Channel } from '../channels/channel.ts';
import { textIn } from '../channels/dialects/outgoing.ts';
import { chatById, takeChat } from '../ledger/chats.ts';
import type { Db } from '../ledger/db.ts';
import type { EventLinks } from '../ledger/events.ts';
import { insertCard } from '../ledger/outbound.ts';
import { type IdentityRow, identitiesOf, setDmChat } from '../ledger/people.ts';
import { cardTold, makeTokens } from '../ledger/questions.ts';
import type { Choice } from './card.ts';

/** Where those who may decide read alone, and a card that is put there. Nobody else is ever shown one. */
export interface Reach {
  channels: ReadonlyMap<string, Channel>;
  /** The operator's own chat, where nobody else reads. */
  operatorChat: number;
}

/** The channel of whoever can open the control socket. */
const OPERATORS = 'local';

/** A chat that we know, or one that a platform has just opened. */
export type Place =
  | { person: number; chat: number }
  | { person: number; channel: string; handle: string; platform_id: string; title: string };

/** Where one of them reads alone: the first who can be reached, on the channel that is asked about if that goes. Null: nobody. */
export async function placeOf(db: Db, reach: Reach, approvers: number[], channel: string): Promise<Place | null> {
  for (const person of approvers) {
    const known = identitiesOf(db, person).filter(({ channel: name }) => reach.channels.has(name));
    const ordered = known.toSorted((a, b) => rank(a, channel) - rank(b, channel));
    for (const identity of ordered) {
      const place = await placeOfIdentity(db, reach, identity);
      if (place !== null) return place;
    }
  }
  return null;
}

async function placeOfIdentity(db: Db, reach: Reach, identity: IdentityRow): Promise<Place | null> {
  const { person_id: person, channel, handle, dm_chat } = identity;
  if (channel === OPERATORS) return { person, chat: reach.operatorChat };
  // Others may have come into it since.
  if (dm_chat !== null && chatById(db, dm_chat)?.direct === 1) return { person, chat: dm_chat };
  const opened = await inTime(reach.channels.get(channel)!.openDm?.(handle));
  return opened === null ? null : { person, channel, handle, ...opened };
}

export function chatOfPlace(db: Db, now: number, place: Place): number {
  if ('chat' in place) return place.chat;
  const { channel, handle, platform_id, title } = place;
  const { id } = takeChat(db, now, channel, { platform_id, title, direct: true });
  setDmChat(db, channel, handle, id);
  return id;
}

/** Whether a chat takes a card as one message, which it must be: a card that is cut shows what it likes. */
export function takesCard(db: Db, { channels }: Reach, chat: number, text: string): boolean {
  const { markup, text_max } = channels.get(chatById(db, chat)!.channel)!.capabilities;
  return textIn(markup, text).length <= text_max;
}

/** Once, and only while it waits; else false. */
export function putCard(
  db: Db,
  clock: Clock,
  card: { id: number; links: EventLinks; chat: number; person: number; text: string; choices: Choice[] },
): boolean {
  const { id, chat, text, choices } = card;
  if (!cardTold(db, clock, card)) return false;
  const tokens = makeTokens(
    db,
    { approval: id },
    choices.map(({ choice }) => choice),
  );
  const buttons = choices.map(({ label }, i) => ({ token: tokens[i]!, label: visible(label) }));
  insertCard(db, clock.now(), chat, text, buttons);
  return true;
}

function rank(identity: IdentityRow, channel: string): number {
  if (identity.channel === channel) return 0;
  return identity.channel === OPERATORS ? 2 : 1;
}

/** A driver that fails or hangs cannot open one. */
async function inTime<T>(work: Promise<T | null> | undefined): Promise<T | null> {
  if (work === undefined) return null;
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<null>((resolve) => {
    timer = setTimeout(() => resolve(null), OPEN_DM_MS);
  });
  return Promise.race([work.catch(() => null), late]).finally(() => clearTimeout(timer));
}
