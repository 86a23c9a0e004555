/**
 * Two kinds of failure. An `OperatingError` is foreseen: it carries a stable code, one clear sentence for a person
 * and an exit code for scripts. Everything else is a programmer's error and crashes the process (crash-only).
 */

export type ErrorCode =
  | 'usage' // the call's words are wrong
  | 'config' // a file of the operator is refused
  | 'not_found'
  | 'conflict' // the state forbids it (a second host on one home)
  | 'unavailable' // something needed is missing or down
  | 'refused' // policy
  | 'storage' // disk or database
  | 'internal';

const EXIT_CODES: Record<ErrorCode, number> = {
  usage: 2,
  config: 3,
  not_found: 4,
  conflict: 5,
  unavailable: 6,
  refused: 7,
  storage: 8,
  internal: 70,
};

/** A failure that a person can act on. `message` is one sentence without secrets; `fix` says what to do. */
export class OperatingError extends Error {
  readonly code: ErrorCode;
  readonly fix: string | undefined;

  constructor(code: ErrorCode, message: string, fix?: string, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
    this.name = 'OperatingError';
    this.code = code;
    this.fix = fix;
  }
}

/** The process exit code of an error: stable, listed in OPERATIONS.md. */
export function exitCodeOf(error: unknown): number {
  return error instanceof OperatingError ? EXIT_CODES[error.code] : EXIT_CODES.internal;
}

/** The sentence of any thrown value. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** An error for a person: its sentence, and what to do if that is known. */
export function describeError(error: unknown): string {
  if (!(error instanceof OperatingError))
    return `internal error: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`;
  return error.fix === undefined ? error.message : `${error.message} — ${error.fix}`;
}

/** The `code` of a Node system error (`ENOENT`), or undefined. */
export function systemCodeOf(error: unknown): string | undefined {
  if (typeof error !== 'object' || error === null || !('code' in error)) return undefined;
  return typeof error.code === 'string' ? error.code : undefined;
}

/** Marks a switch as exhaustive: reaching it is a programmer's error. */
export function unreachable(value: never): never {
  throw new Error(`unreachable: ${JSON.stringify(value)}`);
}

/** A programmer's expectation, kept in production. */
export function assert(condition: unknown, what: string): asserts condition {
  if (!condition) throw new Error(`assertion failed: ${what}`);
}
