import { createHash } from 'node:crypto';
import type { Clock } from '../base/clock.ts';
import { showId } from '../base/ids.ts';
import { OUTBOUND_TEXT_BYTES_MAX, TURN_SENDS_MAX } from '../base/limits/messages.ts';
import { showBytes } from '../base/text.ts';
import type { Card } from '../channels/channel.ts';
import { piecesOf } from '../channels/dialects/outgoing.ts';
import type { Db } from '../ledger/db.ts';
import { recordEvent } from '../ledger/events.ts';
import type { FileFacts } from '../ledger/files.ts';
import { addMarks, mustHold } from '../ledger/marks.ts';
import { messageById } from '../ledger/messages.ts';
import { type Chunk, insertOutbound, outboundById, sendsAt, sendsBeforeSplit } from '../ledger/outbound.ts';
import { isCancelled } from '../ledger/turns.ts';
import { askForPost, countPost } from './agent_post.ts';
import { chatDestination, type Destination, destinationOf } from './destinations.ts';
import { refused, type ToolContext, type ToolReceipt, type ToolServices } from './tool_call.ts';

/** What an agent sends in the middle of its turn: each is committed under its ordinal, so that a later attempt does not do it again. */
export interface Send {
  text: string;
  to?: string | undefined;
  file?: FileFacts;
  /** The text is a reaction to this message. */
  reactTo?: number;
  card?: Card;
}

export async function sendMessage(services: ToolServices, context: ToolContext, args: Send): Promise<ToolReceipt> {
  const { ledger } = services;
  if (Buffer.byteLength(args.text) > OUTBOUND_TEXT_BYTES_MAX)
    return refused(`a message has at most ${OUTBOUND_TEXT_BYTES_MAX} bytes`);
  if (context.ordinal > TURN_SENDS_MAX) return refused(`a turn sends at most ${TURN_SENDS_MAX} messages`);
  const to = destinationOf(ledger.db, context, args.to);
  if (to === undefined) return refused(`"${args.to}" is not a destination of this group; see list_destinations`);
  const takes = services.capabilities(to.channel);
  const { file_bytes_max, text_max } = takes;
  const { file, card } = args;
  if (file !== undefined && file.bytes > file_bytes_max) return refused(tooLarge(to, file_bytes_max));
  // A file alone is a row like any other, with an empty text.
  const pieces = piecesOf(args.text, takes);
  if (card !== undefined && pieces.length > 1) return refused(`a card there has at most ${text_max} characters`);
  return commit(services, context, to, args, pieces);
}

/** A reaction to a message of this turn: the last one, or the one that is meant. */
export async function react(
  services: ToolServices,
  context: ToolContext,
  { emoji, to }: { emoji: string; to?: number | undefined },
): Promise<ToolReceipt> {
  const { db } = services.ledger;
  if (context.ordinal > TURN_SENDS_MAX) return refused(`a turn sends at most ${TURN_SENDS_MAX} messages`);
  const id = context.said.at(to === undefined ? -1 : to - 1);
  const message = id === undefined ? undefined : messageById(db, id);
  if (message === undefined) return refused(`this turn has ${context.said.length} messages; count from 1`);
  if (message.origin !== 'platform') return refused('nobody has written that message in the chat; answer it in words');
  const chat = chatDestination(db, context, message.chat_id);
  if (services.capabilities(chat.channel).reactions !== true)
    return refused(`${chat.name} has no reactions; say it in words`);
  const about = { text: emoji, reactTo: message.id };
  return commit(services, context, chat, about, [{ body: emoji, source: emoji }]);
}

async function commit(
  services: ToolServices,
  context: ToolContext,
  to: Destination,
  args: Send,
  chunks: Chunk[],
): Promise<ToolReceipt> {
  const { ledger, clock } = services;
  try {
    const sent = await ledger.write('send', (db) => commitSend(db, clock, context, to, args, chunks));
    if (typeof sent === 'string') return refused(sent);
    const { chat, asked, ...receipt } = sent;
    services.deliver(chat);
    if (asked === undefined) return { ok: true, value: receipt };
    services.asked(asked);
    return { ok: true, value: { ...receipt, told: 'A person is asked before it is passed on.' } };
  } catch {
    return refused('the message could not be stored; try again later');
  }
}

/** The same send by a later attempt gets the first one's receipt and sends nothing. A string: why nothing is sent. */
function commitSend(
  db: Db,
  clock: Clock,
  context: ToolContext,
  to: Destination,
  { text, file, card, reactTo }: Send,
  chunks: Chunk[],
): { id: string; chat: number; repeated?: true; asked?: number } | string {
  const { session, turn, ordinal } = context;
  if (isCancelled(db, turn.id)) return 'this turn was stopped by a person';
  const { chat_id: chat, thread } = to.open(db, clock.now());
  const more = file === undefined ? [] : [file.name, file.sha256];
  if (card !== undefined) more.push(JSON.stringify(card));
  const whole = [chat, thread, text, ...more, ...(reactTo === undefined ? [] : ['reaction', reactTo])].join('\n');
  const send_hash = createHash('sha256').update(whole).digest('hex');
  const links = { session: session.id, turn: turn.id };
  const earlier = sendsAt(db, turn.id, ordinal);
  const same = earlier.find((send) => send.send_hash === send_hash)?.id ?? claimBeforeSplit(db, context, send_hash);
  const before = same === undefined ? undefined : outboundById(db, same);
  if (before?.state === 'rejected') return `it was not sent: ${before.error}`;
  if (earlier.length > 0 || same !== undefined)
    recordEvent(db, clock, 'send.repeated', links, { ordinal, same_body: same !== undefined });
  if (same !== undefined) return { id: showId('o', same), chat, repeated: true };
  const refusal = to.agent === null ? null : countPost(db, clock.now(), context, to.agent);
  if (refusal !== null) return refusal;
  const acts = to.agent !== null || chat !== context.place.chat_id;
  const asks = to.approve || (acts && mustHold(db, session, ['C']));
  if (acts && !asks) addMarks(db, clock, session, ['C'], `message to ${to.name}`, { turn: turn.id });
  const out = {
    chat_id: chat,
    thread,
    kind: 'send' as const,
    session_id: session.id,
    turn_id: turn.id,
    attempt: turn.attempt,
    ordinal,
    send_hash,
    reply_to: reactTo ?? null,
    ...(file === undefined ? {} : { file }),
    ...(reactTo === undefined ? {} : { act: 'react' as const }),
    ...(card === undefined ? {} : { card: JSON.stringify(card) }),
  };
  const ids = insertOutbound(db, clock.now(), out, chunks);
  recordEvent(db, clock, 'send.committed', links, { ordinal, chunks: ids.length, ...(file && { file }) });
  const sent = { id: showId('o', ids[0]!), chat };
  if (!asks) return sent;
  const asked = askForPost(db, clock, context, to.agent ?? to.name, { text, file }, ids);
  return typeof asked === 'string' ? asked : { ...sent, asked };
}

function tooLarge({ name }: Destination, most: number): string {
  return most === 0 ? `${name} takes no files` : `${name} takes files up to ${showBytes(most)}`;
}

/** After a batch was taken apart, ordinals no longer match: each send that it made is matched once, by its body. */
function claimBeforeSplit(db: Db, context: ToolContext, hash: string): number | undefined {
  const found = sendsBeforeSplit(db, context.turn.id, hash).find((id) => !context.claimed.has(id));
  if (found !== undefined) context.claimed.add(found);
  return found;
}
