import type { ButtonPress, Sink } from '../channel.ts';
import { slackMrkdwn } from '../dialects/slack_mrkdwn.ts';
import type { DriverParts } from '../kind.ts';
import type { Api } from './api.ts';
import type { Inbox } from './inbox.ts';
import { keyOf, msOf, type Reader, type Self } from './incoming.ts';
import { CALL_MS } from './limits.ts';
import * as payloads from './payloads.ts';

/**
 * Buttons. Slack never brings a press again and shows an error after three seconds, so it is acknowledged before this runs; what
 * came of it is shown to who pressed.
 */
export class Presses {
  readonly #api: Api;
  readonly #reader: Reader;
  readonly #sink: Sink;
  readonly #inbox: Pick<Inbox, 'keep'>;
  readonly #log: DriverParts['log'];

  constructor(api: Api, reader: Reader, sink: Sink, inbox: Pick<Inbox, 'keep'>, log: DriverParts['log']) {
    this.#api = api;
    this.#reader = reader;
    this.#sink = sink;
    this.#inbox = inbox;
    this.#log = log;
  }

  /** Never rejects. */
  async take(body: unknown, self: Self): Promise<void> {
    const read = payloads.blockActions.safeParse(body);
    if (!read.success) return void this.#inbox.keep('interaction', body);
    const pressed = read.data;
    const [action] = pressed.actions;
    if (action?.type !== 'button' || action.value === undefined) return;
    const press = await this.#press(pressed, action.value, action.action_ts, self);
    try {
      const { answer } = await this.#sink.pressed(press);
      if (answer !== '') await this.#show(pressed, answer);
    } catch {
      this.#log('warn', 'slack.not_kept', { kind: 'press' });
      await this.#show(pressed, 'That could not be kept; press it once more.');
    }
  }

  async #press({ channel, message, user }: payloads.BlockActions, token: string, at: string, self: Self) {
    const [chat, sender] = await Promise.all([
      this.#reader.chat(channel.id),
      this.#reader.sender({ ts: message.ts, user: user.id }, self),
    ]);
    const thread = chat.direct === true ? '' : (message.thread_ts ?? '');
    return {
      ...{ dedupe_key: `${keyOf(self, channel.id, message.ts)}:pressed:${user.id}:${at}`, chat, thread, sender, token },
      ...{ platform_id: message.ts, sent_ms: msOf(at) },
    } satisfies ButtonPress;
  }

  /** To who pressed alone. What becomes of it is nobody's business: the chat is told what matters. */
  async #show({ response_url, channel, user, message }: payloads.BlockActions, answer: string): Promise<void> {
    const text = slackMrkdwn.text(answer);
    if (response_url !== undefined && this.#api.isSlacks(response_url)) {
      const body = JSON.stringify({ response_type: 'ephemeral', replace_original: false, text });
      const signal = AbortSignal.timeout(CALL_MS);
      const shown = await this.#api.post(response_url, body, 'application/json', signal).then(
        ({ ok }) => ok,
        () => false,
      );
      if (shown) return;
    }
    const where = { channel: channel.id, user: user.id };
    const thread = message.thread_ts === undefined ? {} : { thread_ts: message.thread_ts };
    await this.#api.call('chat.postEphemeral', { ...where, ...thread, text }, payloads.anything);
  }
}
