import type { Clock } from '../base/clock.ts';
import { parseId, showId } from '../base/ids.ts';
import { visible } from '../base/text.ts';
import { AGENTS } from '../channels/agents/agents.ts';
import type { IncomingMessage } from '../channels/channel.ts';
import { LOCAL } from '../evidence/alerts.ts';
import { traceOf } from '../evidence/trace.ts';
import type { AskAudit } from '../evidence/trace_steps.ts';
import { whyText } from '../evidence/why.ts';
import { chatById, chatByPlatformId, wiringsOf } from '../ledger/chats.ts';
import type { Db } from '../ledger/db.ts';
import { recordEvent } from '../ledger/events.ts';
import type { Ledger } from '../ledger/ledger.ts';
import { groupsOfMessage, messageById, messageInChat, queuedIn } from '../ledger/messages.ts';
import { insertNotice, releaseUnsent } from '../ledger/outbound.ts';
import { administers, rolesToDecide } from '../ledger/people.ts';
import {
  askCompact,
  closeSession,
  helpersOf,
  openSessions,
  type SessionRow,
  sessionsAtWork,
} from '../ledger/sessions.ts';
import { runningTurnOf } from '../ledger/turns.ts';
import type { AuditRow, UsageRow } from '../protocol/gateway.ts';
import {
  COMMANDS,
  type Command,
  type CommandAct,
  type CommandAnswer,
  type CommandPlace,
  type CommandService,
  groupMeant,
  isAnywhere,
  type Parsed,
} from '../router/commands.ts';
import { isPairingCode } from '../router/words.ts';
import type { LiveSession } from '../sessions/sessions.ts';
import { type Stopped, stopSession } from '../sessions/turn_book.ts';
import { claimChat } from './chat_claims.ts';
import { type Emergency, stoppedHere } from './emergency.ts';
import { type TaskCommandParts, taskCommand } from './task_commands.ts';

/** What commands are carried out with: the host's parts as the composition root passes them. */
export interface ChatCommandParts extends TaskCommandParts {
  ledger: Ledger;
  clock: Clock;
  audit: AskAudit;
  usage(since_ms: number): Promise<UsageRow[]>;
  /** Harness and model of a group. */
  describe(group: string): { harness: string; model: string; problem: string | null };
  live(): LiveSession[];
  /** Inbound keys that have joined a session's turn and that its agent has not seen. */
  untaken(session: number): number[];
  /** Ends a turn that has been cancelled. */
  stop(session: number, turn: number, reason: string): void;
  /** Ends an idle sandbox. */
  rest(session: number, reason: string): void;
  deliver(chat: number): void;
  /** What waits for a person's word, each in a few lines of words. */
  waiting(db: Db, person: number): string[];
  /** Of whole groups. */
  emergency: Pick<Emergency, 'command'>;
}

type Prepare = (message: IncomingMessage, words: string[], chat: number | null) => Promise<CommandAct>;

