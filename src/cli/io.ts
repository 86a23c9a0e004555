/** What a verb may print to, and how it was asked to. */
export interface Io {
  out(text: string): void;
  err(text: string): void;
  json: boolean;
  /** Whether standard output is a terminal that takes colours. */
  colour: boolean;
  /** Columns of the terminal; absent: what is printed goes elsewhere, where lines have no end. */
  columns?: number | undefined;
}

export function terminalIo(json: boolean): Io {
  return {
    out: (text) => void process.stdout.write(`${text}\n`),
    err: (text) => void process.stderr.write(`${text}\n`),
    json,
    colour: process.stdout.isTTY === true && process.env['NO_COLOR'] === undefined,
    ...(process.stdout.isTTY === true ? { columns: process.stdout.columns } : {}),
  };
}

/** Shows control and bidirectional characters of hostile text as escapes, so that it cannot act on the terminal. */
export function printable(text: string): string {
  return text.replace(/[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]/g, (c) => {
    const code = c.codePointAt(0)!;
    return `\\u${code.toString(16).padStart(4, '0')}`;
  });
}

export function dim(io: Io, text: string): string {
  return io.colour ? `\x1b[2m${text}\x1b[0m` : text;
}

export function bold(io: Io, text: string): string {
  return io.colour ? `\x1b[1m${text}\x1b[0m` : text;
}

export function red(io: Io, text: string): string {
  return io.colour ? `\x1b[31m${text}\x1b[0m` : text;
}
