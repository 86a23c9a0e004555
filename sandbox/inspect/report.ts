/** How the observer says what it saw: one JSON line for each attempt, on standard output. */
export class Report {
  readonly #nonce: string;
  readonly #write: (line: string) => void;

  constructor(nonce: string, write: (line: string) => void) {
    this.#nonce = nonce;
    this.#write = write;
  }

  saw(key: string, value: string): void {
    this.#line({ key, value });
  }

  /** It could not be tried, and why. */
  notRun(key: string, why: string): void {
    this.#line({ key, not_run: why });
  }

  /** What an attempt came to: `ok`, or the system's code for the refusal. */
  tried(key: string, attempt: () => void): void {
    this.saw(key, outcomeOf(attempt));
  }

  #line(fields: Record<string, string>): void {
    this.#write(`${JSON.stringify({ nonce: this.#nonce, ...fields })}\n`);
  }
}

/** `ok`, or the system's code for the refusal. */
export function outcomeOf(attempt: () => void): string {
  try {
    attempt();
    return 'ok';
  } catch (error) {
    return codeOf(error);
  }
}

/** `EPERM` and the like. */
export function codeOf(error: unknown): string {
  if (typeof error === 'object' && error !== null && 'code' in error && typeof error.code === 'string')
    return error.code;
  return error instanceof Error ? error.message : String(error);
}

/** A list as one observation: sorted, one a line, `none` when it is empty. */
export function listed(words: string[]): string {
  return words.length === 0 ? 'none' : [...words].sort().join('\n');
}

/** A text, or the code of the refusal to read it. */
export function textOf(read: () => string): string {
  try {
    return read();
  } catch (error) {
    return codeOf(error);
  }
}
