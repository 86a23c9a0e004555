import { once } from 'node:events';
import type { Channel, WebhookAnswer, WebhookRequest } from '../../../src/channels/channel.ts';
import { Emulator } from '../emulators/emulator.ts';

/** What the fake refused, as the library tells it: `after` in seconds. */
export interface Failed {
  message: string;
  status?: number;
  code?: string;
  after?: string;
}

/** An activity, as a handler of the library sees it. */
export type Heard = Record<string, unknown> & { route: string };

type Said = { call: number; value?: unknown; failed?: Failed };

/** A bot in a process of its own, made with Microsoft's library; the fake calls it as it calls a channel. */
export class TheirBot {
  readonly #emulator: Emulator;
  #calls = 0;

  private constructor(emulator: Emulator) {
    this.#emulator = emulator;
  }

  static async start(settings: object): Promise<TheirBot> {
    return new TheirBot(await Emulator.start('teams_client', [], JSON.stringify(settings)));
  }

  stop(): Promise<void> {
    return this.#emulator.stop();
  }

  /** As much of a channel as the fake needs. */
  get channel(): Channel {
    return { webhook: (request) => this.webhook(request) } as Channel;
  }

  async webhook({ headers, body }: WebhookRequest): Promise<WebhookAnswer> {
    const url = `${this.#emulator.url}/api/messages`;
    const response = await fetch(url, { method: 'POST', headers, body: new Uint8Array(body) });
    return { status: response.status, body: await response.text() };
  }

  /** Since it was last asked. */
  heard(): Promise<Heard[]> {
    return this.does('heard');
  }

  async does<T = { id?: string }>(act: string, ...given: unknown[]): Promise<T> {
    const { value, failed } = await this.#ask(act, given);
    if (failed !== undefined) throw new Error(`${act}: ${JSON.stringify(failed)}`);
    return value as T;
  }

  async fails(act: string, ...given: unknown[]): Promise<Failed> {
    const { value, failed } = await this.#ask(act, given);
    if (failed === undefined) throw new Error(`${act} did not fail: ${JSON.stringify(value)}`);
    return failed;
  }

  async #ask(act: string, given: unknown[]): Promise<Said> {
    const call = ++this.#calls;
    const { child } = this.#emulator;
    child.send({ call, act, with: given });
    for (;;) {
      const [said] = (await once(child, 'message')) as [Said];
      if (said.call === call) return said;
    }
  }
}
