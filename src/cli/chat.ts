import { randomUUID } from 'node:crypto';
import { createInterface, type Interface } from 'node:readline';
import { OperatingError } from '../base/errors.ts';
import type { Paths } from '../base/paths.ts';
import { showBytes } from '../base/text.ts';
import type { LocalLine, LocalMessage } from '../channels/local/local.ts';
import { readSaid, type Said } from './chat_file.ts';
import { ControlClient, isNotRunning } from './control_client.ts';
import { savedText, saveFile } from './file.ts';
import { dim, type Io, printable } from './io.ts';
import { Screen } from './screen.ts';
import { split } from './words.ts';

/**
 * `glass chat`: a terminal of the local channel. What it has shown it acknowledges; a message it knows already by its key
 * is not shown twice. With text as arguments it says that, prints what comes until the answer, and ends.
 *
 * On a screen an answer is seen while it is written; `--json` has lines `partial` of it where `--partial` asks for them.
 */
const HISTORY = 20;
const RECONNECT_MS = 500;
interface Options {
  chat: string;
  text: string | null;
  /** Lines of what there is of an answer are wanted. */
  partial: boolean;
}

export async function chat(args: string[], paths: Paths, io: Io): Promise<number> {
  const options = parseArgs(args);
  if (options.partial && !io.json && !io.colour)
    throw new OperatingError('usage', '--partial is for --json or a screen', 'add --json');
  const client = new ControlClient(paths.controlSocket);
  try {
    return options.text === null
      ? await converse(client, options, io)
      : await sayOnce(client, options, options.text, io);
  } finally {
    client.close();
  }
}

function parseArgs(args: string[]): Options {
  const { words, values, flags } = split(args, ['chat'], ['partial'], 'glass chat [--chat <name>] [--partial] [text]');
  const text = words.length === 0 ? null : words.join(' ');
  return { chat: values['chat'] ?? 'main', text, partial: flags.has('partial') };
}

/** The stream of one chat: shows, acknowledges, and comes back when the host does. */
class Terminal {
  readonly #client: ControlClient;
  readonly #chat: string;
  readonly #partial: boolean;
  readonly #show: (row: Row) => void;
  readonly #shown = new Set<string>();
  #id = '';
  #onOpen: (() => void) | null = null;

  /** `partial`: rows of what there is of an answer are wanted. */
  constructor(client: ControlClient, chatName: string, partial: boolean, show: (row: Row) => void) {
    this.#client = client;
    this.#chat = chatName;
    this.#partial = partial;
    this.#show = show;
  }

  /** A key that is on the screen already: what the operator has typed here. */
  knows(key: string): void {
    this.#shown.add(key);
  }

  /** Resolves when the chat is open; rejects when no host answers. The stream goes on until `signal`. */
  open(history: number, signal: AbortSignal, onLost: () => void): Promise<void> {
    const input = { chat: this.#chat, history, partial: this.#partial };
    return new Promise((resolve, reject) => {
      let opened = false;
      this.#onOpen = () => {
        opened = true;
        resolve();
      };
      this.#client
        .stream('chat', input, (row) => this.#row(row as unknown as Row), signal)
        .catch(reject)
        .then(() =>
          opened && !signal.aborted ? onLost() : reject(new OperatingError('unavailable', 'the host went away')),
        );
    });
  }

  /** As `open`, and again whenever the host has come back. */
  async stay(history: number, signal: AbortSignal, lost: () => void, back: () => void): Promise<void> {
    const reopen = (): void => {
      if (signal.aborted) return;
      setTimeout(() => void this.open(HISTORY, signal, onLost).then(back, reopen), RECONNECT_MS).unref();
    };
    const onLost = (): void => {
      lost();
      reopen();
    };
    await this.open(history, signal, onLost);
  }

  #row(row: Row): void {
    if (row.t === 'open') {
      this.#id = row.client;
      this.#onOpen?.();
      return;
    }
    const known = row.key !== undefined && this.#shown.has(row.key);
    if (row.key !== undefined) this.#shown.add(row.key);
    if (!known) this.#show(row);
    if (row.t === 'message') void this.#client.call('shown', { client: this.#id, key: row.key }).catch(() => {});
  }
}

