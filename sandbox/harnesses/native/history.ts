import { mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type ModelMessage, modelMessageSchema } from 'ai';

/**
 * What the model remembers, as whole turns. Each answered turn writes one file, named by the number of turns so far; the
 * number is the resume point. The files of the turns before it stay for a while: a turn that was answered here but never
 * settled by the host is resumed from the point before it.
 *
 * Before it is too large its older part is replaced by a summary (`compaction.ts`), in memory: that is written with the next
 * answered turn, so no resume point ever leads to half of it. Where no summary could be had, the oldest turns are dropped.
 *
 * The folder can be written by the agent, so a file is checked when it is read; one that does not fit is as good as none.
 */
const KEPT = 3;
/** Bytes of JSON: about 100,000 tokens, half of what the smallest current context holds. */
const HISTORY_BYTES_MAX = 400 * 1024;
/** What is kept when it overflows. Well below the limit: each cut makes the endpoint's prompt cache useless once. */
const HISTORY_BYTES_KEPT = 300 * 1024;
/** From here on the older part is put into a summary: half of what is dropped without one, so that failing may be tried again. */
const COMPACT_BYTES = 200 * 1024;
/** The same in tokens, as the model counted them in its last request: half of what the smallest current context holds. */
const COMPACT_TOKENS = 100_000;
/** What is kept word for word beside a summary. */
const RECENT_BYTES = 50 * 1024;
const DROPPED = '[this output was dropped to save room; run it again if you need it]';

/** What the model reads in the place of turns that it does not have any more: its own words, not a person's. */
const SUMMARISED = '[What was said before this was put into a summary to save room.]';
const FORGOTTEN = '[The oldest part of this conversation was dropped to save room.]';
const NOT_KNOWN = 'I do not have that part any more; history_search finds what was said in it.';

export type Turn = ModelMessage[];

export class History {
  readonly #folder: string;
  #number = 0;
  #turns: Turn[] = [];

  constructor(state: string) {
    this.#folder = join(state, 'native');
  }

  /** The messages of all turns, oldest first. */
  get messages(): ModelMessage[] {
    return this.#turns.flat();
  }

  /** What `restore` takes. */
  get turns(): readonly Turn[] {
    return this.#turns;
  }

  /** In memory, as it was. */
  restore(turns: readonly Turn[]): void {
    this.#turns = [...turns];
  }

  /** Bytes of JSON. */
  get bytes(): number {
    return bytesOf(this.#turns);
  }

  /**
   * The turns that a summary is to replace: none while there is room, unless it is asked for, and never the newest one.
   * `tokens`: of the last request; 0: not known.
   */
  older(tokens: number, asked: boolean): Turn[] {
    if (!asked && this.bytes <= COMPACT_BYTES && tokens <= COMPACT_TOKENS) return [];
    let bytes = 0;
    const recent = this.#turns.toReversed().findIndex((turn, index) => {
      bytes += bytesOf(turn);
      return index > 0 && (asked || bytes > RECENT_BYTES);
    });
    const older = recent === -1 ? [] : this.#turns.slice(0, this.#turns.length - recent);
    return older.every(isHead) ? [] : older;
  }

  /** Puts a summary in the place of what `older` gave, in memory. */
  compact(older: Turn[], summary: string): void {
    this.#turns = [headOf(SUMMARISED, summary), ...this.#turns.slice(older.length)];
  }

  /** Loads exactly the state of `point`. False, and empty, when it is not there. */
  open(point: string | null): boolean {
    const number = /^native:(\d{1,9})$/.exec(point ?? '')?.[1];
    const turns = number === undefined ? null : this.#read(Number(number));
    this.#turns = turns ?? [];
    // A new beginning must not take a number whose file may be another conversation's.
    this.#number = turns === null ? Math.max(0, ...this.#numbers()) : Number(number);
    return turns !== null;
  }

  /** Adds an answered turn and writes it. Returns the resume point. */
  add(turn: Turn): string {
    this.#turns = trimmed([...this.#turns, turn]);
    this.#number += 1;
    mkdirSync(this.#folder, { recursive: true, mode: 0o700 });
    const file = this.#file(this.#number);
    writeFileSync(`${file}.new`, JSON.stringify(this.#turns), { mode: 0o600 });
    renameSync(`${file}.new`, file);
    for (const number of this.#numbers())
      if (number > this.#number || number <= this.#number - KEPT) rmSync(this.#file(number), { force: true });
    return `native:${this.#number}`;
  }

  #file(number: number): string {
    return join(this.#folder, `${number}.json`);
  }

  #numbers(): number[] {
    try {
      return readdirSync(this.#folder)
        .flatMap((name) => /^(\d{1,9})\.json$/.exec(name)?.[1] ?? [])
        .map(Number);
    } catch {
      return [];
    }
  }

  #read(number: number): Turn[] | null {
    try {
      const turns: unknown = JSON.parse(readFileSync(this.#file(number), 'utf8'));
      return Array.isArray(turns) && turns.every((turn) => modelMessageSchema.array().safeParse(turn).success)
        ? turns
        : null;
    } catch {
      return null;
    }
  }
}

/** In the place of earlier turns. */
function headOf(why: string, text: string): Turn {
  return [
    { role: 'user', content: why },
    { role: 'assistant', content: text },
  ];
}

function isHead([first]: Turn): boolean {
  return first?.role === 'user' && (first.content === SUMMARISED || first.content === FORGOTTEN);
}

/**
 * The rule when the history is too large: the oldest turns go, whole, so that no tool result loses its call; a note or a
 * summary stands in their place. A single turn that is too large loses the outputs of its oldest tools.
 */
export function trimmed(turns: Turn[]): Turn[] {
  const sizes = turns.map(bytesOf);
  let total = sizes.reduce((sum, size) => sum + size, 0);
  if (total <= HISTORY_BYTES_MAX) return turns;
  const heads = turns.filter((turn, index) => index < turns.length - 1 && isHead(turn));
  let first = heads.length;
  for (; first < turns.length - 1 && total > HISTORY_BYTES_KEPT; first += 1) total -= sizes[first]!;
  const kept = turns.slice(first);
  const fitting = total > HISTORY_BYTES_KEPT ? kept.map((turn) => withoutOldOutputs(turn, HISTORY_BYTES_KEPT)) : kept;
  if (first === heads.length) return [...heads, ...fitting];
  const summary = heads.find(([why]) => why?.content === SUMMARISED);
  return [...(summary === undefined ? [] : [summary]), headOf(FORGOTTEN, NOT_KNOWN), ...fitting];
}

function withoutOldOutputs(turn: Turn, bytes: number): Turn {
  let excess = bytesOf(turn) - bytes;
  return turn.map((message) => {
    if (excess <= 0 || message.role !== 'tool') return message;
    const content = message.content.map((part) =>
      part.type === 'tool-result' ? { ...part, output: { type: 'text' as const, value: DROPPED } } : part,
    );
    const lean = { ...message, content };
    excess -= bytesOf(message) - bytesOf(lean);
    return lean;
  });
}

function bytesOf(value: unknown): number {
  return Buffer.byteLength(JSON.stringify(value));
}
