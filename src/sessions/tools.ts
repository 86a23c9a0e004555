import { createHash } from 'node:crypto';
import { z } from 'zod';
import type { Clock } from '../base/clock.ts';
import { describeError, messageOf, OperatingError } from '../base/errors.ts';
import { showId } from '../base/ids.ts';
import { CALL_INPUT_BYTES_MAX, OUTBOUND_TEXT_BYTES_MAX, TURN_SENDS_MAX } from '../base/limits/messages.ts';
import type { Log } from '../base/log.ts';
import { showBytes } from '../base/text.ts';
import type { ChannelCapabilities } from '../channels/channel.ts';
import { piecesOf } from '../channels/dialects/outgoing.ts';
import type { Db } from '../ledger/db.ts';
import { recordEvent } from '../ledger/events.ts';
import type { FileFacts } from '../ledger/files.ts';
import type { Ledger } from '../ledger/ledger.ts';
import { messageById } from '../ledger/messages.ts';
import { type Chunk, insertOutbound, sendsAt, sendsBeforeSplit } from '../ledger/outbound.ts';
import { mayUse } from '../ledger/people.ts';
import type { SessionRow } from '../ledger/sessions.ts';
import { searchGroup, withinBytes } from '../ledger/transcript.ts';
import { isCancelled, peopleOfTurn } from '../ledger/turns.ts';
import { askForPost, countPost } from './agent_post.ts';
import { chatDestination, type Destination, destinationOf, destinations } from './destinations.ts';

/**
 * The host's side of the platform tools. A caller is its session: nothing in the input can make it another. Everything
 * here returns a value; a receipt with `ok` means that the effect is committed.
 */
export interface ToolContext {
  session: SessionRow;
  /** Keys of the turn's messages, in their order. */
  said: readonly number[];
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
  /** Asks a person to give the caller's group more. Rejects with `OperatingError`. */
  wish(asker: Asker, input: unknown): Promise<object>;
  /** A question waits: it is shown to who may decide. */
  asked(question: number): void;
  /** Something was committed for this chat. */
  deliver(chatId: number): void;
}

