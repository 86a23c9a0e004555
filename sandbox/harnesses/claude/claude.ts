import { randomBytes, randomUUID } from 'node:crypto';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { messageOf, unreachable } from '../../../src/base/errors.ts';
import type { FrameFile, FrameMessage } from '../../../src/protocol/frames.ts';
import { SENDS } from '../../../src/protocol/tools.ts';
import { messages as messageText, systemPrompt, turnPrompt } from '../../prompt.ts';
import { Room, showable } from '../../runner/attachments.ts';
import type { Harness, HarnessEvent, HarnessOptions, TurnInput } from '../../runner/harness.ts';
import { memoryPrompt } from '../../runner/memory.ts';
import { Child } from './child.ts';
import { failureSentence } from './failures.ts';
import { forgetPoint, type Point, parsePoint, restorePoint, shownIn } from './point.ts';
import { skillsPrompt } from './skills.ts';
import type { Failure, FromDriver, Push, ToolUse } from './wire.ts';

/**
 * The Claude Agent SDK as a harness.
 *
 *   runner: Claude ──ipc──► driver: SDK ──pipe──► Claude binary ──http──► gate (in the driver) ──► model route
 *
 * - A message is taken when the gate sees a request with its mark leave.
 * - A message that joins is handed over only between a batch of tools and the next request, so it is part of that request;
 *   what joins later stays here and is never taken. So no message waits in the process when a turn ends.
 * - Only a process whose last turn was answered goes on to the next one. After anything else it is killed, and the next
 *   turn resumes at the last answer.
 * - An idle process is ended too: it has 200 MB.
 */
const IDLE_MS = 30_000;
const SKILLS = '/group/skills';
const SUMMARY_CHARS = 200;
const DIED = "The agent's process ended in the middle of its work; please send your message again.";
const TOOL_PREFIX = 'mcp__glass__';
/** What the process says when it cannot find the point. */
const LOST = /No (conversation|message) found/i;

// The runner's warm-up fills the cache of compiled code; without this the driver's part would be missing in it.
if (process.argv[2] === '--warm-up') await import('./driver.ts');

/** `idle_ms`: how long its process waits for the next turn. */
export function createClaude(options: HarnessOptions, idle_ms: number = IDLE_MS): Harness {
  return new Claude(options, idle_ms);
}

interface Turn {
  input: TurnInput;
  /** Messages of each mark that was handed over. */
  marks: Map<string, number[]>;
  /** Joined, and not handed over. */
  waiting: FrameMessage[];
  calls: Map<string, { use: ToolUse; began: number }>;
  /** Platform tools that succeeded. */
  succeeded: Set<string>;
  /** The newest entry of the transcript. */
  last: Point | null;
  /** Called when the summary that was asked for is there, or is not to be had. */
  compacted: () => void;
}

type Ending = Pick<Extract<HarnessEvent, { kind: 'done' }>, 'outcome' | 'text'>;

class Claude implements Harness {
  readonly steer = true;
  readonly #options: HarnessOptions;
  readonly #config: string;
  readonly #idle_ms: number;
  #point: Point | null;
  #child: Child | null = null;
  #turn: Turn | null = null;
  #idle: NodeJS.Timeout | null = null;

  constructor(options: HarnessOptions, idle_ms: number) {
    this.#options = options;
    this.#idle_ms = idle_ms;
    this.#config = join(options.state, 'claude');
    this.#point = parsePoint(options.resume);
  }

