import { createHash, randomBytes } from 'node:crypto';
import { open, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { FrameFile, FrameMessage } from '../../../src/protocol/frames.ts';
import { readAttachment } from '../../runner/attachments.ts';
import type { Harness, HarnessOptions, TurnInput } from '../../runner/harness.ts';

/**
 * The harness without a model: deterministic, for checks, tests and the first run. It answers each message with what it
 * says, and does what a message's first word asks for:
 *
 *   send <text>      send_message in mid-turn        sleep <seconds>   keep the turn running
 *   silent           no_reply                        crash             end this process, at every attempt
 *   destinations     list_destinations               crash-once        … at the first attempt only
 *   search <words>   history_search                  flood <n>         n frames at once
 *   file <path> [text]  send_file                    long <n>          a reply of n characters
 *   react <emoji> [n]   react
 *   where            harness, attempt, memory        refuse <reason>   fail the turn with a sentence
 *   tell <to> <text>    send_message to another destination
 *   want <JSON>      request_authority
 *   overheard        what was said before this turn, as far as it is told of it
 *   ask [<minutes>m] <question> [| option]…      ask, and say what came of it
 *   card <title> [| name=value]…                 card
 *   stream <n> <text>   the text, of which there is more and more in n steps of 500 ms
 *   files            path, type, size and hash of each file that came with it, as read from /inbox
 *   model            one request on the model route; without a good answer the turn fails
 *   fill <MiB>       so much more into a file of the workspace, then a rest of 12 s; no room: the turn fails
 *   empty            remove it
 *   deaf-once        at the first attempt stand still, and hear of nothing meanwhile
 */
const STAND_IN =
  'I am `probe`, a stand-in without a model: I only repeat what you say. Set a credential with `glass secret set anthropic` and a real agent answers.';

const STREAM_STEP_MS = 500;
const MODEL_WAIT_MS = 20_000;
const MIB = 1024 ** 2;
/** Longer than a turn gets to end when its host does. */
const DEAF_MS = 60_000;
/** Where a workspace's size is measured, and not held by the kernel, a turn must still run when that is seen. */
const FILL_REST_MS = 12_000;

export function createProbe(options: HarnessOptions): Harness {
  return new Probe(options);
}

class Probe implements Harness {
  readonly steer = true;
  readonly #options: HarnessOptions;
  #handled = 0;
  #queue: FrameMessage[] = [];
  #interrupted = new AbortController();
  #failure: string | null = null;

  constructor(options: HarnessOptions) {
    this.#options = options;
  }

  async open(): Promise<{ resumed: boolean }> {
    const point = /^probe:(\d+)$/.exec(this.#options.resume ?? '');
    this.#handled = point === null ? 0 : Number(point[1]);
    return { resumed: point !== null };
  }

  start(input: TurnInput): void {
    this.#queue = [...input.messages];
    this.#interrupted = new AbortController();
    this.#failure = null;
    void this.#run(input);
  }

  join(messages: FrameMessage[]): void {
    this.#queue.push(...messages);
  }

  interrupt(): void {
    this.#interrupted.abort();
  }

  async #run(input: TurnInput): Promise<void> {
    const lines = this.#handled === 0 ? [STAND_IN, ''] : [];
    for (const notice of input.notices) lines.push(`notice: ${notice}`);
    if (input.attempt > 1)
      lines.push(
        `attempt ${input.attempt}; sent before: ${input.prior.map((send) => send.text.replaceAll('\n', ' ')).join(' | ') || 'nothing'}`,
      );
    for (let message = this.#queue.shift(); message !== undefined; message = this.#queue.shift()) {
      this.#options.emit({ kind: 'taken', ids: [message.id] });
      const line = await this.#answer(message, input);
      if (line !== null) lines.push(line);
      this.#handled += 1;
      if (this.#interrupted.signal.aborted) return this.#done('interrupted', '');
      if (this.#failure !== null) return this.#done('failed', this.#failure);
    }
    this.#done('answered', lines.join('\n'));
  }

  #done(outcome: 'answered' | 'failed' | 'interrupted', text: string): void {
    this.#options.emit({ kind: 'done', outcome, text, resume: `probe:${this.#handled}` });
  }

  async #answer(message: FrameMessage, input: TurnInput): Promise<string | null> {
    const [, word = '', rest = ''] = /^\s*(\S+)\s*([\s\S]*)$/.exec(message.text) ?? [];
    switch (word) {
      case 'send':
        return this.#tool('send_message', { text: rest });
      case 'react': {
        const [emoji, to] = rest.split(' ');
        return this.#tool('react', { emoji, ...(to === undefined ? {} : { to: Number(to) }) });
      }
      case 'silent':
        return this.#tool('no_reply', { reason: 'asked to be silent' });
      case 'destinations':
        return this.#tool('list_destinations', {});
      case 'search':
        return this.#tool('history_search', { words: rest });
      case 'ask':
        return Promise.race([this.#tool('ask', askOf(rest)), this.#interruption()]);
      case 'card':
        return this.#tool('card', cardOf(rest));
      case 'file':
        return this.#tool('send_file', fileOf(rest));
      case 'tell':
        return this.#tool('send_message', { to: rest.split(' ')[0], text: rest.split(' ').slice(1).join(' ') });
      case 'want':
        return this.#tool('request_authority', wantOf(rest));
      case 'sleep':
        await sleep(Number.parseFloat(rest) * 1000, this.#interrupted.signal);
        return `slept ${rest} s`;
      case 'crash':
        return process.abort();
      case 'crash-once':
        return input.attempt === 1 ? process.abort() : `survived: ${rest}`;
      case 'deaf-once':
        // All of it stands still, so that it hears of nothing: no frame, no interrupt.
        if (input.attempt === 1) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, DEAF_MS);
        return `heard: ${rest}`;
      case 'flood':
        for (let i = 0; i < Number(rest); i += 1)
          this.#options.emit({ kind: 'tool', tool: 'flood', ok: true, ms: 0, summary: `${i}` });
        return `flooded ${rest}`;
      case 'long':
        return 'x'.repeat(Number(rest));
      case 'stream':
        return this.#stream(rest);
      case 'files':
        return (await Promise.all(message.files.map(describeFile))).join('\n') || 'no files';
      case 'model':
        return this.#tried(this.#askModel());
      case 'fill':
        return this.#tried(this.#fill(Number(rest)));
      case 'empty':
        await rm(this.#filler, { force: true });
        return 'emptied';
      case 'overheard':
        return input.transcript.map(({ author, text }) => `${author}: ${text}`).join(' | ') || 'nothing overheard';
      case 'refuse':
        this.#failure = rest;
        return null;
      case 'where':
        return `probe, turn ${input.turn}, attempt ${input.attempt}, ${this.#handled} messages before this one`;
      default:
        return `You said: ${message.text}`;
    }
  }

  /** What goes wrong fails the turn, with its sentence. */
  async #tried(what: Promise<string>): Promise<string | null> {
    return what.catch((error: Error) => {
      this.#failure = `${error.message}${error.cause instanceof Error ? ` (${error.cause.message})` : ''}`;
      return null;
    });
  }

  /** As a harness with a model of the provider `openai` asks it. */
  async #askModel(): Promise<string> {
    const { name } = this.#options.model;
    const answer = await fetch(`${await this.#options.modelUrl()}/chat/completions`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ model: name, messages: [{ role: 'user', content: 'hello' }] }),
      signal: AbortSignal.timeout(MODEL_WAIT_MS),
    });
    const text = await answer.text();
    if (!answer.ok) throw new Error(`The model's endpoint answered ${answer.status}: ${text.slice(0, 200)}`);
    return `the model's endpoint answered ${answer.status}`;
  }

  get #filler(): string {
    return join(this.#options.workspace, 'probe.fill');
  }

  async #fill(mebibytes: number): Promise<string> {
    // A file system may make nothing of zeros.
    const part = randomBytes(MIB);
    const file = await open(this.#filler, 'a');
    try {
      for (let i = 0; i < mebibytes; i += 1) await file.writeFile(part);
      await file.sync();
    } catch (error) {
      throw new Error(`The workspace is full: ${(error as Error).message}`);
    } finally {
      await file.close();
    }
    await sleep(FILL_REST_MS, this.#interrupted.signal);
    return `filled ${mebibytes} MiB`;
  }

  async #stream(rest: string): Promise<string> {
    const [, steps = '1', text = ''] = /^(\d+)\s+([\s\S]*)$/.exec(rest) ?? [];
    for (let step = 1; step <= Number(steps) && !this.#interrupted.signal.aborted; step += 1) {
      const part = text.slice(0, Math.ceil((text.length * step) / Number(steps)));
      if (this.#options.drafts) this.#options.emit({ kind: 'delta', text: part });
      await sleep(STREAM_STEP_MS, this.#interrupted.signal);
    }
    return text;
  }

  /** A person may take hours to answer: an interrupt waits for nobody. */
  #interruption(): Promise<string> {
    const { signal } = this.#interrupted;
    return new Promise((resolve) => signal.addEventListener('abort', () => resolve('interrupted'), { once: true }));
  }

  async #tool(name: string, args: object): Promise<string> {
    const begin = performance.now();
    const result = await this.#options.tools.call(name, args);
    this.#options.emit({
      kind: 'tool',
      tool: name,
      ok: result.ok,
      ms: performance.now() - begin,
      summary: show(result).slice(0, 200),
    });
    return show(result);
  }
}

