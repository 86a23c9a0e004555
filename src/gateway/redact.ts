/**
 * Masks a secret in a byte stream, in every encoding that software commonly gives it, with `*` of the same length (so
 * that no length header lies and no length tells anything). Chunks pass through at once; only a tail that may be the
 * beginning of the secret is held back until the next chunk. Reversed or encrypted forms are not recognised: residual.
 */

const MASK = 0x2a;

/** One encoding of the secret, and its failure table (Knuth, Morris, Pratt) for finding live prefixes. */
interface Pattern {
  bytes: Buffer;
  fail: Int32Array;
}

/** Prepared once per secret, shared by all replies. Several: its two values, and what is made of them. */
export class Patterns {
  readonly list: readonly Pattern[];

  constructor(...secrets: readonly Buffer[]) {
    this.list = secrets.flatMap(encodings).map((bytes) => ({ bytes, fail: failures(bytes) }));
  }

  /** For headers, none of which has a line break: one search over all of them, which hardly ever finds anything. */
  mask(lines: string[]): { lines: string[]; count: number } {
    const raw = Buffer.from(lines.join('\n'), 'latin1');
    const { out, count } = maskInto(this.list, raw, raw);
    return { lines: count === 0 ? lines : out.toString('latin1').split('\n'), count };
  }
}

export class Redactor {
  readonly #patterns: readonly Pattern[];
  /** The held tail as it came, and as it would go out: a byte masked once stays masked. */
  #raw: Buffer | null = null;
  #out: Buffer | null = null;
  /** Occurrences masked so far. */
  count = 0;

  constructor(patterns: Patterns) {
    this.#patterns = patterns.list;
  }

  /** The bytes that can go out now; may be empty. */
  push(chunk: Buffer): Buffer {
    const raw = this.#raw === null ? chunk : Buffer.concat([this.#raw, chunk]);
    const before = this.#out === null ? chunk : Buffer.concat([this.#out, chunk]);
    const { out, count } = maskInto(this.#patterns, raw, before);
    this.count += count;
    const live = livePrefix(this.#patterns, raw);
    const cut = raw.length - live;
    this.#raw = live === 0 ? null : raw.subarray(cut);
    this.#out = live === 0 ? null : out.subarray(cut);
    return live === 0 ? out : out.subarray(0, cut);
  }

  /** What is left when the stream ends: a prefix that never became the secret. */
  end(): Buffer {
    const rest = this.#out ?? Buffer.alloc(0);
    this.#raw = null;
    this.#out = null;
    return rest;
  }
}

/** Returns `before` itself when nothing was found: no copy on the usual path. */
function maskInto(patterns: readonly Pattern[], raw: Buffer, before: Buffer): { out: Buffer; count: number } {
  let out = before;
  let count = 0;
  for (const { bytes } of patterns) {
    for (let at = raw.indexOf(bytes); at !== -1; at = raw.indexOf(bytes, at + 1)) {
      if (out === before) out = Buffer.from(before);
      out.fill(MASK, at, at + bytes.length);
      count += 1;
    }
  }
  return { out, count };
}

/** Length of the longest end of `raw` that is a proper beginning of a pattern. */
function livePrefix(patterns: readonly Pattern[], raw: Buffer): number {
  let longest = 0;
  for (const { bytes, fail } of patterns) {
    let state = 0;
    for (let at = Math.max(0, raw.length - bytes.length + 1); at < raw.length; at += 1) {
      const byte = raw[at]!;
      while (state > 0 && bytes[state] !== byte) state = fail[state - 1]!;
      if (bytes[state] === byte) state += 1;
    }
    if (state > longest) longest = state;
  }
  return longest;
}

function failures(bytes: Buffer): Int32Array {
  const fail = new Int32Array(bytes.length);
  let state = 0;
  for (let at = 1; at < bytes.length; at += 1) {
    while (state > 0 && bytes[state] !== bytes[at]) state = fail[state - 1]!;
    if (bytes[state] === bytes[at]) state += 1;
    fail[at] = state;
  }
  return fail;
}

function encodings(secret: Buffer): Buffer[] {
  const text = secret.toString('utf8');
  const json = JSON.stringify(text).slice(1, -1);
  const url = encodeURIComponent(text);
  const strict = url.replace(/[!'()*]/g, (sign) => `%${sign.charCodeAt(0).toString(16).toUpperCase()}`);
  const base64 = base64Forms(secret);
  const all = [
    json,
    json.replaceAll('/', '\\/'),
    json.replace(/[^\x20-\x7e]/g, (sign) => `\\u${sign.charCodeAt(0).toString(16).padStart(4, '0')}`),
    url,
    strict,
    strict.replaceAll('%20', '+'),
    ...[url, strict].map((form) => form.replace(/%../g, (byte) => byte.toLowerCase())),
    ...base64,
    ...base64.map((form) => form.replaceAll('+', '-').replaceAll('/', '_')),
    ...base64.map((form) => form.replaceAll('/', '\\/')),
    secret.toString('hex'),
    secret.toString('hex').toUpperCase(),
  ].map((form) => Buffer.from(form));
  const seen = new Set<string>();
  return [secret, ...all].filter((form) => {
    const key = form.toString('latin1');
    return form.length > 0 && !seen.has(key) && seen.add(key);
  });
}

/** The secret somewhere inside base64 text: at each of the three alignments, without the characters its neighbours share. */
function base64Forms(secret: Buffer): string[] {
  return [0, 1, 2].map((offset) => {
    const whole = Buffer.concat([Buffer.alloc(offset), secret]).toString('base64');
    return whole.slice(Math.ceil((offset * 8) / 6), Math.floor(((offset + secret.length) * 8) / 6));
  });
}
