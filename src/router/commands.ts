import type { IncomingMessage } from '../channels/channel.ts';
import type { Db } from '../ledger/db.ts';

/**
 * What a person types to the platform instead of to an agent. A command is decided before any model is asked, and done in
 * the transaction that takes the message: it happens once, however often the platform delivers it.
 */
export interface CommandKind {
  name: string;
  /** Who may: whoever may speak to one of the chat's groups, or who decides for it. */
  who: 'member' | 'admin';
  usage: string;
  summary: string;
}

export const COMMANDS = [
  { name: 'help', who: 'member', usage: '/help', summary: 'what you can say to the platform' },
  { name: 'new', who: 'member', usage: '/new', summary: 'begin a new conversation; files and memory stay' },
  { name: 'compact', who: 'member', usage: '/compact', summary: 'go on from a summary of what was said so far' },
  {
    name: 'stop',
    who: 'member',
    usage: '/stop [keep | group <name> | all]',
    summary: 'stop the agent now; waiting messages are dropped, or kept; or a whole group, or all',
  },
  { name: 'resume', who: 'member', usage: '/resume [group <name> | all]', summary: 'send what /stop held back' },
  {
    name: 'why',
    who: 'member',
    usage: '/why [m12]',
    summary: 'what happened to a message, the last one or one you reply to',
  },
  { name: 'status', who: 'member', usage: '/status', summary: 'what the agents of this chat are doing' },
  { name: 'tasks', who: 'member', usage: '/tasks [pause|resume|run|remove k3]', summary: 'what is done at its time' },
  { name: 'approve', who: 'admin', usage: '/approve [7f3a]', summary: 'say yes to what waits; alone: what does' },
  { name: 'deny', who: 'admin', usage: '/deny [7f3a]', summary: 'say no to what waits; alone: what does' },
  { name: 'usage', who: 'admin', usage: '/usage', summary: 'what the groups of this chat used today' },
  { name: 'model', who: 'admin', usage: '/model', summary: 'which harness and model answer here' },
] as const satisfies CommandKind[];

export type CommandName = (typeof COMMANDS)[number]['name'];

export type Parsed = Command | { name: 'unknown'; word: string; to: string | null };

export interface Command {
  name: CommandName;
  /** Whom it names (`/stop@some_bot`); null: nobody. */
  to: string | null;
  /** What follows the name, in lower case. */
  words: string[];
}

/** `/name words`, or `/name@bot words` as platforms with several bots in a chat send it. A path (`/etc/hosts`) is none. */
const SHAPE = /^\/([a-z]{1,20})(?:@([\w.-]{1,64}))?(?:\s+(.{0,200}))?$/is;

/** Null: no command, but something for the agents. `unknown`: looks like one, and there is none of that name. */
export function parseCommand(text: string): Parsed | null {
  const found = SHAPE.exec(text.trim());
  if (found === null) return null;
  const word = found[1]!.toLowerCase();
  const to = found[2] ?? null;
  const known = COMMANDS.find(({ name }) => name === word);
  if (known === undefined) return { name: 'unknown', word, to };
  return {
    name: known.name,
    to,
    words: (found[3] ?? '')
      .toLowerCase()
      .split(/\s+/)
      .filter((each) => each !== ''),
  };
}

/** `/stop all`, `/resume group helper`: the group that is meant wherever it is said, `''` for every one. Null: none, but this chat. */
export function groupMeant(command: Parsed | null): string | null {
  if (command?.name !== 'stop' && command?.name !== 'resume') return null;
  const [which, group] = command.words;
  if (which === 'all') return '';
  return which === 'group' && group !== undefined ? group : null;
}

/** Whether it is meant wherever it is said, also where no group answers: a card is shown in a chat of its person's own. */
export function isAnywhere(command: Parsed | null): boolean {
  return groupMeant(command) !== null || command?.name === 'approve' || command?.name === 'deny';
}

/** Whether it is ours to answer: one that names a bot, or that we do not know, may be another's in the same chat. */
export function isForUs({ name, to }: Parsed, addressed: boolean): boolean {
  return addressed || (to === null && name !== 'unknown');
}

/** Where a command was said, and by whom. */
export interface CommandPlace {
  message: number;
  chat: number;
  thread: string;
  person: number;
  sender: string;
  /** The groups of the chat that the person may use. */
  groups: string[];
}

/** What a command comes to within its transaction. */
export interface CommandAnswer {
  text: string;
  /** Once it is on disk. */
  after?: () => void;
}

export type CommandAct = (db: Db, place: CommandPlace) => CommandAnswer;

/** Carries commands out. */
export interface CommandService {
  /**
   * Gathers what cannot be asked within a transaction, then gives what is to be done in it. May be asked for a message
   * that is refused afterwards; changes nothing by itself.
   */
  prepare(command: Parsed, channel: string, message: IncomingMessage): Promise<CommandAct>;
}
