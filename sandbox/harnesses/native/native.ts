import type { ModelMessage, ToolResultPart } from 'ai';
import type { FrameMessage } from '../../../src/protocol/frames.ts';
import { SENDS } from '../../../src/protocol/tools.ts';
import { messages as messageText, systemPrompt, turnPrompt } from '../../prompt.ts';
import type { Harness, HarnessEvent, HarnessOptions, TurnInput } from '../../runner/harness.ts';
import { memoryPrompt } from '../../runner/memory.ts';
import { fileParts, withBytes } from './attached.ts';
import { summaryOf } from './compaction.ts';
import { failureSentence } from './failures.ts';
import { History, type Turn } from './history.ts';
import { type Call, Model } from './model.ts';
import { Tools } from './tools.ts';

/**
 * A small agent loop of our own: ask the model, run the tools it calls, ask again, until it answers with text.
 *
 * Messages that join wait here until the next request to the model is made; those still waiting at the end of the turn
 * were never taken. The history changes only when a turn is answered: after a failure, an interrupt or a crash the next
 * turn goes on from the last answer.
 */
const STEPS_MAX = 50;
const SUMMARY_CHARS = 200;

globalThis.AI_SDK_LOG_WARNINGS = false;

export function createNative(options: HarnessOptions): Harness {
  return new Native(options);
}

type Ending = Pick<Extract<HarnessEvent, { kind: 'done' }>, 'outcome' | 'text'>;

class Native implements Harness {
  readonly steer = true;
  readonly #options: HarnessOptions;
  readonly #system: string;
  readonly #tools: Tools;
  readonly #history: History;
  #point: string | null;
  #model: Model | null = null;
  /** Of the newest answer of the conversation, with its request. */
  #tokens = 0;
  #waiting: FrameMessage[] = [];
  #stop = new AbortController();

  constructor(options: HarnessOptions) {
    this.#options = options;
    this.#system = systemPrompt(options.instructions, memoryPrompt());
    this.#tools = new Tools(options.tools, options.workspace);
    this.#history = new History(options.state);
    this.#point = options.resume;
  }

  async open(): Promise<{ resumed: boolean }> {
    const resumed = this.#history.open(this.#point);
    if (!resumed) this.#point = null;
    return { resumed };
  }

  start(input: TurnInput): void {
    this.#waiting = [];
    this.#stop = new AbortController();
    void this.#turn(input);
  }

  join(messages: FrameMessage[]): void {
    this.#waiting.push(...messages);
  }

  interrupt(): void {
    this.#stop.abort();
  }

  async #turn(input: TurnInput): Promise<void> {
    const turn: Turn = [this.#userMessage(turnPrompt(input), input.messages)];
    const before = this.#history.turns;
    let ending: Ending;
    try {
      await this.#tools.startMcp(this.#options.mcp);
      this.#model ??= new Model(this.#options.model, await this.#options.modelUrl());
      await this.#compact(this.#model, input.compact);
      ending = await this.#loop(this.#model, input, turn);
    } catch (error) {
      ending = { outcome: 'failed', text: failureSentence(error) };
    }
    if (this.#stop.signal.aborted) ending = { outcome: 'interrupted', text: '' };
    if (ending.outcome === 'answered' || ending.outcome === 'silent') this.#point = this.#remember(turn);
    else this.#history.restore(before);
    this.#options.emit({ kind: 'done', ...ending, resume: this.#point });
  }

  /** Puts the older part of a long conversation into a summary. If that fails, the next turn tries again. */
  async #compact(model: Model, asked: boolean): Promise<void> {
    const older = this.#history.older(this.#tokens, asked);
    if (older.length === 0) return;
    const began = performance.now();
    const bytes = this.#history.bytes;
    try {
      const summary = await summaryOf(model, older, this.#stop.signal);
      this.#history.compact(older, summary);
      this.#tokens = 0;
      const after = this.#history.bytes;
      this.#options.emit({ kind: 'compacted', before: bytes, after, unit: 'bytes', summary });
    } catch (error) {
      this.#stop.signal.throwIfAborted();
      const ms = performance.now() - began;
      this.#options.emit({ kind: 'tool', tool: 'compact', ok: false, ms, summary: failureSentence(error) });
    }
  }

  /** Null when it cannot be kept (the agent may have made its own folder unusable): then the ledger's transcript replaces it. */
  #remember(turn: Turn): string | null {
    try {
      return this.#history.add(turn);
    } catch {
      return null;
    }
  }

