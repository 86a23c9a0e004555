import { createHash } from 'node:crypto';
import { z } from 'zod';
import type { Clock } from '../base/clock.ts';
import { describeError, messageOf, OperatingError } from '../base/errors.ts';
import { showId } from '../base/ids.ts';
import { CALL_INPUT_BYTES_MAX, OUTBOUND_TEXT_BYTES_MAX, TURN_SENDS_MAX } from '../base/limits/messages.ts';
import type { Log } from '../base/log.ts';
import { showBytes } from '../base/text.ts';
import type { Card, ChannelCapabilities } from '../channels/channel.ts';
import { cutText } from '../channels/chunks.ts';
import { type ChatRow, chatById, destinationsOf, nameOfChat } from '../ledger/chats.ts';
import type { Db } from '../ledger/db.ts';
import { recordEvent } from '../ledger/events.ts';
import type { FileFacts } from '../ledger/files.ts';
import type { Ledger } from '../ledger/ledger.ts';
import { insertOutbound, sendsAt, sendsBeforeSplit } from '../ledger/outbound.ts';
import { mayUse } from '../ledger/people.ts';
import type { SessionRow } from '../ledger/sessions.ts';
import { searchGroup, withinBytes } from '../ledger/transcript.ts';
import { isCancelled, peopleOfTurn } from '../ledger/turns.ts';
import { ASK_INPUT, type AskContext, type AskInput, type Asks } from './asks.ts';
import { CARD_INPUT, cardBody, cardOf } from './cards.ts';

/**
 * The host's side of the platform tools. A caller is its session: nothing in the input can make it another. Everything
 * here returns a value; a receipt with `ok` means that the effect is committed.
 */
export interface ToolContext extends Pick<AskContext, 'asked' | 'over' | 'hold'> {
  session: SessionRow;
  /** Where the messages of the turn were said. */
  place: { chat_id: number; thread: string };
  /** Names of the tools that its group may use. */
  tools: readonly string[];
  turn: { id: number; attempt: number };
  /** A file that this turn has streamed to us, by its hash: nothing else may be sent. */
  received(sha256: string): FileFacts | undefined;
  /** The how-manieth send of this attempt this would be; 1 is the first. */
  ordinal: number;
  /** Sends of a turn that was taken apart, which this attempt has already been given the receipt of. */
  claimed: Set<number>;
}

export interface ToolReceipt {
  ok: boolean;
  value: unknown;
  /** The agent chose to give no answer. */
  silent?: true;
}

export interface ToolServices {
  log: Log;
  ledger: Ledger;
  clock: Clock;
  /** What a chat's channel takes. */
  capabilities(channel: string): ChannelCapabilities;
  /** Scheduled work, of the caller's group only. Each rejects with `OperatingError`. */
  tasks: AgentTasks;
  asks: Pick<Asks, 'ask'>;
  /** Something was committed for this chat. */
  deliver(chatId: number): void;
}

export interface AgentTasks {
  /** `person`: whose word it is; the task needs their role. */
  add(asked: AskedTask & { group: string; to: string; thread: string }, person: number): Promise<object>;
  list(group: string): object[];
  cancel(group: string, task: string): Promise<object>;
}

interface AskedTask {
  when: string;
  text: string;
  zone?: string | undefined;
  gate?: string | undefined;
  here?: boolean | undefined;
}

const HISTORY_ROWS_MAX = 20;

const INPUTS = {
  send_message: z.strictObject({ text: z.string().min(1), to: z.string().min(1).max(400).optional() }),
  send_file: z.strictObject({
    sha256: z.string().regex(/^[0-9a-f]{64}$/),
    text: z.string().optional(),
    to: z.string().min(1).max(400).optional(),
  }),
  task_add: z.strictObject({
    when: z.string().max(300),
    text: z.string(),
    to: z.string().min(1).max(400).optional(),
    zone: z.string().max(60).optional(),
    gate: z.string().optional(),
    here: z.boolean().optional(),
  }),
  task_list: z.strictObject({}),
  task_cancel: z.strictObject({ task: z.string().max(20) }),
  no_reply: z.strictObject({ reason: z.string().max(1000).optional() }),
  list_destinations: z.strictObject({}),
  history_search: z.strictObject({ words: z.string().min(1).max(400) }),
};

/** Never rejects: a sandbox must not be able to end the host by an input that nobody thought of. */
export async function callTool(
  services: ToolServices,
  context: ToolContext,
  tool: string,
  input: unknown,
): Promise<ToolReceipt> {
  try {
    if (!context.tools.includes(tool)) return refused(`this group may not use the tool "${tool}"`);
    return await runTool(services, context, tool, input);
  } catch (error) {
    services.log.error('tool.failed', { tool, reason: messageOf(error) });
    return refused('the host could not do that');
  }
}