export class ChatCommands implements CommandService {
  readonly #parts: ChatCommandParts;
  readonly #prepare: Record<Command['name'], Prepare> = {
    help: async () => (db, place) => ({ text: helpText(db, place) }),
    new: async () => (db, place) => this.#new(db, place),
    compact: async () => (db, place) => this.#compact(db, place),
    stop: (message, words, chat) => this.#stop(message, words, chat),
    resume: async () => (db, place) => this.#resume(db, place),
    why: (message, words, chat) => this.#why(message, words, chat),
    status: async () => (db, place) => ({ text: this.#status(db, place) }),
    tasks: async (_message, words) => (db, place) => taskCommand(db, this.#parts, place, words),
    approve: async (_message, words) => (db, place) => this.#approve(db, place, words[0] ?? ''),
    deny: async () => (db, place) => this.#waiting(db, place),
    usage: () => this.#usage(),
    model: async () => (_db, place) => ({ text: place.groups.map((group) => this.#model(group)).join('\n') }),
  };

  constructor(parts: ChatCommandParts) {
    this.#parts = parts;
  }

  async prepare(command: Parsed, channel: string, message: IncomingMessage): Promise<CommandAct> {
    if (command.name === 'unknown') {
      const text = `There is no command /${command.word}; /help lists them. For the agent, put something before the "/".`;
      return () => ({ text });
    }
    const group = groupMeant(command);
    if (group !== null) return this.#parts.emergency.command(command.name === 'stop' ? 'stop' : 'resume', group);
    const kind = COMMANDS.find(({ name }) => name === command.name)!;
    const chat = chatByPlatformId(this.#parts.ledger.db, channel, message.chat.platform_id)?.id ?? null;
    const act = await this.#prepare[command.name](message, command.words, chat);
    return (db, place) => {
      if (kind.who === 'member' || isAnywhere(command)) return shortened(act(db, place));
      const groups = place.groups.filter((group) => administers(db, place.person, group));
      if (groups.length > 0) return shortened(act(db, { ...place, groups }));
      return { text: `/${kind.name} is for admins of ${place.groups.join(' or ')}; you are a member.` };
    };
  }

  #new(db: Db, { chat, thread, groups, sender }: CommandPlace): CommandAnswer {
    const { clock, rest } = this.#parts;
    const sessions = openSessions(db, chat, thread, groups);
    const busy = sessions.some(({ id }) => runningTurnOf(db, id) !== undefined || queuedIn(db, id) > 0);
    for (const { id } of sessions) {
      closeSession(db, clock.now(), id);
      recordEvent(db, clock, 'session.closed', { session: id }, { by: sender });
    }
    const first = busy ? ' What I am at is finished first.' : '';
    return {
      text: `Your next message begins a new conversation; files and memory stay.${first}`,
      after: () => {
        for (const { id } of sessions) rest(id, 'a new conversation began');
      },
    };
  }

  /** The agent does it: what it remembers is its own. */
  #compact(db: Db, { chat, thread, groups }: CommandPlace): CommandAnswer {
    const sessions = openSessions(db, chat, thread, groups);
    if (sessions.length === 0) return { text: 'Nothing has been said here yet.' };
    for (const { id } of sessions) askCompact(db, id, true);
    return { text: 'Your next message is answered from a summary of what was said before; files and memory stay.' };
  }

  async #stop(message: IncomingMessage, words: string[], chat: number | null): Promise<CommandAct> {
    const { clock, ledger } = this.#parts;
    const since = new Map<number, AuditRow[]>();
    const groups = chat === null ? [] : wiringsOf(ledger.db, chat).map((wiring) => wiring.group_name);
    const asked = everySession(ledger.db, chat ?? 0, message.thread, groups).map(async (session) => {
      const turn = runningTurnOf(ledger.db, session.id);
      if (turn !== undefined) since.set(turn.id, await this.#written(session.id, turn.started_ms));
    });
    await Promise.all(asked);
    return (db, place) => {
      const keep = words.includes('keep');
      const by = visible(place.sender);
      const stopped = everySession(db, place.chat, place.thread, place.groups).map((session) =>
        stopSession(db, clock, session, by, { keep, untaken: this.#parts.untaken(session.id) }),
      );
      const told = this.#tellElsewhere(db, place, stopped, by);
      return {
        text: receipt(stopped, keep, since),
        after: () => {
          for (const chat of told) this.#parts.deliver(chat);
          for (const { session, turn, shown } of stopped) {
            if (turn !== null) this.#parts.stop(session.id, turn.id, `stopped by ${by}`);
            if (shown !== null) this.#parts.deliver(shown);
          }
        },
      };
    };
  }

  /** A session may have been at work on what was said in other chats, too: they hear that it was stopped. Returns their keys. */
  #tellElsewhere(db: Db, place: CommandPlace, stopped: Stopped[], by: string): number[] {
    const others = stopped
      .flatMap(({ places }) => places)
      .filter(({ chat_id, thread }) => chat_id !== place.chat || thread !== place.thread)
      .filter(({ chat_id }) => chatById(db, chat_id)!.channel !== AGENTS);
    for (const { chat_id, thread } of others) {
      const text = `What was asked here was stopped by ${by} in another chat.`;
      insertNotice(db, this.#parts.clock.now(), chat_id, thread, null, text);
    }
    return others.map(({ chat_id }) => chat_id);
  }

  /** What a turn has changed outside, as far as the gateway let it. No answer from the gateway must delay a stop. */
  async #written(session: number, from_ms: number): Promise<AuditRow[]> {
    const asked = this.#parts.audit(showId('s', session), from_ms, this.#parts.clock.now());
    const rows = await Promise.race([asked.catch(() => []), after(GATEWAY_WAIT_MS)]);
    return rows.filter((row) => row.service !== null && row.decision === 'allow' && !READS.has(row.method));
  }

  #resume(db: Db, { chat, thread, groups }: CommandPlace): CommandAnswer {
    const stopped = stoppedHere(db, groups);
    if (stopped !== null) return { text: stopped };
    const sessions = openSessions(db, chat, thread, groups).map(({ id }) => id);
    const released = releaseUnsent(db, this.#parts.clock.now(), chat, sessions, groups);
    if (released.length === 0) return { text: 'Nothing is held back here.' };
    return {
      text: `${count(released.length, 'message')} that /stop held back ${released.length === 1 ? 'is' : 'are'} sent now.`,
      after: () => {
        for (const each of new Set(released)) this.#parts.deliver(each);
      },
    };
  }

  async #why(message: IncomingMessage, words: string[], chat: number | null): Promise<CommandAct> {
    const { ledger, audit } = this.#parts;
    const found =
      chat === null ? undefined : messageInChat(ledger.db, chat, parseId('m', words[0] ?? ''), message.reply_to);
    if (found === undefined) return () => ({ text: 'I know of no such message in this chat.' });
    // A text of ours may have come of what was said in another chat, and is told of there alone.
    if (messageById(ledger.db, found)!.chat_id !== chat)
      return () => ({ text: 'That came of a message of another chat.' });
    const soon: AskAudit = (...window) => Promise.race([audit(...window).catch(() => []), after(WHY_WAIT_MS)]);
    const text = whyText(await traceOf(ledger.db, found, soon));
    return (db, { groups }) => {
      const others = groupsOfMessage(db, found).filter((group) => !groups.includes(group));
      return {
        text: others.length === 0 ? text : `That is between ${others.join(' and ')} and those with a role there.`,
      };
    };
  }

  #status(db: Db, { chat, thread, groups }: CommandPlace): string {
    const live = this.#parts.live();
    const sessions = openSessions(db, chat, thread, groups);
    return groups
      .map((group) =>
        this.#groupStatus(
          db,
          group,
          sessions.find(({ group_name }) => group_name === group),
          live,
        ),
      )
      .join('\n');
  }

  #groupStatus(db: Db, group: string, session: SessionRow | undefined, live: LiveSession[]): string {
    if (session === undefined) return `${group}: nothing has been said here yet.`;
    const turn = runningTurnOf(db, session.id);
    const state = live.find((each) => each.session === showId('s', session.id))?.state ?? 'cold';
    const doing =
      turn === undefined
        ? `${state === 'cold' ? 'asleep' : 'ready'}`
        : `at work for ${Math.round((this.#parts.clock.now() - turn.started_ms) / 1000)} s`;
    return `${group}: ${doing}, ${count(queuedIn(db, session.id), 'message')} waiting.`;
  }

  /** The codes of what waits for a person look different. */
  #approve(db: Db, place: CommandPlace, code: string): CommandAnswer {
    return isPairingCode(code) ? { text: claimChat(db, this.#parts.clock, place, code) } : this.#waiting(db, place);
  }

  /** With a code it is decided before it comes here. What a card says is for who may decide, and for nobody beside them. */
  #waiting(db: Db, { chat, person }: CommandPlace): CommandAnswer {
    if (rolesToDecide(db, person) === '') return { text: 'Only an admin or an owner decides about what waits.' };
    const waiting = this.#parts.waiting(db, person);
    if (waiting.length === 0) return { text: 'Nothing waits for you.' };
    const { channel, direct } = chatById(db, chat)!;
    if (direct === 1 || channel === LOCAL) return { text: waiting.join('\n') };
    return { text: `${count(waiting.length, 'request')} for you; write /approve to me alone to see what.` };
  }

  async #usage(): Promise<CommandAct> {
    const midnight = new Date(this.#parts.clock.now()).setHours(0, 0, 0, 0);
    const rows = await this.#parts.usage(midnight).catch(() => null);
    return (_db, { groups }) => {
      if (rows === null) return { text: 'The gateway does not answer now; ./glass status says more.' };
      return {
        text: groups
          .map((group) =>
            usageLine(
              group,
              rows.find((row) => row.group === group),
            ),
          )
          .join('\n'),
      };
    };
  }

  #model(group: string): string {
    const { harness, model, problem } = this.#parts.describe(group);
    if (problem !== null) return `${group}: cannot run (${problem}).`;
    return `${group}: ${harness}, ${model}. It is changed in its group.yaml, by ./glass group plan and apply.`;
  }
}

