import type {
  Channel,
  ChannelHealth,
  Reconciled,
  SendOperation,
  SendResult,
  Sink,
} from '../../src/channels/channel.ts';

/** The driver for the fake platform: long polling, acknowledgement after the commit, history by idempotency key. */
export class PlatformChannel implements Channel {
  readonly name = 'platform';
  readonly capabilities = { text_max: 4000, file_bytes_max: 20 * 1024 * 1024 };
  readonly #url: string;
  #stopped = false;
  #connected = false;

  constructor(url: string) {
    this.#url = url;
  }

  async start(sink: Sink, cursors: ReadonlyMap<string, string>): Promise<void> {
    void this.#poll(sink, Number(cursors.get('updates') ?? 0));
  }

  async stop(): Promise<void> {
    this.#stopped = true;
  }

  async send(operation: SendOperation): Promise<SendResult> {
    try {
      const { chat, body, key } = operation;
      const response = await fetch(`${this.#url}/bot/send`, {
        method: 'POST',
        body: JSON.stringify({ chat, text: body, key }),
      });
      if (response.status === 400) return { ok: false, class: 'permanent', reason: 'the platform refused the text' };
      const { id } = (await response.json()) as { id: number };
      return { ok: true, receipt: `platform ${id}` };
    } catch (error) {
      return { ok: false, class: 'ambiguous', reason: String(error) };
    }
  }

  async reconcile(operation: SendOperation): Promise<Reconciled> {
    const response = await fetch(`${this.#url}/bot/sent?key=${operation.key}`);
    if (response.status === 404) return { found: false };
    const { id } = (await response.json()) as { id: number };
    return { found: true, receipt: `platform ${id}` };
  }

  health(): ChannelHealth {
    return { state: this.#connected ? 'connected' : 'starting', detail: this.#url };
  }

  /** One batch at a time, each update committed before the next poll acknowledges it. */
  async #poll(sink: Sink, after: number): Promise<void> {
    let cursor = after;
    while (!this.#stopped) {
      try {
        const response = await fetch(`${this.#url}/bot/updates?after=${cursor}`);
        const { updates } = (await response.json()) as {
          updates: { id: number; chat: string; from: string; text: string }[];
        };
        this.#connected = true;
        for (const update of updates) {
          await sink.accept({
            dedupe_key: `platform:${update.id}`,
            chat: { platform_id: update.chat, title: update.chat },
            thread: '',
            sender: { handle: update.from, name: update.from },
            addressed: true,
            platform_id: String(update.id),
            text: update.text,
            files: [],
            sent_ms: Date.now(),
          });
          await sink.saveCursor('updates', String(update.id));
          cursor = update.id;
        }
      } catch {
        await new Promise((resolve) => setTimeout(resolve, 100));
      }
    }
  }
}