/** An agent that asks, by its turn; `message` and `person`: whose words it works on. */
export interface Asker {
  session: SessionRow;
  turn: number;
  message: number;
  person: number;
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

/** As platforms take it: one, of whatever parts. */
const EMOJI = /^(?:\p{RGI_Emoji}|\p{Extended_Pictographic})$/v;

const INPUTS = {
  send_message: z.strictObject({ text: z.string().min(1), to: z.string().min(1).max(400).optional() }),
  send_file: z.strictObject({
    sha256: z.string().regex(/^[0-9a-f]{64}$/),
    text: z.string().optional(),
    to: z.string().min(1).max(400).optional(),
  }),
  react: z.strictObject({ emoji: z.string().regex(EMOJI, 'must be one emoji'), to: z.int().min(1).optional() }),
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
  request_authority: z.looseObject({}),
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
    case 'react':
      return withInput(INPUTS.react, input, (args) => react(services, context, args));
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
    case 'request_authority':
      return withInput(INPUTS.request_authority, input, (args) => askForMore(services, context, args));
    case 'no_reply':
      return withInput(INPUTS.no_reply, input, async () => ({
        ok: true,
        value: 'no answer will be sent',
        silent: true,
      }));
    case 'list_destinations':
      return withInput(INPUTS.list_destinations, input, async () => ({
        ok: true,
        value: shownDestinations(services.ledger.db, context),
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
  schema: z.ZodType<T>,
  input: unknown,
  run: (args: T) => Promise<ToolReceipt>,
): Promise<ToolReceipt> {
  const parsed = schema.safeParse(input);
  if (parsed.success) return run(parsed.data);
  const issue = parsed.error.issues[0]!;
  return refused(`${issue.path.join('.') || 'input'}: ${issue.message}`);
}

async function sendMessage(services: ToolServices, context: ToolContext, args: Send): Promise<ToolReceipt> {
  const { ledger } = services;
  if (Buffer.byteLength(args.text) > OUTBOUND_TEXT_BYTES_MAX)
    return refused(`a message has at most ${OUTBOUND_TEXT_BYTES_MAX} bytes`);
  if (context.ordinal > TURN_SENDS_MAX) return refused(`a turn sends at most ${TURN_SENDS_MAX} messages`);
  const to = destinationOf(ledger.db, context, args.to);
  if (to === undefined) return refused(`"${args.to}" is not a destination of this group; see list_destinations`);
  const takes = services.capabilities(to.channel);
  const { file_bytes_max } = takes;
  const { file } = args;
  if (file !== undefined && file.bytes > file_bytes_max) return refused(tooLarge(to, file_bytes_max));
  // A file alone is a row like any other, with an empty text.
  return commit(services, context, to, args, piecesOf(args.text, takes));
}

/** A reaction to a message of this turn: the last one, or the one that is meant. */
async function react(
  services: ToolServices,
  context: ToolContext,
  { emoji, to }: { emoji: string; to?: number | undefined },
): Promise<ToolReceipt> {
  const { db } = services.ledger;
  if (context.ordinal > TURN_SENDS_MAX) return refused(`a turn sends at most ${TURN_SENDS_MAX} messages`);
  const id = context.said.at(to === undefined ? -1 : to - 1);
  const message = id === undefined ? undefined : messageById(db, id);
  if (message === undefined) return refused(`this turn has ${context.said.length} messages; count from 1`);
  if (message.task_id !== null) return refused('a task is no message that could have a reaction; answer it');
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
  { text, file, reactTo }: Send,
  chunks: Chunk[],
): { id: string; chat: number; repeated?: true; asked?: number } | string {
  const { session, turn, ordinal } = context;
  if (isCancelled(db, turn.id)) return 'this turn was stopped by a person';
  const { chat_id: chat, thread } = to.open(db, clock.now());
  const more = file === undefined ? [] : [file.name, file.sha256];
  const whole = [chat, thread, text, ...more, ...(reactTo === undefined ? [] : ['reaction', reactTo])].join('\n');
  const send_hash = createHash('sha256').update(whole).digest('hex');
  const links = { session: session.id, turn: turn.id };
  const earlier = sendsAt(db, turn.id, ordinal);
  const same = earlier.find((send) => send.send_hash === send_hash)?.id ?? claimBeforeSplit(db, context, send_hash);
  if (earlier.length > 0 || same !== undefined)
    recordEvent(db, clock, 'send.repeated', links, { ordinal, same_body: same !== undefined });
  if (same !== undefined) return { id: showId('o', same), chat, repeated: true };
  const refusal = to.agent === null ? null : countPost(db, clock.now(), context, to.agent);
  if (refusal !== null) return refusal;
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
  };
  const ids = insertOutbound(db, clock.now(), out, chunks);
  recordEvent(db, clock, 'send.committed', links, { ordinal, chunks: ids.length, ...(file && { file }) });
  const sent = { id: showId('o', ids[0]!), chat };
  if (!to.approve) return sent;
  const asked = askForPost(db, clock, context, to.agent!, { text, file }, ids);
  return typeof asked === 'string' ? asked : { ...sent, asked };
}

/** A task is the word of the person whose message is answered, or of the one that this task runs for. */
async function addTask(
  services: ToolServices,
  context: ToolContext,
  { to, ...asked }: AskedTask & { to?: string | undefined },
): Promise<ToolReceipt> {
  const { db } = services.ledger;
  const { group_name } = context.session;
  const speaker = speakerOf(db, context);
  if (speaker === null) return refused('only people with a role here may have tasks set');
  const chat = destinationOf(db, context, to);
  if (chat === undefined || chat.agent !== null)
    return refused(`"${to}" is not a chat of this group; see list_destinations`);
  const { thread } = chat.open(db, services.clock.now());
  const place = { group: group_name, to: chat.name, thread };
  return orRefused(services.tasks.add({ ...asked, ...place }, speaker.person));
}

async function askForMore(services: ToolServices, context: ToolContext, input: object): Promise<ToolReceipt> {
  const { db } = services.ledger;
  const { session, turn } = context;
  if (isCancelled(db, turn.id)) return refused('this turn was stopped by a person');
  const speaker = speakerOf(db, context);
  if (speaker === null) return refused('only for people with a role here can more be asked for');
  return orRefused(services.wish({ session, turn: turn.id, ...speaker }, input));
}

/** Whose word a turn is; null when anybody without a role has words in it: theirs may be what the agent does. */
function speakerOf(db: Db, { session, turn }: ToolContext): { person: number; message: number } | null {
  const said = peopleOfTurn(db, turn.id);
  const [first] = said;
  if (first === undefined || first.person_id === null) return null;
  const strange = said.some(({ person_id }) => person_id === null || !mayUse(db, person_id, session.group_name));
  return strange ? null : { person: first.person_id, message: first.message_id };
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
  /** The text is a reaction to this message. */
  reactTo?: number;
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

/** As an agent is told of them. */
function shownDestinations(db: Db, context: ToolContext): { to: string; title: string; here: boolean }[] {
  const here = destinationOf(db, context, undefined)!.name;
  return destinations(db, context).map(({ name, title }) => ({ to: name, title, here: name === here }));
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
