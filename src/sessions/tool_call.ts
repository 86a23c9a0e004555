import type { Clock } from '../base/clock.ts';
import type { Log } from '../base/log.ts';
import type { ChannelCapabilities } from '../channels/channel.ts';
import type { FileFacts } from '../ledger/files.ts';
import type { Ledger } from '../ledger/ledger.ts';
import type { SessionRow } from '../ledger/sessions.ts';
import type { AskContext, Asks } from './asks.ts';

/** Who calls a platform tool: its session, and the turn that runs there. */
export interface ToolContext extends Pick<AskContext, 'asked' | 'over' | 'hold'> {
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
  asks: Pick<Asks, 'ask'>;
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
  /** `person`: whose word it is; the task needs their role. `session`: whose marks its own one begins with; `acts`: it speaks elsewhere. */
  add(
    asked: AskedTask & { group: string; to: string; thread: string; session: SessionRow; acts: boolean },
    person: number,
  ): Promise<object>;
  list(group: string): object[];
  cancel(group: string, task: string): Promise<object>;
}

export interface AskedTask {
  when: string;
  text: string;
  zone?: string | undefined;
  gate?: string | undefined;
  here?: boolean | undefined;
}

/** In words that the agent can act on. */
export function refused(reason: string): ToolReceipt {
  return { ok: false, value: reason };
}