async function runTool(
  services: ToolServices,
  context: ToolContext,
  tool: string,
  input: unknown,
): Promise<ToolReceipt> {
  switch (tool) {
    case 'send_message':
      return withInput(INPUTS.send_message, input, (args) => sendMessage(services, context, args));
    case 'send_file':
      return withInput(INPUTS.send_file, input, async ({ sha256, text = '', to }) => {
        const file = context.received(sha256);
        if (file === undefined) return refused('no file with that hash has come from this turn');
        return sendMessage(services, context, { text, to, file });
      });
    case 'card':
      return withInput(CARD_INPUT, input, ({ to, ...asked }) => {
        const card = cardOf(asked);
        return sendMessage(services, context, { text: cardBody(card), to, card });
      });
    case 'ask':
      return withInput(ASK_INPUT, input, (args) => ask(services, context, args));
    case 'task_add':
      return withInput(INPUTS.task_add, input, (args) => addTask(services, context, args));
    case 'task_list':
      return withInput(INPUTS.task_list, input, async () => ({
        ok: true,
        value: withinBytes(services.tasks.list(context.session.group_name).map(asText), CALL_INPUT_BYTES_MAX),
      }));
    case 'task_cancel':
      return withInput(INPUTS.task_cancel, input, ({ task }) =>
        orRefused(services.tasks.cancel(context.session.group_name, task)),
      );
    case 'no_reply':
      return withInput(INPUTS.no_reply, input, async () => ({
        ok: true,
        value: 'no answer will be sent',
        silent: true,
      }));
    case 'list_destinations':
      return withInput(INPUTS.list_destinations, input, async () => ({
        ok: true,
        value: destinations(services.ledger.db, context),
      }));
    case 'history_search':
      return withInput(INPUTS.history_search, input, async (args) => ({
        ok: true,
        value: await services.ledger.write('search', (db) => history(db, context.session, args.words)),
      }));
    default:
      return refused(`there is no tool "${tool.slice(0, 60)}"`);
  }
}

async function withInput<T>(
  schema: z.ZodType<T, unknown>,
  input: unknown,
  run: (args: T) => Promise<ToolReceipt>,
): Promise<ToolReceipt> {
  const parsed = schema.safeParse(input);
  if (parsed.success) return run(parsed.data);
  const issue = parsed.error.issues[0]!;
  return refused(`${issue.path.join('.') || 'input'}: ${issue.message}`);
}

async function sendMessage(services: ToolServices, context: ToolContext, args: Send): Promise<ToolReceipt> {
  const { ledger, clock } = services;
  if (Buffer.byteLength(args.text) > OUTBOUND_TEXT_BYTES_MAX)
    return refused(`a message has at most ${OUTBOUND_TEXT_BYTES_MAX} bytes`);
  if (context.ordinal > TURN_SENDS_MAX) return refused(`a turn sends at most ${TURN_SENDS_MAX} messages`);
  const chat = destinationOf(ledger.db, context, args.to);
  if (chat === undefined) return refused(`"${args.to}" is not a destination of this group; see list_destinations`);
  const { text_max, file_bytes_max } = services.capabilities(chat.channel);
  const { file, card } = args;
  if (file !== undefined && file.bytes > file_bytes_max) return refused(tooLarge(chat, file_bytes_max));
  if (card !== undefined && args.text.length > text_max)
    return refused(`a card there has at most ${text_max} characters`);
  // A file alone is a row like any other, with an empty text.
  const chunks = args.text === '' ? [''] : cutText(args.text, text_max);
  try {
    const sent = await ledger.write('send', (db) => commitSend(db, clock, context, chat, args, chunks));
    if (sent === null) return refused('this turn was stopped by a person');
    services.deliver(chat.id);
    return { ok: true, value: sent };
  } catch {
    return refused('the message could not be stored; try again later');
  }
}