type Row =
  | { t: 'open'; client: string; key?: undefined }
  | { t: 'history'; from: string | null; body: string; at_ms: number; key?: string }
  | ({ t: 'message' } & LocalMessage)
  | (Exclude<LocalLine, { t: 'message' }> & { key?: undefined });

function wantsPartial({ partial }: Options, io: Io): boolean {
  return partial || (io.colour && !io.json);
}

function showPartial(row: Extract<Row, { t: 'partial' }>, screen: Screen, io: Io): void {
  if (io.json) io.out(JSON.stringify(row));
  else screen.partial(row.turn, row.text);
}

/** What was said in this terminal, by its id: an answer that comes when more was said since says which it is to. */
class SaidHere {
  readonly #texts = new Map<string, string>();
  #last = '';

  add(message: string, text: string): void {
    this.#texts.set(message, text);
    if (this.#texts.size > KNOWN_MAX) this.#texts.delete(this.#texts.keys().next().value!);
    this.#last = message;
  }

  above({ answers }: LocalMessage, io: Io): string[] {
    const text = answers === null || answers === this.#last ? undefined : this.#texts.get(answers);
    return text === undefined ? [] : [dim(io, `↳ ${printable(text.replace(/\s+/g, ' ')).slice(0, QUOTED_CHARS)}`)];
  }
}

/** So many a person can still have in mind. */
const KNOWN_MAX = 100;
/** Of what is answered, enough to know it again. */
const QUOTED_CHARS = 60;

/** A text, and below it what came with it. */
function shownText({ body, file }: LocalMessage): string {
  const line =
    file === null
      ? []
      : [`[file ${printable(file.name)}, ${file.type}, ${showBytes(file.bytes)}: /save ${file.id} [path]]`];
  return [...(body === '' ? [] : [printable(body)]), ...line].join('\n');
}

/** `/save o12 [path]`, a word of the terminal itself. */
const SAVE = /^\/save(?:\s+(\S+)(?:\s+(.+))?)?\s*$/;

const nothing = (): void => {};

/** Longer than any start of the host. */
const SAY_MS = 30_000;
const UNSURE = new OperatingError(
  'unavailable',
  'the host went away, and it is not known whether it has your message',
  'ask again when it is back: ./glass chat shows what it has',
);

/**
 * Resolves with the message's id. A host that goes away over it may have committed it: it is said to the next one under the same
 * key, by which a message that is there already is known again. Rejects when no host comes back.
 */
async function sayUntilTaken(client: ControlClient, said: Said & { chat: string; key: string }): Promise<string> {
  const until = performance.now() + SAY_MS;
  for (let unsure = false; ; ) {
    try {
      return (await client.call<{ message: string }>('say', said)).message;
    } catch (error) {
      if (!(error instanceof OperatingError) || error.code !== 'unavailable') throw error;
      unsure ||= !isNotRunning(error);
      if (performance.now() > until) throw unsure ? UNSURE : error;
    }
    await new Promise((resolve) => setTimeout(resolve, RECONNECT_MS));
  }
}

/** Says one thing, shows what comes, and ends when the message is through with. Exit code 0: answered, or silent by choice. */
async function sayOnce(client: ControlClient, options: Options, text: string, io: Io): Promise<number> {
  const chatName = options.chat;
  const ended = new AbortController();
  const screen = new Screen(io);
  const terminal = new Terminal(client, chatName, wantsPartial(options, io), (row) => {
    if (row.t === 'message') screen.print(io.json ? JSON.stringify(row) : shownText(row));
    else if (row.t === 'partial') showPartial(row, screen, io);
  });
  try {
    await terminal.stay(0, ended.signal, nothing, nothing);
    const message = await sayUntilTaken(client, { chat: chatName, ...(await readSaid(text)), key: randomUUID() });
    let end: Outcome | null = null;
    await client.stream('outcome', { message }, (row) => {
      end = row as unknown as Outcome;
    });
    return reportOutcome(end, io);
  } finally {
    ended.abort();
  }
}

interface Outcome {
  message: string;
  states: string[];
  reason: string;
}

function reportOutcome(outcome: Outcome | null, io: Io): number {
  if (outcome === null)
    throw new OperatingError('unavailable', 'the host went away', 'the answer waits for the next ./glass chat');
  const good = outcome.states.every((state) => state === 'answered' || state === 'silent');
  if (io.json) io.out(JSON.stringify({ t: 'outcome', ...outcome }));
  else if (outcome.states.includes('silent')) io.err('(the agent chose not to answer)');
  else if (outcome.states.includes('ignored')) io.err(`not answered: ${outcome.reason}`);
  return good ? 0 : 1;
}

async function converse(client: ControlClient, options: Options, io: Io): Promise<number> {
  const chatName = options.chat;
  const ended = new AbortController();
  const screen = new Screen(io);
  const above = (text: string): void => screen.print(text);
  const said = new SaidHere();
  const terminal = new Terminal(client, chatName, wantsPartial(options, io), (row) => {
    if (row.t === 'history') above(dim(io, `${row.from === null ? '' : '› '}${printable(row.body)}`));
    else if (row.t === 'typing') screen.busy();
    else if (row.t === 'partial') showPartial(row, screen, io);
    else if (row.t === 'message')
      above(io.json ? JSON.stringify(row) : [...said.above(row, io), shownText(row)].join('\n'));
  });
  const lost = (): void => {
    screen.forget();
    above(dim(io, 'the host went away; waiting for it'));
  };
  await terminal.stay(HISTORY, ended.signal, lost, () => above(dim(io, 'connected again')));
  // Only now: a line that is read before somebody listens for it is lost.
  const input = createInterface({ input: process.stdin, output: process.stdout });
  screen.listen(input);
  if (!io.json) above(dim(io, `chat ${chatName}; /file <path> [text] sends a file, /help lists commands, Ctrl-D ends`));
  const save = (id: string | undefined, path: string | undefined): void => {
    if (id === undefined) return above('which file? Write /save o12 [path]');
    saveFile(client, id, path).then(
      (saved) => above(savedText(saved)),
      (error) => above(`not saved: ${error.message}`),
    );
  };
  let saying: Promise<void> = Promise.resolve();
  const say = (text: string): void => {
    const saving = SAVE.exec(text);
    if (saving !== null) return save(saving[1], saving[2]);
    const key = randomUUID();
    terminal.knows(key);
    // One after the other, as they were typed: also what follows a large file, or waits for a host.
    saying = saying
      .then(async () => said.add(await sayUntilTaken(client, { chat: chatName, ...(await readSaid(text)), key }), text))
      .catch((error) => above(error === UNSURE ? error.message : `not sent: ${error.message}`));
  };
  return new Promise((resolve) => {
    onInput(input, say);
    input.on('close', () => {
      screen.end();
      // Input from a pipe ends before the answers come; a terminal that is closed by hand wants to go.
      const goOn = process.stdin.isTTY ? 0 : PIPE_GRACE_MS;
      void saying.then(() =>
        setTimeout(() => {
          ended.abort();
          resolve(0);
        }, goOn),
      );
    });
  });
}

/** A line is a message; what is pasted at once into a terminal is one message, however many lines it has. */
function onInput(lines: Interface, say: (text: string) => void): void {
  let pasted: string[] = [];
  const flush = (): void => {
    const text = pasted.join('\n');
    pasted = [];
    if (text.trim() !== '') say(text);
  };
  lines.on('line', (line) => {
    lines.prompt();
    if (!process.stdin.isTTY) {
      if (line.trim() !== '') say(line);
      return;
    }
    if (pasted.push(line) === 1) setTimeout(flush, PASTE_MS);
  });
}

/** Lines that come closer together than a person can type are one paste. */
const PASTE_MS = 15;
/** How long answers are awaited after the end of piped input. */
const PIPE_GRACE_MS = 3000;
