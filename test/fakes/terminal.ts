import { DatabaseSync } from 'node:sqlite';
import type { LocalMessage } from '../../src/channels/local/local.ts';
import type { ControlClient } from '../../src/cli/control_client.ts';
import { type Install, until } from './install.ts';

/** A terminal of one chat, as `glass chat` is one: it shows what comes, and says that it has. */
export interface Heard {
  kind: string;
  body: string;
  key: string;
  file: LocalMessage['file'];
}

let said = 0;

export class Terminal {
  readonly heard: Heard[] = [];
  readonly chat: string;
  /** Every line since it was made. */
  readonly lines: Record<string, unknown>[] = [];
  readonly #control: ControlClient;
  readonly #more: object;
  #ended = new AbortController();

  /** `more`: of what it asks for. */
  constructor(control: ControlClient, chat: string, more: object = {}) {
    this.#control = control;
    this.#more = more;
    this.chat = chat;
  }

  /** A terminal whose chat is open. */
  static async open(control: ControlClient, chat: string, more: object = {}): Promise<Terminal> {
    const made = new Terminal(control, chat, more);
    await made.open();
    return made;
  }

  /** Resolves when the chat is open. Opens it again after `close`, or after the host's death. */
  open(): Promise<void> {
    this.#ended = new AbortController();
    return new Promise((resolve, reject) => {
      let client = '';
      const onRow = (row: Record<string, unknown>): void => {
        this.lines.push(row);
        if (row['t'] === 'open') {
          client = String(row['client']);
          resolve();
        } else if (row['t'] === 'message') {
          const { kind, body, key, file } = row as unknown as Heard;
          this.heard.push({ kind, body, key, file });
          this.#control.call('shown', { client, key }).catch(() => {});
        }
      };
      this.#control.stream('chat', { chat: this.chat, ...this.#more }, onRow, this.#ended.signal).catch(reject);
    });
  }

  close(): void {
    this.#ended.abort();
  }

  /** Resolves with the shown id of the message when it is on disk. */
  async say(text: string, files: { name: string; bytes: Buffer }[] = []): Promise<string> {
    said += 1;
    const key = `${this.chat}-${process.pid}-${said}`;
    const sent = files.map(({ name, bytes }) => ({ name, data: bytes.toString('base64') }));
    const input = { chat: this.chat, text, key, ...(files.length === 0 ? {} : { files: sent }) };
    return (await this.#control.call<{ message: string }>('say', input)).message;
  }

  /** Everything heard so far, as one text. */
  text(): string {
    return this.heard.map((message) => message.body).join('\n');
  }

  /** Waits until something that matches has been heard; resolves with it. */
  hears(what: RegExp, within_ms = 20_000): Promise<Heard> {
    return until(
      `${this.chat} hears ${what}`,
      async () => {
        const found = this.heard.find((message) => what.test(message.body));
        if (found === undefined) throw new Error(`heard: ${JSON.stringify(this.text().slice(0, 500))}`);
        return found;
      },
      within_ms,
    );
  }
}

/** Rows of an install's ledger, read beside its host. */
export function rows<Row>(install: Install, sql: string, ...values: (string | number)[]): Row[] {
  const db = new DatabaseSync(install.paths.ledger, { readOnly: true });
  try {
    return db.prepare(sql).all(...values) as Row[];
  } finally {
    db.close();
  }
}

/** The states of a chat's messages, in arrival order. */
export function statesOf(install: Install, chat: string): string[] {
  return rows<{ state: string }>(
    install,
    'SELECT i.state FROM inbound i JOIN messages m ON m.id = i.message_id JOIN chats c ON c.id = m.chat_id WHERE c.platform_id = ? ORDER BY i.id',
    chat,
  ).map((row) => row.state);
}

/** The shown id of the session of a chat. */
export function sessionOf(install: Install, chat: string): string {
  const [found] = rows<{ id: number }>(
    install,
    'SELECT s.id FROM sessions s JOIN chats c ON c.id = s.chat_id WHERE c.platform_id = ?',
    chat,
  );
  return `s${found?.id}`;
}
