import {
  CALLS_PENDING_MAX,
  DELTAS_PER_SECOND_MAX,
  FRAME_NAME_BYTES_MAX,
  TURN_CALLS_MAX,
  TURN_COMPACTIONS_MAX,
  TURN_FILES_BYTES_MAX,
  TURN_FILES_MAX,
  TURN_JOINED_MAX,
  TURN_SENDS_MAX,
  TURN_TOOLS_MAX,
} from '../base/limits/messages.ts';
import { cutBytes } from '../base/text.ts';
import type { FileFacts } from '../ledger/files.ts';
import type { TurnMessage } from '../ledger/turns.ts';
import type { FrameMessage, HostFrame, RunnerFrame } from '../protocol/frames.ts';
import { SENDS } from '../protocol/tools.ts';
import type { PlaceFiles } from './inbox.ts';
import type { ToolReceipt } from './tool_call.ts';
import type { Compaction, OpenedTurn, TurnEnd } from './turn_book.ts';
import type { TurnClock } from './turn_clock.ts';

/**
 * One attempt at a turn while it runs: what the sandbox has reported, held against what it was given. Pure memory; each
 * method that judges a frame returns the reason when it is out of place.
 */
export class Run {
  readonly id: number;
  readonly attempt: number;
  readonly opened: OpenedTurn;
  readonly claimed = new Set<number>();
  /** Questions that this attempt has been given: a question is asked once, whoever asks it again. */
  readonly asked = new Set<number>();
  /** Aborted at its end: nobody waits for its calls any more. */
  readonly over = new AbortController();
  /** Why it was interrupted: `deadline` fails the turn, `drain` takes it back, `stop` has cancelled it already. */
  interrupted: 'deadline' | 'drain' | 'stop' | null = null;
  /** Until it is interrupted. */
  deadline: TurnClock | null = null;
  /** From the interrupt to the end of a sandbox that does not stop by itself. */
  grace: NodeJS.Timeout | null = null;
  /** Its chat may show that it runs. */
  shown = false;
  /** False from its end on: nothing that the sandbox says counts any more, its end is being written. */
  running = true;
  #messages: TurnMessage[];
  #taken: { ids: number[]; at_us: number }[] = [];
  #tools: string[] = [];
  #compactions: Compaction[] = [];
  #sends = 0;
  #files = 0;
  #fileBytes = 0;
  readonly #stored = new Map<string, FileFacts>();
  #calls = 0;
  #pending = 0;
  #silent = false;
  #deltas = { since_ms: 0, count: 0 };

  constructor(opened: OpenedTurn) {
    this.id = opened.id;
    this.attempt = opened.attempt;
    this.opened = opened;
    this.#messages = opened.messages;
  }

  /** Whether more messages may join. */
  get open(): boolean {
    return this.running && this.attempt === 1 && this.#messages.length < TURN_JOINED_MAX / 2;
  }

  /** Whether it waits for a person to answer. */
  get asks(): boolean {
    return this.deadline?.stands === true;
  }

  /** A wait for a person begins; what is returned ends it. */
  hold(): () => void {
    return this.deadline?.hold() ?? (() => {});
  }

  /** Nothing of it counts any more. */
  close(): void {
    this.running = false;
    this.deadline?.stop();
    if (this.grace !== null) clearTimeout(this.grace);
    this.over.abort('over'); // without a reason it makes an error, with a stack, for every turn
  }

  /** Where its messages were said: all of them in one place. */
  get place(): { chat_id: number; thread: string } {
    return this.#messages[0]!;
  }

  /** Its messages, in the order in which it was given them. */
  get said(): TurnMessage[] {
    return this.#messages;
  }

  join(messages: TurnMessage[]): void {
    this.#messages = [...this.#messages, ...messages];
  }