  /** Fills `turn` with everything that is said in it. */
  async #loop(model: Model, input: TurnInput, turn: Turn): Promise<Ending> {
    let untaken = input.messages.map((message) => message.id);
    let sent = false;
    for (let step = 0; step < STEPS_MAX; step += 1) {
      if (this.#waiting.length > 0) {
        turn.push(this.#userMessage(messageText(this.#waiting), this.#waiting));
        untaken.push(...this.#waiting.splice(0).map((message) => message.id));
      }
      const answer = await model.step({
        system: [this.#system, ...this.#tools.missing].join('\n\n'),
        messages: await withBytes([...this.#history.messages, ...turn]),
        tools: this.#tools.set,
        signal: this.#stop.signal,
        onRequest: () => {
          if (untaken.length > 0) this.#options.emit({ kind: 'taken', ids: untaken });
          untaken = [];
        },
        onText: (text) => {
          if (this.#options.drafts && !this.#stop.signal.aborted) this.#options.emit({ kind: 'delta', text });
        },
      });
      turn.push(...answer.messages);
      this.#tokens = answer.tokens;
      if (answer.calls.length === 0) return endingOf(answer, sent);
      const { silent, messaged } = await this.#runTools(answer.calls, turn);
      if (silent) return { outcome: 'silent', text: '' };
      sent ||= messaged;
    }
    return { outcome: 'failed', text: `I stopped after ${STEPS_MAX} steps without coming to an answer.` };
  }

  #userMessage(text: string, messages: FrameMessage[]): ModelMessage {
    const files = fileParts(messages, this.#options.model.provider);
    return { role: 'user', content: [{ type: 'text', text }, ...files] };
  }

  async #runTools(calls: Call[], turn: Turn): Promise<{ silent: boolean; messaged: boolean }> {
    const content: ToolResultPart[] = [];
    const done = new Set<string>();
    for (const call of calls) {
      this.#stop.signal.throwIfAborted();
      const began = performance.now();
      const { ok, text } =
        call.problem === null
          ? await this.#tools.run(call.name, call.input, this.#stop.signal)
          : { ok: false, text: call.problem };
      const ms = performance.now() - began;
      this.#options.emit({ kind: 'tool', tool: call.name.slice(0, SUMMARY_CHARS), ok, ms, summary: summary(call) });
      const output = { type: ok ? ('text' as const) : ('error-text' as const), value: text };
      content.push({ type: 'tool-result', toolCallId: call.id, toolName: call.name, output });
      if (ok) done.add(call.name);
    }
    this.#stop.signal.throwIfAborted();
    turn.push({ role: 'tool', content });
    return { silent: done.has('no_reply'), messaged: [...done].some((name) => SENDS.has(name)) };
  }
}

function endingOf(answer: { text: string; cut: boolean }, sent: boolean): Ending {
  const text = answer.text.trim();
  if (text !== '') return { outcome: 'answered', text: answer.cut ? `${text}\n\n[The answer was cut here.]` : text };
  return sent ? { outcome: 'silent', text: '' } : { outcome: 'failed', text: 'The model gave an empty answer.' };
}

/** What the trace shows of a call. */
function summary(call: Call): string {
  const text = typeof call.input === 'string' ? call.input : (JSON.stringify(call.input) ?? '');
  return text.length > SUMMARY_CHARS ? `${text.slice(0, SUMMARY_CHARS)}…` : text;
}
