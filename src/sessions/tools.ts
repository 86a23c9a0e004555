import { z } from 'zod';
import { union } from '../authority/rule_of_two.ts';
import type { Clock } from '../base/clock.ts';
import { describeError, messageOf, OperatingError } from '../base/errors.ts';
import { CALL_INPUT_BYTES_MAX } from '../base/limits/messages.ts';
import { AGENTS } from '../channels/agents/agents.ts';
import { chatById } from '../ledger/chats.ts';
import type { Db } from '../ledger/db.ts';
import { addMarks, hasMarks, mustHold } from '../ledger/marks.ts';
import { mayUse } from '../ledger/people.ts';
import { searchGroup, withinBytes } from '../ledger/transcript.ts';
import { isCancelled, peopleOfTurn } from '../ledger/turns.ts';
import { ASK_INPUT, type AskInput } from './asks.ts';
import { CARD_INPUT, cardBody, cardOf } from './cards.ts';
import { destinationOf, destinations } from './destinations.ts';
import { react, sendMessage } from './sends.ts';
import { type AskedTask, refused, type ToolContext, type ToolReceipt, type ToolServices } from './tool_call.ts';

/**
 * The host's side of the platform tools. A caller is its session: nothing in the input can make it another. Everything
 * here returns a value; a receipt with `ok` means that the effect is committed.
 */
const HISTORY_ROWS_MAX = 20;

/** Nobody is asked about what only the host would show. */
const RULE_OF_TWO = 'by the rule of two this conversation reads no other one: a person must begin a new one for that';

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
  request_authority: z.strictObject({ reason: z.string(), add: z.looseObject({}) }),
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
    case 'request_authority':
      return withInput(INPUTS.request_authority, input, ({ reason, add }) =>
        askForMore(services, context, { ...add, reason }),
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
        value: shownDestinations(services.ledger.db, context),
      }));
    case 'history_search':
      return withInput(INPUTS.history_search, input, async (args) => {
        const found = await services.ledger.write('search', (db) => history(db, services.clock, context, args.words));
        return typeof found === 'string' ? refused(found) : { ok: true, value: found };
      });
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

/** The receipt comes when a person has answered, or nobody will. */
async function ask(services: ToolServices, context: ToolContext, args: AskInput): Promise<ToolReceipt> {
  const { db } = services.ledger;
  const to = destinationOf(db, context, args.to);
  if (to === undefined || to.agent !== null)
    return refused(`"${args.to}" is not a chat of this group; see list_destinations`);
  if (to.channel === AGENTS) return refused('no person reads here; say to the agent what you need to know');
  const { chat_id, thread } = to.open(db, services.clock.now());
  const takes = services.capabilities(to.channel);
  const acts = chat_id !== context.place.chat_id;
  return services.asks.ask({ ...context, chat: chatById(db, chat_id)!, thread, takes, acts }, args);
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
  const { thread, chat_id } = chat.open(db, services.clock.now());
  const acts = chat_id !== context.place.chat_id;
  const place = { group: group_name, to: chat.name, thread, session: context.session, acts };
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

/** As an agent is told of them. */
function shownDestinations(db: Db, context: ToolContext): { to: string; title: string; here: boolean }[] {
  const here = destinationOf(db, context, undefined)!.name;
  return destinations(db, context).map(({ name, title }) => ({ to: name, title, here: name === here }));
}

/** Newest first, as much as one receipt holds. */
function history(
  db: Db,
  clock: Clock,
  { session, turn }: ToolContext,
  words: string,
): { at: string; who: string; text: string }[] | string {
  const entries = searchGroup(db, session.group_name, words, HISTORY_ROWS_MAX);
  // What another conversation has seen and read comes along.
  const others = new Set(entries.map(({ session_id }) => session_id));
  const marks = union(...[...others].map((id) => hasMarks(db, id))).filter((mark) => mark !== 'C');
  if (mustHold(db, session, marks)) return RULE_OF_TWO;
  addMarks(db, clock, session, marks, 'history_search', { turn: turn.id });
  const found = entries.map((entry) => ({
    at: new Date(entry.at_ms).toISOString(),
    who: entry.role === 'person' ? entry.author : entry.role,
    text: entry.text.slice(0, 4000),
  }));
  return withinBytes(found, CALL_INPUT_BYTES_MAX);
}