  take(ids: number[], at_us: number): string | null {
    const known = new Set(this.#messages.map((message) => message.inbound_id));
    const told = new Set(this.#taken.flatMap((report) => report.ids));
    if (ids.some((id) => !known.has(id))) return 'taken names a message that this turn does not have';
    if (ids.length === 0 || ids.some((id) => told.has(id))) return 'taken names nothing new';
    this.#taken.push({ ids, at_us });
    return null;
  }

  /** What joined, and has not entered a request to the model. */
  get untaken(): number[] {
    const told = new Set(this.#taken.flatMap((report) => report.ids));
    const joined = this.#messages.slice(this.opened.messages.length);
    return joined.map((message) => message.inbound_id).filter((id) => !told.has(id));
  }

  /** The older part of the conversation has become a summary. */
  compacted({ before, after, unit, summary }: Extract<RunnerFrame, { t: 'compacted' }>): string | null {
    this.#compactions.push({ before, after, unit, summary });
    const many = this.#compactions.length > TURN_COMPACTIONS_MAX;
    return many ? `more than ${TURN_COMPACTIONS_MAX} summaries in a turn` : null;
  }

  tool(name: string): string | null {
    this.#tools.push(name);
    return this.#tools.length > TURN_TOOLS_MAX ? `more than ${TURN_TOOLS_MAX} tool reports in a turn` : null;
  }

  /** There is more of the answer; `now_ms` is the monotonic clock's. */
  delta(now_ms: number): string | null {
    if (now_ms - this.#deltas.since_ms > 1000) this.#deltas = { since_ms: now_ms, count: 0 };
    this.#deltas.count += 1;
    return this.#deltas.count > DELTAS_PER_SECOND_MAX ? `more than ${DELTAS_PER_SECOND_MAX} deltas a second` : null;
  }

  /** A file is announced. */
  file(bytes: number): string | null {
    this.#files += 1;
    this.#fileBytes += bytes;
    if (this.#files > TURN_FILES_MAX) return `more than ${TURN_FILES_MAX} files in a turn`;
    return this.#fileBytes > TURN_FILES_BYTES_MAX ? `files of more than ${TURN_FILES_BYTES_MAX} bytes in a turn` : null;
  }

  /** A file of this turn is on disk. */
  stored(file: FileFacts): void {
    this.#stored.set(file.sha256, file);
  }

  /** What this turn has streamed to the host, by its hash. */
  received(sha256: string): FileFacts | undefined {
    return this.#stored.get(sha256);
  }

  /** A platform tool is called: its ordinal among the sends, or why the sandbox must end. */
  call(tool: string): { ordinal: number } | string {
    this.#calls += 1;
    this.#pending += 1;
    if (this.#calls > TURN_CALLS_MAX) return `more than ${TURN_CALLS_MAX} calls of platform tools in a turn`;
    if (this.#pending > CALLS_PENDING_MAX) return `more than ${CALLS_PENDING_MAX} calls without waiting for a receipt`;
    if (SENDS.has(tool)) this.#sends += 1;
    return { ordinal: Math.min(this.#sends, TURN_SENDS_MAX + 1) };
  }

  receipt(receipt: ToolReceipt): void {
    this.#pending -= 1;
    this.#silent ||= receipt.silent === true;
  }

  judgeDone(outcome: string): string | null {
    if (outcome === 'interrupted' && this.interrupted === null) return 'the harness interrupted itself';
    const answers = outcome === 'answered' || outcome === 'silent';
    return answers && this.#taken.length === 0 ? 'done without having taken a message' : null;
  }

  /** What is to be settled. A turn that failed ends the messages it began with, taken or not: the person is told. */
  end(
    outcome: TurnEnd['outcome'],
    text: string,
    now_us: number,
  ): Pick<TurnEnd, 'taken' | 'tools' | 'compactions' | 'outcome' | 'text'> {
    const told = new Set(this.#taken.flatMap((report) => report.ids));
    const untold = this.opened.messages.map((message) => message.inbound_id).filter((id) => !told.has(id));
    const taken =
      outcome === 'failed' && untold.length > 0 ? [...this.#taken, { ids: untold, at_us: now_us }] : this.#taken;
    if (outcome === 'failed')
      return {
        taken,
        tools: this.#tools,
        compactions: [],
        outcome,
        text: text.trim() || 'The agent failed without saying why.',
      };
    const mute = this.#silent || (text.trim() === '' && this.#sends === 0);
    return { taken, tools: this.#tools, compactions: this.#compactions, outcome: mute ? 'silent' : outcome, text };
  }
}

/** The turn as the sandbox gets it: every text within the bounds of its field, every file in its place before. */
export function turnFrame(run: Run, inbox: PlaceFiles): HostFrame {
  const { opened } = run;
  return {
    t: 'turn',
    turn: run.id,
    attempt: run.attempt,
    messages: opened.messages.map((message) => frameMessage(message, inbox)),
    gate: opened.gate,
    prior: opened.prior,
    notices: opened.notices.map((notice) => cutBytes(notice.text, FRAME_NAME_BYTES_MAX)),
    compact: opened.compact,
    transcript: opened.transcript.map((entry) => ({ ...entry, author: cutBytes(entry.author, FRAME_NAME_BYTES_MAX) })),
  };
}

export function frameMessage(message: TurnMessage, inbox: PlaceFiles): FrameMessage {
  return {
    id: message.inbound_id,
    from: cutBytes(
      message.place === null ? message.sender : `${message.sender} in ${message.place}`,
      FRAME_NAME_BYTES_MAX,
    ),
    text: message.text,
    sent_ms: message.sent_ms,
    files: inbox(message.message_id),
  };
}

/** A frame that belongs to a turn. */
export type TurnFrame = Exclude<RunnerFrame, { t: 'hello' } | { t: 'ready' } | { t: 'chunk' }>;

/** The sentence for a person whose message took too long. */
export function deadlineText(ms: number): string {
  const time = ms < 120_000 ? `${Math.round(ms / 1000)} seconds` : `${Math.round(ms / 60_000)} minutes`;
  return `That took longer than ${time} and was stopped.`;
}