  async open(): Promise<{ resumed: boolean }> {
    mkdirSync(this.#config, { recursive: true, mode: 0o700 });
    if (!this.#restore()) this.#point = null;
    return { resumed: this.#point !== null };
  }

  /** The agent may have written to its transcript: false when it is without the point's entry. */
  #restore(): boolean {
    return this.#point === null || restorePoint(this.#config, this.#point);
  }

  /** Only a new sandbox is told by the host what was said so far. */
  #lost(turn: Turn): void {
    if (this.#turn !== turn) return;
    this.#turn = null;
    forgetPoint(this.#config, this.#point!); // or the next one would take it for there
    this.#options.emit({ kind: 'lost' });
  }

  start(input: TurnInput): void {
    const turn: Turn = {
      input,
      marks: new Map(),
      waiting: [],
      calls: new Map(),
      succeeded: new Set(),
      last: null,
      compacted: () => {},
    };
    this.#turn = turn;
    if (this.#idle !== null) clearTimeout(this.#idle);
    void this.#begin(turn).catch((error) => {
      if (this.#turn === turn) this.#done({ outcome: 'failed', text: `I could not start: ${messageOf(error)}.` });
    });
  }

  join(messages: FrameMessage[]): void {
    this.#turn?.waiting.push(...messages);
  }

  interrupt(): void {
    if (this.#turn !== null) this.#done({ outcome: 'interrupted', text: '' });
  }

  async #begin(turn: Turn): Promise<void> {
    const url = await this.#options.modelUrl();
    if (this.#turn !== turn) return;
    if (this.#child === null && !this.#restore()) return this.#lost(turn);
    this.#child ??= this.#spawn(url);
    if (turn.input.compact && this.#point !== null) await this.#compact(turn, this.#child);
    if (this.#turn !== turn || this.#child === null) return;
    const push = this.#pushOf(turn, turnPrompt(turn.input), turn.input.messages);
    this.#child.send({ t: 'push', push });
  }

  /** A summary that cannot be had fails no turn. */
  async #compact(turn: Turn, child: Child): Promise<void> {
    turn.input.compact = false; // once, also when the conversation is begun anew
    await new Promise<void>((resolve) => {
      turn.compacted = resolve;
      child.send({ t: 'compact' });
    });
  }

  #spawn(modelUrl: string): Child {
    const { model, instructions, workspace, tools, mcp, drafts, modelSocket } = this.#options;
    const skills = skillsPrompt(SKILLS);
    const child: Child = new Child(
      {
        model,
        system: [systemPrompt(instructions, memoryPrompt()), skills].filter((part) => part !== '').join('\n\n'),
        modelUrl,
        modelSocket,
        workspace,
        home: this.#options.state,
        config: this.#config,
        mark: randomUUID(),
        drafts,
        tools: tools.definitions,
        mcp,
        resume: this.#point,
      },
      (message) => {
        if (this.#child === child) void this.#receive(message);
      },
    );
    return child;
  }

  async #receive(message: FromDriver): Promise<void> {
    const turn = this.#turn;
    // Between turns it has nothing to do; when it says something nevertheless, it is not in the state we think.
    if (turn === null) return this.#endChild();
    switch (message.t) {
      case 'taken':
        this.#options.emit({ kind: 'taken', ids: turn.marks.get(message.mark) ?? [] });
        return;
      case 'said':
        turn.last = { session: message.session, message: message.uuid };
        for (const use of message.calls) turn.calls.set(use.id, { use, began: performance.now() });
        for (const { id, ok } of message.results) this.#toolEnded(turn, id, ok);
        return;
      case 'compacted': {
        const { before, after, summary } = message;
        return this.#options.emit({ kind: 'compacted', before, after, unit: 'tokens', summary });
      }
      case 'compact_over':
        if (!message.ok) this.#options.emit({ kind: 'tool', tool: 'compact', ok: false, ms: 0, summary: message.text });
        return turn.compacted();
      case 'text':
        this.#options.emit({ kind: 'delta', text: message.text });
        return;
      case 'batch':
        return this.#afterTools(turn);
      case 'call': {
        const child = this.#child;
        const result = await this.#options.tools.call(message.name, message.input);
        if (result.ok) turn.succeeded.add(message.name);
        child?.send({ t: 'receipt', call: message.call, result });
        return;
      }
      case 'result':
        // A message left in the process would be answered by a turn that nobody began.
        if (message.left) this.#endChild();
        if (!message.ok && LOST.test(message.text))
          return this.#broken(turn, { t: 'broken', reason: message.text, failure: null });
        return this.#done(message.ok ? endingOf(turn, message.text) : failed(message.failure, message.text));
      case 'broken':
        return this.#broken(turn, message);
      default:
        unreachable(message);
    }
  }

  /** The one place where a message joins. */
  #afterTools(turn: Turn): void {
    const stop = turn.succeeded.has('no_reply');
    const joining = stop ? [] : turn.waiting.splice(0);
    const push = joining.length === 0 ? null : this.#pushOf(turn, messageText(joining), joining);
    this.#child?.send({ t: 'go', push, stop });
  }

  #pushOf(turn: Turn, text: string, messages: FrameMessage[]): Push {
    const mark = `[ref ${randomBytes(6).toString('hex')}]`;
    turn.marks.set(
      mark,
      messages.map((message) => message.id),
    );
    return { uuid: randomUUID(), mark, text: `${mark}\n${text}`, files: this.#shown(turn, messages) };
  }

  /** Everything that was ever shown goes along in each request; beyond its room the agent reads a file by itself. */
  #shown(turn: Turn, messages: FrameMessage[]): FrameFile[] {
    const files = showable(messages);
    if (files.length === 0) return [];
    const room = new Room(shownIn(this.#config, turn.last ?? this.#point));
    return files.filter((file) => room.take(file.bytes));
  }

  #toolEnded(turn: Turn, id: string, ok: boolean): void {
    const call = turn.calls.get(id);
    if (call === undefined) return;
    turn.calls.delete(id);
    const tool = call.use.name.replace(TOOL_PREFIX, '').slice(0, SUMMARY_CHARS);
    const summary = (JSON.stringify(call.use.input) ?? '').slice(0, SUMMARY_CHARS);
    this.#options.emit({ kind: 'tool', tool, ok, ms: performance.now() - call.began, summary });
  }

  /** Its transcript is the agent's to write, so a process may still not know the point. */
  #broken(turn: Turn, { reason, failure }: Extract<FromDriver, { t: 'broken' }>): void {
    this.#endChild();
    if (this.#point !== null && LOST.test(reason)) return this.#lost(turn);
    this.#done(failure === null ? { outcome: 'failed', text: DIED } : failed(failure, reason));
  }

  #done(ending: Ending): void {
    const turn = this.#turn;
    if (turn === null) return;
    this.#turn = null;
    const answered = ending.outcome === 'answered' || ending.outcome === 'silent';
    if (answered && turn.last !== null) this.#point = turn.last;
    if (!answered) this.#endChild();
    this.#idle = setTimeout(() => this.#endChild(), this.#idle_ms);
    this.#idle.unref();
    this.#options.emit({ kind: 'done', ...ending, resume: this.#point === null ? null : JSON.stringify(this.#point) });
  }

  #endChild(): void {
    this.#child?.end();
    this.#child = null;
  }
}

function failed(failure: Failure | null, said: string): Ending {
  return { outcome: 'failed', text: failureSentence(failure, said) };
}

function endingOf(turn: Turn, text: string): Ending {
  if (turn.succeeded.has('no_reply')) return { outcome: 'silent', text: '' };
  if (text.trim() !== '') return { outcome: 'answered', text: text.trim() };
  return [...turn.succeeded].some((name) => SENDS.has(name))
    ? { outcome: 'silent', text: '' }
    : { outcome: 'failed', text: 'The model gave an empty answer.' };
}