/** Conversations, those that were left while they were at work, and the sessions of tasks that run. */
function everySession(...where: Parameters<typeof openSessions>): SessionRow[] {
  const open = openSessions(...where);
  const all = [...open, ...sessionsAtWork(...where).filter(({ id }) => !open.some((each) => each.id === id))];
  return [...all, ...helpersOf(where[0], all)];
}

const READS = new Set(['GET', 'HEAD', 'OPTIONS', 'CONNECT']);
/** A stop waits for nobody longer. */
const GATEWAY_WAIT_MS = 200;
/** An account of what happened waits a little; without the gateway it tells what the host knows. */
const WHY_WAIT_MS = 1000;
/** Within what every platform takes as one message. */
const ANSWER_CHARS_MAX = 1900;

function shortened(answer: CommandAnswer): CommandAnswer {
  const { text } = answer;
  return text.length <= ANSWER_CHARS_MAX ? answer : { ...answer, text: `${text.slice(0, ANSWER_CHARS_MAX)}…` };
}

function after(ms: number): Promise<AuditRow[]> {
  return new Promise((resolve) => setTimeout(() => resolve([]), ms).unref());
}

function helpText(db: Db, place: CommandPlace): string {
  const admin = place.groups.some((group) => administers(db, place.person, group));
  const lines = COMMANDS.filter(({ who }) => who === 'member' || admin).map(
    ({ usage, summary }) => `${usage}: ${summary}`,
  );
  return [`Everything else goes to ${place.groups.join(' and ')}.`, ...lines].join('\n');
}

