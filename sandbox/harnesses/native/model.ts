import { createAnthropic } from '@ai-sdk/anthropic';
import { createOpenAICompatible } from '@ai-sdk/openai-compatible';
import { type LanguageModel, type ModelMessage, streamText, type TextStreamPart, type ToolSet } from 'ai';
import { messageOf, unreachable } from '../../../src/base/errors.ts';
import type { FrameModel } from '../../../src/protocol/frames.ts';
import { CutStreamError, isConnectionError } from './failures.ts';

/** One request to the model, and what came back. */

/** Retries of a refused or failed request, with growing pauses: a person waits, so few. */
const RETRIES = 1;
/** Tokens of one answer: more than a person reads in a chat, enough for a file. */
const OUTPUT_TOKENS_MAX = 16_000;
/** The gateway puts the real credential in its place. */
const NO_KEY = 'injected-by-the-gateway';
/** The endpoint's cache may keep everything up to here. Others than Anthropic's ignore it. */
const CACHE_HERE = { anthropic: { cacheControl: { type: 'ephemeral' } } } as const;

export interface StepInput {
  system: string;
  messages: ModelMessage[];
  tools: ToolSet;
  signal: AbortSignal;
  /** Called when the request's body is handed to the network, also again for a retry. */
  onRequest: () => void;
  /** Called with the text of the answer so far, each time that there is more of it. */
  onText: (text: string) => void;
}

export interface Call {
  id: string;
  name: string;
  input: unknown;
  /** Why the model's call is not acceptable, or null. */
  problem: string | null;
}

export interface Step {
  /** To be kept in the history. */
  messages: ModelMessage[];
  text: string;
  calls: Call[];
  /** The answer was longer than it may be. */
  cut: boolean;
  /** Of request and answer, as the endpoint counted them; 0: it did not say. */
  tokens: number;
}

export class Model {
  readonly #model: LanguageModel;
  readonly #limited: boolean;
  readonly #effort: FrameModel['effort'];
  #onRequest: () => void = () => {};
  /** An answer has begun: what breaks from here on is a cut stream. */
  #answering = false;

  constructor(model: FrameModel, url: string) {
    this.#limited = model.provider === 'anthropic';
    this.#effort = model.effort;
    this.#model = client(model, url, async (input, init) => {
      this.#answering = false;
      this.#onRequest();
      const response = await fetch(input, init);
      this.#answering = response.ok;
      return response;
    });
  }

  /** Rejects when the request fails or the stream is cut; see `failures.ts`. One at a time. */
  async step(input: StepInput): Promise<Step> {
    this.#onRequest = input.onRequest;
    const result = streamText({
      model: this.#model,
      instructions: input.system,
      messages: withCacheMark(input.messages),
      tools: input.tools,
      abortSignal: input.signal,
      maxRetries: RETRIES,
      ...(this.#effort === null ? {} : { providerOptions: effortOptions(this.#effort) }),
      ...(this.#limited ? { maxOutputTokens: OUTPUT_TOKENS_MAX } : {}),
      onError: () => {}, // thrown below; the default prints it
    });
    const { text, calls, reason, tokens } = await this.#read(result.fullStream, input.onText);
    input.signal.throwIfAborted();
    // A stream that ends without saying why was cut, even if it was closed in good order.
    if (reason === 'other' || reason === 'error') throw new CutStreamError('no end of the answer');
    // Results that the library made up for calls it refused come from the loop, like all others.
    const messages = (await result.response).messages.filter((message) => message.role === 'assistant');
    return { messages, text, calls, cut: reason === 'length', tokens };
  }

  async #read(
    stream: AsyncIterable<TextStreamPart<ToolSet>>,
    onText: (text: string) => void,
  ): Promise<{ text: string; calls: Call[]; reason: string; tokens: number }> {
    const read = { text: '', calls: [] as Call[], reason: 'other', tokens: 0 };
    try {
      for await (const part of stream) {
        if (part.type === 'error') throw part.error;
        if (part.type === 'text-delta') {
          read.text += part.text;
          onText(read.text);
        }
        if (part.type === 'tool-call') read.calls.push(callOf(part, part.invalid === true ? part.error : null));
        if (part.type !== 'finish-step') continue;
        read.reason = part.finishReason;
        read.tokens = (part.usage.inputTokens ?? 0) + (part.usage.outputTokens ?? 0);
      }
      return read;
    } catch (error) {
      throw this.#answering && isConnectionError(error) ? new CutStreamError(messageOf(error)) : error;
    }
  }
}

/** Each provider reads its own. */
function effortOptions(effort: NonNullable<FrameModel['effort']>) {
  const reasoning = { reasoningEffort: effort };
  return { anthropic: { effort }, openai: reasoning, ollama: reasoning };
}

type Fetch = (input: string | URL | Request, init?: RequestInit) => Promise<Response>;

function client(model: FrameModel, url: string, fetch: Fetch): LanguageModel {
  switch (model.provider) {
    case 'anthropic':
      return createAnthropic({ baseURL: `${url}/v1`, apiKey: NO_KEY, fetch })(model.name);
    case 'openai':
      return createOpenAICompatible({ name: 'openai', baseURL: url, apiKey: NO_KEY, includeUsage: true, fetch })(
        model.name,
      );
    case 'ollama':
      return createOpenAICompatible({ name: 'ollama', baseURL: `${url}/v1`, includeUsage: true, fetch })(model.name);
    default:
      return unreachable(model.provider);
  }
}

function callOf(part: { toolCallId: string; toolName: string; input: unknown }, invalid: unknown): Call {
  const problem = invalid === null ? null : `this call is not valid: ${messageOf(invalid)}`.slice(0, 500);
  return { id: part.toolCallId, name: part.toolName, input: part.input, problem };
}

function withCacheMark(messages: ModelMessage[]): ModelMessage[] {
  return messages.map((message, index) =>
    index === messages.length - 1 ? { ...message, providerOptions: CACHE_HERE } : message,
  );
}
