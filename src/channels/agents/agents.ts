import { FILE_BYTES_MAX, MESSAGE_TEXT_BYTES_MAX } from '../../base/limits/messages.ts';
import type { Channel, ChannelHealth, Reconciled, SendOperation, SendResult } from '../channel.ts';

/**
 * The channel between agents of one install: what one sends, another one gets as a message, in the ledger, by the key of the send.
 * So delivery, order, retries and recovery are those of any channel. Nothing comes in from outside.
 *
 * A chat here is named `asker>asked`; its threads are sessions of the asker.
 */
export const AGENTS = 'agents';

export interface AgentPost {
  /** Hands the text of this key over; the same key is handed over once. Rejects when nothing was kept. */
  pass(key: string): Promise<{ message: string } | { refused: string }>;
  /** The message that the text of this key has become; null: none. */
  passed(key: string): string | null;
}

export class AgentsChannel implements Channel {
  readonly name = AGENTS;
  // Of UTF-8 a character has four bytes at most.
  readonly capabilities = {
    text_max: MESSAGE_TEXT_BYTES_MAX / 4,
    file_bytes_max: FILE_BYTES_MAX,
    markup: 'markdown' as const,
  };
  readonly #post: AgentPost;

  constructor(post: AgentPost) {
    this.#post = post;
  }

  async start(): Promise<void> {}

  async stop(): Promise<void> {}

  async send({ key }: SendOperation): Promise<SendResult> {
    try {
      const passed = await this.#post.pass(key);
      if ('message' in passed) return { ok: true, receipt: passed.message };
      return { ok: false, class: 'permanent', reason: passed.refused };
    } catch (error) {
      // Nothing was committed, so nothing was handed over.
      return { ok: false, class: 'retryable', reason: String(error) };
    }
  }

  async reconcile({ key }: SendOperation): Promise<Reconciled> {
    const receipt = this.#post.passed(key);
    return receipt === null ? { found: false } : { found: true, receipt };
  }

  health(): ChannelHealth {
    return { state: 'connected', detail: 'between the agents of this install' };
  }
}