/** What was running, what had left the house, what becomes of the rest. */
function receipt(stopped: Stopped[], keep: boolean, written: Map<number, AuditRow[]>): string {
  const lines = stopped.flatMap(({ session, turn, messages, sent, held, waiting }) => {
    const parts: string[] = [];
    if (turn !== null) {
      const requests = written.get(turn.id) ?? [];
      parts.push(`Stopped ${session.group_name}, which was at ${count(messages.length, 'message')}.`);
      parts.push(sent === 0 ? 'Nothing of it had been sent.' : `${count(sent, 'message')} of it had left already.`);
      if (requests.length > 0) {
        const { method, host, path, status } = requests.at(-1)!;
        const last = visible(`${method} ${host}${path} ${status ?? 'under way'}`).slice(0, 200);
        parts.push(`${count(requests.length, 'request')} of it had changed something outside, the last: ${last}.`);
      }
    }
    if (held > 0) parts.push(`${count(held, 'message')} not sent yet: held, /resume sends.`);
    if (waiting > 0) parts.push(`${count(waiting, 'waiting message')}: ${keep ? 'kept' : 'dropped'}.`);
    return parts.length === 0 ? [] : [parts.join(' ')];
  });
  return lines.length === 0 ? 'Nothing is running here.' : lines.join('\n');
}

function usageLine(group: string, row: UsageRow | undefined): string {
  if (row === undefined) return `${group}: nothing today.`;
  const { requests, input_tokens, output_tokens, cost_micros } = row;
  return `${group}, today: ${count(requests, 'request')}, ${input_tokens} tokens in, ${output_tokens} out, $${(cost_micros / 1e6).toFixed(4)}.`;
}

function count(n: number, noun: string): string {
  return `${n} ${noun}${n === 1 ? '' : 's'}`;
}
