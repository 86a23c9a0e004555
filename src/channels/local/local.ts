import { randomToken } from '../../base/ids.ts';
import { FILE_BYTES_MAX, LOCAL_ACK_MS, LOCAL_CLIENTS_MAX } from '../../base/limits/messages.ts';
import type {
  Channel,
  ChannelCapabilities,
  ChannelHealth,
  OutgoingFile,
  PartialAnswer,
  Reconciled,
  SendOperation,
  SendResult,
  Sink,
} from '../channel.ts';

/**
 * The channel of the operator's own terminals, over the control socket. A message counts as sent when a terminal has
 * acknowledged it; without a terminal it waits. Terminals know a message by its key, so sending one again is harmless:
 * nothing here is ever uncertain.
 */
export interface LocalMessage {
  key: string;
  thread: string;
  kind: 'reply' | 'send' | 'notice';
  body: string;
  /** The message that it answers (`m12`), of whichever there is more than one. */
  answers: string | null;
  /** Given out by the operation `file`, under its `id`. */
  file: Omit<OutgoingFile, 'path'> | null;
}

/** What a terminal is told: a message, that an agent is busy, or what there is of an answer ('': it is over, or will come as a message). */
export type LocalLine =
  | ({ t: 'message' } & LocalMessage)
  | { t: 'typing'; thread: string }
  | ({ t: 'partial' } & Omit<PartialAnswer, 'chat'>);

export interface LocalClient {
  readonly id: string;
  /** Ends the subscription. */
  close(): void;
}

interface Subscriber {
  id: string;
  chat: string;
  push: (line: LocalLine) => void;
}

interface Pending {
  chat: string;
  settle: (result: SendResult) => void;
}

const NOBODY: SendResult = { ok: false, class: 'waiting', reason: 'no terminal is connected' };

export class LocalChannel implements Channel {
  readonly name = 'local';
  /** Markdown as it is: a terminal shows it, and what reads JSON wants it. */
  readonly capabilities: ChannelCapabilities = {
    markup: 'markdown',
    text_max: 64_000,
    file_bytes_max: FILE_BYTES_MAX,
    typing: true,
  };
  readonly #clients = new Map<string, Subscriber>();
  readonly #pending = new Map<string, Pending>();
  /** By turn, while it runs: for terminals that come in the middle. */
  readonly #partial = new Map<string, PartialAnswer>();
  #sink: Pick<Sink, 'reachable'> | null = null;

  async start(sink: Pick<Sink, 'reachable'>): Promise<void> {
    this.#sink = sink;
  }

  async stop(): Promise<void> {
    for (const pending of this.#pending.values()) pending.settle(NOBODY);
    this.#clients.clear();
  }

  /** A terminal opens a chat; what waits for it is delivered now. Null: too many are open. */
  connect(chat: string, push: (line: LocalLine) => void): LocalClient | null {
    if (this.#of(chat).length >= LOCAL_CLIENTS_MAX) return null;
    const id = randomToken(9);
    this.#clients.set(id, { id, chat, push });
    for (const answer of this.#partial.values()) if (answer.chat === chat) push(partialLine(answer));
    this.#sink?.reachable(chat);
    return { id, close: () => this.#close(id, chat) };
  }

  /** A terminal has shown the message. Returns false when nobody waits for that. */
  acknowledge(clientId: string, key: string): boolean {
    const client = this.#clients.get(clientId);
    const pending = this.#pending.get(key);
    if (client === undefined) return false;
    if (pending === undefined || pending.chat !== client.chat) {
      // Too late for that attempt, but somebody is there: the next one finds the terminal knowing the key already.
      this.#sink?.reachable(client.chat);
      return false;
    }
    pending.settle({ ok: true, receipt: `terminal ${clientId}` });
    return true;
  }

  send(operation: SendOperation): Promise<SendResult> {
    const clients = this.#of(operation.chat);
    if (clients.length === 0) return Promise.resolve(NOBODY);
    return new Promise((resolve) => {
      const timer = setTimeout(
        () => settle({ ok: false, class: 'waiting', reason: 'no terminal acknowledged it' }),
        LOCAL_ACK_MS,
      );
      const settle = (result: SendResult): void => {
        clearTimeout(timer);
        this.#pending.delete(operation.key);
        resolve(result);
      };
      this.#pending.set(operation.key, { chat: operation.chat, settle });
      const { key, thread, kind, body, answers = null } = operation;
      const file = withoutPath(operation.file);
      for (const client of clients) client.push({ t: 'message', key, thread, kind, body, answers, file });
    });
  }

  async typing(chat: string, thread: string): Promise<void> {
    for (const client of this.#of(chat)) client.push({ t: 'typing', thread });
  }

  partial(answer: PartialAnswer): void {
    if (answer.text === '') this.#partial.delete(answer.turn);
    else this.#partial.set(answer.turn, answer);
    for (const client of this.#of(answer.chat)) client.push(partialLine(answer));
  }

  /** Sent again under the same key, it is shown once. */
  async reconcile(): Promise<Reconciled> {
    return { found: false };
  }

  health(): ChannelHealth {
    const count = this.#clients.size;
    return {
      state: this.#sink === null ? 'starting' : 'connected',
      detail: `${count} ${count === 1 ? 'terminal' : 'terminals'}`,
    };
  }

  #close(id: string, chat: string): void {
    this.#clients.delete(id);
    if (this.#of(chat).length > 0) return;
    for (const pending of this.#pending.values()) if (pending.chat === chat) pending.settle(NOBODY);
  }

  #of(chat: string): Subscriber[] {
    return [...this.#clients.values()].filter((client) => client.chat === chat);
  }
}

function partialLine({ chat: _, ...answer }: PartialAnswer): LocalLine {
  return { t: 'partial', ...answer };
}

/** Where it lies is the host's own business. */
function withoutPath(file: OutgoingFile | null): LocalMessage['file'] {
  if (file === null) return null;
  const { path: _, ...shown } = file;
  return shown;
}