/** The same send by a later attempt gets the first one's receipt and sends nothing. Null: the turn was stopped. */
function commitSend(
  db: Db,
  clock: Clock,
  context: ToolContext,
  chat: ChatRow,
  { text, file, card }: Send,
  chunks: string[],
): { id: string; repeated?: true } | null {
  const { session, place, turn, ordinal } = context;
  const thread = chat.id === place.chat_id ? place.thread : '';
  if (isCancelled(db, turn.id)) return null;
  const shape = card === undefined ? '' : `\n${JSON.stringify(card)}`;
  const whole = `${chat.id}\n${thread}\n${text}${file === undefined ? '' : `\n${file.name}\n${file.sha256}`}${shape}`;
  const send_hash = createHash('sha256').update(whole).digest('hex');
  const links = { session: session.id, turn: turn.id };
  const earlier = sendsAt(db, turn.id, ordinal);
  const same = earlier.find((send) => send.send_hash === send_hash)?.id ?? claimBeforeSplit(db, context, send_hash);
  if (earlier.length > 0 || same !== undefined)
    recordEvent(db, clock, 'send.repeated', links, { ordinal, same_body: same !== undefined });
  if (same !== undefined) return { id: showId('o', same), repeated: true };
  const out = {
    chat_id: chat.id,
    thread,
    kind: 'send' as const,
    session_id: session.id,
    turn_id: turn.id,
    attempt: turn.attempt,
    ordinal,
    send_hash,
    reply_to: null,
    ...(file === undefined ? {} : { file }),
    ...(card === undefined ? {} : { card: JSON.stringify(card) }),
  };
  const ids = insertOutbound(db, clock.now(), out, chunks);
  recordEvent(db, clock, 'send.committed', links, { ordinal, chunks: ids.length, ...(file && { file }) });
  return { id: showId('o', ids[0]!) };
}

/** The receipt comes when a person has answered, or nobody will. */
async function ask(services: ToolServices, context: ToolContext, args: AskInput): Promise<ToolReceipt> {
  const chat = destinationOf(services.ledger.db, context, args.to);
  if (chat === undefined) return refused(`"${args.to}" is not a destination of this group; see list_destinations`);
  const thread = chat.id === context.place.chat_id ? context.place.thread : '';
  const textMax = services.capabilities(chat.channel).text_max;
  return services.asks.ask({ ...context, chat, thread, textMax }, args);
}

/**
 * A task is the word of the person whose message is answered, or of the one that this task runs for. Whoever else has words in
 * the turn must have a role too: theirs may be what the agent does.
 */
async function addTask(
  services: ToolServices,
  context: ToolContext,
  { to, ...asked }: AskedTask & { to?: string | undefined },
): Promise<ToolReceipt> {
  const { db } = services.ledger;
  const { group_name } = context.session;
  const people = peopleOfTurn(db, context.turn.id);
  const [person] = people;
  if (typeof person !== 'number' || people.some((each) => each === null || !mayUse(db, each, group_name)))
    return refused('only people with a role here may have tasks set');
  const chat = destinationOf(db, context, to);
  if (chat === undefined) return refused(`"${to}" is not a destination of this group; see list_destinations`);
  const thread = chat.id === context.place.chat_id ? context.place.thread : '';
  const place = { group: group_name, to: nameOfChat(chat), thread };
  return orRefused(services.tasks.add({ ...asked, ...place }, person));
}

/** What cannot be kept is a reason that the agent can act on. */
async function orRefused(work: Promise<object>): Promise<ToolReceipt> {
  try {
    return { ok: true, value: await work };
  } catch (error) {
    if (error instanceof OperatingError) return refused(describeError(error));
    throw error;
  }
}

function asText(task: object): { text: string } {
  return { text: JSON.stringify(task) };
}

interface Send {
  text: string;
  to?: string | undefined;
  file?: FileFacts;
  card?: Card;
}

function tooLarge(chat: ChatRow, most: number): string {
  return most === 0 ? `${nameOfChat(chat)} takes no files` : `${nameOfChat(chat)} takes files up to ${showBytes(most)}`;
}

/** After a batch was taken apart, ordinals no longer match: each send that it made is matched once, by its body. */
function claimBeforeSplit(db: Db, context: ToolContext, hash: string): number | undefined {
  const found = sendsBeforeSplit(db, context.turn.id, hash).find((id) => !context.claimed.has(id));
  if (found !== undefined) context.claimed.add(found);
  return found;
}

/** A destination is named by what list_destinations prints, or by nothing: the chat that the turn answers in. */
function destinationOf(db: Db, { session, place }: ToolContext, to: string | undefined): ChatRow | undefined {
  if (to === undefined) return chatById(db, place.chat_id);
  return destinationsOf(db, session.group_name).find((chat) => nameOfChat(chat) === to);
}

function destinations(db: Db, { session, place }: ToolContext): { to: string; title: string; here: boolean }[] {
  return destinationsOf(db, session.group_name).map((chat) => ({
    to: nameOfChat(chat),
    title: chat.title,
    here: chat.id === place.chat_id,
  }));
}

/** Newest first, as much as one receipt holds. */
function history(db: Db, session: SessionRow, words: string): { at: string; who: string; text: string }[] {
  const found = searchGroup(db, session.group_name, words, HISTORY_ROWS_MAX).map((entry) => ({
    at: new Date(entry.at_ms).toISOString(),
    who: entry.role === 'person' ? entry.author : entry.role,
    text: entry.text.slice(0, 4000),
  }));
  return withinBytes(found, CALL_INPUT_BYTES_MAX);
}

function refused(reason: string): ToolReceipt {
  return { ok: false, value: reason };
}
