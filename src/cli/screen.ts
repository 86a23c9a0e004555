import type { Interface } from 'node:readline';
import { TYPING_EVERY_MS } from '../base/limits/messages.ts';
import { dim, type Io, printable } from './io.ts';

/**
 * The end of a terminal: what was said scrolls up, below it stands what is being written, and below that the line that is typed.
 * What is being written is a picture: it is drawn anew with each word, and gone when there is no more of it. Without a screen
 * nothing is drawn.
 */
export class Screen {
  readonly #io: Io;
  readonly #output: NodeJS.WriteStream;
  /** Text by turn. */
  readonly #partial = new Map<string, string>();
  /** Rows of the picture that stand above the typed line. */
  #drawn = 0;
  #lines: Interface | null = null;
  #calm: NodeJS.Timeout | undefined;

  constructor(io: Io, output: NodeJS.WriteStream = process.stdout) {
    this.#io = io;
    this.#output = output;
  }

  /** Where a person types from now on, and what they press. */
  listen(lines: Interface, input: NodeJS.ReadableStream = process.stdin): void {
    this.#lines = lines;
    this.#prompt(false);
    // A line that is sent stays where it is: the picture is drawn below it next time.
    input.prependListener('keypress', (_text, key?: { name?: string }) => {
      if (this.#drawn > 0 && (key?.name === 'return' || key?.name === 'enter')) this.#hide();
    });
  }

  /** Text that stays. */
  print(text: string): void {
    clearTimeout(this.#calm);
    const typed = this.#clear();
    this.#io.out(text);
    this.#prompt(false);
    this.#draw(typed);
  }

  /** What there is of an answer; '': no more of it is shown. */
  partial(turn: string, text: string): void {
    if (text === '') this.#partial.delete(turn);
    else this.#partial.set(turn, text);
    this.#again();
  }

  /** The host is gone, and what it was writing with it. */
  forget(): void {
    this.#partial.clear();
    this.#again();
  }

  /** A sign that an agent works, for as long as it is not renewed. What is being typed stays. */
  busy(): void {
    if (!this.#io.colour || this.#io.json) return;
    clearTimeout(this.#calm);
    this.#calm = setTimeout(() => this.#busy(false), 2 * TYPING_EVERY_MS).unref();
    this.#busy(true);
  }

  /** Nobody types here any more. */
  end(): void {
    this.#clear();
    this.#lines = null;
    this.#partial.clear();
  }

  #busy(busy: boolean): void {
    this.#prompt(busy);
    this.#lines?.prompt(true);
  }

  #prompt(busy: boolean): void {
    this.#lines?.setPrompt(this.#io.colour ? (busy ? '… › ' : '› ') : '');
  }

  #again(): void {
    if (!this.#io.colour) return;
    this.#draw(this.#clear());
  }

  /** Takes the picture and the typed line away. Returns how many rows of that line were above the cursor. */
  #clear(): number {
    if (!this.#io.colour) return 0;
    const typed = this.#lines?.getCursorPos().rows ?? 0;
    const up = this.#drawn + typed;
    this.#output.write(`\r${up > 0 ? `\x1b[${up}A` : ''}\x1b[J`);
    this.#drawn = 0;
    return typed;
  }

  #hide(): void {
    this.#clear();
    this.#type();
  }

  #draw(typed: number): void {
    // A terminal that does not know its size says 0.
    const columns = this.#output.columns || 80;
    const rows = this.#output.rows || 24;
    const text = [...this.#partial.values()].map((one) => `${one} …`).join('\n');
    const picture = this.#io.colour && text !== '' ? lastRows(text, columns, Math.max(1, rows - typed - 2)) : [];
    this.#drawn = picture.length;
    // A row that comes out wider than was thought ends at the edge: a row more would not be known of.
    const drawn = picture.map((row) => `${dim(this.#io, row)}\n`).join('');
    if (drawn !== '') this.#output.write(`\x1b[?7l${drawn}\x1b[?7h`);
    this.#type();
  }

  #type(): void {
    if (this.#lines === null) return;
    // Readline would go up first by the rows that it last drew, which are gone, and after a paste it counts them wrong.
    if (this.#io.colour) Object.assign(this.#lines, { prevRows: 0 });
    this.#lines.prompt(true);
  }
}

/** The last rows of a text on a screen, nothing in it able to act on the terminal. */
export function lastRows(text: string, columns: number, rows: number): string[] {
  // What is far above is not seen, and need not be cut into rows twice a second.
  const end = text.slice(-columns * rows);
  const lines = printable(end).replaceAll('\t', '    ').split('\n');
  return lines.flatMap((line) => rowsOf(line, columns)).slice(-rows);
}

function rowsOf(line: string, columns: number): string[] {
  const rows = [''];
  let width = 0;
  for (const character of line) {
    const wide = character.codePointAt(0)! >= FIRST_WIDE ? 2 : 1;
    if (width + wide > columns) {
      rows.push('');
      width = 0;
    }
    rows[rows.length - 1] += character;
    width += wide;
  }
  return rows;
}

/** From here on most characters fill two cells. A guess: a wrong one costs the end of a row, until the answer comes. */
const FIRST_WIDE = 0x1100;
