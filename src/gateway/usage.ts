import { METERED_BYTES_PER_TOKEN, MODEL_NAME_BYTES_MAX, STREAM_EVENT_BYTES } from '../base/limits/gateway.ts';

/**
 * Reads token counts and the model's name out of a reply while it passes: Anthropic Messages, OpenAI Chat Completions
 * and Responses, Ollama; plain JSON, SSE or NDJSON. It is a scanner that knows only strings and depth, so its memory
 * does not grow with the reply. Only exact paths count: a model cannot change its bill by writing
 * `"usage": …` into a text or a tool's input. An unknown shape leaves null, and is metered by bytes.
 */

export interface Usage {
  model: string | null;
  input_tokens: number | null;
  output_tokens: number | null;
  /** Parts of `input_tokens` that are priced apart; 0 where a provider does not tell them so. */
  cache_read_tokens: number;
  cache_write_tokens: number;
}

export const NO_USAGE: Usage = {
  model: null,
  input_tokens: null,
  output_tokens: null,
  cache_read_tokens: 0,
  cache_write_tokens: 0,
};

/** Key paths below the document's root. Streams of Anthropic and of OpenAI Responses wrap the message once. */
const ROOTS = ['', 'message.', 'response.'];
const FIELDS: Record<string, Field> = {
  model: 'model',
  'usage.input_tokens': 'input',
  'usage.prompt_tokens': 'input',
  'usage.cache_creation_input_tokens': 'cache_write',
  'usage.cache_read_input_tokens': 'cache_read',
  'usage.output_tokens': 'output',
  'usage.completion_tokens': 'output',
  prompt_eval_count: 'input',
  eval_count: 'output',
};
type Field = 'model' | 'input' | 'cache_write' | 'cache_read' | 'output';
const PATHS = new Map<string, Field>(
  ROOTS.flatMap((root) => Object.entries(FIELDS).map(([path, field]) => [root + path, field] as const)),
);

/** Deepest path above, in keys; and bytes of the longest key of interest. */
const DEPTH_MAX = 3;
const KEY_BYTES_MAX = 32;
const NUMBER_BYTES_MAX = 15;

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const NEWLINE = 0x0a;

export class UsageReader {
  /** In SSE and NDJSON each line is a document of its own; a newline cannot stand inside a JSON string. */
  readonly #lines: boolean;
  readonly #values = new Map<Field, number>();
  #model: string | null = null;
  #depth = 0;
  /** The key last read at each depth; '' inside an array or for a key of no interest. */
  readonly #keys: string[] = ['', '', '', ''];
  #inString = false;
  #escaped = false;
  #text = '';
  #lastString = '';
  #number = '';
  #afterColon = false;
  #bytes = 0;
  /** Documents of a stream. */
  #events = 0;

  constructor(contentType: string | undefined) {
    this.#lines = contentType !== undefined && /event-stream|ndjson|jsonl/.test(contentType);
  }

  push(chunk: Buffer): void {
    this.#bytes += chunk.length;
    for (let at = 0; at < chunk.length; at += 1) {
      const byte = chunk[at]!;
      if (this.#inString) at = this.#string(chunk, at);
      else if (byte === QUOTE) {
        this.#inString = this.#depth > 0;
        this.#text = '';
      } else this.#sign(byte);
    }
  }

  /**
   * `whole`: the reply came to its end. Of one that did not, a provider may have told what it had begun with (Anthropic: one token), and
   * the count would have come last: it has cost what has passed, at least.
   */
  result(whole = true): Usage {
    this.#endNumber();
    const output = this.#values.get('output');
    const input = ['input', 'cache_write', 'cache_read'] as const;
    const known = input.filter((field) => this.#values.has(field));
    return {
      model: this.#model,
      // Anthropic counts cached input apart from `input_tokens`; for a budget all of it was read.
      input_tokens: known.length === 0 ? null : known.reduce((sum, field) => sum + this.#values.get(field)!, 0),
      output_tokens: output === undefined ? null : whole ? output : Math.max(output, this.#passed()),
      cache_read_tokens: this.#values.get('cache_read') ?? 0,
      cache_write_tokens: this.#values.get('cache_write') ?? 0,
    };
  }

  /** Tokens that have passed: one an event, and what its frame does not account for. */
  #passed(): number {
    const text = Math.max(0, this.#bytes - this.#events * STREAM_EVENT_BYTES);
    return this.#events + Math.ceil(text / METERED_BYTES_PER_TOKEN);
  }

  /** Reads on inside a string; returns the index of the last byte read. */
  #string(chunk: Buffer, from: number): number {
    const wanted = this.#depth <= DEPTH_MAX;
    for (let at = from; at < chunk.length; at += 1) {
      const byte = chunk[at]!;
      if (this.#escaped) this.#escaped = false;
      else if (byte === BACKSLASH) this.#escaped = true;
      else if (byte === QUOTE) {
        this.#endString();
        return at;
      } else if (this.#lines && byte === NEWLINE) {
        this.#reset();
        return at;
      }
      if (wanted && this.#text.length <= MODEL_NAME_BYTES_MAX) this.#text += String.fromCharCode(byte);
    }
    return chunk.length;
  }

  #endString(): void {
    this.#inString = false;
    this.#lastString = this.#text;
    if (this.#afterColon && this.#field() === 'model' && this.#text.length <= MODEL_NAME_BYTES_MAX)
      this.#model = this.#text;
    this.#afterColon = false;
  }

  #sign(byte: number): void {
    if (byte >= 0x30 && byte <= 0x39) {
      if (this.#afterColon && this.#number.length < NUMBER_BYTES_MAX) this.#number += String.fromCharCode(byte);
      return;
    }
    switch (byte) {
      case 0x3a: // :
        if (this.#depth > 0 && this.#depth <= DEPTH_MAX)
          this.#keys[this.#depth] = this.#lastString.length <= KEY_BYTES_MAX ? this.#lastString : '';
        this.#afterColon = this.#depth > 0;
        return;
      case 0x2c: // ,
        this.#endNumber();
        return;
      case 0x7b: // {
      case 0x5b: // [
        // The root must be an object; a list element has the key '', so that no path leads into it.
        if (byte === 0x5b && this.#depth === 0) return;
        this.#afterColon = false;
        if (this.#lines && this.#depth === 0) this.#events += 1;
        this.#depth += 1;
        if (this.#depth <= DEPTH_MAX) this.#keys[this.#depth] = '';
        this.#lastString = '';
        return;
      case 0x7d: // }
      case 0x5d: // ]
        this.#endNumber();
        if (this.#depth > 0) this.#depth -= 1;
        return;
      case NEWLINE:
        if (this.#lines) this.#reset();
        return;
      default:
        // A sign, fraction or exponent: not a token count.
        if (byte <= 0x20) return;
        this.#number = '';
        this.#afterColon = false;
    }
  }

  #endNumber(): void {
    if (this.#number !== '' && this.#afterColon) {
      const field = this.#field();
      if (field !== undefined && field !== 'model') this.#values.set(field, Number(this.#number));
    }
    this.#number = '';
    this.#afterColon = false;
  }

  #field(): Field | undefined {
    if (this.#depth > DEPTH_MAX) return undefined;
    let path = this.#keys[1]!;
    for (let depth = 2; depth <= this.#depth; depth += 1) path += `.${this.#keys[depth]}`;
    return PATHS.get(path);
  }

  #reset(): void {
    this.#endNumber();
    this.#depth = 0;
    this.#inString = false;
    this.#escaped = false;
  }
}
