import type { Channel, MenuCommand } from '../../../src/channels/channel.ts';
import type { DriverParts } from '../../../src/channels/kind.ts';
import { open } from '../../../src/channels/telegram/driver.ts';
import { telegram } from '../../../src/channels/telegram/kind.ts';
import type {
  Account,
  ChannelUnderTest,
  Faults,
  Place,
  PlaceName,
  SendFault,
  Sent,
  Speaker,
} from '../../kits/channel_scene.ts';
import { BOT, BotApi } from './bot_api.ts';
import { CHATS, handleOf, placeOf, requestOf, TelegramHook, TelegramPeople } from './people.ts';

/** Telegram, as the kit of channels drives it. */

const LACKS = { 'a deletion comes in': 'Telegram tells bots of no deletion' };

export const polled: ChannelUnderTest = {
  title: 'telegram',
  kind: telegram,
  lacks: LACKS,
  start: () => TelegramAccount.start(false),
};

const NO_POLL = 'nobody can take an update away from a webhook, and the server knows no other';

export const hooked: ChannelUnderTest = {
  title: 'telegram over a webhook',
  kind: telegram,
  lacks: {
    ...LACKS,
    'a second program on our token is said to be so; once it has ended, messages come in again': NO_POLL,
  },
  start: () => TelegramAccount.start(true),
};

/** Looks like a token, and is none. */
export const TOKEN = '424242:FAKE-token-of-no-bot-at-all-0123456789';

export class TelegramAccount implements Account, Faults {
  readonly api = new BotApi(TOKEN, CHATS);
  readonly people = new TelegramPeople(this.api);
  readonly faults: Faults = this;
  readonly hook?: TelegramHook;
  readonly #isHooked: boolean;
  #channel: Channel | null = null;
  /** Ends the calls of a host that is there no more. */
  #gone = (): void => {};

  private constructor(isHooked: boolean) {
    this.#isHooked = isHooked;
    if (!isHooked) return;
    this.hook = new TelegramHook(this.people, () => this.api.updates.secret);
    this.api.deliver = async (update, secret) => {
      const cut = new Promise<number>((resolve) => {
        this.#gone = () => resolve(502);
      });
      const answer = this.#channel!.webhook!(requestOf(update, secret)).then(
        ({ status }) => status,
        () => 500,
      );
      return Promise.race([answer, cut]);
    };
  }

  static async start(isHooked: boolean): Promise<TelegramAccount> {
    const account = new TelegramAccount(isHooked);
    await account.api.listen();
    return account;
  }

  get parts(): Pick<DriverParts, 'name' | 'settings' | 'secrets'> {
    const webhook = this.#isHooked ? { webhook: 'https://glass.example/hooks/telegram' } : {};
    return { name: 'telegram', settings: { api: this.api.url, ...webhook }, secrets: { token: TOKEN } };
  }

  open(parts: DriverParts): Channel {
    this.#gone();
    this.#channel = open(parts);
    return this.#channel;
  }

  place(name: PlaceName): Place {
    return placeOf(name);
  }

  handle(speaker: Speaker): string {
    return handleOf(speaker);
  }

  sent(): Sent[] {
    return this.api.messages
      .filter(({ from }) => from === BOT.id)
      .map((message) => ({
        receipt: `${message.chat}:${message.message_id}`,
        chat: String(message.chat),
        thread: message.thread === undefined ? '' : String(message.thread),
        shown: message.text,
        bold: message.bold,
        code: message.code,
        quotes: message.reply_to === null ? null : `${message.chat}:${message.reply_to}`,
        buttons: message.buttons.map(({ text, callback_data }) => ({ token: callback_data, label: text })),
        file: message.file === null ? null : { name: message.file.name, data: message.file.data },
      }));
  }

  reactions(): { message: string; emoji: string }[] {
    return [...this.api.reactions].map(([message, emoji]) => ({ message, emoji }));
  }

  typing(): Place[] {
    return this.api.typing.map(({ chat, thread }) => ({ chat: String(chat), thread: String(thread ?? '') }));
  }

  menu(): MenuCommand[] {
    return this.api.commands.map(({ command, description }) => ({ name: command, summary: description }));
  }

  acknowledged(message: string): boolean {
    return this.people.acknowledged(message);
  }

  pressesAnswered(): number {
    return this.api.answered.size;
  }

  next(fault: SendFault): void {
    this.api.faults.push(fault);
  }

  revoke(): void {
    this.api.isRevoked = true;
  }

  secondPoller(runs: boolean): Promise<void> {
    return this.api.updates.second(runs);
  }

  async drop(): Promise<void> {
    this.api.drop();
  }

  offline(): Promise<void> {
    return this.api.close();
  }

  online(): Promise<void> {
    return this.api.listen();
  }

  async stop(): Promise<void> {
    await this.api.updates.second(false);
    this.api.updates.hook(null);
    await this.api.close();
  }
}
