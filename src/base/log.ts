import { closeSync, fstatSync, openSync, renameSync, writeSync } from 'node:fs';
import type { Clock } from './clock.ts';
import { messageOf } from './errors.ts';
import { ANCHOR_LOGGED_MS, LOG_BYTES_MAX } from './limits/messages.ts';

/** Dated NDJSON: one object a line, `{"at","level","process","event",…}`. Never a secret, never a message's text. */
export interface Log {
  info(event: string, fields?: LogFields): void;
  warn(event: string, fields?: LogFields): void;
  error(event: string, fields?: LogFields): void;
}

export type LogFields = Record<string, string | number | boolean | null | undefined>;

/** What stands instead of anything that looks like a credential in a log line. */
const REDACTED = '[redacted]';
const SECRET_LIKE =
  /\b(?:sk-[A-Za-z0-9_-]{8,}|gh[pousr]_[A-Za-z0-9]{16,}|xox[abpors]-[A-Za-z0-9-]{8,}|xapp-[A-Za-z0-9-]{8,})/g;
const SECRET_HEADER = /\b(authorization|x-api-key|cookie|token)(["']?\s*[:=]\s*["']?)(?:bearer\s+)?[^\s"',;]{6,}/gi;

/** Masks what looks like a credential. A net under the rule that none is logged, not a replacement for it. */
export function redact(text: string): string {
  return text.replace(SECRET_LIKE, REDACTED).replace(SECRET_HEADER, `$1$2${REDACTED}`);
}

/** Each text before it is quoted, and with its field's name before it: the line of a log stays the JSON that it is. */
function redactField(name: string, value: unknown): unknown {
  const named = `${name}=`;
  return typeof value === 'string' ? redact(named + value).slice(named.length) : value;
}

/** A log with a file. */
export interface FileLog extends Log {
  /** Why the newest line is not in the file; null: it is. */
  trouble(): string | null;
}

/** The journal reads how bad a line is from its beginning (sd-daemon(3)). */
const PRIORITIES = { info: '<6>', warn: '<4>', error: '<3>' };

/** Whether standard error goes to the journal itself, and not to somebody who reads it for us. */
function isJournal(): boolean {
  try {
    const { dev, ino } = fstatSync(process.stderr.fd);
    return process.env['JOURNAL_STREAM'] === `${dev}:${ino}`;
  } catch {
    return false;
  }
}

/**
 * Writes to standard error, and to `file` if given (rotated once at a size). A failed write of the file is not fatal. `quiet`: errors only
 * are for standard error, and what is `aloud`.
 */
export function openLog(
  processName: string,
  file: string | null,
  quiet = false,
  aloud: (event: string) => boolean = () => false,
): FileLog {
  const journal = isJournal();
  const sink = file === null ? null : new RotatingFile(file, LOG_BYTES_MAX);
  const write = (level: 'info' | 'warn' | 'error', event: string, fields: LogFields = {}): void => {
    const said = { at: new Date().toISOString(), level, process: processName, event, ...fields };
    const line = `${JSON.stringify(said, redactField)}\n`;
    sink?.append(line);
    if (!quiet || level === 'error' || aloud(event))
      process.stderr.write(journal ? `${PRIORITIES[level]}${line}` : line);
  };
  return {
    info: (event, fields) => write('info', event, fields),
    warn: (event, fields) => write('warn', event, fields),
    error: (event, fields) => write('error', event, fields),
    trouble: () => sink?.trouble ?? null,
  };
}

/** Heads of both chains, `<number>:<hash>`: whoever collects logs has what nobody here can change. */
export function anchorLog(log: Log, clock: Clock): (events: string, egress: string) => void {
  let said_ms = Number.NEGATIVE_INFINITY;
  return (events, egress) => {
    if (clock.monotonic() - said_ms < ANCHOR_LOGGED_MS) return;
    said_ms = clock.monotonic();
    log.info(ANCHORED, { events, egress });
  };
}

/** The event of those lines. A service says them to the journal, too. */
export const ANCHORED = 'chain.anchored';

export const silentLog: Log = { info: () => {}, warn: () => {}, error: () => {} };

/** A file that is appended to and moved to `<name>.1` when it is full. */
class RotatingFile {
  readonly #path: string;
  readonly #bytesMax: number;
  #fd: number | null = null;
  #bytes = 0;
  trouble: string | null = null;

  constructor(path: string, bytesMax: number) {
    this.#path = path;
    this.#bytesMax = bytesMax;
  }

  append(line: string): void {
    try {
      if (this.#fd === null) this.#open();
      if (this.#bytes > this.#bytesMax) this.#rotate();
      this.#bytes += writeSync(this.#fd!, line);
      this.trouble = null;
    } catch (error) {
      this.trouble = messageOf(error);
      // A full or read-only disk must not stop the process that tells about it; standard error still has the line.
    }
  }

  #open(): void {
    this.#fd = openSync(this.#path, 'a', 0o600);
    this.#bytes = fstatSync(this.#fd).size;
  }

  #rotate(): void {
    closeSync(this.#fd!);
    this.#fd = null;
    renameSync(this.#path, `${this.#path}.1`);
    this.#open();
  }
}