/** What is no JSON is passed on as it is: the host has to refuse it. */
function wantOf(text: string): object {
  try {
    const { reason, ...add } = JSON.parse(text) as Record<string, unknown>;
    return { reason, add };
  } catch {
    return { text };
  }
}

/** `[<to>] <path> [<text>]`, each ended by a blank alone: a destination has a colon, and a path has none. */
function fileOf(rest: string): object {
  const [, to, path, text = ''] = /^(?:([^ ]+:[^ ]+) )?([^ ]*) ?([\s\S]*)$/.exec(rest) ?? [];
  return { path, text, ...(to !== undefined && { to }) };
}

function askOf(rest: string): object {
  const [, minutes, said = ''] = /^(?:([\d.]+)m\s+)?([\s\S]*)$/.exec(rest) ?? [];
  const [question = '', ...options] = said.split('|').map((part) => part.trim());
  return {
    question,
    ...(options.length > 0 && { options }),
    ...(minutes !== undefined && { minutes: Number(minutes) }),
  };
}

function cardOf(rest: string): object {
  const [title = '', ...fields] = rest.split('|').map((part) => part.trim());
  return {
    title,
    fields: fields.map((field) => {
      const [name = '', ...value] = field.split('=');
      return { name, value: value.join('=') };
    }),
  };
}

function show(result: { ok: boolean; value: unknown }): string {
  return `${result.ok ? 'ok' : 'refused'}: ${typeof result.value === 'string' ? result.value : JSON.stringify(result.value)}`;
}

async function describeFile(file: FrameFile): Promise<string> {
  const bytes = file.lost ? null : await readAttachment(file.path);
  if (bytes === null) return `${file.path} ${file.type} (lost)`;
  return `${file.path} ${file.type} ${bytes.length} ${createHash('sha256').update(bytes).digest('hex')}`;
}

function sleep(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, Math.min(ms, 3_600_000));
    signal.addEventListener('abort', () => {
      clearTimeout(timer);
      resolve();
    });
  });
}
